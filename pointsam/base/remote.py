"""Files to read, on a disk or in an object store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Literal, Protocol


class ReadablePath(Protocol):
    """A file to read. `pathlib.Path` and `StorePath` are such; its text names the file in errors."""

    @property
    def name(self) -> str:
        """Last part of the path."""

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        """A seekable stream.

        Raises:
            OSError: if the file is missing or cannot be read.
        """


class FileSystem(Protocol):
    """What reading needs of a file system of fsspec (S3, GCS, memory, zip, ...)."""

    def open(self, path: str, mode: str) -> BinaryIO:
        """A stream of a file's content."""


@dataclass(frozen=True)
class StorePath:
    """A file in an object store. Paths join as those of pathlib do: `root / "velodyne" / "000000.bin"`.

    Args:
        store: the file system, such as fsspec.filesystem("s3").
        path: in the store, with "/" between its parts.
    """

    store: FileSystem
    path: str

    def __truediv__(self, part: str) -> StorePath:
        return StorePath(self.store, f"{self.path.rstrip('/')}/{part}")

    def __str__(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        """Last part of the path."""
        return PurePosixPath(self.path).name

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        """A stream of the content.

        Raises:
            OSError: as the file system's `open`.
        """
        return self.store.open(self.path, mode)
