"""Both stages on a synthetic drive: once with MobileSAM, otherwise with a trivial segmenter."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import commands

from pointsam.store.reader import Labels
from pointsam.types import NO_INSTANCE

pytest.importorskip("torch", reason="needs pointsam[sam]")

REAL = (sys.executable, "-m", "pipelines.cli.label")
CUT = (sys.executable, str(Path(commands.__file__).with_name("scissors_label.py")))
TESTS = Path(commands.__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}


def label(*arguments, rc=0):
    """The command in this process."""
    done = commands.label(*arguments)
    assert done.exit_code == rc, done.output
    return done.stdout if rc == 0 else done.output


def program(command, *arguments):
    """The command as a user starts it."""
    command = (*command, *map(str, arguments))
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def options(drive, out, *more):
    root, masks = drive
    return ("run", root, "--out", out, "--semantics", "precomputed", "--masks-dir", masks, *more)


def digests(out):
    """Every table's bytes."""
    tables = sorted(Path(out).glob("*/scene=*/*.parquet"))
    assert tables
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in tables}


def interrupt(command, arguments, out, sign):
    """Start a program and kill it and its workers when a file of `sign` is there."""
    command = (*command, *map(str, arguments))
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and not any(out.glob(sign)):
        time.sleep(0.0005)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"


@pytest.fixture(scope="module")
def once(drive, tmp_path_factory):
    """An uninterrupted run with the real network and one worker: (folder, what it printed)."""
    out = tmp_path_factory.mktemp("once") / "out"
    return out, program(REAL, *options(drive, out, "--workers", 1))


def test_a_run_writes_four_tables_and_prints_the_next_command(once):
    out, said = once
    names = {path.name for path in out.glob("[!.]*")}
    assert names == {"run.json", "manifest", "masks", "frames", "points", "clusters"}
    assert f"next: pointsam-label inspect {out}" in said
    summary = json.loads(label("inspect", out, 0, "--json"))
    assert summary["status"] == "ok"
    assert summary["clusters"][0]["cameras"]


def test_points_record_the_number_of_masks_on_them(once):
    labels = Labels(once[0])
    for frame_id in labels.frame_ids():
        found = labels.labels(frame_id)
        labelled = found.labels.instance_id != NO_INSTANCE
        assert labelled.any()
        assert (found.covered[labelled] > 0).all()
        assert (found.covered <= found.views).all()


def test_a_second_call_has_nothing_to_do_and_changes_nothing(once, drive):
    out, _ = once
    before = digests(out)
    assert "masks: nothing left to do" in label(*options(drive, out, "--workers", 1))
    assert digests(out) == before


def test_any_number_of_workers_writes_the_same_bytes(out, drive, tmp_path):
    program(CUT, *options(drive, tmp_path / "out", "--workers", 3))
    assert digests(tmp_path / "out") == digests(out)


def test_shards_on_two_machines_write_the_same_bytes(out, drive, tmp_path, scissors):
    said = label(*options(drive, tmp_path / "out", "--shard", "1/2", "--workers", 1))
    assert "shards are left to other --shard calls" in said
    label(*options(drive, tmp_path / "out", "--shard", "0/2", "--workers", 1))
    assert digests(tmp_path / "out") == digests(out)


@pytest.mark.parametrize("sign", ["run.json", "masks/scene=*/*.parquet", "frames/scene=*/*.parquet"])
def test_after_a_kill_at_any_time_a_second_call_writes_the_same_bytes(out, drive, tmp_path, scissors, sign):
    folder = tmp_path / "out"
    interrupt(CUT, options(drive, folder, "--workers", 2), folder, sign)
    label(*options(drive, folder, "--workers", 1))
    assert digests(folder) == digests(out)


@pytest.mark.heavy
def test_the_real_network_in_two_killed_workers_writes_the_same_bytes(once, drive, tmp_path):
    """What `Scissors` cannot show: the network gives the same bits in every process."""
    out = tmp_path / "out"
    command = options(drive, out, "--workers", 2)
    interrupt(REAL, command, out, "masks/scene=*/*.parquet")
    program(REAL, *command)
    assert digests(out) == digests(once[0])


def test_another_configuration_is_refused_with_the_field_that_differs(once, drive):
    said = label(*options(drive, once[0], "--set", "clusters.refine.range_coef=0.05"), rc=2)
    assert "OUT001" in said
    assert "config.refine.range_coef: 0.04 -> 0.05" in said


def test_clusters_are_made_again_from_the_masks_of_another_folder(once, drive, tmp_path):
    out = tmp_path / "out"
    made = label("clusters", drive[0], "--out", out, "--masks-from", once[0], "--no-sar", "--workers", 1)
    assert not (out / "masks").exists()
    assert f"--png frame.png --masks-from {once[0]}" in made
    label("inspect", out, 0, "--png", tmp_path / "frame.png", "--masks-from", once[0])
    assert (tmp_path / "frame.png").exists()
    assert "SCH004" in label("inspect", out, 0, "--png", tmp_path / "other.png", rc=2)
    said = label("eval", once[0], drive[0], "--against", out, "--json", tmp_path / "eval.json")
    ours, without = json.loads((tmp_path / "eval.json").read_text())
    assert (ours["out"], without["out"]) == (str(once[0]), str(out))
    assert ours["panoptic"]["num_frames"] == 2
    assert "2 frames against" in said


def test_masks_and_clusters_together_equal_run(out, drive, tmp_path, scissors):
    root, masks = drive
    made = tmp_path / "out"
    label("masks", root, "--out", made, "--semantics", "precomputed", "--masks-dir", masks, "--workers", 1)
    label("clusters", root, "--out", made, "--workers", 1)
    assert digests(made) == digests(out)


def test_a_dry_run_prints_the_cost_and_writes_nothing(drive, tmp_path, scissors):
    plan = json.loads(label(*options(drive, tmp_path / "out", "--dry-run", "--json")))
    assert (plan["frames"], plan["images"]) == (2, 12)
    assert plan["hours"] > 0
    assert plan["megabytes"] > 0
    assert not (tmp_path / "out").exists()


def test_a_dry_run_counts_only_the_stages_of_its_command(once, drive, tmp_path):
    again = ("clusters", drive[0], "--out", tmp_path / "out", "--masks-from", once[0], "--dry-run", "--json")
    clusters = json.loads(label(*again, "--workers", 3))
    whole = json.loads(label(*options(drive, tmp_path / "out", "--dry-run", "--json", "--workers", 3)))
    assert clusters["workers"] == {"clusters": 3}
    assert whole["workers"] == {"masks": 3, "clusters": 3}
    assert (clusters["frames"], clusters["images"]) == (whole["frames"], whole["images"])
    assert clusters["hours"] < whole["hours"]
    assert not (tmp_path / "out").exists()


def test_a_picture_is_drawn(once, tmp_path):
    from PIL import Image

    label("inspect", once[0], 1, "--png", tmp_path / "frame.png")
    assert Image.open(tmp_path / "frame.png").width > 1000


def test_exported_labels_are_one_file_per_frame(once, drive, tmp_path):
    for split in ("train", "val"):
        label("export", once[0], drive[0], "--to", "nuscenes-panoptic", "--dest", tmp_path, "--eval-set", split)
        assert len(list((tmp_path / "panoptic" / split).glob("*_panoptic.npz"))) == 1
