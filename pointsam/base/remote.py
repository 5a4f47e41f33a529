"""Files and folders to read, on this machine or in an object store."""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from pointsam.base.errors import BackendError, DatasetError
from pointsam.base.files import require_file

if TYPE_CHECKING:
    from upath import UPath

DataPath: TypeAlias = "Path | UPath"
"""A path on this machine, or one of universal-pathlib in any file system that fsspec knows (s3://, gs://, ...)."""

_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@")


def data_path(place: str | DataPath) -> DataPath:
    """The path that a text names: a URL if it holds `://`, else a path on this machine. A path stays as it is.

    Raises:
        DatasetError: DAT001 on a URL of a kind that fsspec does not know, or with a password, which the files of a run
            would repeat.
        BackendError: BCK005 if a package is missing that reads the URL.
    """
    if not isinstance(place, str):
        return place
    if not place.strip() or "\0" in place:
        raise DatasetError("DAT001", f"{place!r} is not a path", "name the folder; the current one is '.'")
    if "://" not in place:
        return Path(place)
    if _PASSWORD.search(place):
        shown = _PASSWORD.sub("://", place)
        raise DatasetError(
            "DAT001", f"{shown} is given with a password", "put user and password into the configuration of fsspec"
        )
    try:
        from fsspec import get_filesystem_class
        from upath import UPath
    except ImportError as error:
        raise BackendError("BCK005", f"cannot read {place}: {error}", "pip install 'pointsam[remote]'") from error
    try:
        path = UPath(place)
        get_filesystem_class(path.protocol)
    except ImportError as error:
        raise BackendError("BCK005", f"cannot read {place}: {error}", "install the package that it names") from error
    except ValueError as error:
        raise DatasetError("DAT001", f"{place}: {error}", "give a path, or a URL that fsspec reads") from error
    return path


def is_folder(root: DataPath) -> bool:
    """Whether a folder is there. An archive (zip://) that is gone holds none.

    Raises:
        DatasetError: DAT004 if its object store cannot be reached.
    """
    try:
        return root.is_dir()
    except FileNotFoundError:
        return False
    except Exception as error:  # each object store has its own errors: no network, no credentials
        raise DatasetError(
            "DAT004", f"{root} cannot be reached: {type(error).__name__}: {error}", "check the URL and your credentials"
        ) from error


READ_ERRORS = (OSError, zipfile.BadZipFile, zlib.error)
"""What reading a file raises, in an archive too."""


@dataclass(frozen=True)
class FileSource:
    """A file as a source of bytes.

    Args:
        path: the file.
    """

    path: DataPath

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def file_name(self) -> str:
        """Last part of the path."""
        return self.path.name

    def open(self) -> BinaryIO:
        """A stream of the file's bytes.

        Raises:
            OSError: if it cannot be opened, or is a pipe or a device, which could be read for ever.
        """
        if isinstance(self.path, Path):
            require_file(self.path)
        return self.path.open("rb")


def read_bytes(path: DataPath, what: str, hint: str | None = None) -> bytes:
    """The content of a file of a data set.

    Args:
        path: the file.
        what: what it is ("label file"), for the error.
        hint: hint of the error, None for the usual one.

    Raises:
        DatasetError: DAT004 with the reason if it is missing or cannot be read.
    """
    try:
        if isinstance(path, Path):
            require_file(path)
        return path.read_bytes()
    except READ_ERRORS as error:
        raise unreadable(what, str(path), error, hint) from error


def unreadable(what: str, name: str, error: Exception, hint: str | None = None) -> DatasetError:
    """DAT004 for data that are missing or cannot be read; arguments as of `read_bytes`, `name` is that of the file."""
    if isinstance(error, FileNotFoundError):
        problem, usual = "is missing", "complete the download, or check that the root is the right folder"
    else:
        problem = f"cannot be read ({reason_of(error)})"
        usual = "check its type and its permissions, and the network if the root is a URL"
    return DatasetError("DAT004", f"{name}: {what} {problem}", hint or usual)


def names_in(folder: DataPath) -> list[str]:
    """Names of the files and folders in a folder, sorted; none if there is no such folder.

    Raises:
        DatasetError: DAT004 if the folder cannot be read.
    """
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable("folder", str(folder), error) from error


def reason_of(error: Exception) -> str:
    """Why a file or folder cannot be read; the errors of object stores often hold nothing but its name."""
    known = error.strerror if isinstance(error, OSError) else None
    return known or ("it is missing" if isinstance(error, FileNotFoundError) else str(error))


def version_of(path: DataPath) -> str:
    """A text that changes whenever the file does: size and time, or what the object store states.

    Raises:
        OSError: if the file is missing.
    """
    if isinstance(path, Path):
        stat = path.stat()
        return f"{stat.st_size} {stat.st_mtime_ns}"
    return str(path.fs.ukey(path.path))
