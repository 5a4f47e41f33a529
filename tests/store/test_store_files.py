import errno
import os

import pytest

from pointsam.base import files
from pointsam.base.errors import StoreError


def test_a_temporary_file_is_hidden_beside_its_path(tmp_path):
    assert files.temporary_of(tmp_path / "a.parquet") == tmp_path / ".a.parquet.tmp"


@pytest.mark.parametrize(("there", "overwrite", "refused"), [(1, 0, 1), (1, 1, 0), (0, 0, 0), (0, 1, 0)])
def test_what_is_there_is_replaced_only_when_asked_for(tmp_path, there, overwrite, refused):
    path = tmp_path / "report"
    if there:
        path.mkdir()
    if refused:
        with pytest.raises(StoreError, match=r"OUT003.*report already exists"):
            files.require_free(path, bool(overwrite))
    else:
        files.require_free(path, bool(overwrite))


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, r"OUT002.*needs 12,345 bytes more, [\d,]+ are free"),
        (errno.EDQUOT, "OUT002.*needs 12,345 bytes more"),
        (errno.EACCES, "OUT003.*cannot write in .*missing: Permission denied"),
    ],
)
def test_a_refusal_to_write_names_the_way_out(tmp_path, number, says):
    with pytest.raises(StoreError, match=says), files.store_errors(tmp_path / "missing", 12_345):
        raise OSError(number, os.strerror(number), "file")


@pytest.mark.parametrize(("number", "passes"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_folder_that_cannot_be_synced_is_no_error_and_a_broken_disk_is(tmp_path, monkeypatch, number, passes):
    def sync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", sync)
    if passes:
        files.write_together([(tmp_path / "deep" / "a", b"1"), (tmp_path / "b", b"2")])
        assert (tmp_path / "deep" / "a").read_bytes() + (tmp_path / "b").read_bytes() == b"12"
    else:
        with pytest.raises(StoreError, match="OUT003"):
            files.write_together([(tmp_path / "a", b"1")])


def test_a_claim_makes_the_folder_and_lets_it_go(tmp_path):
    for _ in range(2):
        with files.claimed(tmp_path / "a" / "b"):
            assert (tmp_path / "a" / "b").is_dir()
