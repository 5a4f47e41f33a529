"""Published recipes have the numbers of the paper, and every recipe builds a detector that runs."""

from dataclasses import replace
from operator import attrgetter

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pointsam.detect.detector import Batch, Detector  # noqa: E402
from pointsam.detect.recipes import RECIPES  # noqa: E402
from pointsam.taxonomy import ClassSpec, Taxonomy  # noqa: E402

PAPER = [name for name in RECIPES if name.endswith("-paper")]
NUSCENES = [name for name in PAPER if name.startswith("nuscenes")]
KITTI = [name for name in PAPER if name.startswith("kitti")]
WAYMO = [name for name in PAPER if name.startswith("waymo")]


def holds(name, expected):
    """Fields of a recipe by their paths."""
    recipe = RECIPES[name]()
    assert {path: attrgetter(path)(recipe) for path in expected} == expected


def test_there_are_recipes_of_all_three_data_sets():
    assert len(NUSCENES) == len(KITTI) == len(WAYMO) == 2
    assert len(PAPER) == 6


@pytest.mark.parametrize(
    ("name", "batch_size", "epochs", "learning_rate", "repeat", "off_last_epochs"),
    [
        ("nuscenes-centerpoint-voxel-paper", 6, 20, 0.001, 2, 5),
        ("nuscenes-centerpoint-pillar-paper", 6, 20, 0.001, 2, 5),
        ("synthetic-small", 4, 20, 0.004, 1, 3),
        ("synthetic-small-second", 4, 20, 0.004, 1, 3),
        ("synthetic", 8, 30, 0.002, 1, 5),
        ("kitti-second-paper", 4, 80, 0.003, 3, 0),
        ("kitti-two-stage-paper", 2, 80, 0.01, 3, 0),
        ("waymo-centerpoint-paper", 4, 30, 0.003, 1, 5),
        ("waymo-second-paper", 4, 30, 0.003, 1, 5),
    ],
)
def test_schedules(name, batch_size, epochs, learning_rate, repeat, off_last_epochs):
    """docs/method.md B.10; when pasting ends, B.4."""
    schedule = {
        "train.batch_size": batch_size,
        "train.epochs": epochs,
        "train.learning_rate": learning_rate,
        "data.repeat": repeat,
        "data.paste.off_last_epochs": off_last_epochs,
    }
    holds(name, schedule)


@pytest.mark.parametrize("name", PAPER)
def test_all_are_trained_by_one_cycle_on_frames_with_boxes_and_simulated_clusters(name):
    """docs/method.md B.10, B.2 and B.1; there are no ignore regions (B.5)."""
    shared = {
        "train.weight_decay": 0.01,
        "train.momentum": (0.95, 0.85),
        "train.warm_share": 0.4,
        "train.start_division": 10.0,
        "train.grad_clip": 10.0,
        "data.resample": "boxes",
        "data.count": "boxes",
        "data.samples": None,
        "data.coarse.kind": "simulated",
        "data.coarse.enlarge": (1.0, 1.1),
        "data.coarse.redraw": True,
        "data.coarse.as_boxes": False,
        "data.coarse.unknown_unseen": False,
        "data.coarse.unknown_dropped": False,
        "data.paste.min_points": 5,
        "data.paste.of_two": "neither",
        "data.augment.flip_y": True,
        "data.augment.rotation_rad": pytest.approx(0.7853981633974483),
    }
    holds(name, shared)


@pytest.mark.parametrize("name", NUSCENES)
def test_data_of_nuscenes(name):
    """docs/method.md B.4, B.10."""
    pasted = {
        "car": 2,
        "truck": 3,
        "construction_vehicle": 7,
        "bus": 4,
        "trailer": 6,
        "barrier": 2,
        "motorcycle": 6,
        "bicycle": 6,
        "pedestrian": 2,
        "traffic_cone": 2,
    }
    expected = {
        "data.points.past_sweeps": 9,
        "data.points.repeat_missing": True,
        "data.paste.counts": pasted,
        "data.paste.whole_scene": True,
        "data.paste.margin_m": 0.25,
        "data.augment.flip_x": True,
        "data.augment.scale": (0.9, 1.1),
        "data.augment.shift_m": 0.5,
    }
    holds(name, expected)


