"""Splits of any data set: names of drives, text files, and fractions of the drives."""

import json
import shutil

import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'pointsam[detect]'")

from click.testing import CliRunner
from helpers.commands import refused
from helpers.nuscenes_root import make_root
from helpers.training import make_world

from pipelines.cli.train import main
from pipelines.training.splits import by_fraction, other_side, split_frames, split_notes
from pipelines.training.taken import TakenFrames, frames_to_score, read_taken
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.detect.data.budget_file import read_budget

DRIVES = ("scene-0061", "scene-0103", "a", "b", "c")


def train(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("splits") / "root", scenes=DRIVES, samples_per_scene=3)


@pytest.fixture(scope="module")
def dataset(root):
    return NuScenes(root)


@pytest.mark.parametrize("seed", range(4))
def test_a_fraction_takes_whole_drives_and_the_rest_is_for_training(dataset, seed):
    val, rest = (split_frames(dataset, by_fraction(side, 0.4, seed)) for side in ("val", "train"))
    drives = [{dataset.scene(frame_id) for frame_id in side} for side in (val, rest)]
    assert (len(drives[0]), len(drives[1]), drives[0] & drives[1]) == (2, 3, set())
    assert sorted(val + rest) == sorted(dataset.frame_ids())
    assert val == [frame_id for frame_id in dataset.frame_ids() if frame_id in val]
    assert split_notes(dataset, by_fraction("val", 0.4, seed)) == []


def test_seeds_draw_other_drives_and_equal_ones_the_same(dataset):
    drawn = [tuple(split_frames(dataset, by_fraction("val", 0.2, seed))) for seed in range(12)]
    assert len(set(drawn)) > 1
    assert drawn == [tuple(split_frames(NuScenes(dataset.root), by_fraction("val", 0.2, seed))) for seed in range(12)]


def test_a_drive_that_is_added_leaves_the_lots_of_the_others(dataset, tmp_path):
    more = NuScenes(make_root(tmp_path, scenes=(*DRIVES, "d"), samples_per_scene=3))
    held = [{data.scene(f) for f in split_frames(data, by_fraction("val", 0.4, 0))} for data in (dataset, more)]
    assert len(held[0] & held[1]) >= 1


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_fractions_out_of_range_are_refused(root, tmp_path, fraction):
    result = train("budget", root, "--val-fraction", fraction, "--dest", tmp_path / "b")
    refused(result, "SCH005", f"--val-fraction is {fraction!r}")


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_no_side_is_empty(dataset, fraction):
    assert all(split_frames(dataset, by_fraction(side, fraction, 0)) for side in ("train", "val"))


@pytest.mark.parametrize("split", ["val:1.2.3:0", "val:-:0", "val:e:0"])
def test_what_looks_like_a_division_and_is_none_is_an_unknown_split(dataset, split):
    with pytest.raises(DatasetError, match="DAT010"):
        split_frames(dataset, split)


def test_the_other_side_of_a_division():
    assert other_side(by_fraction("train", 0.25, 3)) == by_fraction("val", 0.25, 3) == "val:0.25:3"
    assert [other_side(split) for split in (None, "val", "val.txt")] == [None] * 3


def test_one_drive_falls_back_to_its_last_frames_with_a_gap(tmp_path):
    data = NuScenes(make_root(tmp_path, scenes=("scene-0061",), samples_per_scene=20))
    ids = data.frame_ids()
    assert split_frames(data, "train:0.2:0") == ids[:15]
    assert split_frames(data, "val:0.2:0") == ids[16:]
    (note,) = split_notes(data, "val:0.2:0")
    assert "has one drive, scene-0061: validation takes its last 4 frames, training the first 15, and 1 between" in note
    result = train("budget", data.root, "--val-fraction", 0.2, "--min-points", 0, "--dest", tmp_path / "b")
    assert note in result.stderr
    assert list(read_budget(tmp_path / "b").frames) == ids[:15]


def test_one_drive_that_is_too_short_is_refused(tmp_path):
    data = NuScenes(make_root(tmp_path, scenes=("scene-0061",), samples_per_scene=2))
    with pytest.raises(DatasetError, match=r"\[DAT009\] the only drive has 2 frames, too few"):
        split_frames(data, "val:0.5:0")


def test_drives_by_name(dataset):
    ids = split_frames(dataset, "b, a")
    assert [dataset.scene(frame_id) for frame_id in ids] == ["a"] * 3 + ["b"] * 3
    assert split_frames(dataset, "a,a") == split_frames(dataset, "a")
    with pytest.raises(DatasetError, match=r"\[DAT010\].*'x'"):
        split_frames(dataset, "a,x")


def test_a_file_lists_frames_and_drives(dataset, tmp_path):
    frame_id, path = dataset.frame_ids()[1], tmp_path / "val.txt"
    path.write_text(f"\ufeff# mine\n\nb  # a drive\n{frame_id}\n{frame_id}\n", encoding="utf-8")
    wanted = {frame_id, *dataset.frame_ids("b")}
    assert split_frames(dataset, str(path)) == [one for one in dataset.frame_ids() if one in wanted]


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (b"", "DAT009", "lists no frame"),
        (b"# nothing\n\n", "DAT009", "lists no frame"),
        (b"b\nscene-61\nnone\n", "DAT010", "2 of 3 lines name no frame and no drive"),
        (b"\xff\xfe\x00", "DAT011", "is not a text in UTF-8"),
        (None, "DAT004", "cannot be read"),
    ],
)
def test_files_that_list_nothing_or_what_is_unknown_are_refused(root, tmp_path, content, code, text):
    path = tmp_path / "val.txt"
    if content is not None:
        path.write_bytes(content)
    refused(train("budget", root, "--split", path, "--dest", tmp_path / "b"), code, text)
    assert not (tmp_path / "b").exists()


