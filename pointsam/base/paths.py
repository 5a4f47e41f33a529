"""Paths of files that are written, made of names that come from data."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from pointsam.base.errors import DatasetError

_MOST_BYTES = 250
"""A file system has 255 for a file name; a temporary file's name is longer by 5."""
_DRIVE = re.compile(r"[A-Za-z]:")


def path_under(folder: Path, name: str, hint: str) -> Path:
    """Path of a file below a folder.

    Whatever becomes the name of a file and was not written in this library's source goes through here: tokens, frame
    ids and the like may be `../../x`.

    Args:
        folder: chosen by the user.
        name: of the file, folders separated by `/`.
        hint: where the name comes from, and how to change it.

    Raises:
        DatasetError: DAT011 on a name that `name_problem` refuses.
    """
    require_name(name, f"{folder}:", hint)
    return folder / name


def require_name(name: str, what: str, hint: str) -> None:
    """Refuse a name from data that could not be part of a path, before anything is written.

    Args:
        name: as for `path_under`.
        what: the name's place in the data, for the message.
        hint: the way out.

    Raises:
        DatasetError: DAT011 on a name that `name_problem` refuses.
    """
    problem = name_problem(name)
    if problem:
        raise DatasetError("DAT011", f"{what} {name[:_MOST_BYTES]!r} cannot name a file: {problem}", hint)


def name_problem(name: str) -> str:
    """Why a name cannot be that of a file below a folder on every system, "" if it can be.

    Refused are absolute names, empty parts, `.` and `..`, drive letters, backslashes, control characters, what is no
    Unicode text, and names that are too long.
    """
    if name.startswith("/"):
        return "it is absolute"
    if "\\" in name:
        return "it holds a backslash"
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        return "it holds a control character or one that is no text"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return f"it has {part!r} as a part"
        if _DRIVE.match(part):
            return f"it names the drive {part[:2]}"
        if len(part.encode()) > _MOST_BYTES:
            return f"it is longer than {_MOST_BYTES} bytes"
    return ""
