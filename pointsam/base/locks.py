"""Locks of folders, against other processes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from pointsam.base.files import make_folder, store_errors


@contextmanager
def locked(folder: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold the lock of a folder, its file `.lock`, against other processes. It ends with the process.

    Where the file system cannot lock (some NFS and Lustre), one warning is given and nothing is locked. Writers are
    safe without it: names of temporary files are unique, and a file is replaced in one step.

    Args:
        folder: the folder.
        waiting: called once if another process holds the lock, before this one waits for it.
    """
    lock = FileLock(folder / ".lock")
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        (folder / ".lock").open("ab").close()  # raises if the folder itself cannot be written
        _warn_unlocked(folder, str(error))
    try:
        yield
    finally:
        lock.release()


@cache
def _warn_unlocked(folder: Path, why: str) -> None:
    warnings.warn(
        f"{folder}: the folder cannot be locked ({why}); start no two commands with different options in it",
        stacklevel=4,
    )


@contextmanager
def claimed(folder: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """As `locked`; the folder is created if it does not exist.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be created or locked.
    """
    with ExitStack() as held:
        with store_errors(folder, 0):
            make_folder(folder)
            held.enter_context(locked(folder, waiting))
        yield
