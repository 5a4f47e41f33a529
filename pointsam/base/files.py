"""Atomic writes: a file is complete or absent, also after a kill or a power cut.

Until it is complete, a file has a temporary name, unique to the machine, the process and the call. What killed
processes leave is removed by the next writer of the folder.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from pointsam.base import interrupts
from pointsam.base.errors import StoreError

_TEMPORARY = re.compile(r"\..*\.([0-9a-f]{12})-([0-9]{1,10})-[0-9a-f]{8}\.tmp", re.DOTALL)
_NAME_BYTES = 200
"""Bytes of a file's name in that of its temporary file; file systems allow 255 for the whole."""
_OLD_S = 24 * 3600
"""Age at which a temporary file of another machine has no writer any more."""


def temporary_of(path: Path) -> Path:
    """A new name for a file or folder until it is complete.

    The leading dot and the suffix hide it from readers (pyarrow, DuckDB and globs for *.parquet).
    """
    name = path.name
    while len(os.fsencode(name)) > _NAME_BYTES:
        name = name[:-1]
    return path.with_name(f".{name}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file to write piece by piece, which gets its name when the block ends without an error.

    Raises:
        OSError: if it cannot be written; `store_errors` makes it a StoreError. No temporary file stays.
    """
    temporary = temporary_of(path)
    with interrupts.undone_by(lambda: remove_temporary(temporary)):
        _require_replaceable(path)
        make_folder(path.parent)
        remove_stale(path.parent)
        try:
            yield temporary
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
        finally:
            remove_temporary(temporary)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder for files of other libraries; it is removed at the end of the block.

    Raises:
        StoreError: OUT002 or OUT003 if the system's folder of temporary files cannot be written.
    """
    with store_errors(Path(tempfile.gettempdir()), 0):
        folder = tempfile.TemporaryDirectory(prefix="pointsam-")
    with folder as name, interrupts.undone_by(folder.cleanup):
        yield Path(name)


def write_together(files: Sequence[tuple[Path, bytes]]) -> None:
    """Write files so that the last one exists only when all others are complete.

    All files are written and synced under temporary names first, so a full disk leaves no final file.

    Raises:
        StoreError: OUT002 if the disk is full, OUT003 if the folder cannot be written. No temporary file stays.
    """
    total = sum(len(data) for _, data in files)
    temporaries = [temporary_of(path) for path, _ in files]

    def remove() -> None:
        for temporary in temporaries:
            remove_temporary(temporary)

    with store_errors(files[-1][0].parent, total), interrupts.undone_by(remove):
        try:
            for path, _ in files:
                _require_replaceable(path)
            for temporary, (path, data) in zip(temporaries, files, strict=True):
                make_folder(path.parent)
                remove_stale(path.parent)
                _write_synced(temporary, data)
            with interrupts.uninterrupted():
                *members, (seal, _) = files
                if members:
                    seal.unlink(missing_ok=True)  # an old seal must not cover a mixture of old and new files
                    _sync_folder(seal.parent)
                for temporary, (path, _) in zip(temporaries, members, strict=False):
                    os.replace(temporary, path)
                for folder in sorted({path.parent for path, _ in members}):
                    _sync_folder(folder)
                os.replace(temporaries[-1], seal)
                _sync_folder(seal.parent)
        finally:
            remove()


def page_bytes(text: str) -> bytes:
    """A page for people in UTF-8; lone surrogates, as of file names that are not UTF-8, are written as escapes."""
    return text.encode("utf-8", "backslashreplace")


def remove_temporary(path: Path) -> None:
    """Remove a file or folder named by `temporary_of`, if it is there. Nothing else of a folder's kind is ever removed.

    Errors of the operating system are ignored: a later writer of the folder tries again.
    """
    if not _TEMPORARY.fullmatch(path.name):
        raise ValueError(f"{path} is not a temporary file")
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@cache
def remove_stale(folder: Path) -> None:
    """Once per process and folder, remove the temporary files and folders of dead processes."""
    with suppress(OSError):
        for path in folder.iterdir():
            parts = _TEMPORARY.fullmatch(path.name)
            if parts and _is_stale(path, parts[1], int(parts[2])):
                remove_temporary(path)


def _is_stale(path: Path, machine: str, process: int) -> bool:
    """Whether the writer of a temporary file is surely gone: it ran here and is not there, or long ago elsewhere."""
    if machine != _machine():
        return time.time() - path.lstat().st_mtime > _OLD_S
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # of another user
        return False
    return False


@cache
def _machine() -> str:
    """12 hex digits that two processes share only if they see each other's process ids."""
    known = [socket.gethostname()]
    with suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with suppress(OSError):
        known.append(os.readlink("/proc/self/ns/pid"))  # containers of one host share its name
    return hashlib.sha256("\n".join(known).encode(errors="surrogateescape")).hexdigest()[:12]


def require_free(path: Path, overwrite: bool, folder: bool = False) -> None:
    """Refuse to replace an existing file or folder without `overwrite`, and a folder by a file.

    Args:
        path: what is to be written.
        overwrite: replace it.
        folder: whether it is to be a folder.

    Raises:
        StoreError: OUT003.
    """
    if path.is_dir() and not folder:
        raise StoreError("OUT003", f"{path} is a folder", "give the name of a file")
    if path.exists() and not overwrite:
        raise StoreError("OUT003", f"{path} already exists", "choose another name, or pass --overwrite")


def require_file(path: Path) -> None:
    """Refuse a pipe, socket or device, whose reading could wait for ever; those below /dev and /proc are as intended.

    Raises:
        OSError: if it is one; nothing on other files, and on missing ones.
    """
    if path.exists() and not path.is_file() and not path.is_dir() and path.parts[1:2] not in (("dev",), ("proc",)):
        raise OSError(errno.EINVAL, "it is not a regular file but a pipe, a socket or a device", str(path))


def _require_replaceable(path: Path) -> None:
    """Raise if a rename would take the place of a device or pipe: the superuser could lose `/dev/null`."""
    if path.parent == Path("/dev") or (path.exists() and not path.is_file() and not path.is_dir()):
        raise OSError(errno.EINVAL, "a file cannot take the place of a device, pipe or socket", str(path))


def make_folder(path: Path) -> None:
    """Create a folder and its parents, synced to disk."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    _sync_folder(path.parent)


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
                "free some space or raise the quota, then run the same command again: what is finished is kept",
            ) from error
        raise StoreError(
            "OUT003",
            f"cannot write in {folder}: {error.strerror or error} ({error.filename})",
            "choose a folder that you may write, on a disk that is not mounted read-only",
        ) from error


def _free_of(folder: Path) -> str:
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), Path())
    try:
        return f", {shutil.disk_usage(existing).free:,} are free"
    except OSError:
        return ""


def _write_synced(path: Path, data: bytes) -> None:
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
