"""Kills, full disks, read-only folders and writers at the same time."""

import errno
import os
import pickle
import random
import signal
import time

import pytest
from helpers.store_samples import (
    METADATA,
    SHARDS,
    die_at,
    fill,
    frame_labels,
    in_child,
    label_tables,
    open_run,
    outcome,
    tables_of,
    tree,
)

from pointsam.base import files
from pointsam.base.errors import StoreError
from pointsam.store.document import ShardStats
from pointsam.store.manifest import Run
from pointsam.store.reader import Labels


def temporaries(out):
    return [name for name in tree(out) if name.endswith(".tmp")]


TWO = SHARDS[:2]


@pytest.fixture
def unsynced(monkeypatch):
    """A killed process loses nothing that the kernel has: hundreds of runs need not wait for the disk."""
    monkeypatch.setattr(files.os, "fsync", lambda _descriptor: None)


@pytest.fixture(scope="module")
def whole_two(tmp_path_factory):
    out = tmp_path_factory.mktemp("two")
    fill(out, shards=TWO)
    return tree(out)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    fill(out)
    return tree(out)


ONE = SHARDS[1:2]


def test_killed_before_any_step_and_run_again_gives_equal_bytes(tmp_path, unsynced):
    fill(tmp_path / "whole", shards=ONE)
    whole_one = tree(tmp_path / "whole")
    step, ended = 0, -signal.SIGKILL
    while ended == -signal.SIGKILL:
        out = tmp_path / str(step)

        def work(out=out, step=step):
            die_at(step, out)
            fill(out, shards=ONE)

        ended = outcome(in_child(work))
        if (out / "run.json").exists() and (out / "manifest" / "clusters.json").exists():
            labels = Labels(out)
            assert all(len(labels.labels(frame_id).clusters) == 3 for frame_id in labels.frame_ids())
        fill(out, shards=ONE)
        assert tree(out) == whole_one, f"killed before step {step}"
        step += 1
    assert ended == 0
    assert step > 20


def test_killed_four_times_at_random_and_run_again_gives_equal_bytes(tmp_path, whole, unsynced):
    start = time.perf_counter()
    fill(tmp_path / "timed")
    duration, rng = time.perf_counter() - start, random.Random(0)
    for _ in range(4):
        child = in_child(lambda: fill(tmp_path / "out"))
        time.sleep(rng.uniform(0, duration))
        os.kill(child, signal.SIGKILL)
        outcome(child)
    fill(tmp_path / "out")
    assert tree(tmp_path / "out") == whole


def test_a_torn_temporary_file_of_a_killed_run_is_replaced(tmp_path, whole):
    run = open_run(tmp_path)
    path = tmp_path / "points" / "scene=one" / f"{SHARDS[0].name}.parquet"
    path.parent.mkdir(parents=True)
    assert outcome(in_child(lambda: files.temporary_of(path).write_bytes(b"PAR1 torn"))) == 0
    assert run.done() == set()
    fill(tmp_path)
    assert tree(tmp_path) == whole


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_wherever_the_disk_fills_up_nothing_torn_stays(tmp_path, whole_two, monkeypatch, unsynced, code):
    step = 0
    while True:
        out, calls = tmp_path / str(step), iter(range(10_000))
        run = open_run(out, shards=TWO)
        run.commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats(peak_mb=2))

        def full(_descriptor, calls=calls, step=step):
            if next(calls) == step:
                raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patched:
            patched.setattr(files.os, "fsync", full)
            try:
                fill(out, shards=TWO)
                break
            except StoreError as error:
                refusal = error
        assert refusal.code == "OUT002"
        assert "bytes more" in refusal.message
        assert temporaries(out) == []
        assert SHARDS[0].name in run.done()
        fill(out, shards=TWO)
        assert tree(out) == whole_two
        step += 1
    assert step > 4 * (len(TWO) - 1)


