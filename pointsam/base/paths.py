"""Paths of output files whose names come from data."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from pointsam.base.errors import DatasetError

_MOST_BYTES = 250
"""File systems allow 255; the name of a temporary file is 5 bytes longer."""
_DRIVE = re.compile(r"[A-Za-z]:")


def path_under(folder: Path, name: str, hint: str) -> Path:
    """Path of a file below a folder.

    All file names from data (tokens, frame ids, ...) go through this function, because they may be `../../x`.

    Args:
        folder: folder that the user chose.
        name: name of the file, with `/` between folders.
        hint: origin of the name and how to change it, for the error.

    Raises:
        DatasetError: DAT011 on a name that `name_problem` refuses.
    """
    require_name(name, f"{folder}:", hint)
    return folder / name


def require_name(name: str, what: str, hint: str) -> None:
    """Refuse a name from data that cannot be part of a path.

    Args:
        name: as for `path_under`.
        what: origin of the name, for the message.
        hint: hint of the error.

    Raises:
        DatasetError: DAT011 on a name that `name_problem` refuses.
    """
    problem = name_problem(name)
    if problem:
        raise DatasetError("DAT011", f"{what} {name[:_MOST_BYTES]!r} cannot name a file: {problem}", hint)


def name_problem(name: str) -> str:
    """Why a name cannot be a file below a folder on some operating system; "" if it can.

    Absolute names, empty parts, `.` and `..`, drive letters, backslashes, control characters, lone surrogates and names
    that are too long are refused.
    """
    if name.startswith("/"):
        return "it is absolute"
    if "\\" in name:
        return "it holds a backslash"
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        return "it holds a control character or a lone surrogate"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return f"it has {part!r} as a part"
        if _DRIVE.match(part):
            return f"it names the drive {part[:2]}"
        if len(part.encode()) > _MOST_BYTES:
            return f"it is longer than {_MOST_BYTES} bytes"
    return ""
