"""The folder of a new root: complete, or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pointsam.base import interrupts
from pointsam.base.errors import StoreError
from pointsam.base.files import make_folder, remove_stale, remove_temporary, store_errors, temporary_of
from pointsam.base.paths import path_under
from pointsam.base.remote import DataPath

_NAME_HINT = "rename the scenes, cameras or images of the data set: names of files are made from theirs"


def require_empty(dest: Path, root: DataPath) -> None:
    """Refuse a folder that holds something, or that lies in the data.

    Raises:
        StoreError: OUT003.
    """
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise StoreError("OUT003", f"{dest} is not an empty folder", "give a new folder")
    if isinstance(root, Path) and root.resolve() in (dest.resolve(), *dest.resolve().parents):
        raise StoreError("OUT003", f"{dest} lies in the data set {root}", "give a folder outside of it")


def put(folder: Path, files: Mapping[str, bytes]) -> int:
    """Write files into the folder that is not complete yet; number of bytes."""
    size = sum(map(len, files.values()))
    with store_errors(folder, size):
        for name, content in files.items():
            path = path_under(folder, name, _NAME_HINT)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return size


@contextmanager
def new_folder(dest: Path) -> Iterator[Path]:
    """A hidden folder beside `dest`, which takes its place at the end of the block and goes if that is not reached.

    What killed processes left beside `dest` goes too.
    """
    dest = dest.resolve()  # a link to an empty folder stays one
    temporary = temporary_of(dest)

    def remove() -> None:
        remove_temporary(temporary)

    with store_errors(dest, 0), interrupts.undone_by(remove):
        try:
            make_folder(temporary.parent)
            remove_stale(temporary.parent)
            temporary.mkdir()
            yield temporary
            if dest.is_dir():
                dest.rmdir()  # empty
            os.replace(temporary, dest)
        finally:
            if temporary.exists():
                shutil.rmtree(temporary, ignore_errors=True)
