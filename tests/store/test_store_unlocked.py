"""Several processes in a folder on a file system that cannot lock."""

import errno
import fcntl
import os
import warnings

import pytest
from helpers.store_samples import SHARDS, fill, in_child, open_run, outcome, tables_of, tree

from pointsam.base import files
from pointsam.store.document import ShardStats


@pytest.fixture
def no_locks(monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(files.os, "fsync", lambda _descriptor: None)


@pytest.mark.parametrize("attempt", range(3))
def test_processes_that_start_at_once_make_the_tables_of_one(tmp_path, no_locks, attempt):
    start, let = os.pipe()

    def work(i):
        warnings.simplefilter("ignore")
        os.close(let)
        os.read(start, 1)  # until the parent closes the other end
        run = open_run(tmp_path / "out")
        for shard in run.pending((i % len(SHARDS), len(SHARDS))):
            run.commit(shard, tables_of("clusters", shard), ShardStats(peak_mb=2))

    children = [in_child(lambda i=i: work(i)) for i in range(6)]
    os.close(let)
    assert [outcome(child) for child in children] == [0] * 6
    with pytest.warns(UserWarning, match="cannot be locked"):
        fill(tmp_path / "alone")
    one, many = tree(tmp_path / "alone"), tree(tmp_path / "out")
    assert one.keys() == many.keys()
    assert all(many[name] == content for name, content in one.items() if name.endswith(".parquet"))
