"""Weight files of segmenters: where they come from, where they lie, and whether they are what they claim to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pointsam.base.cache import cache_dir, cache_error
from pointsam.base.errors import BackendError

if TYPE_CHECKING:
    from tqdm import tqdm

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
    import pooch

    try:
        return str(pooch.file_hash(path))
    except OSError as error:
        raise BackendError(
            "BCK001", f"no weights at {path} ({error.strerror})", "check the path given for the weights"
        ) from error


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


def get(weight: WeightFile, bar: tqdm[NoReturn] | None = None) -> Path:
    """Download a file into the cache, unless a good copy is there; returns its path.

    The file appears under its name only when whole and verified.

    Args:
        weight: the file.
        bar: shows how far the download is.

    Raises:
        BackendError: BCK001 where the download fails, BCK002 where it brings another file.
        StoreError: OUT002 on a full disk, OUT003 where the cache cannot be written.
    """
    import pooch
    from requests import RequestException

    path = weight.path
    if weight.url is None:
        verify(weight)
        return path
    pooch.get_logger().setLevel("WARNING")
    download = pooch.HTTPDownloader(progressbar=False if bar is None else bar, timeout=_TIMEOUT_S)
    try:
        pooch.retrieve(weight.url, f"sha256:{weight.sha256}", path.name, path.parent, downloader=download)
    except RequestException as error:
        raise BackendError(
            "BCK001",
            f"could not download {weight.url}: {error}",
            f"offline? fetch that address on another machine and put the file at {path}",
        ) from error
    except OSError as error:
        raise cache_error(path.parent, error) from error
    except ValueError as error:
        raise _differs(weight, f"{weight.url} brought another file") from error
    return path


def _differs(weight: WeightFile, message: str) -> BackendError:
    return BackendError(
        "BCK002",
        f"{message}, expected {weight.sha256}",
        f"run `pointsam-label weights get {weight.name}`"
        if weight.url is not None
        else "install the package that carries it again: the file is damaged",
    )
