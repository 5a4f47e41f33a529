"""Predictions on disk: what goes in comes out, and true boxes come out as nuScenes' annotations."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.training import make_world  # noqa: E402

from pointsam.detect.data.map_frame import MapFrame  # noqa: E402
from pointsam.detect.predictions import BatchPredictions, Predictions, concatenated  # noqa: E402
from pointsam.detect.predictions_file import FramePredictions, guessed_attribute, nuscenes_results, write_predictions  # noqa: E402
from pointsam.geometry.boxes import rows  # noqa: E402
from pointsam.geometry.se3 import SE3  # noqa: E402


def true_predictions(world):
    for frame_id in world.frame_ids():
        boxes, sweep = world.boxes(frame_id), world.frame(frame_id).sweep
        ours = boxes.class_id != 255
        velocity = world.velocities_mps(frame_id)[ours].astype(np.float32)
        score = np.linspace(1, 0.5, ours.sum()).astype(np.float32)
        predictions = FramePredictions(frame_id, rows(boxes)[ours], score, boxes.class_id[ours].astype(int), velocity)
        yield predictions, sweep.world_SE3_ego @ sweep.ego_SE3_lidar


def test_true_boxes_are_the_annotations(tmp_path):
    world = make_world(tmp_path / "root", samples=2)
    results = nuscenes_results(true_predictions(world), world.taxonomy.names)["results"]
    table = json.loads((world.root / world.version / "sample_annotation.json").read_text())
    kept = 0
    for frame_id, predictions in results.items():
        theirs = [row for row in table if row["sample_token"] == frame_id]
        for row in predictions:
            same = min(theirs, key=lambda r: np.linalg.norm(np.subtract(r["translation"], row["translation"])))
            assert row["translation"] == pytest.approx(same["translation"], abs=1e-6)
            assert row["size"] == pytest.approx(same["size"])
            assert abs(np.dot(row["rotation"], same["rotation"])) == pytest.approx(1)
            kept += 1
    assert kept == sum((world.boxes(f).class_id != 255).sum() for f in world.frame_ids())


def test_a_table_has_a_row_a_box(tmp_path):
    world = make_world(tmp_path / "root", samples=2)
    predictions = [frame for frame, _ in true_predictions(world)]
    write_predictions(
        tmp_path / "d.parquet", [(one, MapFrame()) for one in predictions], world.taxonomy.names, {"split": "val"}
    )
    table = pq.read_table(tmp_path / "d.parquet")
    assert table["frame_id"].to_pylist() == [f.frame_id for f in predictions for _ in f.score]
    assert np.array(table["center_lidar_m"].to_pylist()) == pytest.approx(
        np.concatenate([f.boxes[:, :3] for f in predictions]), abs=1e-5
    )
    assert np.array(table["yaw_rad"].to_pylist()) == pytest.approx(
        np.concatenate([f.boxes[:, 6] for f in predictions]), abs=1e-6
    )
    assert set(table["class_name"].to_pylist()) == {"car", "pedestrian", "bicycle"}
    assert json.loads(table.schema.metadata[b"pointsam.about"]) == {"split": "val"}


def test_frames_without_boxes_have_no_rows_but_are_in_the_results(tmp_path):
    world = make_world(tmp_path / "root", samples=2)
    (frame, pose), *_ = true_predictions(world)
    none = FramePredictions(frame.frame_id, frame.boxes[:0], frame.score[:0], frame.class_id[:0], frame.velocity[:0])
    assert nuscenes_results([(none, pose)], world.taxonomy.names)["results"] == {frame.frame_id: []}
    write_predictions(tmp_path / "d.parquet", [(none, MapFrame())], world.taxonomy.names, {})
    assert pq.read_table(tmp_path / "d.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("name", "slow", "fast"),
    [
        ("car", "vehicle.parked", "vehicle.moving"),
        ("bus", "vehicle.stopped", "vehicle.moving"),
        ("bicycle", "cycle.without_rider", "cycle.with_rider"),
        ("pedestrian", "pedestrian.standing", "pedestrian.moving"),
        ("barrier", "", ""),
    ],
)
def test_attributes_are_guessed_from_speed(name, slow, fast):
    assert (guessed_attribute(name, 0.2), guessed_attribute(name, 0.21)) == (slow, fast)


def some(score, class_id):
    boxes = torch.tensor([[0.0, 0, 0, 4, 2, 1.5, 0], [0.3, 0, 0, 4, 2, 1.5, 0], [9.0, 0, 0, 4, 2, 1.5, 0]])
    return Predictions(boxes, torch.tensor(score), torch.tensor(class_id), torch.zeros(3, 2))


def test_the_better_of_two_that_overlap_stays():
    both = BatchPredictions.join([some([0.5, 0.9, 0.2], [0, 0, 0]), some([0.1, 0.3, 0.6], [0, 0, 0])])
    kept = [part.score.tolist() for part in both.suppressed(10, 0.2).split()]
    assert kept == [pytest.approx([0.9, 0.2]), pytest.approx([0.6, 0.3])]
    assert [part.score.tolist() for part in both.suppressed(1, 0.2).split()] == [
        [pytest.approx(0.9)],
        [pytest.approx(0.6)],
    ]
    kept = [part.score.tolist() for part in both.best(2).split()]
    assert kept == [pytest.approx([0.9, 0.5]), pytest.approx([0.6, 0.3])]
    assert some([0.5, 0.9, 0.2], [0, 0, 0]).best(2).score.tolist() == pytest.approx([0.9, 0.5])


def test_a_class_suppresses_its_own_only_or_all():
    predictions = BatchPredictions.join([some([0.5, 0.9, 0.2], [0, 1, 0])])
    (own,) = predictions.suppressed(10, 0.2, predictions.every.class_id).split()
    (every,) = predictions.suppressed(10, 0.2).split()
    assert own.score.tolist() == pytest.approx([0.9, 0.5, 0.2])
    assert every.score.tolist() == pytest.approx([0.9, 0.2])


def test_a_sample_without_boxes_keeps_its_place():
    parts = [some([0.5, 0.9, 0.2], [0, 1, 0])[torch.zeros(3, dtype=torch.bool)], some([0.5, 0.9, 0.2], [0, 1, 0])]
    assert [len(part) for part in BatchPredictions.join(parts).suppressed(5, 0.5).split()] == [0, 2]
    assert [len(part) for part in BatchPredictions.join(parts[:1]).best(5).split()] == [0]


def test_parts_are_laid_together():
    assert len(concatenated([some([0.1, 0.2, 0.3], [0, 0, 0])] * 2)) == 6


def test_results_are_in_the_world_and_at_most_five_hundred():
    boxes = np.tile(np.array([[1.0, 2, 3, 4, 2, 1.5, 0.5]], dtype=np.float32), (501, 1))
    velocity = np.tile(np.array([[3.0, 1]], dtype=np.float32), (501, 1))
    score = np.linspace(1, 0, 501, dtype=np.float32)
    left = SE3(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([100.0, 200, 0]))
    predictions = FramePredictions("f", boxes, score, np.ones(501, dtype=np.int64), velocity)
    document = nuscenes_results([(predictions, left)], ("bus", "car"))
    assert document["meta"] == {
        "use_camera": False, "use_radar": False, "use_map": False, "use_external": False, "use_lidar": True,
    }  # fmt: skip
    rows_ = document["results"]["f"]
    assert len(rows_) == 500
    turn = np.pi / 2 + 0.5
    assert rows_[0] == {
        "sample_token": "f",
        "translation": pytest.approx([98, 201, 3]),
        "size": pytest.approx([2, 4, 1.5]),
        "rotation": pytest.approx([np.cos(turn / 2), 0, 0, np.sin(turn / 2)]),
        "velocity": pytest.approx([-1, 3]),
        "detection_name": "car",
        "detection_score": 1.0,
        "attribute_name": "vehicle.moving",
    }


def test_boxes_for_evaluation_are_in_double_precision():
    (frame,) = FramePredictions.of_batch(["f"], [some([0.5, 0.9, 0.2], [0, 1, 0])])
    boxes = frame.frame_boxes()
    assert boxes.center_m.tolist() == [[0, 0, 0], [pytest.approx(0.3), 0, 0], [9, 0, 0]]
    assert (boxes.size_lwh_m.tolist()[0], boxes.yaw_rad.tolist()) == ([4, 2, 1.5], [0, 0, 0])
    assert boxes.center_m.dtype == boxes.score.dtype == np.float64


def test_predictions_of_a_batch_are_split_by_frame():
    every = some([0.5, 0.9, 0.2], [0, 1, 255])
    parts = [every[torch.tensor(rows, dtype=torch.int64)] for rows in ([0, 2], [], [1])]
    frames = FramePredictions.of_batch(["a", "b", "c"], parts)
    assert [frame.frame_id for frame in frames] == ["a", "b", "c"]
    for frame, part in zip(frames, parts, strict=True):
        for name in ("boxes", "score", "class_id", "velocity"):
            found, expected = getattr(frame, name), getattr(part, name).numpy()
            assert (found.dtype, found.tolist()) == (expected.dtype, expected.tolist())
