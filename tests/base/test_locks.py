"""Locks of folders."""

import errno
import os

import pytest
from filelock import FileLock
from helpers.commands import is_locked

from pointsam.base.errors import StoreError
from pointsam.base.locks import claimed, locked


def refusing(monkeypatch, error):
    def acquire(self, **_):
        raise error

    monkeypatch.setattr(FileLock, "acquire", acquire)


def test_a_lock_is_held_and_released(tmp_path):
    with claimed(tmp_path / "new"):
        assert is_locked(tmp_path / "new")
    assert not is_locked(tmp_path / "new")


@pytest.mark.parametrize(
    "error",
    [
        *(OSError(n, os.strerror(n)) for n in (errno.ENOLCK, errno.EPERM, errno.EIO, errno.EOPNOTSUPP, errno.EINVAL)),
        NotImplementedError("no flock"),
    ],
    ids=repr,
)
def test_a_file_system_without_locks_gives_a_warning(tmp_path, monkeypatch, error):
    refusing(monkeypatch, error)
    with pytest.warns(UserWarning, match="cannot be locked") as told, locked(tmp_path):
        pass
    assert str(tmp_path) in str(told[0].message)


def test_the_warning_is_given_once(tmp_path, monkeypatch):
    refusing(monkeypatch, OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)))
    with pytest.warns(UserWarning, match="cannot be locked") as told, locked(tmp_path), claimed(tmp_path):
        pass
    assert len(told) == 1


def test_a_folder_in_which_no_lock_can_be_made_is_an_error(tmp_path):
    (tmp_path / "out" / ".lock").mkdir(parents=True)
    with pytest.raises(StoreError, match="OUT003"), claimed(tmp_path / "out"):
        pass
