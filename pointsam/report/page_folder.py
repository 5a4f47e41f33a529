"""The folder of a report page: which folders a new page may replace, and how it replaces them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pointsam.base import interrupts
from pointsam.base.errors import StoreError
from pointsam.base.files import make_folder, remove_temporary, require_free, store_errors, temporary_of

MARKER = ".pointsam-report"
"""A file of this name marks a folder that `report` or `show` made."""

_FILES = (MARKER, "index.html", "three.js", "viewer.js", "page.css")
_FRAME_FILE = re.compile(r"\d{3,}(-.*)?\.(js|jpg|png)")
_START = b"POINTSAM.start("


def require_replaceable(dest: Path, overwrite: bool, sources: Sequence[Path] = ()) -> None:
    """Refuse a folder that a page must not replace.

    Args:
        dest: folder of the new page.
        overwrite: whether a page or an empty folder may be replaced.
        sources: folders that the page is made from; `dest` must not be, contain or lie in any of them.

    Raises:
        StoreError: OUT003.
    """
    place = dest.resolve()
    require_outside(dest, sources, also_above=True)
    require_free(dest, overwrite, folder=True)
    with store_errors(place, 0):
        foreign = _foreign(place) if place.exists() else None
    if foreign is not None:
        raise StoreError(
            "OUT003",
            f"{dest} is not a page that PointSAM made: {foreign}",
            "choose another --dest, or remove the folder yourself: --overwrite replaces pages only",
        )


def require_outside(dest: Path, sources: Sequence[Path], also_above: bool = False) -> None:
    """Refuse to write into the folders that something is made from.

    Args:
        dest: folder to write to.
        sources: these folders.
        also_above: whether `dest` must not contain one of them either.

    Raises:
        StoreError: OUT003.
    """
    place = dest.resolve()
    for source in sources:
        held = source.resolve()
        above = held.is_relative_to(place) and held != place
        if place.is_relative_to(held) or (above and also_above):
            relation = "is" if place == held else "contains" if above else "lies in"
            raise StoreError(
                "OUT003",
                f"{dest} {relation} {source}, which the output is made from",
                "pass a --dest outside of the labels, the masks and the data",
            )


@contextmanager
def page_folder(dest: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to write a page into. It replaces `dest` when the block ends without an error.

    Two renames replace it; the old page is deleted after them. After an error the old page is unchanged, and the new
    one is deleted.

    Raises:
        StoreError: OUT003 if `dest` may not be replaced or cannot be written, OUT002 on a full disk.
    """
    place = dest.resolve()
    with store_errors(place.parent, 0):
        make_folder(place.parent)
        work = temporary_of(place)
        new, old = work / "new", work / "old"
        with interrupts.undone_by(lambda: remove_temporary(work)), ExitStack() as at_end:
            at_end.callback(remove_temporary, work)
            new.mkdir(parents=True)
            marked = "A page of pointsam-label report or mixsup-train show: --overwrite may replace this folder.\n"
            (new / MARKER).write_text(marked, encoding="utf-8")
            yield new
            require_replaceable(dest, overwrite)  # again: others may have written there in the meantime
            with interrupts.uninterrupted():
                if place.exists():
                    place.rename(old)
                try:
                    new.rename(place)
                except OSError:
                    if old.exists():
                        old.rename(place)
                    raise


def _foreign(folder: Path) -> str | None:
    """The reason why a folder is not a page; None for a page or an empty folder. Pages of 0.1.0 have no marker."""
    if not folder.is_dir():
        return "it is a file"
    frames = folder / "frames"
    others = [path for path in folder.iterdir() if path != frames and (path.name not in _FILES or path.is_dir())]
    if not others and frames.is_dir():
        others = [path for path in frames.iterdir() if not _FRAME_FILE.fullmatch(path.name) or path.is_dir()]
    if others:
        return f"it holds {min(others).relative_to(folder)}"
    page = folder / "index.html"
    if (
        any(folder.iterdir())
        and not (folder / MARKER).is_file()
        and not (page.is_file() and _START in page.read_bytes())
    ):
        return f"it has neither {MARKER} nor the index.html of a page"
    return None
