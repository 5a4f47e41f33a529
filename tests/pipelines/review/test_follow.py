"""An object through time: `inspect --track`, its pictures, and the section of the page."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import label, refused
from PIL import Image

from pipelines.review import follow_pictures
from pipelines.review.objects import TrackedScene
from pipelines.review.track_figures import MOST_TRACKS, choose_tracks
from pointsam.report.strip import TILE_PX, strip_width_px
from pointsam.store.reader import Labels
from pointsam.types import TrackRow

SCENE = "scene-0103"


@pytest.fixture(scope="module")
def scene(tracked):
    return TrackedScene(Labels(tracked[1], "tracks"), SCENE)


def followed(scene, moving):
    """A track with a recovered frame."""
    return next(one for one in scene.tracks.values() if one.num_recovered and one.moving == moving)


@pytest.mark.parametrize("moving", [False, True])
def test_a_row_for_each_frame_says_how_it_was_found(tracked, scene, moving):
    _, out, missed = tracked
    track = followed(scene, moving)
    result = label("inspect", out, "--track", f"{SCENE}:{track.track_id}", "--json", "-")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["instance_token"] == f"{SCENE}-{track.track_id}"
    assert document["class_votes"] == dict(track.class_votes)
    seen = {one.frame.frame_id: one for one in scene.sightings(track.track_id)}
    steps = {step["frame_id"]: step for step in document["frames"]}
    assert list(steps) == [row.frame_id for row in scene.frames if track.first_t_us <= row.t_us <= track.last_t_us]
    for frame_id, step in steps.items():
        if frame_id not in seen:
            assert (step["origin"], step["num_points"], step["range_m"]) == ("missed", 0, None)
            continue
        one = seen[frame_id]
        assert (step["origin"], step["num_points"]) == (one.member.origin, one.cluster.num_points)
        alone = {c.cluster_id: c.class_name for c in Labels(out).clusters(frame_id)}
        assert step["single_class"] == alone.get(one.member.single_id, "")
        assert (step["speed_mps"] > 1) == moving
    assert steps[missed]["origin"] == "recovered"
    text = label("inspect", out, "--track", f"{SCENE}:{track.track_id}").stdout
    assert f"recovered in {track.num_recovered}" in text
    assert ("moving at" in text) == moving
    assert f"{track.class_name} {sum(track.class_votes.values()):.1f} (100%)" in text
    assert len([line for line in text.splitlines() if any(line.startswith(one) for one in steps)]) == len(steps)


def test_without_data_speeds_are_left_out(tracked, scene, tmp_path):
    dataset, out, _ = tracked
    moved = tmp_path / "out"
    shutil.copytree(out, moved)
    path = moved / "run.json"
    path.write_text(path.read_text().replace(str(dataset.root), str(tmp_path / "gone")))
    track = followed(scene, moving=True)
    command = ("inspect", moved, "--track", f"{SCENE}:{track.track_id}")
    result = label(*command, "--json", "-")
    assert "speeds are left out" in result.stderr
    assert all(step["speed_mps"] is None for step in json.loads(result.stdout)["frames"])
    refused(label(*command, "--png", tmp_path / "a.png"), "DAT001", tmp_path / "gone")
    assert label(*command, "--png", tmp_path / "a.png", "--data", dataset.root).exit_code == 0


def test_the_picture_has_a_tile_for_each_frame_and_the_path(tracked, scene, tmp_path, monkeypatch):
    track = followed(scene, moving=True)
    command = ("inspect", tracked[1], "--track", f"{SCENE}:{track.track_id}", "--png")
    assert label(*command, tmp_path / "a.png").exit_code == 0
    rows = -(-len(scene.sightings(track.track_id)) // 4)
    size = Image.open(tmp_path / "a.png").size
    assert size == (strip_width_px(), rows * (TILE_PX[1] + 4) - 4 + 560)
    monkeypatch.setattr(follow_pictures, "MOST_CROPS", 3)
    drawn = []
    plain = follow_pictures._read
    monkeypatch.setattr(follow_pictures, "_read", lambda run, one: drawn.append(one.frame.t_us) or plain(run, one))
    assert label(*command, tmp_path / "b.png").exit_code == 0
    t_us = [one.frame.t_us for one in scene.sightings(track.track_id)]
    assert len(t_us) > 3
    assert [drawn[0], drawn[-1], len(drawn)] == [t_us[0], t_us[-1], 3]


def test_a_frame_that_changed_has_a_tile_that_says_so(tracked, scene, tmp_path, monkeypatch):
    dataset, out, missed = tracked
    root = tmp_path / "root"
    shutil.copytree(dataset.root, root)
    sweep = root / dataset.frame(missed).sweep.source.path.relative_to(dataset.root)
    sweep.write_bytes(sweep.read_bytes()[:-7])
    said = []
    monkeypatch.setattr(follow_pictures, "no_crop", lambda why, *_: said.append(why) or Image.new("RGB", TILE_PX))
    name = f"{SCENE}:{followed(scene, moving=True).track_id}"
    result = label("inspect", out, "--track", name, "--png", tmp_path / "a.png", "--data", root)
    assert result.exit_code == 0, result.output
    assert "[DAT013] cannot be read" in said


@pytest.mark.parametrize("name", ["scene-1:0", f"{SCENE}:999", f"{SCENE}:x", SCENE, f"{SCENE}:-1"])
def test_a_track_that_is_not_there_is_named(tracked, name):
    refused(label("inspect", tracked[1], "--track", name), "DAT010", tracked[1])


def test_a_frame_or_a_track_is_needed_and_tracks_must_be_there(tracked, out):
    for given in ((), ("0", "--track", f"{SCENE}:0")):
        result = label("inspect", tracked[1], *given)
        assert result.exit_code == 2
        assert "give FRAME, or --track" in result.output
    result = label("inspect", tracked[1], "--track", f"{SCENE}:0", "--stage", "clusters")
    assert "single-frame labels have no tracks" in result.output
    refused(label("inspect", out, "--track", f"{SCENE}:0"), "OUT004", "has no tracks")


def test_the_page_shows_objects_through_time(tracked, scene, tmp_path):
    _, out, missed = tracked
    assert label("report", out, "--dest", tmp_path / "page", "--frames", missed).exit_code == 0
    text = (tmp_path / "page" / "index.html").read_text()
    assert "Objects through time" in text
    assert "<option>tracking</option>" in text
    shown = min(len(scene.tracks), MOST_TRACKS)
    assert text.count('class="track"') == shown
    pictures = sorted(path.name for path in (tmp_path / "page" / "tracks").iterdir())
    assert pictures == sorted(f"{k:02d}-{kind}.jpg" for k in range(shown) for kind in ("path", "strip"))
    script = (tmp_path / "page" / "frames" / "000.js").read_text()
    assert '"origin":"recovered"' in script
    assert '"added":null' not in script
    assert label("report", out, "--dest", tmp_path / "alone", "--stage", "clusters").exit_code == 0
    alone = (tmp_path / "alone" / "index.html").read_text()
    assert "Objects through time" not in alone
    assert "<option>tracking</option>" not in alone
    assert not (tmp_path / "alone" / "tracks").exists()


def row(track_id, **more):
    return replace(TrackRow(track_id, 0, "car", False, 5, 0, 0, 1, 0.0), **more)


def test_the_page_prefers_recovered_changed_and_cut_tracks():
    tracks = [("a", row(k, num_frames=10 + k)) for k in range(40)]
    tracks += [("b", row(k, num_recovered=k + 1)) for k in range(6)]
    tracks += [("b", row(10 + k, class_changes=1, num_frames=1)) for k in range(4)]
    tracks += [("b", row(20, cut="jump")), ("b", row(30, moving=True, num_frames=3))]
    order = np.random.default_rng(0).permutation(len(tracks))
    chosen = choose_tracks([tracks[k] for k in order])
    assert len(chosen) == MOST_TRACKS
    names = [(scene, track.track_id) for scene, track in chosen]
    assert names[:3] == [("b", 5), ("b", 4), ("b", 3)]
    assert {scene for scene, _ in names[3:5]} == {"b"}
    assert all(track.class_changes for _, track in chosen[3:5])
    assert names[5:7] == [("b", 20), ("b", 30)]
    assert names[7] == ("a", 39)
    assert choose_tracks([]) == []
    assert choose_tracks([("a", row(0))] * 3)[0] == ("a", row(0))
