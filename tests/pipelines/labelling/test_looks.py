"""The stage of second looks: misses that come back, what is off and says so, resuming, and what is read afterwards."""

import json
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import time_stages
from helpers.commands import label, refused, tables
from helpers.kitti_root import make_kitti
from helpers.masks import write_masks
from helpers.time_stages import LOOKED, SCENES, TRACKED, finished_run, missed_world, shorten, tables_of

from pipelines.documents import LooksDocument, TracksDocument
from pipelines.labelling import look_scene, looks, scene_frames, scene_tracks
from pipelines.labelling.plan import Plan
from pipelines.labelling.request import Execution
from pointsam.datasets.kitti.objects import Kitti
from pointsam.stages.recipes import RECIPES
from pointsam.stages.tracks import stones
from pointsam.stages.tracks.cuts import Cut
from pointsam.stages.tracks.tracks import track_scene
from pointsam.store.reader import Labels


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return missed_world(tmp_path_factory.mktemp("world"))


def known(world):
    return time_stages.known(world[1])


ON = ("--set", "looks.enabled=true", "--set", "looks.tracks.enabled=true")


@pytest.fixture(autouse=True)
def short_shards(scissors, monkeypatch):
    """Masks are cut out with scissors, and shards have two frames, so that a scene has three."""
    shorten(monkeypatch)


@pytest.fixture(scope="module")
def finished(world, tmp_path_factory):
    """The folder of a run, and what it printed."""
    out = tmp_path_factory.mktemp("finished") / "out"
    return out, finished_run(world, out, *ON)


@pytest.fixture
def out(finished, tmp_path):
    """A copy of the folder of the run."""
    return Path(shutil.copytree(finished[0], tmp_path / "out"))


@pytest.fixture
def root(world, tmp_path):
    """A copy of the data."""
    return Path(shutil.copytree(world[0].root, tmp_path / "root"))


def look_again(world, root, out, *more):
    return label("looks", root, "--out", out, "--masks-dir", world[1], *ON, "--workers", 1, *more)


def without(out, *stages):
    """Remove stages from a folder."""
    path = out / "run.json"
    run = json.loads(path.read_text())
    for stage in stages:
        del run["stages"][stage]
        shutil.rmtree(out / "manifest" / stage)
        for table in LOOKED if stage == "looks" else TRACKED:
            shutil.rmtree(out / table, ignore_errors=True)
    path.write_text(json.dumps(run))


def test_a_missed_frame_comes_back_by_boxes_of_tracks(world, finished):
    dataset, _, missed = world
    out, said = finished
    assert "looks: 10 frames" in said
    assert Labels(out).clusters(missed) == ()
    after = Labels(out, "looks")
    found = after.labels(missed)
    assert len(found.clusters) >= 2
    true = dataset.point_truth(missed).labels.instance_id
    images = after.looks(missed)
    for cluster in found.clusters:
        its = found.labels.instance_id == cluster.cluster_id
        (one,) = np.unique(true[its])
        assert one >= 0
        assert its.sum() > 0.5 * (true == one).sum()
        assert cluster.cameras
        assert all(m < len(images[c].masks) for c, m in zip(cluster.cameras, cluster.mask_ids, strict=True))
    assert all(row.masks.source.tolist() == list(range(len(row.masks))) for row in images.values())


def test_the_first_round_and_frames_without_looks_stay(world, finished, tmp_path):
    off = ("--set", "looks.enabled=false", "--set", "tracks.enabled=false")
    label("run", world[0].root, "--out", tmp_path / "alone", *known(world), *off)
    later = (*LOOKED, *TRACKED)
    assert tables(tmp_path / "alone") == {p: d for p, d in tables(finished[0]).items() if p.parts[0] not in later}
    assert not RECIPES["paper"]().looks.enabled
    one, other = Labels(finished[0]), Labels(finished[0], "looks")
    for frame_id in one.frame_ids():
        if frame_id != world[2]:
            assert one.clusters(frame_id) == other.clusters(frame_id)


def test_files_cannot_be_asked_about_crops(finished):
    out, said = finished
    assert "the classes come from precomputed, which no crop can be shown to: looks at LiDAR components are off" in said
    assert not Labels(out).document(LooksDocument).crops
    assert "0 crops" in said


def test_the_oracle_is_not_asked_about_crops_either(world, tmp_path, monkeypatch):
    from pipelines.labelling.looks import has_detector
    from pipelines.labelling.request import Request

    config = RECIPES["default"]()
    asked = {
        name: has_detector(Request(None, tmp_path, replace(config, masks=replace(config.masks, semantics=name))))
        for name in ("oracle", "precomputed", "bundled", "ssd", "nanodet")
    }
    assert asked == {"oracle": False, "precomputed": False, "bundled": True, "ssd": True, "nanodet": True}


