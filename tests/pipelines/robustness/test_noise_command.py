"""`pointsam-label noise`: a cell has the counts of labels with the same error; tables, curves and page of a sweep."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
from helpers.commands import label, refused, tables, watch_lock
from helpers.masks import write_masks
from helpers.training import make_world

from pipelines.robustness import page as noise_report
from pipelines.robustness.counts import read_counts
from pointsam.base.hardware import hardware
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.store.reader import Labels

GRID = ("--kind", "rotation", "--levels", "rotation=0,1,4", "--kind", "dropped", "--levels", "dropped=1", "--seeds", 2)


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """A root whose sweeps show its boxes, and good 2D results for it."""
    folder = tmp_path_factory.mktemp("world")
    world = make_world(folder / "root", samples=2)
    write_masks(world, folder / "masks")
    return world.root, folder / "masks"


@pytest.fixture(scope="module")
def sweep(drive, out, tmp_path_factory):
    """A sweep of the drive: (folder, what was printed)."""
    folder = tmp_path_factory.mktemp("noise") / "sweep"
    done = label("noise", drive[0], "--out", folder, "--masks-from", out, *GRID, "--workers", 1)
    assert done.exit_code == 0, done.output
    return folder, done.stdout


def figures(out, root, path):
    assert label("eval", out, root, "--json", path).exit_code == 0
    (report,) = json.loads(path.read_text())
    return report


@pytest.mark.parametrize("sar", [True, False])
def test_a_cell_counts_what_labelling_through_its_error_gives(drive, out, sweep, tmp_path, sar):
    wrong = ("--noise", "rotation_deg=4", "--noise", "seed=1", *([] if sar else ["--no-sar"]))
    made = label("clusters", drive[0], "--out", tmp_path / "out", "--masks-from", out, *wrong, "--workers", 1)
    assert made.exit_code == 0, made.output
    report = figures(tmp_path / "out", drive[0], tmp_path / "eval.json")
    rows = pq.read_table(sweep[0] / "cells.parquet").to_pylist()
    (row,) = [row for row in rows if row["cell"] == "rotation=4/1" and row["sar"] == sar]
    sums = {name: sum(c[name] for c in report["panoptic"]["classes"]) for name in ("tp", "fp", "fn")}
    assert {name: row[name] for name in sums} == sums
    assert row["pq"] == pytest.approx(report["panoptic"]["pq"])
    assert row["object_iou"] == pytest.approx(report["agnostic"]["overall"]["mean_iou"])
    assert row["object_recall"] == pytest.approx(report["agnostic"]["overall"]["recall"])


def test_the_clean_cell_is_the_run_itself(drive, out, sweep, tmp_path):
    clean = [
        row for row in pq.read_table(sweep[0] / "cells.parquet").to_pylist() if row["cell"] == "clean" and row["sar"]
    ]
    assert clean[0]["pq"] == pytest.approx(figures(out, drive[0], tmp_path / "eval.json")["panoptic"]["pq"])
    assert clean[0]["pq"] > 0.3


def test_labels_of_a_wrong_calibration_say_so(drive, out, tmp_path):
    made = label("clusters", drive[0], "--out", tmp_path, "--masks-from", out, "--noise", "translation_m=0.5")
    assert made.exit_code == 0, made.output
    assert Labels(tmp_path).metadata("clusters").calibration_perturbation == "translation_m=0.5"
    assert Labels(out).metadata("clusters").calibration_perturbation == "none"
    refused(label("clusters", drive[0], "--out", tmp_path, "--masks-from", out), "OUT001", "translation_m")


def test_a_sweep_leaves_tables_curves_and_a_page(sweep):
    folder, said = sweep
    page = (folder / "noise.md").read_text()
    for name in ("noise", "noise_lost"):
        assert f"]({name}.png)" in page
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"</svg>" in (folder / f"{name}.svg").read_bytes()
    assert "Size of the error at a loss of 5 % and 20 %" in said
    document = json.loads((folder / "noise.json").read_text())
    assert [(c["kind"], c["sar"], c["level"]) for c in document["curves"]] == [
        ("rotation", False, [0, 1, 4]),
        ("rotation", True, [0, 1, 4]),
        ("dropped", False, [0, 1]),
        ("dropped", True, [0, 1]),
    ]
    for curve in document["curves"]:
        assert curve["pq"][0] >= curve["pq"][-1]
        assert curve["lost"][0] == 0
        assert curve["lost"][-1] == pytest.approx(1 - curve["pq"][-1] / curve["pq"][0])
        for name, (low, high) in {"pq": ("low", "high"), "lost": ("lost_low", "lost_high")}.items():
            for band in zip(curve[low], curve[name], curve[high], strict=True):
                assert list(band) == pytest.approx(sorted(band))
    assert [moved["kind"] for moved in document["moved_by_sar"]] == ["rotation", "dropped"]
    for moved in document["moved_by_sar"]:
        assert [set(one) for one in moved["breaks"]] == [{"lost", "by", "low", "high"}] * 2


def test_scenes_are_drawn_where_they_are_many_and_frames_where_few_scenes_have_any(sweep, monkeypatch):
    frames = read_counts(sweep[0])
    assert (len(frames.unit), frames.num_frames) == (4, 4)
    monkeypatch.setattr("pipelines.robustness.counts.FEWEST_SCENES", 2)
    scenes = read_counts(sweep[0])
    assert scenes.unit == ("scene-0061", "scene-0103")
    assert scenes.panoptic.sum(axis=0) == pytest.approx(frames.panoptic.sum(axis=0))
    assert len(frames.panoptic) == 2 * len(scenes.panoptic)


def test_a_scene_all_of_whose_frames_are_quarantined_is_none(drive, out, tmp_path, monkeypatch):
    shutil.copytree(drive[0], tmp_path / "root")
    world = NuScenes(tmp_path / "root")
    for frame_id in world.frame_ids()[2:]:
        world.frame(frame_id).sweep.source.path.write_bytes(b"torn")
    grid = ("--kind", "dropped", "--levels", "dropped=1", "--seeds", 1, "--workers", 1)
    done = label("noise", world.root, "--out", tmp_path / "sweep", "--masks-from", out, *grid)
    assert done.exit_code == 3
    monkeypatch.setattr("pipelines.robustness.counts.FEWEST_SCENES", 2)
    counts = read_counts(tmp_path / "sweep")
    assert (list(counts.unit), counts.failed) == (world.frame_ids()[:2], 2)


def test_what_a_sweep_leaves_is_written_while_others_wait(drive, out, tmp_path, monkeypatch):
    held = watch_lock(monkeypatch, noise_report, lambda _: tmp_path)
    done = label("noise", drive[0], "--out", tmp_path, "--masks-from", out, "--kind", "time", "--workers", 1)
    assert done.exit_code == 0, done.output
    assert held == [True]


def test_a_sweep_says_how_it_was_made(drive, out, sweep, tmp_path, monkeypatch):
    words = ["noise", str(drive[0]), "--out", str(tmp_path), "--masks-from", str(out), *map(str, GRID)]
    monkeypatch.setattr("sys.argv", ["/somewhere/pointsam-label", *words])
    assert label(*words, "--workers", 1).exit_code == 0
    page = (tmp_path / "noise.md").read_text()
    assert f"`pointsam-label {' '.join(words)}`\n" in page
    assert f"Seeds: 0, 1. Written on {hardware()}.\n" in page
    assert "masks reused in every cell" in page
    document = json.loads((tmp_path / "noise.json").read_text())
    assert (document["masks"], document["seeds"]) == ("reused", [0, 1])
    assert set(pq.read_table(tmp_path / "cells.parquet")["masks"].to_pylist()) == {"reused"}


def test_a_sweep_goes_on_and_two_workers_count_the_same(drive, out, sweep, tmp_path):
    for shard in ("0/2", "1/2"):
        more = ("--masks-from", out, *GRID, "--shard", shard, "--workers", 2)
        done = label("noise", drive[0], "--out", tmp_path, *more)
        assert done.exit_code == 0, done.output
        assert ("1 shards are left" in done.output) == (shard == "0/2")
    assert tables(tmp_path) == tables(sweep[0])
    for name in ("cells.parquet", "noise.json", "noise.md", "noise.png", "noise_lost.svg"):
        assert (tmp_path / name).read_bytes() == (sweep[0] / name).read_bytes()


def test_masks_made_anew_ask_through_the_wrong_calibration(drive, scissors, tmp_path):
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--set", "masks.prompts=points", "--workers", 1)
    grid = ("--kind", "yaw", "--levels", "yaw=3", "--seeds", 1, "--remask")
    done = label("noise", drive[0], "--out", tmp_path, *known, *grid)
    assert done.exit_code == 0, done.output
    assert "masks re-made in every cell" in (tmp_path / "noise.md").read_text()
    assert json.loads((tmp_path / "noise.json").read_text())["masks"] == "re-made"
    assert set(pq.read_table(tmp_path / "cells.parquet")["masks"].to_pylist()) == {"re-made"}
    clean, wrong = Labels(tmp_path / "masks_of" / "clean"), Labels(tmp_path / "masks_of" / "yaw=3-0")
    assert wrong.metadata("masks").calibration_perturbation == "rotation_deg=3.0, axis=y"
    frame_id = clean.frame_ids("masks")[0]
    asked = [{name: row.prompts_uv_px.tolist() for name, row in of.masks(frame_id).items()} for of in (clean, wrong)]
    assert asked[0] != asked[1]


@pytest.mark.parametrize("prompts", [(), ("--set", "masks.prompts=boxes", "--recipe", "paper")])
def test_masks_that_no_calibration_changes_are_not_made_anew(drive, tmp_path, prompts):
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--remask")
    done = label("noise", drive[0], "--out", tmp_path / "sweep", *known, *prompts)
    refused(done, "SCH005", "masks.prompts=boxes", "--set masks.prompts=points", "--recipe paper")
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("prompts", [("--recipe", "paper"), ("--set", "masks.prompts=both")])
def test_masks_that_points_prompt_are_made_anew(drive, tmp_path, prompts):
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--remask", "--dry-run")
    done = label("noise", drive[0], "--out", tmp_path / "sweep", *known, *prompts)
    assert done.exit_code == 0, done.output


def test_points_prompt_where_a_mask_holds_a_whole_class(drive, tmp_path):
    folder = tmp_path / "semantic" / "CAM_FRONT"
    folder.mkdir(parents=True)
    (folder.parent / "labels.json").write_text("{}")
    (folder / "a.png").touch()
    known = ("--semantics", "precomputed", "--masks-dir", folder.parent, "--remask", "--dry-run")
    assert label("noise", drive[0], "--out", tmp_path / "sweep", *known).exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--levels", "rotation=a"), "write KIND=0.1,0.5"),
        (("--levels", "rotation="), "write KIND=0.1,0.5"),
        (("--levels", "rotation=1", "--levels", "rotation=2"), "rotation is given twice"),
        (("--levels", "rotations=1"), "no kind of noise is named rotations"),
        (("--levels", "yaw=1"), "not swept"),
        (("--levels", "rotation=-1"), "sizes must be finite and above 0"),
        (("--levels", "focal=1.5", "--kind", "focal"), "a fraction below 1"),
        (("--levels", "dropped=6", "--kind", "dropped"), "dropped=6/0 fits none of 4 frames"),
        (("--noise", "rotation=1"), "names no field"),
        (("--noise", "law=normal"), "'uniform' or 'gaussian'"),
        (("--noise", "rotation_deg=0.5", "--kind", "translation"), "starts from the true calibration"),
        (("--remask",), "give either --masks-from or --remask"),
        (("--masks", "sam_vit_b"), "already exist"),
        (("--semantics", "oracle"), "already exist"),
        (("--masks-dir", "."), "already exist"),
        (("--mapping", "file.json"), "already exist"),
        (("--weights", "file.pt"), "already exist"),
        (("--set", "masks.prompts=points"), "already exist"),
        (("--seed", "0"), "--noise seed=1"),
    ],
)
def test_a_grid_that_is_none_is_refused(drive, out, tmp_path, options, message):
    done = label("noise", drive[0], "--out", tmp_path / "sweep", "--masks-from", out, *options)
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())
    assert not (tmp_path / "sweep").exists()


def test_how_errors_are_drawn_may_be_chosen(drive, out, tmp_path):
    how = ("--noise", "scope=frame", "--noise", "law=gaussian", "--noise", "axis=each", "--noise", "seed=4")
    done = label("noise", drive[0], "--out", tmp_path / "sweep", "--masks-from", out, *how, "--dry-run")
    assert done.exit_code == 0, done.output


def test_a_dry_run_tells_frames_and_cells(drive, out, tmp_path):
    asked = ("noise", drive[0], "--out", tmp_path / "sweep", "--masks-from", out, *GRID, "--dry-run")
    cells = ["clean", *(f"{name}/{seed}" for name in ("rotation=1", "rotation=4", "dropped=1") for seed in (0, 1))]
    assert "4 frames, 7 cells, each with and without SAR: " + ", ".join(cells) in label(*asked).stdout
    assert json.loads(label(*asked, "--json").stdout) == {"frames": 4, "cells": cells}
    assert json.loads(label(*asked, "--json", "--sample", 3).stdout) == {"frames": 3, "cells": cells}
    assert not (tmp_path / "sweep").exists()


def test_a_frame_without_ground_truth_is_quarantined(drive, out, tmp_path):
    shutil.copytree(drive[0], tmp_path / "root")
    for table in tmp_path.glob("root/v1.0-*/sample_annotation.json"):
        table.write_text("[]")
    done = label("noise", tmp_path / "root", "--out", tmp_path / "sweep", "--masks-from", out, *GRID, "--workers", 1)
    refused(done, "OUT004", "every frame is quarantined")
