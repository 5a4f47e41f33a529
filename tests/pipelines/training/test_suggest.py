"""`mixsup-train suggest`: recipes from the data."""

import json
from copy import copy

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'pointsam[detect]'")

from click.testing import CliRunner
from helpers.commands import refused
from helpers.kitti_root import CAR, make_kitti
from helpers.nuscenes_root import make_root
from helpers.training import make_labels, make_world

from pipelines.cli.train import main
from pipelines.training.recipe_file import document_of, load_recipe
from pipelines.training.suggest import suggest
from pipelines.training.survey import Survey
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.datasets.io import read_points
from pointsam.taxonomy import BACKGROUND, NUSCENES, ClassSpec, Taxonomy

BASES = ("synthetic-small", "synthetic-small-second", "nuscenes-centerpoint-voxel", "kitti-second", "waymo-centerpoint")
OWN = Taxonomy("own", (ClassSpec("car"), ClassSpec("forklift"), ClassSpec("cat")))


def train(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def surveyed(n=400, seed=0, **change):
    """Cars of 4 x 2 x 1.5 m within 30 m, and forklifts of 3 x 1.2 x 2.2 m within 15 m, on ground at z = -1.8."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 2
    size = np.array([(4.0, 2.0, 1.5), (3.0, 1.2, 2.2)])[kind]
    reach = np.array([30.0, 15.0])[kind]
    center = np.column_stack([rng.uniform(-1, 1, (n, 2)) * reach[:, None], -1.8 + size[:, 2] / 2])
    values = {
        "source": "boxes", "num_frames": 20, "frames": 400, "counts": {"car": n // 2, "forklift": n // 2, "cat": 2},
        "class_id": kind, "center_m": center, "size_lwh_m": size, "num_points": np.full(n, 60),
        "seen": np.ones(n, dtype=bool), "has_velocity": True, "extent_m": np.array([(-60, -60, -2), (60, 60, 4.0)]),
        "in_view": 1.0, "intensity": (0.0, 30.0, 254.0), "past_sweeps": 4,
    }  # fmt: skip
    return Survey(**(values | change))


def made(base="synthetic-small", labels=False, **change):
    return suggest(surveyed(**change), load_recipe(base), OWN, labels)


@pytest.mark.parametrize("base", BASES)
def test_the_map_holds_the_objects_and_fits_the_network(base):
    recipe = made(base).recipe
    grid, detector = recipe.detector.grid, recipe.detector
    found = surveyed()
    low, high = np.array(grid.range_m[:3]), np.array(grid.range_m[3:])
    inside = ((found.center_m >= low) & (found.center_m < high)).all(axis=1)
    assert inside.mean() >= 0.99
    assert low[2] <= -1.8 - 0.4
    assert high[2] >= -1.8 + 2.2 + 0.4
    assert high[0] < 45  # two thirds of the usual map: cars end at 30 m
    stride = detector.encoder.stride * np.prod(detector.neck.strides)
    assert [count % stride for count in grid.shape[:2]] == [0, 0]
    assert set(detector.class_names) == {"car", "forklift"}


def test_the_map_holds_most_objects_of_rare_classes_too():
    """One forklift in two hundred objects, behind, high up and farther than the cars."""
    found, rare = surveyed(n=2000), np.arange(2000) % 200 == 1
    center = found.center_m.copy()
    center[rare] = (-45.0, 2.0, 4.0)
    both = {"n": 2000, "center_m": center, "counts": {"car": 1990, "forklift": 10}}
    grid = made(**both, class_id=np.where(rare, 1, 0)).recipe.detector.grid
    assert (np.array(grid.range_m[:3]) < (-45, 2, 2.9)).all()
    assert (np.array(grid.range_m[3:]) > (-45, 2, 5.1)).all()
    grid = made(**both, class_id=np.zeros(2000, dtype=np.int64)).recipe.detector.grid
    assert grid.range_m[3] < 45  # one percent of all may be outside


def test_anchors_have_the_sizes_and_heights_of_the_objects():
    anchors = {one.name: one for one in made("kitti-second").recipe.detector.head.anchors}
    assert anchors["car"].size_lwh_m == (4.0, 2.0, 1.5)
    assert anchors["forklift"].size_lwh_m == (3.0, 1.2, 2.2)
    assert anchors["forklift"].center_z_m == pytest.approx(-0.7)


@pytest.mark.parametrize(
    ("highest", "full"), [(1.0, 1), (0.5, 1), (254.0, 255), (255.0, 255), (4000, 4095), (65535, 65535), (70000, 131072)]
)
def test_intensities_are_divided_by_what_the_sensor_can_give(highest, full):
    assert made(intensity=(0.0, 0.1, highest)).recipe.data.points.intensity_full == full


def test_a_constant_intensity_is_named():
    assert any("all intensities are 7" in text for text in made(intensity=(7.0, 7.0, 7.0)).warnings)


@pytest.mark.parametrize(("lowest", "highest", "full"), [(-90.0, -20.0, 255), (-0.5, 0.7, 1), (-300.0, 12.0, 4095)])
def test_intensities_below_zero_are_named(lowest, highest, full):
    result = made(intensity=(lowest, lowest, highest))
    assert result.recipe.data.points.intensity_full == full
    assert any(f"from {lowest:g} to {highest:g}" in text and "decibels" in text for text in result.warnings)


@pytest.mark.parametrize(("frames", "epochs", "validated"), [(400, 20, 10), (60, 20, 10), (30, 43, 22), (2, 300, 150)])
def test_few_frames_get_more_epochs(frames, epochs, validated):
    recipe = made(frames=frames).recipe
    assert (recipe.train.epochs, recipe.train.eval_epochs) == (epochs, validated)
    assert recipe.data.paste.off_last_epochs == round(3 * epochs / 20)
    assert epochs * max(1, frames // recipe.train.batch_size) >= 300


@pytest.mark.parametrize(("have", "take"), [(0, 0), (1, 1), (50, 2)])
def test_no_more_past_sweeps_than_there_are(have, take):
    assert made(past_sweeps=have).recipe.data.points.past_sweeps == take


def test_classes_with_few_objects_are_named_and_those_with_fewer_left_out():
    result = made(counts={"car": 200, "forklift": 12, "cat": 2})
    assert any("few boxes of forklift 12" in text for text in result.warnings)
    assert any("left out, with fewer than 5 boxes: cat" in text for text in result.warnings)
    assert result.recipe.data.paste.counts["forklift"] == 2


def test_no_class_with_enough_objects_is_an_error():
    with pytest.raises(SchemaError, match=r"\[SCH005\] no class has 5 boxes or more: car 1; none of forklift, cat"):
        made(counts={"car": 1})


def test_objects_without_points_are_an_error_or_a_warning():
    with pytest.raises(SchemaError, match="none of 400 objects holds 5 points"):
        made(num_points=np.zeros(400, dtype=np.int64))
    half = np.where(np.arange(400) % 4 < 2, 0, 60)
    assert any("200 of 400 objects hold no point" in text for text in made(num_points=half).warnings)


def test_objects_far_beyond_the_points_are_named():
    found = surveyed()
    far = found.center_m * (20, 20, 1)
    assert any("check the unit and the frame" in text for text in made(center_m=far).warnings)


def test_millimetres_are_named():
    found = surveyed()
    change = {name: getattr(found, name) * 1000 for name in ("center_m", "size_lwh_m", "extent_m")}
    with pytest.raises(SchemaError, match=r"boxes with points lie up to 3\d{4} m away"):
        made(**change)


def test_a_large_map_has_larger_voxels_and_smaller_batches():
    result = made(center_m=surveyed().center_m * (8, 8, 1))
    assert result.recipe.detector.grid.voxel_m[0] > 0.4
    assert result.recipe.train.batch_size < 4
    assert any("small objects suffer" in text for text in result.warnings)


def test_what_lies_ahead_only_gets_a_map_ahead():
    recipe = made(center_m=np.abs(surveyed().center_m) * (1, 1, -1)).recipe
    assert recipe.detector.grid.range_m[0] == 0
    assert not recipe.data.augment.flip_x


def test_objects_that_cameras_see_and_points_that_they_do_not():
    assert made(in_view=0.2).recipe.data.points.in_view_only
    seen = np.arange(400) % 2 == 0
    assert not made("kitti-second", in_view=0.2, seen=seen).recipe.data.points.in_view_only


def test_velocities_that_nobody_knows_have_no_weight():
    assert made(has_velocity=False).recipe.detector.head.code_weights[-2:] == (0.0, 0.0)
    assert made("synthetic-small-second", has_velocity=False).recipe.detector.head.velocity_weight == 0
    assert made().recipe.detector.head.code_weights[-2:] == (0.2, 0.2)


def test_without_labels_boxes_alone_are_trained_on():
    assert made().recipe.data.coarse.kind == "none"
    assert made(labels=True).recipe.data.coarse.kind == "tables"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("suggest") / "root", samples=3)


def test_the_written_file_passes_a_dry_run(world, tmp_path):
    out, budget = tmp_path / "recipe.json", tmp_path / "budget"
    result = train("suggest", world.root, "--base", "synthetic-small", "--dest", out)
    assert result.exit_code == 0, result.output
    assert "detector.grid.range_m" in result.output
    assert "a quarter of the frames have" in result.output
    assert train("budget", world.root, "--rule", "class", "--fraction", 0.5, "--dest", budget).exit_code == 0
    command = ("fit", out, "--data", world.root, "--budget", budget, "--out", tmp_path / "run", "--val", "")
    dry = train(*command, "--dry-run")
    assert dry.exit_code == 0, dry.output
    refused(train("suggest", world.root, "--dest", out), "OUT003", "recipe.json")
    assert train("suggest", world.root, "--dest", out, "--overwrite", "--json").stdout.startswith("{")


def test_clusters_stand_for_boxes_where_there_are_none(world, tmp_path):
    bare = make_kitti(tmp_path / "kitti")
    for number in ("000000", "000001"):
        bare.path("label_2", number).unlink()
    refused(train("suggest", bare.root, "--dest", tmp_path / "r.json"), "DAT011", "none of 2 frames has boxes")
    labels = make_labels(tmp_path / "labels", world)
    out = tmp_path / "r.json"
    result = train("suggest", world.root, "--labels", labels.out, "--base", "synthetic-small", "--dest", out)
    assert result.exit_code == 0, result.output
    assert json.loads(out.read_text())["data"]["coarse"]["kind"] == "tables"


def test_clusters_are_those_of_the_split(world, tmp_path):
    from pipelines.training.survey import survey

    labels = make_labels(tmp_path / "labels", world)
    bare = without_boxes(world)
    one = [row.frame_id for row in labels.frames()][:1]
    found = survey(bare, labels, one, 50)
    assert found.num_frames == 1
    assert sum(found.counts.values()) == len(labels.labels(one[0]).clusters)
    with pytest.raises(DatasetError, match=r"\[DAT009\].*no clusters of the 1 frame"):
        survey(bare, labels, ["other"], 50)


def without_boxes(dataset):
    """The data set without boxes."""
    bare = copy(dataset)
    bare.boxes = lambda frame_id: None
    return bare


def test_a_survey_reads_points_as_they_are(world):
    from pipelines.training.survey import survey

    ids = world.frame_ids()
    found = survey(world, None, ids, 100)
    assert (found.source, found.num_frames, found.past_sweeps) == ("boxes", len(ids), 6)
    assert found.num_points.min() >= 30
    assert len(found.class_id) == sum(int((world.boxes(one).class_id != BACKGROUND).sum()) for one in ids)
    xyz = np.concatenate([read_points(world.frame(frame_id).sweep) for frame_id in ids])
    assert (found.extent_m[0] >= xyz[:, :3].min(axis=0)).all()
    assert (found.extent_m[1] <= xyz[:, :3].max(axis=0)).all()
    assert 0 <= found.intensity[0] <= found.intensity[1] <= found.intensity[2] <= 255


def test_kitti_is_read_too(tmp_path):
    points = [(10 + x / 9, y / 9, -0.4, 0.3 + x / 20) for x in range(-9, 10) for y in range(-4, 5)]
    kitti = make_kitti(tmp_path / "kitti")
    for number in range(8):
        kitti.add(f"{number:06d}", points=points, labels=CAR)
    out = tmp_path / "r.json"
    result = train("suggest", kitti.root, "--base", "kitti-second", "--dest", out)
    assert result.exit_code == 0, result.output
    recipe = json.loads(out.read_text())
    assert [one["name"] for one in recipe["detector"]["head"]["anchors"]] == ["car"]
    assert recipe["data"]["points"]["intensity_full"] == 1.0
    assert recipe["detector"]["grid"]["range_m"][0] == 0


def test_empty_data_and_classes_that_no_frame_has_are_refused(tmp_path):
    empty = make_root(tmp_path / "empty", scenes=("scene-0061",), samples_per_scene=2, boxes_per_sample=0)
    refused(train("suggest", empty, "--dest", tmp_path / "r.json"), "DAT011", "none of 2 frames has boxes")
    mapping = tmp_path / "mapping.json"
    mapping.write_text(
        json.dumps({"taxonomy": {"name": "x", "classes": [{"name": "ship"}]}, "labels": {"boat": "ship"}})
    )
    result = train("suggest", make_root(tmp_path / "root"), "--mapping", mapping, "--dest", tmp_path / "r.json")
    refused(result, "DAT009", "no class of the ground truth", "ship")
    assert not (tmp_path / "r.json").exists()


def test_a_recipe_is_a_json_file(world, tmp_path):
    result = train("suggest", world.root, "--dest", tmp_path / "recipe")
    assert result.exit_code == 2
    assert "a recipe is a .json file" in result.output


def test_all_classes_of_the_taxonomy_may_be_used():
    found = surveyed(counts=dict.fromkeys(NUSCENES.names, 100), class_id=np.arange(400) % 10)
    recipe = suggest(found, load_recipe("synthetic-small"), NUSCENES, False).recipe
    assert set(recipe.detector.class_names) == set(NUSCENES.names)
    assert recipe.detector.head.groups == load_recipe("synthetic-small").detector.head.groups


def test_a_recipe_of_other_classes_is_refused_before_training(world, tmp_path):
    recipe, budget = tmp_path / "recipe.json", tmp_path / "budget"
    own = suggest(surveyed(), load_recipe("synthetic-small"), OWN, False).recipe
    recipe.write_text(json.dumps(document_of(own)))
    assert train("budget", world.root, "--dest", budget).exit_code == 0
    command = ("fit", recipe, "--data", world.root, "--budget", budget, "--out", tmp_path / "run", "--val", "")
    refused(train(*command, "--dry-run"), "SCH001", "'forklift'", "use classes of the labels: car")