def test_a_stopped_stage_goes_on_with_any_number_of_workers(world, finished, out):
    without(out, "tracks")
    entries = sorted((out / "manifest" / "looks").glob("*.json"))
    for entry in (entries[1], entries[3]):
        entry.unlink()
    next((out / "looked_points").rglob("*.parquet")).unlink()
    said = look_again(world, world[0].root, out)
    assert "looks: 10 frames" in said.output, said.output
    assert tables_of(out, LOOKED) == tables_of(finished[0], LOOKED)
    assert "looks: nothing left to do" in look_again(world, world[0].root, out).output
    shutil.rmtree(out / "manifest" / "looks")
    label("looks", world[0].root, "--out", out, "--masks-dir", world[1], *ON, "--shard", "1/2", "--workers", 1)
    assert len(list((out / "manifest" / "looks").glob("*.json"))) == 3
    assert "looks are not finished" not in label("inspect", out, "0").output
    label("looks", world[0].root, "--out", out, "--masks-dir", world[1], *ON, "--shard", "0/2", "--workers", 1)
    assert tables_of(out, LOOKED) == tables_of(finished[0], LOOKED)


def test_threads_share_models_but_no_reader(world, finished, out, monkeypatch):
    without(out, "tracks", "looks")
    users, both, load = {}, threading.Barrier(2), Labels._load
    follow = look_scene.follow_scene

    def loaded(self, *given):
        users.setdefault(id(self), (self, set()))[1].add(threading.get_ident())
        return load(self, *given)

    def followed(*given):
        both.wait(timeout=60)  # each thread has a scene
        return follow(*given)

    monkeypatch.setattr(look_scene, "follow_scene", followed)
    monkeypatch.setattr(Execution, "engine_for", lambda *_: "threads")
    monkeypatch.setattr(Labels, "_load", loaded)
    done = look_again(world, world[0].root, out, "--workers", 2)
    assert done.exit_code == 0, done.output
    assert tables_of(out, LOOKED) == tables_of(finished[0], LOOKED)
    assert all(len(threads) == 1 for _, threads in users.values())
    assert len(set().union(*(threads for _, threads in users.values())) - {threading.get_ident()}) == 2


def test_tracks_start_from_finished_looks_and_say_so(world, finished, out):
    key = Labels(finished[0]).key("looks")
    assert Labels(finished[0]).document(TracksDocument).looks_key == key
    without(out, "tracks", "looks")
    label("tracks", world[0].root, "--out", out, "--workers", 1)
    assert Labels(out).document(TracksDocument).looks_key is None
    assert "labels of the stage tracks are read" in label("inspect", out, "0").output
    look_again(world, world[0].root, out)
    said = label("inspect", out, world[2]).output
    assert "labels of the stage looks are read, because its tracks do not start from its second looks" in said
    refused(label("tracks", world[0].root, "--out", out, "--workers", 1), "OUT001", "looks_key")


def test_shards_finish_looks_before_anything_is_tracked(world, tmp_path, monkeypatch):
    shorten(monkeypatch, 5)  # a scene is one shard
    out = tmp_path / "out"
    half = label("run", world[0].root, "--out", out, *known(world), *ON, "--shard", "0/2")
    assert "no scene is tracked yet, because" in half.output
    assert not tables_of(out, ("tracked_points",))
    done = label("run", world[0].root, "--out", out, *known(world), *ON, "--shard", "1/2")
    assert done.exit_code == 0, done.output
    assert Labels(out, "tracks").unfinished() == 0
    assert Labels(out).document(TracksDocument).looks_key == Labels(out).key("looks")


def test_the_last_finished_stage_is_read_or_the_one_that_is_named(world, finished, out, tmp_path):
    assert "labels of the stage tracks are read" in label("inspect", out, "0").output
    counts = {
        stage: label("inspect", out, world[2], "--stage", stage).stdout.split(" clusters")[0].split()[-1]
        for stage in ("clusters", "looks")
    }
    assert counts["clusters"] == "0" != counts["looks"]
    without(out, "tracks")
    assert "labels of the stage looks are read" in label("inspect", out, "0").output
    page = label("report", out, world[0].root, "--dest", tmp_path / "page", "--frames", world[2])
    assert page.exit_code == 0, page.output


def test_looks_follow_scenes_as_the_tracks_do(world, out, monkeypatch):
    without(out, "tracks", "looks")
    known_by, seen = stones.with_velocities, []
    monkeypatch.setattr(scene_frames, "with_velocities", lambda *given: seen.append(given[1]) or known_by(*given))

    def with_cut(*given):
        found = track_scene(*given)
        return replace(found, cuts=(Cut(*found.frame_ids[:2], "too fast"),))

    monkeypatch.setattr(scene_tracks, "track_scene", with_cut)
    rules = ("--set", "tracks.stones.enabled=true")
    said = look_again(world, world[0].root, out, *rules).output
    assert len(seen) == 10
    assert max(map(len, seen)) > 1
    looked = [line for line in said.splitlines() if "its tracks are cut there: too fast" in line]
    tracked = label("tracks", world[0].root, "--out", out, "--workers", 1, *rules).output
    assert len(looked) == 2
    assert [line for line in tracked.splitlines() if "its tracks are cut there" in line] == looked