def test_a_really_full_disk_keeps_finished_shards_and_room_lets_the_run_go_on(tmp_path, mounted):
    disk = mounted("size=512k")
    options = {"num_masks": 50, "mask_bytes": 400}  # some 90 kB a shard
    (disk / "filler").write_bytes(bytes(250_000))
    with pytest.raises(StoreError, match="OUT002") as caught:
        fill(disk / "out", "masks", **options)
    assert "bytes more" in caught.value.message
    assert temporaries(disk / "out") == []
    run = open_run(disk / "out", "masks")
    assert 0 < len(run.done()) < len(SHARDS)
    (disk / "filler").unlink()
    fill(disk / "out", "masks", **options)
    fill(tmp_path / "roomy", "masks", **options)
    assert tree(disk / "out") == tree(tmp_path / "roomy")


def test_a_really_read_only_disk_is_named(mounted):
    disk = mounted("size=64k,ro")
    with pytest.raises(StoreError, match=r"OUT003.*Read-only"):
        open_run(disk / "out")


def test_a_folder_that_turns_read_only_is_named(tmp_path, monkeypatch):
    run = open_run(tmp_path)

    def refuse(*_args, **_kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path))

    monkeypatch.setattr(files.Path, "mkdir", refuse)
    with pytest.raises(StoreError, match="OUT003") as caught:
        run.commit(SHARDS[0], tables_of("clusters", SHARDS[0]), ShardStats())
    assert str(tmp_path) in caught.value.message


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_place_of_the_folder_is_named(tmp_path, below):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(StoreError, match="OUT003") as caught:
        open_run(tmp_path / "out" / below)
    assert str(tmp_path / "out") in caught.value.message
    assert (tmp_path / "out").read_text() == "mine"


def test_processes_that_start_at_once_share_a_run(tmp_path, whole):
    children = [in_child(lambda i=i: fill(tmp_path, shard_of=(i, 3))) for i in range(3)]
    assert [outcome(child) for child in children] == [0, 0, 0]
    assert tree(tmp_path) == whole


def test_the_same_command_twice_at_once_does_no_harm(tmp_path, whole):
    children = [in_child(lambda: fill(tmp_path)) for _ in range(3)]
    assert [outcome(child) for child in children] == [0, 0, 0]
    assert tree(tmp_path) == whole


def test_stages_that_start_at_once_are_both_registered(tmp_path):
    for k in range(4):
        out = tmp_path / str(k)
        children = [in_child(lambda s=s, out=out: open_run(out, s)) for s in ("masks", "clusters", "masks")]
        assert [outcome(child) for child in children] == [0, 0, 0]
        assert Labels(out).key("masks") == open_run(out, "masks").key
        assert Labels(out).key("clusters") == open_run(out, "clusters").key


def test_a_killed_retry_of_failed_frames_leaves_no_mixture(tmp_path, unsynced):
    def tables(error):  # equal sizes, so that only the missing entry can tell old from new
        return label_tables([frame_labels(name, failed=True, error=error) for name in SHARDS[0].frame_ids])

    step, ended, seen = 0, -signal.SIGKILL, set()
    while ended == -signal.SIGKILL:
        out = tmp_path / str(step)
        run = open_run(out, shards=SHARDS[:1])
        run.commit(SHARDS[0], tables("once"), ShardStats())

        def work(run=run, out=out, step=step):
            die_at(step, out)
            run.commit(SHARDS[0], tables("more"), ShardStats())

        ended = outcome(in_child(work))
        labels = Labels(out)
        seen.add(tuple(labels.labels(frame_id).frame.error for frame_id in labels.frame_ids()))
        step += 1
    assert seen == {("once", "once"), (), ("more", "more")}


def test_a_run_travels_to_another_process_as_it_is(tmp_path):
    run = pickle.loads(pickle.dumps(open_run(tmp_path)))
    assert isinstance(run, Run)
    assert run.pending() == list(SHARDS)
    assert METADATA["calibration_perturbation"] == Labels(tmp_path).metadata("clusters").calibration_perturbation