@pytest.mark.parametrize("name", KITTI)
def test_data_of_kitti(name):
    """docs/method.md B.4, B.1 and B.3: mirrored about the x axis alone, points that the camera sees."""
    expected = {
        "data.points.past_sweeps": 0,
        "data.points.in_view_only": True,
        "data.paste.counts": {"car": 15, "pedestrian": 10, "cyclist": 10},
        "data.paste.whole_scene": False,
        "data.paste.road": "planes",
        "data.paste.rated_only": True,
        "data.paste.margin_m": 0.25,
        "data.augment.flip_x": False,
        "data.augment.scale": (0.95, 1.05),
        "data.augment.shift_m": 0.0,
    }
    holds(name, expected)


@pytest.mark.parametrize("name", WAYMO)
def test_data_of_waymo(name):
    """docs/method.md B.4, B.1."""
    expected = {
        "data.points.past_sweeps": 0,
        "data.paste.counts": {"vehicle": 15, "pedestrian": 10, "cyclist": 10},
        "data.paste.whole_scene": True,
        "data.paste.margin_m": 1.0,
        "data.augment.flip_x": True,
        "data.augment.scale": (0.95, 1.05),
        "data.augment.shift_m": 0.0,
    }
    holds(name, expected)


@pytest.mark.parametrize("name", [*NUSCENES, "waymo-centerpoint-paper"])
def test_centre_heads_peak_where_both_kinds_are_seen_and_regress_there_alone(name):
    """docs/method.md B.5: radii of peaks, weights of the heat."""
    center = {
        "detector.head.peak": "visible",
        "detector.head.reach": 0,
        "detector.head.class_weight": 1.0,
    }
    holds(name, center)
    head = RECIPES[name]().detector.head
    small = {"pedestrian", "traffic_cone"} if name in NUSCENES else {"pedestrian", "cyclist"}
    radii = {c: head.smallest_radius.get(c, head.default_radius) for c in head.class_names}
    assert radii == {c: 2 if c in small else 3 for c in head.class_names}


@pytest.mark.parametrize("name", NUSCENES)
def test_weights_of_geometry_of_nuscenes(name):
    """docs/method.md B.5: less for the heading, entries 7 and 8 of a code."""
    weights = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2, 1.0, 1.0)
    holds(name, {"detector.head.box_weight": 0.25, "detector.head.code_weights": weights})


def test_weights_of_geometry_of_waymo():
    """docs/method.md B.5; its boxes carry no velocity."""
    expected = {"detector.head.box_weight": 2.0, "detector.head.code_weights": (1.0,) * 8 + (0.0, 0.0)}
    holds("waymo-centerpoint-paper", expected)


@pytest.mark.parametrize(
    ("name", "thresholds"),
    [
        *((name, {"car": ((0.6, 0.45), (0.8, 0.1))}) for name in KITTI),
        ("waymo-second-paper", {"vehicle": ((0.55, 0.4), (0.7, 0.05))}),
    ],
)
def test_anchors(name, thresholds):
    """docs/method.md B.7: overlaps with boxes and clusters, weights of the losses."""
    thresholds = thresholds | dict.fromkeys(("pedestrian", "cyclist"), ((0.5, 0.35), (0.6, 0.15)))
    head = RECIPES[name]().detector.head
    assert {anchors.name: (anchors.box_iou, anchors.cluster_iou) for anchors in head.anchors} == thresholds
    assert (head.class_weight, head.box_weight, head.direction_weight) == (1.0, 2.0, 0.2)
    assert (head.match, head.balance) == ("overlap", False)