def test_clusters_of_masks_of_another_folder(world, finished, tmp_path):
    out = tmp_path / "apart"
    label("clusters", world[0].root, "--out", out, "--masks-from", finished[0], "--workers", 1)
    refused(look_again(world, world[0].root, out), "OUT004", "masks")
    done = look_again(world, world[0].root, out, "--masks-from", finished[0])
    assert done.exit_code == 0, done.output
    assert Labels(out, "looks").clusters(world[2]) == Labels(finished[0], "looks").clusters(world[2])


def test_other_models_than_those_of_the_masks_are_refused(world, out, monkeypatch):
    refused(look_again(world, world[0].root, out, "--threads", 2), "SCH004", "--threads 1")
    monkeypatch.setattr(looks, "semantics_sha256", lambda *_: "other")
    refused(look_again(world, world[0].root, out), "SCH004", "semantics")


def test_an_image_that_is_gone_quarantines_its_frame_only(world, root, out):
    dataset, _, missed = world
    without(out, "tracks", "looks")
    for view in dataset.frame(missed).cameras:
        (root / view.source.path.relative_to(dataset.root)).unlink()
    assert look_again(world, root, out).exit_code == 3
    after = Labels(out, "looks")
    assert [row.frame_id for row in after.frames() if row.status == "failed"] == [missed]
    assert after.clusters(dataset.frame_ids(None)[2])


def test_clusters_that_are_made_again_make_their_looks_again(world, out):
    path = next((out / "manifest" / "clusters").glob("*.json"))
    entry = json.loads(path.read_text())
    for file in entry["files"].values():
        file["sha256"] = "0" * 64
    before = path.read_text()
    path.write_text(json.dumps(entry))
    said = label("eval", out, world[0].root, "--stage", "looks")
    assert said.exit_code == 0, said.output
    from pipelines.opened import stale_looks

    assert "were made again since" in stale_looks(Labels(out))
    path.write_text(before)
    assert stale_looks(Labels(out)) == ""


def test_frames_without_times_are_alone(tmp_path):
    dataset, out = Kitti(make_kitti(tmp_path / "kitti").root), tmp_path / "out"
    write_masks(dataset, tmp_path / "masks")
    done = label("run", dataset.root, "--out", out, *time_stages.known(tmp_path / "masks"), *ON)
    assert done.exit_code == 0, done.output
    assert "note: scene 'training': there are no tracks: its frames have no times" in done.output
    assert Labels(out, "looks").remarks() == {"training": ("there are no tracks: its frames have no times",)}
    one, other = Labels(out), Labels(out, "looks")
    assert other.unfinished() == 0
    assert [other.clusters(frame_id) for frame_id in one.frame_ids()] == [
        one.clusters(frame_id) for frame_id in one.frame_ids()
    ]


def test_a_dry_run_counts_crops_and_boxes_of_tracks(world, finished, tmp_path):
    args = ("run", world[0].root, "--out", tmp_path / "out", *known(world), *ON, "--split", SCENES[0], "--dry-run")
    found = json.loads(label(*args, "--json", "-").stdout)
    assert (found["frames"], found["measured_frames"], found["crops"]) == (5, 5, 0)
    of_run = int(re.search(r"(\d+) boxes of tracks", finished[1])[1])
    assert 2 <= found["boxes"] <= of_run
    assert found["hours"] > 0
    one_frame = label(*args, "--set", "looks.tracks.enabled=false", "--sample", 1).stdout
    assert "about 0 crops for second looks" in one_frame
    assert "measured on frame " in one_frame
    assert "crops" not in label(*args, "--set", "looks.enabled=false").stdout.split("\n")[0]


def test_the_plan_names_what_looks_ask():
    text = Plan(5, 30, 1.0, 1.0, "f0", {"masks": 1}, (), 40, 7, 6).text()
    assert "5 frames, 30 images, about 40 crops and 7 boxes of tracks for second looks" in text
    assert "measured on 6 frames around f0" in text


def test_a_folder_without_clusters_and_a_recipe_without_looks_are_refused(world, tmp_path):
    refused(label("looks", world[0].root, "--out", tmp_path), "OUT004", "run.json")
    done = label("looks", world[0].root, "--out", tmp_path, "--recipe", "paper")
    assert done.exit_code == 2
    assert "--set looks.components.enabled=true" in done.output
