"""`pointsam-label eval` through time, and on data without ground truth."""

import json
import math
import shutil

import numpy as np
import pytest
from helpers.commands import label, refused
from helpers.training import make_labels, make_world

from pipelines.opened import open_run
from pipelines.review.followed import FollowedFrames
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.evaluate.selfcheck import FIGURES
from pointsam.evaluate.track_points import names_of_objects
from pointsam.evaluate.tracking_quality import TrackingAccumulator
from pointsam.store.reader import Labels

SCENES = ("scene-0061", "scene-0103")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world") / "root", scenes=SCENES, samples=5)


@pytest.fixture(scope="module")
def blind(world, tmp_path_factory):
    """The same data without boxes."""
    root = shutil.copytree(world.root, tmp_path_factory.mktemp("blind") / "root")
    (root / world.version / "sample_annotation.json").write_text("[]")
    for table in (root / world.version).glob("*seg.json"):
        table.unlink()
    return NuScenes(root)


@pytest.fixture(scope="module")
def outs(world, tmp_path_factory):
    """Tracked labels of all objects, and of all but every third of each frame with a low probability."""
    folder = tmp_path_factory.mktemp("labels")
    tokens = [token for frame_id in world.frame_ids() for token in world.boxes(frame_id).token]
    make_labels(folder / "good", world, probability=0.9)
    make_labels(folder / "bad", world, missing=set(tokens[::3]), probability=0.6)
    for name in ("good", "bad"):
        done = label(
            "tracks", world.root, "--out", folder / name, "--workers", 1, "--set", "tracks.recover.enabled=false"
        )
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def unknown(world, blind, outs, tmp_path_factory):
    """The same labels as if they were made of the data without boxes."""
    folder = shutil.copytree(outs, tmp_path_factory.mktemp("unknown") / "labels")
    for name in ("good", "bad"):
        path = folder / name / "run.json"
        path.write_text(path.read_text().replace(world.fingerprint(), blind.fingerprint()))
    return folder


def unsure(out):
    labels = Labels(out, "tracks")
    return 100 * np.mean([1 - one.probability for frame_id in labels.frame_ids() for one in labels.clusters(frame_id)])


def test_tracked_labels_are_measured_through_time(world, outs, tmp_path):
    done = label("eval", outs / "bad", world.root, "--json", tmp_path / "e.json", "--markdown", tmp_path / "e.md")
    assert done.exit_code == 0, done.output
    assert "through time: 2 scenes, 10 frames" in done.stdout
    (report,) = json.loads((tmp_path / "e.json").read_text())
    accumulator, labels = TrackingAccumulator(world.taxonomy), Labels(outs / "bad", "tracks")
    for frame_id in world.frame_ids():
        truth, tracked = world.point_truth(frame_id), labels.tracked(frame_id)
        tracks = [member.track_id for member in tracked.members]
        names = names_of_objects(world, frame_id, truth)
        accumulator.add(world.scene(frame_id), frame_id, tracked.found.labels, tracks, truth, names)
    expected = accumulator.result().figures
    for name in ("PTQ", "PAT", "LSTQ", "HOTA"):
        assert report["tracking"]["figures"][name][0] == pytest.approx(expected[name][0])
        assert f"| {name} | {expected[name][0]:.3f} |" in (tmp_path / "e.md").read_text()
    assert report["tracking"]["figures"]["PQ"][0] == pytest.approx(report["panoptic"]["pq"])
    assert {c["name"] for c in report["tracking"]["classes"] if c["objects"]} <= set(world.taxonomy.names)
    beside = label("eval", outs / "good", world.root, "--against", outs / "bad").stdout
    assert "through time, side by side" in beside


def test_labels_of_single_frames_and_nameless_objects_are_not(world, outs, monkeypatch):
    alone = label("eval", outs / "good", world.root, "--stage", "clusters")
    assert "through time" not in alone.output
    monkeypatch.setattr(NuScenes, "tracks", lambda self, frame_id: None)
    nameless = label("eval", outs / "good", world.root)
    assert nameless.exit_code == 0
    assert nameless.output.count("no measures through time: the ground truth (boxes) does not name its objects") == 1


