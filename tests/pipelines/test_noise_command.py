"""`pointsam-label noise`: cells are what labelling through the same error gives, and what a sweep makes of them."""

import json
import math
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.commands import label, refused, tables
from helpers.masks import write_masks
from helpers.training import make_world

from pipelines.noise_curves import LOSSES, _crossing, curves, panoptic_quality, read_counts
from pointsam.evaluate.panoptic import class_quality, mean_counted
from pointsam.store.reader import Labels

pytest.importorskip("matplotlib", reason="needs pointsam[plots]")

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
    assert Labels(tmp_path).metadata("clusters")["calibration_perturbation"] == "translation_m=0.5"
    assert Labels(out).metadata("clusters")["calibration_perturbation"] == "none"
    refused(label("clusters", drive[0], "--out", tmp_path, "--masks-from", out), "OUT001", "translation_m")


def test_a_sweep_leaves_tables_curves_and_a_page(sweep):
    folder, said = sweep
    page = (folder / "noise.md").read_text()
    for kind in ("rotation", "dropped"):
        assert f"![{kind}]({kind}.png)" in page
        assert (folder / f"{kind}.png").read_bytes().startswith(b"\x89PNG")
        assert b"</svg>" in (folder / f"{kind}.svg").read_bytes()
    assert "Where labels break" in said
    document = json.loads((folder / "noise.json").read_text())
    assert [(c["kind"], c["sar"], c["level"]) for c in document["curves"]] == [
        ("rotation", False, [0, 1, 4]),
        ("rotation", True, [0, 1, 4]),
        ("dropped", False, [0, 1]),
        ("dropped", True, [0, 1]),
    ]
    for curve in document["curves"]:
        assert curve["pq"][0] >= curve["pq"][-1]
        for value, low, high in zip(curve["pq"], curve["low"], curve["high"], strict=True):
            assert low - 1e-9 <= value <= high + 1e-9


def test_a_sweep_goes_on_and_two_workers_count_the_same(drive, out, sweep, tmp_path):
    for shard in ("0/2", "1/2"):
        more = ("--masks-from", out, *GRID, "--shard", shard, "--workers", 2)
        done = label("noise", drive[0], "--out", tmp_path, *more)
        assert done.exit_code == 0, done.output
        assert ("1 shards are left" in done.output) == (shard == "0/2")
    assert tables(tmp_path) == tables(sweep[0])
    for name in ("cells.parquet", "noise.json", "noise.md", "rotation.png", "rotation.svg"):
        assert (tmp_path / name).read_bytes() == (sweep[0] / name).read_bytes()


def test_masks_made_anew_ask_through_the_wrong_calibration(drive, scissors, tmp_path):
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--set", "masks.prompts=points", "--workers", 1)
    grid = ("--kind", "yaw", "--levels", "yaw=3", "--seeds", 1, "--remask")
    done = label("noise", drive[0], "--out", tmp_path, *known, *grid)
    assert done.exit_code == 0, done.output
    clean, wrong = Labels(tmp_path / "masks_of" / "clean"), Labels(tmp_path / "masks_of" / "yaw=3-0")
    assert wrong.metadata("masks")["calibration_perturbation"] == "rotation_deg=3.0, axis=y"
    frame_id = clean.frame_ids("masks")[0]
    asked = [{name: row.prompts_uv_px.tolist() for name, row in of.masks(frame_id).items()} for of in (clean, wrong)]
    assert asked[0] != asked[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--levels", "rotation=a"), "write KIND=0.1,0.5"),
        (("--levels", "rotations=1"), "no kind of noise"),
        (("--levels", "rotation=-1"), "a size from 0"),
        (("--levels", "focal=1.5", "--kind", "focal"), "a share below 1"),
        (("--noise", "rotation=1"), "names no field"),
        (("--noise", "law=normal"), "'uniform' or 'gaussian'"),
        (("--remask",), "give either the masks to use, or --remask"),
    ],
)
def test_a_grid_that_is_none_is_refused(drive, out, tmp_path, options, message):
    done = label("noise", drive[0], "--out", tmp_path / "sweep", "--masks-from", out, *options)
    assert done.exit_code == 2
    assert message in done.output
    assert not (tmp_path / "sweep").exists()


def test_a_frame_without_truth_is_set_aside(drive, out, tmp_path):
    shutil.copytree(drive[0], tmp_path / "root")
    for table in tmp_path.glob("root/v1.0-*/sample_annotation.json"):
        table.write_text("[]")
    done = label("noise", tmp_path / "root", "--out", tmp_path / "sweep", "--masks-from", out, *GRID, "--workers", 1)
    refused(done, "OUT004", "every frame of the sweep was set aside")


def test_quality_of_counts_is_that_of_the_accumulator():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 5, (7, 4, 10)).astype(float)
    counts[:, 3] = counts[:, 0] * 0.8
    counts[:, :, 3] = 0  # a class that never occurs
    expected = [mean_counted([class_quality("", case[:3, k], case[3, k]).pq for k in range(10)]) for case in counts]
    assert panoptic_quality(counts) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("pq_at", "share", "level"),
    [([1, 0.9, 0.5], 0.05, 0.5), ([1, 0.9, 0.5], 0.2, 1.25), ([1, 0.9, 0.5], 0.6, math.inf), ([0.8, 0.72], 0.1, 1.0)],
)
def test_labels_break_where_the_line_between_two_levels_does(pq_at, share, level):
    levels = np.arange(len(pq_at), dtype=float)
    assert _crossing(levels, np.array(pq_at, float), share) == pytest.approx(level)


def test_bands_narrow_with_the_number_of_frames(sweep):
    counts = read_counts(sweep[0])
    few = curves(counts)
    wide = {(c.kind, c.sar): c.high - c.low for c in few}
    many = type(counts)(
        counts.cells,
        tuple(str(k) for k in range(50 * len(counts.unit))),
        np.tile(counts.panoptic, (50, 1, 1, 1, 1)),
        np.tile(counts.objects, (50, 1, 1, 1)),
        0,
        50 * counts.num_frames,
    )
    for curve in curves(many):
        assert (curve.high - curve.low <= wide[curve.kind, curve.sar] + 1e-9).all()
        assert len(curve.breaks) == len(LOSSES)
