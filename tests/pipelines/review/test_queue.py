"""`pointsam-label queue`, and the page that opens at it."""

import csv
import json
import re
import shlex
import shutil

import pytest
from helpers.commands import label, refused
from helpers.masks import write_masks
from helpers.segmenters import Scissors
from helpers.time_stages import forget_masks, known
from helpers.training import make_world

from pipelines.opened import open_run
from pipelines.review.followed import FollowedFrames
from pointsam.evaluate.suspicions import ranked, suspicions
from pointsam.store.reader import Labels


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two scenes of four frames; the third frame of the first has no masks, and tracking does not recover it."""
    folder = tmp_path_factory.mktemp("run")
    world = make_world(folder / "root", samples=4)
    write_masks(world, folder / "masks")
    missed = world.frame_ids()[2]
    forget_masks(world, folder / "masks", missed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())
        known_of = known(folder / "masks")
        done = label("run", world.root, "--out", folder / "out", *known_of, "--set", "tracks.recover.enabled=false")
    assert done.exit_code == 0, done.output
    return world, folder / "out", missed


def test_the_queue_is_that_of_the_suspicions(run, tmp_path):
    world, out, missed = run
    done = label("queue", out, "--json", tmp_path / "q.json", "--csv", tmp_path / "q.csv")
    assert done.exit_code == 0, done.output
    frames = FollowedFrames(open_run(out, world.root))
    expected = ranked([suspicions(scene, world.taxonomy) for scene in frames.scenes()])
    document = json.loads((tmp_path / "q.json").read_text())
    keys = [(one.frame_id, one.cluster_id, one.track_id) for one in expected]
    assert [(one["frame_id"], one["cluster_id"], one["track_id"]) for one in document["entries"]] == keys
    assert [one["rank"] for one in document["entries"]] == list(range(1, len(keys) + 1))
    scores = [one["score"] for one in document["entries"]]
    assert scores == sorted(scores, reverse=True)
    for frame in document["frames"]:
        its = [one["score"] for one in document["entries"] if one["frame_id"] == frame["frame_id"]]
        assert (frame["score"], frame["entries"]) == (pytest.approx(sum(its)), len(its))
    rows = list(csv.DictReader((tmp_path / "q.csv").open()))
    assert [row["reasons"] for row in rows] == ["; ".join(one.reasons) for one in expected]
    assert [int(row["cluster_id"]) for row in rows] == [one.cluster_id for one in expected]
    lost = [one for one in document["entries"] if one["cluster_id"] < 0]
    assert {one["frame_id"] for one in lost} == {missed}
    assert all("its track is in frames before and after" in one["reasons"][0] for one in lost)
    assert f"the first {min(20, len(keys))} of {len(keys)} entries" in done.stdout
    assert f"next: pointsam-label report {out} --dest page --queue\n" in done.output


def following(output):
    """The words of the command that an output names as the next one."""
    return shlex.split(output.partition("next: pointsam-label ")[2].splitlines()[0])


@pytest.mark.parametrize(("command", "made"), [("queue", "page/index.html"), ("eval", "frame.png")])
def test_the_next_command_reads_the_same_labels_as_printed(run, tmp_path, monkeypatch, command, made):
    world, out, _ = run
    given = ("--stage", "clusters", "--dataset", "nuscenes", "--version", world.version, "--lidar", "LIDAR_TOP")
    words = following(label(command, out, world.root, *given).output)
    assert " ".join(given) in " ".join(words)
    assert str(world.root) in words
    monkeypatch.chdir(tmp_path)
    done = label(*words, *(["--show", 1] if command == "queue" else []))
    assert done.exit_code == 0, done.output
    assert "labels of the stage tracks are read" not in done.output
    assert (tmp_path / made).exists()


def test_the_next_command_asks_for_the_masks_of_labels_without(run, tmp_path):
    world, out, _ = run
    made = label("clusters", world.root, "--out", tmp_path / "out", "--masks-from", out, "--workers", 1)
    assert made.exit_code == 0, made.output
    words = following(label("queue", tmp_path / "out").output)
    assert words[-2:] == ["--masks-from", "MASKS"]
    assert label(*words[:-1], out, "--dest", tmp_path / "page").exit_code == 0


def test_most_limits_what_is_written(run, tmp_path):
    _, out, _ = run
    every = json.loads(label("queue", out, "--json", "-").stdout)
    done = label("queue", out, "--most", "3", "--json", tmp_path / "q.json", "--csv", tmp_path / "q.csv")
    document = json.loads((tmp_path / "q.json").read_text())
    assert len(document["entries"]) == 3
    assert len(document["frames"]) == 3
    assert document["left_out"] == len(every["entries"]) - 3 > 0
    assert document["frames_left_out"] == len(every["frames"]) - 3 > 0
    assert f"the first 3 of {len(every['entries'])} entries" in done.stdout
    assert f"frames: the first 3 of {len(every['frames'])}" in done.stdout
    assert (every["left_out"], every["frames_left_out"]) == (0, 0)
    assert len((tmp_path / "q.csv").read_text().splitlines()) == 4


def test_labels_of_single_frames_are_ranked_without_tracks(run, tmp_path):
    _, out, _ = run
    done = label("queue", out, "--stage", "clusters", "--json", tmp_path / "q.json")
    assert "labels of single frames have no tracks" in done.stdout
    document = json.loads((tmp_path / "q.json").read_text())
    assert document["entries"]
    assert {one["track_id"] for one in document["entries"]} == {-1}


@pytest.mark.parametrize("option", ["--csv", "--json"])
def test_an_existing_file_is_kept(run, tmp_path, option):
    path = tmp_path / "there"
    path.write_text("precious")
    refused(label("queue", run[1], option, path), "OUT003", path)
    assert path.read_text() == "precious"
    assert label("queue", run[1], option, path, "--overwrite").exit_code == 0
    assert path.read_text() != "precious"


def test_one_file_for_both_is_refused(run, tmp_path):
    result = label("queue", run[1], "--csv", tmp_path / "q", "--json", tmp_path / "q")
    assert result.exit_code == 2
    assert "is the file of --csv too" in result.output


def test_the_page_opens_at_the_queue_with_the_reasons(run, tmp_path):
    _, out, _ = run
    document = json.loads(label("queue", out, "--json", "-").stdout)
    done = label("report", out, "--dest", tmp_path / "page", "--queue", "--show", "2")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "page" / "index.html").read_text()
    first, second = document["frames"][:2]
    assert re.findall(r"suspicious, score (\d+\.\d\d)</li>", text.replace("\n", "")) == [
        f"{one['score']:.2f}" for one in (first, second)
    ]
    entry = next(one for one in document["entries"] if one["frame_id"] == first["frame_id"])
    assert entry["reasons"][0] in text
    assert "the most\nsuspicious ones" in text


def test_the_page_takes_either_the_queue_or_frames(run, tmp_path):
    result = label("report", run[1], "--dest", tmp_path / "page", "--queue", "--frames", "a")
    assert result.exit_code == 2
    assert not (tmp_path / "page").exists()


def test_a_quarantined_frame_is_in_the_queue_and_not_drawn(run, tmp_path, monkeypatch):
    world, _, _ = run
    root = shutil.copytree(world.root, tmp_path / "root")
    bad = world.frame_ids()[0]
    (root / world.frame(bad).sweep.source.path.relative_to(world.root)).write_bytes(b"torn")
    write_masks(world, tmp_path / "masks")
    known = ("--semantics", "precomputed", "--masks-dir", tmp_path / "masks", "--workers", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())
        assert label("run", root, "--out", tmp_path / "out", *known, "--split", "scene-0061").exit_code == 3
    assert next(f for f in Labels(tmp_path / "out").frames() if f.frame_id == bad).status == "failed"
    document = json.loads(label("queue", tmp_path / "out", "--json", "-").stdout)
    (entry,) = (one for one in document["entries"] if one["frame_id"] == bad and one["cluster_id"] < 0)
    assert entry["score"] == 1.0
    assert entry["reasons"] == ["the frame is quarantined: it has no labels"]
    done = label("report", tmp_path / "out", "--dest", tmp_path / "page", "--queue")
    assert bad not in (tmp_path / "page" / "index.html").read_text()
    assert done.exit_code == 0, done.output
    monkeypatch.chdir(tmp_path)
    assert label(*following(label("eval", tmp_path / "out", root).output)).exit_code == 0
    assert (tmp_path / "frame.png").exists()