def test_a_list_of_windows_is_read(dataset, tmp_path):
    path = tmp_path / "val.txt"
    path.write_bytes(b"\xef\xbb\xbf# mine\r\nb\r\n\r\nb\r\n")
    assert split_frames(dataset, str(path)) == dataset.frame_ids("b")


@pytest.mark.parametrize("split", [",", " , ", "val:e:0", "val:1.2.3:0", "train:.:0"])
def test_splits_that_name_nothing_are_refused(root, tmp_path, split):
    refused(train("budget", root, "--split", split, "--dest", tmp_path / "b"), "DAT010", split.strip())


def test_a_division_has_two_sides_only(root, tmp_path):
    result = train("budget", root, "--split", "a", "--val-fraction", 0.2, "--dest", tmp_path / "b")
    assert result.exit_code == 2
    assert "the splits are train and val, not 'a'" in result.output


def test_a_fraction_of_the_wrong_seed_is_refused():
    with pytest.raises(SchemaError, match=r"--split-seed is -1"):
        by_fraction("val", 0.5, -1)


SMALL = (
    "--set=train.epochs=1",
    "--set=train.batch_size=2",
    "--set=train.workers=0",
    "--set=data.paste.counts={}",
    "--set=data.coarse.kind=none",
)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A run with a division: the budget is drawn with it, and `fit` and `eval` need no option."""
    path = tmp_path_factory.mktemp("fitted")
    world = make_world(path / "root", ("one", "two"), samples=2)
    drawn = train("budget", world.root, "--val-fraction", 0.5, "--fraction", 1, "--dest", path / "b")
    assert drawn.exit_code == 0, drawn.output
    command = ("fit", "synthetic-small", "--data", world.root, "--budget", path / "b", "--out", path / "run", *SMALL)
    result = train(*command)
    assert result.exit_code == 0, result.output
    return world, path, command, result


def test_fit_validates_on_the_drives_that_the_budget_left_out(fitted):
    world, path, _, result = fitted
    taken = read_taken(path / "run")
    drives = [{world.scene(frame_id) for frame_id in side} for side in (taken.train, taken.val)]
    assert sorted(map(len, drives)) == [1, 1]
    assert not drives[0] & drives[1]
    assert "they are trained on" not in result.output
    assert json.loads((path / "run" / "fit.json").read_text())["val"] == "val:0.5:0"


def test_eval_takes_the_frames_of_the_run(fitted):
    world, path, _, _ = fitted
    result = train("eval", path / "run", "--data", world.root, "--workers", 0, "--json")
    assert json.loads(result.stdout)["quality"]["num_frames"] == 2
    taken = read_taken(path / "run")
    lists = path / "mine.txt"
    lists.write_text("\n".join((*taken.val, taken.train[0])))
    words = ("eval", path / "run", "--data", world.root, "--workers", 0, "--split", lists)
    result = train(*words)
    assert "1 of 3 frames of" in result.output
    assert "were trained on: their scores are too good" in result.output
    assert "were trained on" in " ".join(json.loads(train(*words, "--json", "-").stdout)["notes"])


def test_a_run_without_a_record_of_its_frames_is_scored_on_its_split(fitted, tmp_path):
    world, path, _, _ = fitted
    run = shutil.copytree(path / "run", tmp_path / "run")
    (run / "frames.json").unlink()
    result = train("eval", run, "--data", world.root, "--workers", 0, "--json")
    assert json.loads(result.stdout)["quality"]["num_frames"] == 2
    assert frames_to_score(run, world, None)[0] == list(read_taken(path / "run").val)


def test_a_split_file_that_changes_is_another_split(fitted):
    _, path, command, _ = fitted
    lists = path / "val.txt"
    lists.write_text(read_taken(path / "run").val[0])
    again = (*command[: -len(SMALL)][:-1], path / "other", *SMALL, "--val", lists)
    assert train(*again).exit_code == 0
    lists.write_text("\n".join(read_taken(path / "run").val))
    result = train(*again)
    assert "has other frames than before; earlier scores are kept in scores-" in result.stderr
    assert len(read_taken(path / "other").val) == 2


def test_documents_of_frames_are_checked(tmp_path):
    (tmp_path / "frames.json").write_text('{"train": 1}')
    with pytest.raises(Exception, match=r"\[OUT004\]"):
        read_taken(tmp_path)
    assert TakenFrames((), ()) == TakenFrames(train=(), val=())


def test_eval_says_why_a_detector_that_learned_nothing_scores_nothing(fitted):
    world, path, _, _ = fitted
    result = train("eval", path / "run", "--data", world.root, "--workers", 0)
    assert "AP by overlap in 3D, at 40 recalls and any range" in result.output
    assert "Why AP is nearly 0 (" in result.output
    document = json.loads(train("eval", path / "run", "--data", world.root, "--workers", 0, "--json").stdout)
    assert document["iou"][0]["by_iou"] == [0.0, 0.0, 0.0]
    assert document["reasons"][0]["what"] == "there are no predictions"