def test_without_ground_truth_the_labels_are_checked_against_themselves(blind, unknown, tmp_path):
    page, figures = tmp_path / "e.md", tmp_path / "e.json"
    done = label("eval", unknown / "good", blind.root, "--json", figures, "--markdown", page)
    assert done.exit_code == 0, done.output
    assert "has no ground truth of these frames: nothing here is a measured quality" in done.stdout
    assert f"next: pointsam-label queue {unknown / 'good'} {blind.root}" in done.output
    assert f"| unsure | {unsure(unknown / 'good'):.3f} |" in page.read_text()
    (found,) = json.loads(figures.read_text())
    check = found["self_check"]
    assert found["truth"] is None
    assert set(check["figures"]) == {one.name for one in FIGURES}
    assert check["figures"]["unsure"]["value"] == pytest.approx(unsure(unknown / "good"))
    assert check["calibration"]["cameras"] == []
    assert "does not hold the masks" in check["calibration"]["why"]
    assert "how far the calibration is off is not known:" in done.stdout
    assert "pass their folder with --masks-from" in done.stdout
    assert set(check["scenes"]) == set(SCENES)
    whole, every = check["figures"]["clusters a frame"], [check["scenes"][s]["clusters a frame"] for s in SCENES]
    assert whole["part"] / whole["whole"] == pytest.approx(np.mean(every))


def test_two_runs_without_ground_truth_are_compared(blind, unknown, tmp_path):
    done = label("eval", unknown / "bad", blind.root, "--against", unknown / "good", "--json", tmp_path / "e.json")
    assert done.exit_code == 0, done.output
    ours, other = json.loads((tmp_path / "e.json").read_text())
    changes = ours["self_check_against"]["changes"]
    assert changes["unsure"]["verdict"] == "worse"
    assert changes["unsure"]["ours"] == pytest.approx(unsure(unknown / "bad"))
    assert changes["clusters a frame"]["verdict"] == "changed"
    assert changes["quarantined frames"]["verdict"] == ""
    assert "self_check_against" not in other
    assert "worse: " in done.stdout
    assert "better: no figure" in done.stdout
    better = label("eval", unknown / "good", blind.root, "--against", unknown / "bad").stdout
    row = next(line for line in better.splitlines() if line.startswith("unsure") and "better" in line)
    good, bad = (unsure(unknown / name) for name in ("good", "bad"))
    assert row.split()[1:4] == [f"{good:.3f}", f"{bad:.3f}", f"{good - bad:.3f}"]


def test_what_needs_ground_truth_is_still_refused_without(blind, unknown, tmp_path):
    rows = tmp_path / "rows.parquet"
    refused(label("eval", unknown / "good", blind.root, "--parquet", rows), "DAT009", "no frame")
    assert not rows.exists()
    refused(label("eval", unknown / "good", blind.root, "--truth", "boxes"), "DAT009", "without boxes")


def test_a_run_without_any_labels_is_still_refused(blind, tmp_path):
    frame_ids = blind.frame_ids()
    make_labels(tmp_path / "out", blind, frame_ids[:2], failed=set(frame_ids[:2]))
    refused(label("eval", tmp_path / "out", blind.root), "DAT009", "2 quarantined")


def test_the_figures_can_stand_beside_ground_truth(world, outs, tmp_path):
    label("eval", outs / "good", world.root, "--self-check", "--json", tmp_path / "e.json")
    (report,) = json.loads((tmp_path / "e.json").read_text())
    assert report["panoptic"]["pq"] > 0.9
    assert report["self_check"]["figures"]["unsure"]["value"] == pytest.approx(unsure(outs / "good"))


def test_a_changed_sweep_leaves_out_what_needs_points(world, outs, tmp_path):
    root = shutil.copytree(world.root, tmp_path / "root")
    frame_id = world.frame_ids()[1]
    sweep = root / world.frame(frame_id).sweep.source.path.relative_to(world.root)
    sweep.write_bytes(sweep.read_bytes()[:-20])
    frames = FollowedFrames(open_run(outs / "good", root))
    found = {frame.frame_id: frame for frame in frames}
    assert list(frames.unread) == [frame_id]
    assert (
        f"of 1 frame the points were not used, because they cannot be read or have changed since; {frame_id}"
        in (frames.notes()[0])
    )
    bad = found.pop(frame_id)
    assert bad.clusters
    assert not any(cluster.spread for cluster in bad.clusters)
    assert all(math.isnan(cluster.center_world_m[0]) for cluster in bad.clusters)
    assert all(sum(cluster.spread) == cluster.num_points for frame in found.values() for cluster in frame.clusters)


def test_frames_come_in_time_with_tracks_and_the_classes_of_single_frames(world, outs):
    run = open_run(outs / "good", world.root)
    for scene in FollowedFrames(run).scenes():
        assert [frame.t_us for frame in scene] == sorted(frame.t_us for frame in scene)
        for frame in scene:
            tracked = run.labels.tracked(frame.frame_id)
            assert [c.track_id for c in frame.clusters] == [member.track_id for member in tracked.members]
            single = Labels(outs / "good").clusters(frame.frame_id)
            assert [c.class_id for c in frame.clusters] == [single[m.single_id].class_id for m in tracked.members]
