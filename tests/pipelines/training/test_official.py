"""The official evaluations, with the ground truth as predictions."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.stores import upload  # noqa: E402
from helpers.training import make_world  # noqa: E402

from pipelines.training.official import Official, _heights_px, official  # noqa: E402
from pointsam.datasets import open_dataset  # noqa: E402
from pointsam.datasets.kitti.objects import Kitti  # noqa: E402
from pointsam.detect.predictions_file import FramePredictions  # noqa: E402
from pointsam.geometry.boxes import rows  # noqa: E402
from pointsam.taxonomy import NUSCENES  # noqa: E402


def true_predictions(dataset, frame_ids):
    for frame_id in frame_ids:
        boxes = dataset.boxes(frame_id)
        ours = boxes.class_id != 255
        score = np.linspace(1, 0.5, ours.sum()).astype(np.float32)
        velocity = dataset.velocities_mps(frame_id)
        velocity = np.zeros((ours.sum(), 2), np.float32) if velocity is None else velocity[ours].astype(np.float32)
        yield FramePredictions(frame_id, rows(boxes)[ours], score, boxes.class_id[ours].astype(int), velocity)


def test_data_that_states_no_evaluation_has_none(tmp_path):
    world = make_world(tmp_path / "root", scenes=("scene-0103",), samples=1)

    class Yard:
        name = "yard"
        taxonomy = NUSCENES

    assert official(Yard(), list(true_predictions(world, world.frame_ids())), [], {}) == Official(
        "Data of type yard have no official evaluation: the tables of AP by centre distance and by overlap in 3D above "
        "are their scores."
    )


class TestNuScenes:
    @pytest.fixture
    def world(self, tmp_path):
        pytest.importorskip("nuscenes", reason="needs the devkit")
        return make_world(tmp_path / "root", scenes=("scene-0103", "scene-0916"), samples=2)

    def test_the_devkit_finds_true_boxes_perfect(self, world):
        found = list(true_predictions(world, world.frame_ids()))
        result = official(world, found, [], {})
        present = {world.taxonomy.names[k] for frame in found for k in frame.class_id}
        assert result.figures["split"] == "mini_val"
        assert {name for name, ap in result.figures["AP"].items() if ap > 0.99} == present
        assert "NDS" in result.text

    def test_data_that_states_a_version_of_the_devkit_is_evaluated_by_it(self, world):
        class Renamed:
            """A plug-in for the tables of nuScenes: not a NuScenes object, but with its methods."""

            def __getattr__(self, name):
                return getattr(world, name)

        found = list(true_predictions(world, world.frame_ids()))
        assert official(Renamed(), found, [], {}) == official(world, found, [], {})

    def test_a_part_of_a_split_has_no_official_figures(self, world):
        found = list(true_predictions(world, world.frame_ids()[:3]))
        result = official(world, found, [], {})
        assert result.figures is None
        assert "not those of an official split of v1.0-mini" in result.text

    def test_frames_that_could_not_be_read_prevent_them(self, world):
        found = list(true_predictions(world, world.frame_ids()))
        assert "frames are missing" in official(world, found, [], {"x": "torn"}).text

    def test_nothing_found_is_said(self, world):
        none = [dataclasses.replace(f, score=f.score[:0]) for f in true_predictions(world, world.frame_ids())]
        assert "there are no predictions" in official(world, none, [], {}).text

    def test_the_devkit_is_not_run_on_an_object_store(self, world, store):
        remote = open_dataset(upload(world.root, "bucket"))
        text = official(remote, list(true_predictions(remote, remote.frame_ids())), [], {}).text
        assert (
            text == "The nuScenes devkit was not run: it reads local folders only, and the data are at memory://bucket"
        )


class TestKitti:
    @pytest.fixture
    def many(self, kitti_root, tmp_path):
        """The real frames, each 42 times: KITTI's figure needs more than forty objects."""
        for folder in ("velodyne", "image_2", "calib", "label_2"):
            (tmp_path / "training" / folder).mkdir(parents=True)
            for path in (kitti_root / "training" / folder).iterdir():
                for k in range(42):
                    name = f"{int(path.stem) * 100 + k:06d}{path.suffix}"
                    (tmp_path / "training" / folder / name).symlink_to(path)
        return Kitti(tmp_path)

    def test_true_boxes_are_perfect(self, many):
        found = list(true_predictions(many, many.frame_ids()))
        figures = official(many, found, [], {}).figures
        known = {name: value for name, levels in figures.items() for value in levels.values() if value is not None}
        assert known
        assert all(value > 0.95 for value in known.values()), figures

    def test_shifted_boxes_are_not(self, many):
        found = list(true_predictions(many, many.frame_ids()))
        moved = [dataclasses.replace(f, boxes=f.boxes + np.array([0, 0, 3.0, 0, 0, 0, 0])) for f in found]
        figures = official(many, moved, [], {}).figures
        for name, levels in figures.items():
            for value in levels.values():
                assert value is None or (value > 0.95 if name.endswith("bev") else value == 0)

    def test_heights_are_those_of_the_labels(self, kitti_root):
        dataset = Kitti(kitti_root)
        for frame_id in dataset.frame_ids():
            labels = [row for row in dataset.label_rows(frame_id) if row.kind != "DontCare"]
            heights = _heights_px(dataset.frame(frame_id), dataset.boxes(frame_id))
            for row, height in zip(labels, heights, strict=True):
                if row.truncated == 0:
                    assert height == pytest.approx(row.box_xyxy_px[3] - row.box_xyxy_px[1], rel=0.15)


def test_kitti_labels_without_2d_boxes_say_why_nothing_counts(tiny_kitti):
    labels = tiny_kitti.path("label_2", "000000")
    world = Kitti(tiny_kitti.root)
    whole = official(world, list(true_predictions(world, ["000000"])), [], {}).text
    assert "no object counts: Pedestrian, Cyclist: " in whole
    labels.write_text(labels.read_text().replace("30 20 70 60", "-1 -1 -1 -1"))
    none = official(world, list(true_predictions(world, ["000000"])), [], {}, ("cyclist",)).text
    assert "no object counts: Car, Pedestrian: " in none
    assert "not predicted, and not evaluated: Cyclist" in none
