"""Exports of tracked labels: objects keep their numbers and tokens, and nothing of single frames changes."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from helpers.commands import label, refused
from helpers.tracking_root import make_tracking
from helpers.training import make_labels

from pipelines.opened import open_run
from pipelines.review.objects import TrackedScene, lidar_poses
from pointsam.base.plugins import names
from pointsam.datasets.kitti.tracking import KittiTracking
from pointsam.store.reader import Labels


def export(tracked, form, dest, *more):
    done = label("export", tracked[1], tracked[0].root, "--to", form, "--dest", dest, *more)
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.parametrize("form", sorted(set(names("exporters")) - {"kitti", "rerun"}))
def test_single_frames_are_written_as_without_tracks(tracked, tmp_path, form):
    """A folder that has tracks, and its copy without them: `--stage clusters` gives equal bytes."""
    alone = tmp_path / "alone"
    shutil.copytree(tracked[1], alone)
    document = json.loads((alone / "run.json").read_text())
    del document["stages"]["tracks"]
    (alone / "run.json").write_text(json.dumps(document))
    export(tracked, form, tmp_path / "a", "--stage", "clusters")
    export((tracked[0], alone), form, tmp_path / "b")
    written = [
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in "ab"
    ]
    assert written[0] == written[1] != {}
    for content in written[0].values():
        assert b"instance_token" not in content
        assert b"tracking" not in content


def test_panoptic_numbers_are_those_of_objects_and_the_task_is_tracking(tracked, tmp_path):
    dataset, out, _ = tracked
    export(tracked, "nuscenes-panoptic", tmp_path)
    assert json.loads((tmp_path / "mini_val" / "submission.json").read_text())["meta"]["task"] == "tracking"
    labels, of_object = Labels(out, "tracks"), {}
    for frame_id in labels.frame_ids():
        found = labels.tracked(frame_id)
        (path,) = tmp_path.rglob(f"{dataset.lidar_token(frame_id)}_*")
        values = np.load(path)["data"]
        for k, member in enumerate(found.members):
            (value,) = np.unique(values[found.found.labels.instance_id == k])
            assert of_object.setdefault(value, member.track_id) == member.track_id
    (_, tracks), *_ = labels.tracks()
    assert sorted(of_object.values()) == [track.track_id for track in tracks]  # a number each, and each only one
    export(tracked, "nuscenes-panoptic", tmp_path / "alone", "--stage", "clusters")
    assert json.loads((tmp_path / "alone/mini_val/submission.json").read_text())["meta"]["task"] == "segmentation"


def test_left_out_classes_leave_the_others_their_tracks(tracked, tmp_path):
    _, out, _ = tracked
    export(tracked, "mmdet3d", tmp_path, "--class", "car=background")
    (path,) = tmp_path.glob("*.json")
    document, labels = json.loads(path.read_text()), Labels(out, "tracks")
    left = 0
    for info, frame_id in zip(document["data_list"], labels.frame_ids(), strict=True):
        found = labels.tracked(frame_id)
        expected = [
            f"scene-0103-{member.track_id}"
            for cluster, member in zip(found.found.clusters, found.members, strict=True)
            if cluster.class_name != "car"
        ]
        assert [one["instance_token"] for one in info["instances"]] == expected
        left += len(found.members) - len(expected)
    assert left > 0


def test_the_devkit_reads_tracked_boxes_with_their_velocity(tracked, tmp_path):
    loaders = pytest.importorskip("nuscenes.eval.common.loaders", reason="needs nuscenes-devkit")
    from nuscenes.eval.detection.data_classes import DetectionBox

    export(tracked, "nuscenes-boxes", tmp_path)
    boxes, _ = loaders.load_prediction(str(tmp_path / "results_nusc.json"), 500, DetectionBox)
    rows = json.loads((tmp_path / "results_nusc.json").read_text())["results"]
    run = open_run(tracked[1])
    scene = TrackedScene(run.labels, "scene-0103")
    speeds = []
    for frame_id, found in rows.items():
        for box, row, (_, member) in zip(boxes[frame_id], found, scene.clusters[frame_id], strict=True):
            assert row["tracking_id"] == f"scene-0103-{member.track_id}"
            assert list(box.velocity) == row["velocity"]
            if not scene.tracks[member.track_id].moving:
                assert row["velocity"] == [0.0, 0.0]
            elif len(scene.sightings(member.track_id)) > 1:
                speeds.append(np.linalg.norm(row["velocity"]))
    assert speeds
    assert min(speeds) > 0.1


def test_a_recording_has_paths_and_the_colour_of_an_object_stays(tracked, tmp_path):
    pytest.importorskip("rerun", reason="needs pointsam[rerun]")
    from rerun.dataframe import load_recording

    export(tracked, "rerun", tmp_path)
    table = load_recording(str(tmp_path / "mini_val.rrd")).view(index="frame", contents="/**").select().read_all()
    rows = table.select([f.name for f in table.schema if not pa.types.is_timestamp(f.type)]).to_pylist()
    run, colour_of = open_run(tracked[1]), {}
    scene = TrackedScene(run.labels, "scene-0103")
    poses = lidar_poses(run, scene)
    paths = scene.paths(poses)
    assert len(rows) == len(scene.frames)
    shown = 0
    for row, frame in zip(rows, scene.frames, strict=True):
        found = run.labels.tracked(frame.frame_id)
        assert row["/lidar/fitted:Text"] == [
            f"{cluster.class_name} scene-0103-{member.track_id}" for cluster, member in scene.clusters[frame.frame_id]
        ]
        for k, member in enumerate(found.members):
            points = np.flatnonzero((found.found.labels.instance_id == k) & ~found.found.grown)
            (colour,) = {row["/lidar/points:Color"][point] for point in points}
            assert colour_of.setdefault(member.track_id, colour) == colour
        for strip, text in zip(row["/lidar/paths:LineStrip3D"] or [], row["/lidar/paths:Text"] or [], strict=True):
            path = paths.by_track[int(text.removeprefix("scene-0103-"))]
            assert path.moving
            np.testing.assert_allclose(poses[frame.frame_id].apply(np.array(strip)), path.center_m, atol=1e-3)
            shown += 1
    assert shown > 0


def test_kitti_tracking_reads_its_label_file_back(tmp_path):
    """A car ahead in three frames; the tracks of its labels are those of the file."""
    made = make_tracking(tmp_path / "root", names=("0000",), label=None)
    rng = np.random.default_rng(0)
    for k in range(3):
        xyz = rng.uniform([8, -0.9, -1.6], [12, 0.9, 0], (300, 3))
        ground = np.column_stack([rng.uniform(-20, 20, (300, 2)), np.full(300, -1.8)])
        values = np.column_stack([np.concatenate([xyz, ground]), np.zeros(600)])
        values.astype("<f4").tofile(made.path("velodyne", "0000", k))
    truth = "".join(f"{k} 7 Car 0 0 0.0 30 20 70 60 1.6 1.8 4.0 0.0 1.5 9.7 -1.57\n" for k in range(3))
    made.path("label_02", "0000").parent.mkdir()
    made.path("label_02", "0000").write_text(truth)
    world = KittiTracking(made.root)
    make_labels(tmp_path / "out", world, probability=0.9)
    done = label("tracks", made.root, "--out", tmp_path / "out", "--workers", 1)
    assert done.exit_code == 0, done.output
    command = ("export", tmp_path / "out", made.root, "--to", "kitti", "--dest")
    assert label(*command, tmp_path / "dest").exit_code == 0
    text = (tmp_path / "dest" / "label_02" / "0000.txt").read_text()
    assert [line.split()[:3] for line in text.splitlines()] == [[str(k), "0", "Car"] for k in range(3)]
    made.path("label_02", "0000").write_text(text)
    read = KittiTracking(made.root)
    for frame_id in read.frame_ids():
        assert read.tracks(frame_id) == ("0",)
        center = Labels(tmp_path / "out", "tracks").clusters(frame_id)[0].center_lidar_m
        assert np.linalg.norm(read.boxes(frame_id).center_m[0] - center) < 0.7
    assert label(*command, tmp_path / "alone", "--stage", "clusters").exit_code == 0
    assert not (tmp_path / "alone" / "label_02").exists()
    objects = [(tmp_path / name / "label_2" / "0000_000001.txt").read_text() for name in ("dest", "alone")]
    without_score = [text.rsplit(" ", 1)[0] for text in objects]
    assert without_score[0] == without_score[1]


def test_a_scene_that_is_not_there_is_named(tracked):
    labels = Labels(tracked[1], "tracks")
    with pytest.raises(Exception, match=r"DAT010.*'scene-1'(.|\n)*scene-0103"):
        TrackedScene(labels, "scene-1")


def test_numbers_beyond_three_digits_name_the_way_out(tracked, tmp_path, monkeypatch):
    monkeypatch.setattr("pointsam.export.nuscenes_panoptic._MOST", 1)
    command = ("export", tracked[1], tracked[0].root, "--to", "nuscenes-panoptic", "--dest", tmp_path)
    refused(label(*command), "SCH006", "object", "--stage clusters")
