"""Waymo's evaluation of detectors of Waymo's classes, with the ground truth as predictions."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.training import make_world  # noqa: E402

from pipelines.training.official import official  # noqa: E402
from pipelines.training.official_waymo import has_waymo_classes  # noqa: E402
from pipelines.training.score import score  # noqa: E402
from pointsam.datasets.mapped import with_classes  # noqa: E402
from pointsam.detect.predictions_file import FramePredictions  # noqa: E402
from pointsam.geometry.boxes import rows  # noqa: E402
from pointsam.geometry.se3 import SE3  # noqa: E402
from pointsam.taxonomy import ClassSpec, Taxonomy  # noqa: E402

NAMES = ("vehicle", "pedestrian", "cyclist")
TRUTH = {"car": "vehicle", "truck": "vehicle", "bus": "vehicle", "pedestrian": "pedestrian", "bicycle": "cyclist"}
WAYMO = Taxonomy("waymo", tuple(ClassSpec(name, size_lwh_m=(2, 1, 1)) for name in NAMES), TRUTH)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("waymo") / "root", scenes=("scene-0103",), samples=3)


@pytest.fixture(scope="module")
def data(world):
    return with_classes(world, WAYMO)


def predictions(dataset, **changes):
    """The true boxes with the classes of the run."""
    for frame_id in dataset.frame_ids():
        boxes = dataset.boxes(frame_id)
        ours = boxes.class_id != 255
        num = int(ours.sum())
        found = FramePredictions(
            frame_id,
            rows(boxes)[ours],
            np.full(num, 0.75, dtype=np.float32),
            boxes.class_id[ours].astype(np.int64),
            np.zeros((num, 2), dtype=np.float32),
        )
        yield replace(found, **{name: change(getattr(found, name)) for name, change in changes.items()})


class Annotated:
    """A data set that states levels, 2 for all but vehicles, and zones without labels."""

    def __init__(self, dataset, level, unlabelled):
        self._dataset, self._level, self._unlabelled = dataset, level, unlabelled

    def __getattr__(self, name):
        return getattr(self._dataset, name)

    def difficulty_levels(self, frame_id):
        return np.where(self.boxes(frame_id).class_id == 0, self._level, 2)

    def in_unlabelled_zone(self, frame_id, boxes):
        assert boxes.dtype == np.float64
        return np.full(len(boxes), self._unlabelled)


def test_true_boxes_are_perfect_at_both_levels(data):
    result = score(data, list(predictions(data)), {}, NAMES)
    figures = result.official.figures
    present = {data.taxonomy.names[k] for found in predictions(data) for k in found.class_id}
    assert "vehicle" in present
    assert figures["mAP/L1"] == figures["mAPH/L2"] == pytest.approx(1)
    for name in NAMES:
        expected = pytest.approx(1) if name in present else None
        assert set(figures[name]) == {"AP/L1", "APH/L1", "AP/L2", "APH/L2"}
        assert list(figures[name].values()) == [expected] * 4
    assert "vehicle, IoU 0.7" in result.official.text
    assert "mean without signs" in result.official.text
    assert f"{data.name} states neither levels" in result.official.text


def test_it_is_chosen_by_classes_whatever_the_data(world, data):
    assert has_waymo_classes(data, ())
    assert has_waymo_classes(data, ("pedestrian", "cyclist"))
    assert not has_waymo_classes(data, ("vehicle",))
    own = with_classes(world, Taxonomy("own", (*WAYMO.classes, ClassSpec("worker", size_lwh_m=(1, 1, 2))), TRUTH))
    assert not has_waymo_classes(own, ())
    assert "devkit" in official(own, [], [], {}).text
    assert has_waymo_classes(own, ("worker",))


def test_classes_that_are_not_predicted_are_named(data):
    result = score(data, list(predictions(data)), {}, ("vehicle",)).official
    assert "pedestrian" not in result.figures
    assert result.figures["mAP/L2"] == result.figures["vehicle"]["AP/L2"]
    assert "not predicted, and not evaluated: pedestrian, cyclist" in result.text


def test_signs_are_not_part_of_the_mean(world):
    classes = (ClassSpec("vehicle", size_lwh_m=(4, 2, 2)), ClassSpec("sign", size_lwh_m=(1, 1, 1)))
    data = with_classes(world, Taxonomy("signs", classes, {"car": "vehicle", "pedestrian": "sign"}))
    found = [
        FramePredictions(*(one if isinstance(one, str) else one[mine] for one in vars(frame).values()))
        for frame in predictions(data)
        for mine in [frame.class_id == 0]
    ]
    figures = score(data, found, {}, ("vehicle", "sign")).official.figures
    assert (figures["vehicle"]["AP/L2"], figures["sign"]["AP/L2"]) == pytest.approx((1, 0))
    assert figures["mAP/L2"] == pytest.approx(1)


def test_heading_lowers_aph_only(data):
    about = list(predictions(data, boxes=lambda boxes: boxes + np.array([0, 0, 0, 0, 0, 0, math.pi])))
    figures = score(data, about, {}, NAMES).official.figures
    assert figures["mAP/L2"] == pytest.approx(1)
    assert figures["mAPH/L2"] == pytest.approx(0, abs=1e-6)


def test_ranges_are_from_the_vehicle(data):
    class Mounted:
        """The LiDAR is mounted 200 m in front of the vehicle."""

        def __getattr__(self, name):
            return getattr(data, name)

        def frame(self, frame_id):
            frame = data.frame(frame_id)
            moved = SE3(frame.sweep.ego_SE3_lidar.rotation, np.array([200.0, 0, 0]))
            return replace(frame, sweeps=(replace(frame.sweep, ego_SE3_lidar=moved),))

        cloud = frame

    near, far = (score(one, list(predictions(data)), {}, NAMES).official.figures for one in (data, Mounted()))
    assert near["vehicle, 0-30 m"]["AP/L2"] == far["vehicle, > 50 m"]["AP/L2"] == pytest.approx(1)
    assert far["vehicle, 0-30 m"]["AP/L2"] is None
    assert far["vehicle"] == near["vehicle"]


def test_levels_are_those_of_the_data_set(data):
    found = list(predictions(data))
    figures = score(Annotated(data, 2, False), found, {}, NAMES).official.figures
    assert figures["vehicle"]["AP/L1"] is None
    assert figures["vehicle"]["AP/L2"] == figures["mAP/L2"] == pytest.approx(1)
    stated = score(Annotated(data, 1, False), found, {}, NAMES).official
    assert stated.figures["vehicle"]["AP/L1"] == stated.figures["mAP/L1"] == pytest.approx(1)
    assert stated.figures["pedestrian"]["AP/L1"] is None
    assert "states neither levels" not in stated.text


def test_predictions_in_zones_without_labels_are_not_wrong(data):
    def twice(values):
        return np.concatenate([values, values + np.float32(100) if values.ndim == 2 else values])

    found = list(predictions(data, boxes=twice, score=twice, class_id=twice, velocity=twice))
    wrong = score(Annotated(data, 0, False), found, {}, NAMES).official.figures
    zone = score(Annotated(data, 0, True), found, {}, NAMES).official.figures
    assert wrong["vehicle"]["AP/L2"] == pytest.approx(0.5)
    assert zone["vehicle"]["AP/L2"] == pytest.approx(1)


def test_no_frames_have_no_figures(data):
    result = official(data, [], [], {"x": "torn"})
    assert result.figures["mAPH/L2"] is None
    assert "no object with points: vehicle, pedestrian, cyclist" in result.text
