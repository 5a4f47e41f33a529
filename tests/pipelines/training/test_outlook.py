"""What a training will need is looked at before its first step."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.commands import refused  # noqa: E402
from helpers.recipes import tiny  # noqa: E402
from helpers.training import CLASSES, make_budget, make_labels, make_world  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.training import outlook  # noqa: E402
from pipelines.training.recipe_file import document_of  # noqa: E402
from pipelines.training.truth import read_truth  # noqa: E402
from pointsam.base.errors import SchemaError, TrainingError  # noqa: E402
from pointsam.datasets.kitti.objects import Kitti  # noqa: E402
from pointsam.datasets.nuscenes.dataset import NuScenes  # noqa: E402
from pointsam.detect.data.budget import Budget  # noqa: E402
from pointsam.detect.data.budget_file import write_budget  # noqa: E402
from pointsam.detect.data.coarse import CoarseConfig  # noqa: E402
from pointsam.detect.data.sample import PointsConfig  # noqa: E402
from pointsam.detect.data.training_set import DataConfig, TrainingSet  # noqa: E402

RANGE = (-30.0, -30.0, -5.0, 30.0, 30.0, 3.0)
SIMULATED = CoarseConfig("simulated")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("outlook") / "root")


@pytest.fixture
def own(world, tmp_path):
    """A root that a test may damage."""
    shutil.copytree(world.root, tmp_path / "root")
    return NuScenes(tmp_path / "root")


def fed(dataset, budget=None, range_m=RANGE, points=None, classes=CLASSES):
    config = DataConfig(coarse=SIMULATED, points=points or PointsConfig())
    return TrainingSet(dataset, budget or make_budget(dataset, 1.0), None, classes, range_m, config)


def edit_points(dataset, change):
    """Rewrite every key sweep through a function of its (N,5) values."""
    for frame_id in dataset.frame_ids():
        path = dataset.frame(frame_id).sweep.source.path
        change(np.fromfile(path, dtype="<f4").reshape(-1, 5)).astype("<f4").tofile(path)


def with_column(values, column, of):
    return np.column_stack([of(values[:, k]) if k == column else values[:, k] for k in range(values.shape[1])])


def test_nothing_is_said_of_a_good_set(world):
    data = fed(world)
    assert outlook.look(data) == outlook.boxes_in_map(data) == outlook.absent_frames(data) == []


class TestPoints:
    def test_points_outside_of_the_map(self, own):
        budget = make_budget(own, 1.0)
        edit_points(own, lambda values: with_column(values, 2, lambda z: z - 10))
        (told,) = [text for text in outlook.look(fed(own, budget)) if "range_m" in text]
        assert told.startswith(
            "of 8 frames that were read, 0% of the points are inside of detector.grid.range_m [-30.0,"
        )
        assert re.search(r"z -1[12]\.\d to -10\.\d\); check the range, the unit, and the height of the LiDAR", told)

    @pytest.mark.parametrize(
        ("full", "of", "told"),
        [
            (
                1.0,
                lambda _: np.linspace(0, 255, len(_)),
                r"100% of the intensities are at or above .*intensity_full, 1;",
            ),
            (255.0, lambda _: np.linspace(0, 1, len(_)), r"no intensity is above 1, and .*intensity_full is 255;"),
        ],
        ids=["too large", "too small"],
    )
    def test_intensities_of_another_scale(self, own, full, of, told):
        edit_points(own, lambda values: with_column(values, 3, of))
        (text,) = outlook.look(fed(own, points=PointsConfig(intensity_full=full)))
        assert re.search(told, text), text
        assert "set it to the sensor's largest value" in text

    @pytest.mark.parametrize(("full", "largest"), [(1.0, 1.0), (255.0, 255.0), (255.0, 60.0), (255.0, 0.0)])
    def test_intensities_of_the_scale(self, own, full, largest):
        edit_points(own, lambda values: with_column(values, 3, lambda _: np.linspace(0, largest, len(values))))
        assert outlook.look(fed(own, points=PointsConfig(intensity_full=full))) == []

    def test_boxes_without_points(self, own):
        budget = make_budget(own, 1.0)
        edit_points(own, lambda values: values[-200:])  # the ground
        (told,) = outlook.look(fed(own, budget))
        assert re.fullmatch(r"of 8 frames that were read, \d+ of \d+ boxes hold no point; check .*headings.*", told)

    def test_some_frames_that_cannot_be_read(self, own):
        budget = make_budget(own, 1.0)
        path = own.frame(own.frame_ids()[0]).sweep.source.path
        path.write_bytes(path.read_bytes()[:-3])
        (told,) = outlook.look(fed(own, budget))
        assert told.startswith(f"1 of 8 frames that were tried cannot be read; {own.frame_ids()[0]}: [DAT006]")

    def test_frames_none_of_which_can_be_read(self, own):
        budget = make_budget(own, 1.0)
        for frame_id in own.frame_ids():
            own.frame(frame_id).sweep.source.path.write_bytes(b"abc")
        with pytest.raises(TrainingError, match=r"TRN002.*none of 8 frames that were tried can be read"):
            outlook.look(fed(own, budget))


class TestBoxes:
    def test_half_of_them_outside_of_the_map(self, world):
        budget = make_budget(world, 1.0)
        every = [one for frame_id in budget.frames for one in world.boxes(frame_id).center_m]
        middle = float(np.median([x for x, _, _ in every]))
        (told,) = outlook.boxes_in_map(fed(world, budget, (middle, *RANGE[1:])))
        assert re.search(r"boxes are outside of the detector's grid.*\w+ \(\d+ of \d+ boxes\)", told)

    def test_boxes_without_points_outside_of_the_map_are_what_suggest_leaves_out(self, world):
        data = fed(world)
        data.in_map = {"car": (1, 9), "pedestrian": (30, 30), "bicycle": (20, 20)}
        assert outlook.boxes_in_map(data) == []  # those that hold points are inside
        data.range_m = (100.0, 100.0, -5.0, 130.0, 130.0, 3.0)
        assert "car (8 of 9 boxes)" in outlook.boxes_in_map(data)[0]
        data.in_map["car"] = (1, 3)
        assert outlook.boxes_in_map(data) == []  # two say nothing
        data.in_map = {"car": (1, 3)}
        assert "car (2 of 3 boxes)" in outlook.boxes_in_map(data)[0]

    def test_sizes_in_millimetres(self, world):
        data = fed(world)
        data.sides_m = {"car": (1500.0, 4000.0), "pedestrian": (0.5, 1.8)}
        assert outlook.boxes_in_map(data) == [
            "sides of boxes, which must be in metres: car 1.5e+03 to 4e+03; check the unit of the labels"
        ]

    def test_the_sides_are_those_of_the_boxes(self, world):
        data = fed(world, classes=("car",))
        sizes = [
            world.boxes(frame_id).size_lwh_m[world.boxes(frame_id).class_id == data.class_ids[0]]
            for frame_id in data.frame_ids
        ]
        sides = np.concatenate(sizes)
        assert data.sides_m == {"car": (sides.min(), sides.max())}

    def test_headings_in_degrees(self, tiny_kitti):
        path = tiny_kitti.path("label_2", "000001")
        path.write_text(path.read_text().replace(" 0.0\n", " -91.0\n"))
        (told,) = outlook._headings(Kitti(tiny_kitti.root), ["000000", "000001"])
        assert told == ("rotation_y of 1 of 2 objects is beyond a whole turn, for example -91: it must be in radians")


class TestFramesThatAreNotHere:
    def test_few_are_named(self, own, monkeypatch):
        monkeypatch.setattr(outlook, "MOST_BAD", 0.2)
        budget = make_budget(own, 1.0)
        path = own.frame(own.frame_ids()[2]).sweep.source.path
        path.unlink()
        (told,) = outlook.absent_frames(fed(own, budget))
        assert told == (
            f"1 of 8 frames of the budget cannot be read in {own.root}; {own.frame_ids()[2]}: {path} is missing"
        )

    def test_more_than_a_tenth_end_it(self, own):
        budget = make_budget(own, 1.0)
        own.frame(own.frame_ids()[2]).sweep.source.path.unlink()
        with pytest.raises(TrainingError, match=r"TRN002.*1 of 8 frames of the budget cannot be read") as caught:
            outlook.absent_frames(fed(own, budget))
        assert caught.value.hint == "bring these files here, or draw a budget for the frames that are here"

    def test_frames_that_the_data_set_does_not_know(self, world):
        budget = make_budget(world, 1.0)
        more = Budget({**budget.frames, "gone": {}}, budget.description)
        with pytest.raises(TrainingError, match=r"TRN002.*1 of 9 frames.*'gone': \[DAT010\]"):
            outlook.absent_frames(fed(world, more))

    def test_label_files_that_are_not(self, tiny_kitti):
        """A frame without labels is no frame without objects."""
        budget = make_budget(Kitti(tiny_kitti.root), 1.0)
        tiny_kitti.path("label_2", "000001").unlink()
        data = fed(Kitti(tiny_kitti.root), budget, classes=("car",))
        assert data.frame_ids == ("000000",)
        with pytest.raises(TrainingError, match=r"TRN002.*1 of 2 frames.*'000001': \[DAT011\].*has no labels"):
            outlook.absent_frames(data)


class TestValidationFrames:
    past_sweeps = 0

    def said(self, dataset):
        points = PointsConfig(past_sweeps=self.past_sweeps)
        frame_ids = dataset.frame_ids("mini_val")
        return outlook.unscored(dataset, "mini_val", frame_ids, {}, points, "another split")

    def test_points_that_are_not_here(self, own):
        path = own.frame(own.frame_ids("mini_val")[0]).sweep.source.path
        path.unlink()
        (told,) = self.said(own)
        assert told.startswith("1 of 4 frames of the validation split 'mini_val' have no points; they are not scored;")
        assert told.endswith(f"{path} is missing")

    def test_no_points_at_all(self, own):
        for frame_id in own.frame_ids("mini_val"):
            own.frame(frame_id).sweep.source.path.unlink()
        with pytest.raises(SchemaError, match=r"SCH005.*4 of 4 frames.*have no points"):
            self.said(own)

    def test_one_without_boxes_and_the_others_without_points(self, tiny_kitti):
        """No frame has both, although not all lack either."""
        (tiny_kitti.root / "ImageSets").mkdir()
        (tiny_kitti.root / "ImageSets" / "val.txt").write_text("000000\n000001\n")
        tiny_kitti.path("label_2", "000000").unlink()
        tiny_kitti.path("velodyne", "000001").unlink()
        data = Kitti(tiny_kitti.root)
        bare, _ = read_truth(data, data.frame_ids("val"))
        assert list(bare) == ["000000"]
        with pytest.raises(
            SchemaError, match=r"SCH005.*2 of 2 frames.*no ground truth, or no points; 000000"
        ) as caught:
            outlook.unscored(data, "val", data.frame_ids("val"), bare, PointsConfig(), "another split")
        assert caught.value.hint == "another split"

    def test_some_sweeps_that_are_torn(self, own):
        frame_id = own.frame_ids("mini_val")[1]
        path = own.frame(frame_id).sweep.source.path
        path.write_bytes(path.read_bytes()[:-3])
        (told,) = self.said(own)
        assert told.startswith("1 of 4 frames of the validation split 'mini_val' that were tried cannot be read; they")
        assert f"; {frame_id}: [DAT006]" in told

    def test_all_sweeps_are_torn(self, own):
        for frame_id in own.frame_ids("mini_val"):
            path = own.frame(frame_id).sweep.source.path
            path.write_bytes(path.read_bytes()[:-3])
        with pytest.raises(SchemaError, match=r"SCH005.*4 of 4 frames of the validation split 'mini_val'.*DAT006"):
            self.said(own)

    def test_past_sweeps_that_are_not_here(self, own):
        """As on a machine with the samples of nuScenes, but without the folder sweeps/."""
        self.past_sweeps = 2
        assert self.said(own) == []
        past = [sweep for frame_id in own.frame_ids("mini_val") for sweep in own.past_sweeps(frame_id, 2)]
        keys = {own.frame(frame_id).sweep.source.path for frame_id in own.frame_ids("mini_val")}
        for path in {sweep.source.path for sweep in past} - keys:
            path.unlink()
        with pytest.raises(SchemaError, match=r"SCH005.*3 of 4 frames.*cannot be read.*DAT004"):
            self.said(own)
        self.past_sweeps = 0
        assert self.said(own) == []

    def test_all_are_there(self, world):
        assert self.said(world) == []


class TestClasses:
    NAMES = ("car", "pedestrian", "bicycle", "bus")

    def test_a_class_that_only_some_fields_have(self):
        recipe = tiny()
        data = replace(recipe.data, paste=replace(recipe.data.paste, counts={"car": 1, "bus": 3}))
        assert outlook.unknown_classes(replace(recipe, data=data), self.NAMES) == [
            "data.paste.counts has no effect for bus: the detector does not have these classes"
        ]

    def test_a_class_in_other_letters(self):
        recipe = tiny()
        head = replace(recipe.detector.head, smallest_radius={"Car": 3})
        recipe = replace(recipe, detector=replace(recipe.detector, head=head))
        assert outlook.unknown_classes(recipe, self.NAMES) == [
            "detector.head.smallest_radius has no effect for Car, did you mean 'car'?: the detector does not have "
            "these classes"
        ]

    @pytest.mark.parametrize("field", ["detector.head", "data.paste.counts"])
    def test_a_class_that_the_labels_do_not_have(self, field):
        recipe = tiny()
        if field == "detector.head":
            head = replace(recipe.detector.head, groups=(("Car",), ("pedestrian",)))
            recipe = replace(recipe, detector=replace(recipe.detector, head=head))
        else:
            paste = replace(recipe.data.paste, counts={"Car": 3})
            recipe = replace(recipe, data=replace(recipe.data, paste=paste))
        with pytest.raises(SchemaError, match=rf"SCH001.*{field} has the class 'Car'.*did you mean 'car'") as caught:
            outlook.unknown_classes(recipe, self.NAMES)
        assert "car, pedestrian, bicycle, bus" in caught.value.hint

    def test_the_classes_of_a_recipe(self):
        assert outlook.unknown_classes(tiny(), self.NAMES) == []
        assert outlook.unknown_classes(tiny("second"), self.NAMES) == []


class TestFit:
    @pytest.fixture
    def call(self, own, tmp_path):
        """A function that calls `fit` on the root in tmp_path."""
        make_labels(tmp_path / "labels", own)
        write_budget(tmp_path / "budget.parquet", make_budget(own))
        (tmp_path / "tiny.json").write_text(json.dumps(document_of(tiny(epochs=1))))
        names = {"data": "root", "labels": "labels", "budget": "budget.parquet", "out": "run"}
        paths = [part for option, name in names.items() for part in (f"--{option}", str(tmp_path / name))]

        def fit(*more):
            arguments = ["fit", str(tmp_path / "tiny.json"), *paths, "--val", "mini_val", *more]
            return CliRunner().invoke(main, arguments, catch_exceptions=False)

        return fit

    def test_labels_that_were_corrected_after_the_budget(self, call, own, tmp_path):
        table = own.root / own.version / "sample_annotation.json"
        rows = json.loads(table.read_text())
        for row in rows:
            row["size"] = [side * 1.1 for side in row["size"]]
        table.write_text(json.dumps(rows))
        result = call()
        refused(result, "SCH003", tmp_path / "budget.parquet", "are not the boxes in", "size or heading differ")
        assert not (tmp_path / "run").exists()

    def test_a_budget_of_another_type_of_data(self, call, own, tmp_path):
        budget = make_budget(own)
        description = replace(budget.description, dataset="kitti")
        write_budget(tmp_path / "budget.parquet", replace(budget, description=description))
        refused(call("--dry-run"), "SCH003", "from a data set of type kitti", f"{own.root} is of type nuscenes")

    def test_a_dry_run_names_frames_that_are_not_here(self, call, own):
        own.frame(own.frame_ids()[0]).sweep.source.path.unlink()
        refused(call("--dry-run"), "TRN002", "1 of 8 frames", own.frame_ids()[0])


class TestLidarWithoutCameras:
    """Training, its validation and predictions need points and boxes only."""

    def train(self, folder, classes, split):
        """Draw a budget, train an epoch and predict, on the root in a folder."""
        recipe = tiny(epochs=1, batch_size=1)
        head = replace(recipe.detector.head, groups=tuple((name,) for name in classes))
        data = replace(recipe.data, coarse=SIMULATED, paste=replace(recipe.data.paste, counts={}))
        recipe = replace(recipe, detector=replace(recipe.detector, head=head), data=data)
        (folder / "tiny.json").write_text(json.dumps(document_of(recipe)))
        root, budget, run = folder / "root", folder / "budget.parquet", folder / "run"
        for command in (
            ("budget", root, "--fraction", 1, "--dest", budget),
            ("fit", folder / "tiny.json", "--data", root, "--budget", budget, "--out", run, "--val", split),
            ("eval", run, "--data", root, "--split", split, "--workers", 0),
            ("predict", run, "--data", root, "--split", split, "--workers", 0, "--dest", folder / "found"),
        ):
            result = CliRunner().invoke(main, [str(part) for part in command], catch_exceptions=False)
            assert result.exit_code == 0, (command, result.output)
        return result

    def test_nuscenes(self, own, tmp_path):
        tables = own.root / own.version
        read = {name: json.loads((tables / f"{name}.json").read_text()) for name in ("sensor", "calibrated_sensor")}
        cameras = {row["token"] for row in read["sensor"] if row["modality"] == "camera"}
        mounted = {row["token"] for row in read["calibrated_sensor"] if row["sensor_token"] in cameras}
        rows = json.loads((tables / "sample_data.json").read_text())
        kept = [row for row in rows if row["calibrated_sensor_token"] not in mounted]
        assert len(kept) < len(rows)
        (tables / "sample_data.json").write_text(json.dumps(kept))
        self.train(tmp_path, CLASSES, "mini_val")

    def test_kitti(self, tiny_kitti, tmp_path):
        rng = np.random.default_rng(0)
        for number in ("000000", "000001"):
            points = np.column_stack([rng.uniform((8, -2, -2), (12, 2, 0), (200, 3)), rng.random(200)])
            points.astype("<f4").tofile(tiny_kitti.path("velodyne", number))
        shutil.rmtree(tiny_kitti.root / "training" / "image_2")
        (tiny_kitti.root / "ImageSets").mkdir()
        (tiny_kitti.root / "ImageSets" / "val.txt").write_text("000000\n000001\n")
        shutil.copytree(tiny_kitti.root, tmp_path / "root", dirs_exist_ok=True)
        self.train(tmp_path, ("car",), "val")
