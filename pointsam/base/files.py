"""Atomic writes: a file is complete or absent, also after a kill or a power cut."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from pointsam.base.errors import StoreError

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""Errors of file systems without locks."""


def temporary_of(path: Path) -> Path:
    """The name of a file until it is complete. A killed writer leaves it; the next writer of `path` replaces it.

    The leading dot and the suffix hide it from readers (pyarrow, DuckDB and globs for *.parquet).
    """
    return path.with_name(f".{path.name}.tmp")


def write_together(files: Sequence[tuple[Path, bytes]]) -> None:
    """Write files so that the last one exists only when all others are complete.

    All files are written and synced under temporary names first, so a full disk leaves no final file.

    Raises:
        StoreError: OUT002 if the disk is full, OUT003 if the folder cannot be written. No temporary file stays.
    """
    total = sum(len(data) for _, data in files)
    temporaries = [temporary_of(path) for path, _ in files]
    with store_errors(files[-1][0].parent, total):
        try:
            for temporary, (path, data) in zip(temporaries, files, strict=True):
                make_folder(path.parent)
                _write_synced(temporary, data)
            *members, (seal, _) = files
            if members:
                seal.unlink(missing_ok=True)  # an old seal must not cover a mixture of old and new files
                _sync_folder(seal.parent)
            for path, _ in members:
                os.replace(temporary_of(path), path)
            for folder in sorted({path.parent for path, _ in members}):
                _sync_folder(folder)
            os.replace(temporary_of(seal), seal)
            _sync_folder(seal.parent)
        finally:
            for temporary in temporaries:
                with suppress(OSError):
                    temporary.unlink()


def require_free(path: Path, overwrite: bool) -> None:
    """Refuse to replace an existing file or folder without `overwrite`.

    Raises:
        StoreError: OUT003.
    """
    if path.exists() and not overwrite:
        raise StoreError("OUT003", f"{path} already exists", "choose another name, or pass --overwrite")


def make_folder(path: Path) -> None:
    """Create a folder and its parents, synced to disk."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    _sync_folder(path.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, its file `.lock`, against other processes. It ends with the process.

    On a file system without locks, a warning is given and nothing is locked; one writer per shard is still safe.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire()
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        warnings.warn(f"{folder}: the folder cannot be locked ({error}); run one command at a time in it", stacklevel=3)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """As `locked`; the folder is created if it does not exist.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be created or locked.
    """
    with ExitStack() as held:
        with store_errors(folder, 0):
            make_folder(folder)
            held.enter_context(locked(folder))
        yield


@contextmanager
def store_errors(folder: Path, needed_bytes: int) -> Iterator[None]:
    """Turn the operating system's errors of writing into OUT002 or OUT003."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                "OUT002",
                f"disk full: {folder} needs {needed_bytes:,} bytes more{_free_of(folder)}",
                "free some space or raise the quota, then run the same command again: finished shards are kept",
            ) from error
        raise StoreError(
            "OUT003",
            f"cannot write in {folder}: {error.strerror} ({error.filename})",
            "choose a folder that you may write, on a disk that is not mounted read-only",
        ) from error


def _free_of(folder: Path) -> str:
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), Path())
    try:
        return f", {shutil.disk_usage(existing).free:,} are free"
    except OSError:
        return ""


def _write_synced(path: Path, data: bytes) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(path: Path) -> None:
    if sys.platform == "win32":  # cannot open a folder
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)
