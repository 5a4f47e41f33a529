"""The stage of tracks: complete scenes, misses that come back, resuming, and what is read afterwards."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import time_stages
from helpers.commands import label, refused, tables
from helpers.kitti_root import make_kitti
from helpers.masks import write_masks
from helpers.time_stages import SCENES, TRACKED, finished_run, missed_world, shorten, tables_of

from pipelines import poses
from pipelines.labelling import scene_frames
from pipelines.labelling.scene_list import scenes_of
from pointsam.datasets.kitti.objects import Kitti
from pointsam.geometry.odometry import PACKAGE
from pointsam.geometry.se3 import SE3
from pointsam.stages.recipes import RECIPES
from pointsam.stages.tracks import stones
from pointsam.store.reader import Labels
from pointsam.types import FrameRow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return missed_world(tmp_path_factory.mktemp("world"))


def known(world):
    return (*time_stages.known(world[1]), "--set", "looks.enabled=false")


@pytest.fixture(autouse=True)
def short_shards(scissors, monkeypatch):
    """Masks are cut out with scissors, and shards have two frames, so that a scene has three."""
    shorten(monkeypatch)


@pytest.fixture(scope="module")
def finished(world, tmp_path_factory):
    """The folder of a run, and what it printed."""
    out = tmp_path_factory.mktemp("finished") / "out"
    return out, finished_run(world, out, "--set", "looks.enabled=false")


@pytest.fixture
def out(finished, tmp_path):
    """A copy of the folder of the run."""
    return Path(shutil.copytree(finished[0], tmp_path / "out"))


@pytest.fixture
def root(world, tmp_path):
    """A copy of the data."""
    return Path(shutil.copytree(world[0].root, tmp_path / "root"))


def tracked(out):
    return tables_of(out, TRACKED)


def sweep_of(dataset, frame_id, root):
    return root / dataset.frame(frame_id).sweep.source.path.relative_to(dataset.root)


def test_a_missed_frame_comes_back(world, finished):
    dataset, _, missed = world
    out, said = finished
    assert "tracks: 10 frames" in said
    assert Labels(out).clusters(missed) == ()
    after = Labels(out, "tracks")
    found = after.tracked(missed)
    assert {member.origin for member in found.members} == {"recovered"}
    true = dataset.point_truth(missed).labels.instance_id
    for k in range(len(found.members)):
        its = found.found.labels.instance_id == k
        (of,) = np.unique(true[its])
        assert of >= 0
        assert its.sum() > 0.6 * (true == of).sum()
    assert len(found.members) >= 4
    (scene, tracks), _ = after.tracks()
    assert scene == SCENES[0]
    assert [track.track_id for track in tracks] == list(range(len(tracks)))
    assert sum(track.num_recovered for track in tracks) >= len(found.members)


def test_single_frame_labels_stay_and_the_paper_has_no_tracks(world, finished, tmp_path):
    label("run", world[0].root, "--out", tmp_path / "alone", *known(world), "--set", "tracks.enabled=false")
    single = {path: data for path, data in tables(finished[0]).items() if path.parts[0] not in TRACKED}
    assert single == tables(tmp_path / "alone")
    assert not RECIPES["paper"]().tracks.enabled


def test_a_scene_waits_for_all_of_its_frames(world, finished, tmp_path):
    half = label("run", world[0].root, "--out", tmp_path / "out", *known(world), "--shard", "0/2")
    assert "2 scenes not tracked yet: clusters are missing" in half.output
    label("run", world[0].root, "--out", tmp_path / "out", *known(world), "--shard", "1/2")
    assert tracked(tmp_path / "out") == tracked(finished[0])


def test_a_stopped_stage_goes_on_with_any_number_of_workers(world, finished, out):
    entries = sorted((out / "manifest" / "tracks").glob("*.json"))
    for entry in (entries[1], entries[3]):
        entry.unlink()
    next((out / "tracked_points").rglob("*.parquet")).unlink()
    said = label("tracks", world[0].root, "--out", out, "--workers", 2).output
    assert "tracks: 10 frames" in said
    assert tables(out) == tables(finished[0])
    again = label("tracks", world[0].root, "--out", out, "--workers", 1).output
    assert "tracks: nothing left to do" in again


def test_clusters_that_are_made_again_make_their_tracks_again(world, root, tmp_path):
    dataset, _, missed = world
    out, sweep = tmp_path / "out", sweep_of(dataset, missed, root)
    content = sweep.read_bytes()
    sweep.write_bytes(content[:-7])
    assert label("run", root, "--out", out, *known(world)).exit_code == 3
    before = tracked(out)
    assert Labels(out, "tracks").labels(missed).frame.status == "failed"
    sweep.write_bytes(content)
    label("run", root, "--out", out, *known(world), "--set", "tracks.enabled=false", "--retry-failed")
    stale = label("eval", out, root)
    assert "single-frame labels are read, because the clusters of scene 'scene-0061' were made again" in stale.output
    assert "tracks: 5 frames" in label("tracks", root, "--out", out, "--workers", 1).output
    assert tracked(out) != before
    assert Labels(out, "tracks").labels(missed).frame.status == "ok"


def test_a_sweep_that_is_gone_quarantines_its_frame_only(world, root, out):
    dataset = world[0]
    shutil.rmtree(out / "manifest" / "tracks")
    gone, after = dataset.frame_ids(None)[2:4]
    sweep_of(dataset, gone, root).unlink()
    assert label("tracks", root, "--out", out, "--workers", 1).exit_code == 3
    labels = Labels(out, "tracks")
    assert [row.frame_id for row in labels.frames() if row.status == "failed"] == [gone]
    assert labels.clusters(after)


def test_a_retry_gives_the_bytes_of_a_run_without_the_fault(world, root, out):
    dataset, clean = world[0], tracked(out)
    shutil.rmtree(out / "manifest" / "tracks")
    sweep = sweep_of(dataset, dataset.frame_ids(None)[0], root)
    content = sweep.read_bytes()
    sweep.unlink()
    assert label("tracks", root, "--out", out, "--workers", 1).exit_code == 3
    assert tracked(out) != clean
    sweep.write_bytes(content)
    assert label("tracks", root, "--out", out, "--workers", 1, "--retry-failed").exit_code == 0
    assert tracked(out) == clean


def test_a_sweep_that_changed_since_quarantines_its_frame(world, root, out):
    dataset = world[0]
    shutil.rmtree(out / "manifest" / "tracks")
    changed = dataset.frame_ids(None)[2]
    sweep = sweep_of(dataset, changed, root)
    sweep.write_bytes(np.frombuffer(sweep.read_bytes(), "<f4").reshape(-1, 5)[::-1].tobytes())
    done = label("tracks", root, "--out", out, "--workers", 1)
    assert done.exit_code == 3
    assert "DAT013" in done.output
    assert [row.frame_id for row in Labels(out, "tracks").frames() if row.status == "failed"] == [changed]


def test_a_bad_sweep_does_not_stop_a_scene_without_poses(world, root, tmp_path, monkeypatch):
    dataset, missed = world[0], world[2]
    bad = dataset.frame_ids(None)[3]
    sweep = sweep_of(dataset, bad, root)
    sweep.write_bytes(sweep.read_bytes()[:-7])
    monkeypatch.setattr(scene_frames, "lack_poses", lambda found: True)
    monkeypatch.setattr(poses, "odometry", lambda clouds: [SE3.identity() for _ in clouds])
    done = label("run", root, "--out", tmp_path / "out", *known(world))
    assert done.exit_code == 3
    assert "those of its tracks are from odometry" in done.output
    after = Labels(tmp_path / "out", "tracks")
    assert [row.frame_id for row in after.frames() if row.status == "failed"] == [bad]
    assert after.labels(missed).frame.status == "ok"


def test_a_scene_without_poses_is_followed_again_once_odometry_is_there(world, out, monkeypatch):
    versions = {PACKAGE: "none"}
    monkeypatch.setattr(scene_frames, "lack_poses", lambda found: True)
    monkeypatch.setattr(poses, "versions", lambda names: versions)
    monkeypatch.setattr(poses, "odometry", lambda clouds: [SE3.identity() for _ in clouds])
    shutil.rmtree(out / "manifest" / "tracks")

    def again():
        return label("tracks", world[0].root, "--out", out, "--workers", 1).output

    assert "pip install 'pointsam[odometry]', then the same command follows it again" in again()
    still = tracked(out)
    assert all("stood still" in text for (text,) in Labels(out, "tracks").remarks().values())
    assert "nothing left to do" in again()
    versions[PACKAGE] = "1.2.0"
    said = again()
    assert "tracks: 10 frames" in said
    assert "2 scenes, for example 'scene-0061': it has no poses: those of its tracks are from odometry" in said
    assert all("from odometry" in text for (text,) in Labels(out, "tracks").remarks().values())
    assert tracked(out) != still
    versions[PACKAGE] = "1.3.0"
    assert "tracks: 10 frames" in again()
    for versions[PACKAGE] in ("1.3.0", "none"):
        assert "nothing left to do" in again()


def test_scenes_with_poses_do_not_depend_on_odometry(world, out, monkeypatch):
    next((out / "manifest" / "tracks").glob("*.json")).unlink()
    monkeypatch.setattr(poses, "versions", lambda names: {PACKAGE: "0.1"})
    done = label("tracks", world[0].root, "--out", out, "--workers", 1)
    assert done.exit_code == 0, done.output
    assert "tracks: 5 frames" in done.output


def test_frames_of_one_time_are_named_and_the_others_are_followed(world, out, monkeypatch):
    dataset = world[0]
    ids = [frame_id for frame_id in dataset.frame_ids(None) if dataset.scene(frame_id) == SCENES[0]]
    read = Labels.frames

    def frames(self):
        rows = read(self)
        (t_us,) = (row.t_us for row in rows if row.frame_id == ids[3])
        return [replace(row, t_us=t_us) if row.frame_id == ids[4] else row for row in rows]

    monkeypatch.setattr(Labels, "frames", frames)
    shutil.rmtree(out / "manifest" / "tracks")
    said = label("tracks", dataset.root, "--out", out, "--workers", 1).output
    assert f"scene 'scene-0061': frames {ids[3]!r}, {ids[4]!r} have the time of another frame" in said
    after = Labels(out, "tracks")
    for frame_id in ids:
        numbers = {member.track_id for member in after.members(frame_id)}
        assert (numbers == {-1}) == (frame_id in ids[3:])
    assert after.clusters(ids[4]) == Labels(out).clusters(ids[4])


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ((0, 0, 0), "its frames have no times"),
        ((5,), "one frame of it is in the run"),
        ((5, None, None), "1 frame of its 3 could be labelled"),
        ((5, 5, 6), "frames 'f0', 'f1' have the time of another frame"),
        ((5,) * 6, "frames 'f0', 'f1', 'f2', 'f3' and 2 more have the time of another frame"),
    ],
)
def test_what_keeps_a_scene_from_tracks_is_named(times, why):
    failed = ("failed", "DAT004", "gone")
    rows = [FrameRow(f"f{k}", "s", t or 0, 0, 0, *(("ok",) if t is not None else failed)) for k, t in enumerate(times)]
    selection = [("s", row.frame_id) for row in rows]
    found = scenes_of(SimpleNamespace(frames=lambda: rows, selection=lambda _: selection, stage="clusters"))
    assert found.ready == found.waiting == {}
    assert found.timeless["s"].startswith(why)


def test_commands_read_the_last_finished_stage_or_the_one_that_is_named(world, finished, tmp_path):
    (out, _), root, missed = finished, world[0].root, world[2]
    last = label("inspect", out, missed)
    assert "labels of the stage tracks are read" in last.output
    assert "recovered" in last.stdout
    alone = label("inspect", out, missed, "--stage", "clusters")
    assert "0 clusters" in alone.stdout
    found = []
    for more in ((), ("--stage", "clusters")):
        (figures,) = json.loads(label("eval", out, root, "--json", "-", *more).stdout)
        found.append(figures["agnostic"]["point_recall"])
    assert found[0] > found[1]
    for name, more in (("both", ()), ("alone", ("--stage", "clusters"))):
        label("export", out, root, "--to", "openpcdet", "--dest", tmp_path / name, *more)
    sizes = [sum(path.stat().st_size for path in (tmp_path / name).rglob("*")) for name in ("both", "alone")]
    assert sizes[0] > sizes[1]
    page = label("report", out, root, "--dest", tmp_path / "page", "--frames", missed)
    assert page.exit_code == 0, page.output


def test_sweeps_between_frames_are_stepping_stones_if_asked(world, finished, tmp_path, monkeypatch):
    out, seen = Path(shutil.copytree(finished[0], tmp_path / "out")), []
    for path in (out / "manifest" / "tracks", *(out / name for name in TRACKED)):
        shutil.rmtree(path)
    known_by = stones.with_velocities
    monkeypatch.setattr(scene_frames, "with_velocities", lambda *given: seen.append(given[1]) or known_by(*given))
    done = label("tracks", world[0].root, "--out", out, "--workers", 1, "--set", "tracks.stones.enabled=true")
    assert done.exit_code == 0, done.output
    assert len(seen) == 10
    assert max(map(len, seen)) > 1


def test_a_selection_leaves_gaps_that_are_named(world, tmp_path):
    out, page = tmp_path / "out", tmp_path / "page"
    said = label("run", world[0].root, "--out", out, *known(world), "--sample", 4).output
    gaps = "there are gaps: 2 of its 5 frames are in the run"
    assert f"note: 2 scenes, for example 'scene-0061': {gaps}" in said
    stated = json.loads((out / "run.json").read_text())["stages"]
    assert list(stated["tracks"]["remarks"]) == list(SCENES)
    assert all(texts[0].startswith(gaps) for texts in stated["tracks"]["remarks"].values())
    assert "remarks" not in stated["clusters"]
    assert f"scene 'scene-0103': {gaps}" in label("inspect", out, 3).output
    for args in (("report", out, world[0].root, "--dest", page), ("eval", out, world[0].root)):
        assert f"2 scenes, for example 'scene-0061': {gaps}" in label(*args).output
    assert gaps in (page / "index.html").read_text()
    assert gaps not in label("inspect", out, 3, "--stage", "clusters").output


def test_a_scene_of_one_frame_keeps_its_labels_beside_scenes_with_tracks(world, tmp_path):
    dataset = world[0]
    first, *rest = (frame_id for frame_id in dataset.frame_ids(None) if dataset.scene(frame_id) == SCENES[0])
    alone = next(frame_id for frame_id in dataset.frame_ids(None) if dataset.scene(frame_id) == SCENES[1])
    chosen = ("--frames", ",".join([first, *rest, alone]))
    said = label("run", dataset.root, "--out", tmp_path, *known(world), *chosen).output
    assert "scene 'scene-0103': there are no tracks: one frame of it is in the run" in said
    labels = Labels(tmp_path, "tracks")
    assert labels.unfinished() == 0
    assert {member.track_id for member in labels.tracked(alone).members} == {-1}
    assert labels.clusters(alone) == Labels(tmp_path).clusters(alone)
    assert "labels of the stage tracks are read" in label("inspect", tmp_path, alone).output


def test_data_without_times_have_no_tracks(tmp_path):
    dataset, out = Kitti(make_kitti(tmp_path / "kitti").root), tmp_path / "out"
    write_masks(dataset, tmp_path / "masks")
    done = label("run", dataset.root, "--out", out, *time_stages.known(tmp_path / "masks"))
    assert done.exit_code == 0, done.output
    assert "scene 'training': there are no tracks: its frames have no times" in done.output
    assert "tracks" not in Labels(out).stages
    assert "there are no tracks: its frames have no times" in label("tracks", dataset.root, "--out", out).output


def test_a_folder_without_clusters_and_a_recipe_without_tracks_are_refused(world, tmp_path):
    root = world[0].root
    refused(label("tracks", root, "--out", tmp_path), "OUT004", "run.json")
    done = label("tracks", root, "--out", tmp_path, "--recipe", "paper")
    assert done.exit_code == 2
    assert "--set tracks.enabled=true" in done.output
