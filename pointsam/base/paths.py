"""Paths of files whose names come from data: output files, and files of the data set."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath

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


def data_file(root: DataPath, name: str, where: str) -> DataPath:
    """Path of a file of a data set that a table or list of it names.

    Symbolic links that the user put into the root are followed. Backslashes count as slashes, because tables written
    on Windows have them.

    Args:
        root: root of the data set.
        name: name relative to the root.
        where: place of the name, for the message.

    Raises:
        DatasetError: DAT011 on a name that is absolute or leaves the root, or that `name_problem` refuses.
    """
    slashes = name.replace("\\", "/")
    parts = [part for part in slashes.split("/") if part not in ("", ".")]
    relative = "/" * slashes.startswith("/") + "/".join(parts)
    require_name(relative, where, "give a path relative to the root of the data set, without ..")
    try:
        return root / relative
    except ValueError as error:  # a URL in another kind of store
        raise DatasetError("DAT011", f"{where} {name!r}: {error}", "name a file of the root") from error


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
    if not name.isprintable() and any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        return "it holds a control character or a lone surrogate"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return f"it has {part!r} as a part"
        if _DRIVE.match(part):
            return f"it names the drive {part[:2]}"
        if len(part.encode()) > _MOST_BYTES:
            return f"it is longer than {_MOST_BYTES} bytes"
    return ""
