"""Weight files of segmenters: where they come from, where they lie, and whether they are what they claim to be."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from pointsam.base.cache import cache_dir, cache_error
from pointsam.base.errors import BackendError

_BLOCK_BYTES = 1 << 20
_TIMEOUT_S = 60


@dataclass(frozen=True)
class WeightFile:
    """One published weight file of a segmenter.

    Args:
        name: of the segmenter that it is for, as its entry point has it.
        file_name: its name in the cache, or in `folder`.
        url: where it is published, None where a package carries it.
        sha256: of the file.
        num_bytes: its size.
        licence: SPDX name.
        folder: where a package carries it; None for the cache.
    """

    name: str
    file_name: str
    url: str | None
    sha256: str
    num_bytes: int
    licence: str = "Apache-2.0"
    folder: Path | None = None

    @property
    def path(self) -> Path:
        """Where the file lies, or would lie once fetched."""
        return (self.folder or cache_dir("weights")) / self.file_name


def sha256_of(path: Path) -> str:
    """Hash of a file, 64 hexadecimal digits.

    Raises:
        BackendError: BCK001 where the file is missing or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise BackendError(
            "BCK001", f"no weights at {path} ({error.strerror})", "check the path given for the weights"
        ) from error
    return digest.hexdigest()


def verify(weight: WeightFile) -> str:
    """Compare the local file with the published hash, which it returns.

    Raises:
        BackendError: BCK001 where the file is missing, BCK002 where it differs.
    """
    if not weight.path.is_file():
        download = f"downloads {weight.url}, {weight.num_bytes / 1e6:.0f} MB"
        way = f"run `pointsam-label weights get {weight.name}` ({download}), or give the path of a copy"
        raise BackendError(
            "BCK001",
            f"the weights of {weight.name} are not at {weight.path}",
            "install the package that carries them again" if weight.url is None else way,
        )
    found = sha256_of(weight.path)
    if found != weight.sha256:
        raise _differs(weight, f"{weight.path} is not the published file of {weight.name}: sha256 is {found}")
    return found


def get(weight: WeightFile, progress: Callable[[int, int], None] | None = None) -> Path:
    """Download a file into the cache, unless a good copy is there; returns its path.

    The file appears under its name only when whole and verified.

    Args:
        weight: the file.
        progress: called with (bytes so far, bytes in all).

    Raises:
        BackendError: BCK001 where the download fails, BCK002 where it brings another file.
        StoreError: OUT002 on a full disk, OUT003 where the cache cannot be written.
    """
    path = weight.path
    if weight.url is None or (path.is_file() and sha256_of(path) == weight.sha256):
        verify(weight)
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(prefix=f".{weight.file_name}.", dir=path.parent)
    except OSError as error:
        raise cache_error(path.parent, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            found = _download(weight, weight.url, file.fileno(), progress)
            os.fsync(file.fileno())
        if found != weight.sha256:
            raise _differs(weight, f"{weight.url} brought another file: sha256 is {found}")
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)
    return path


def _download(weight: WeightFile, url: str, descriptor: int, progress: Callable[[int, int], None] | None) -> str:
    digest, so_far = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
            while block := response.read(_BLOCK_BYTES):
                digest.update(block)
                _write(descriptor, block)
                so_far += len(block)
                if progress is not None:
                    progress(so_far, weight.num_bytes)
    except (OSError, HTTPException) as error:  # URLError, time-outs and resets are OSErrors
        raise BackendError(
            "BCK001",
            f"could not download {url}: {error}",
            f"offline? fetch that address on another machine and put the file at {weight.path}",
        ) from error
    return digest.hexdigest()


def _write(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except OSError as error:
            raise cache_error(cache_dir("weights"), error) from error


def _differs(weight: WeightFile, message: str) -> BackendError:
    return BackendError(
        "BCK002",
        f"{message}, expected {weight.sha256}",
        f"run `pointsam-label weights get {weight.name}`"
        if weight.url is not None
        else "install the package that carries it again: the file is damaged",
    )