def test_proposals_of_the_second_stage():
    """docs/method.md B.8."""
    sampling = {
        "samples": 128,
        "most_foreground": 64,
        "foreground_iou": 0.55,
        "easy_iou": 0.1,
        "hard_share": 0.8,
        "confidence_iou": (0.25, 0.75),
    }
    holds("kitti-two-stage-paper", {f"detector.roi.sampling.{key}": value for key, value in sampling.items()})


def test_ranges_and_voxels():
    """docs/method.md B.10: 0.075 m, ±54 m, ten sweeps."""
    grid = RECIPES["nuscenes-centerpoint-voxel-paper"]().detector.grid
    assert (grid.voxel_m[:2], grid.range_m[0], grid.range_m[3]) == ((0.075, 0.075), -54, 54)
    assert not RECIPES["waymo-centerpoint-paper"]().detector.encoder.residual


def built(name):
    torch.manual_seed(0)
    config = RECIPES[name]().detector
    return Detector(config, Taxonomy("own", tuple(ClassSpec(c) for c in config.class_names)))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_its_detector(name):
    detector = built(name)
    recipe = RECIPES[name]()
    assert recipe.name == name
    assert set(recipe.data.paste.counts) <= set(recipe.detector.class_names)
    assert (detector.roi is None) == (recipe.detector.roi is None)


RUN = (
    "synthetic-small",
    "synthetic-small-second",
    "synthetic",
    "nuscenes-centerpoint-pillar",
    "waymo-centerpoint",
    "waymo-second",
)


@pytest.mark.parametrize("name", RUN)
def test_a_fresh_detector_predicts_boxes_of_its_classes(name):
    detector = built(name).eval()
    head, (*low, x1, y1, z1) = detector.head, detector.config.grid.range_m
    head.config = replace(head.config, score_threshold=0.0)
    place = torch.rand(300, 5, generator=torch.Generator().manual_seed(0))
    place[:, :3] = torch.tensor(low) + place[:, :3] * (torch.tensor([x1, y1, z1]) - torch.tensor(low))
    with torch.no_grad():
        (predictions,) = detector(Batch(("frame",), (place,), (300,)))
    assert 0 < len(predictions) <= head.config.most
    assert predictions.boxes.isfinite().all()
    assert (predictions.boxes[:, 3:6] > 0).all()
    assert set(predictions.class_id.tolist()) <= set(range(len(detector.config.class_names)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "synthetic-small",
            {
                "detector.grid.range_m": (-51.2, -51.2, -5.0, 51.2, 51.2, 3.0),
                "detector.grid.voxel_m": (0.4, 0.4, 8.0),
                "detector.encoder.kind": "pillar",
                "detector.encoder.pillar_channels": 32,
                "detector.head.default_radius": 2,
                "detector.head.reach": 1,
                "detector.head.channels": 32,
                "detector.head.kind": "center",
                "data.points.past_sweeps": 2,
                "data.resample": "none",
                "train.eval_epochs": 10,
                "train.workers": 1,
            },
        ),
        (
            "synthetic-small-second",
            {
                "detector.head.kind": "anchor",
                "detector.head.channels": 64,
                "detector.head.match": "centers",
                "detector.head.balance": True,
                "detector.head.nms_iou": 0.2,
            },
        ),
        (
            "synthetic",
            {
                "detector.grid.voxel_m": (0.2, 0.2, 8.0),
                "detector.head.reach": 1,
                "data.points.past_sweeps": 9,
                "train.precision": "bf16",
                "train.eval_epochs": 10,
            },
        ),
    ],
)
def test_recipes_of_synthetic_worlds(name, expected):
    holds(name, expected)
    counts = RECIPES[name]().data.paste.counts
    assert set(counts) == set(RECIPES["nuscenes-centerpoint-pillar"]().data.paste.counts)
    assert {name for name, count in counts.items() if count == 3} == {"motorcycle", "bicycle"}
    assert set(counts.values()) == {2, 3}
