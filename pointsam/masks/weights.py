"""Where the weights of each segmenter come from, where they lie, and whether they are what they claim to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from pointsam.base.cache import cache_dir, cache_error
from pointsam.base.errors import BackendError, SchemaError

if TYPE_CHECKING:
    from tqdm import tqdm

_TIMEOUT_S = 60


@dataclass(frozen=True)
class WeightFile:
    """One published weight file.

    Args:
        name: the segmenter it is for.
        file_name: its name in the cache, or in the package.
        url: where it is published, None where the package carries it.
        sha256: of the file.
        num_bytes: its size.
        licence: SPDX name.
    """

    name: str
    file_name: str
    url: str | None
    sha256: str
    num_bytes: int
    licence: str = "Apache-2.0"


def _official(name: str, file_name: str, sha256: str, num_bytes: int) -> WeightFile:
    return WeightFile(
        name, file_name, f"https://dl.fbaipublicfiles.com/segment_anything/{file_name}", sha256, num_bytes
    )


WEIGHTS: Mapping[str, WeightFile] = MappingProxyType(
    {
        weight.name: weight
        for weight in (
            WeightFile(
                "mobile_sam",
                "mobile_sam_fp16.safetensors",
                None,
                "050000ea1564f61c511e1d18d54b8d143aaa7b638eaf5aa1365af24105e410b0",
                19_891_552,
            ),
            _official(
                "sam_vit_b",
                "sam_vit_b_01ec64.pth",
                "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
                375_042_383,
            ),
            _official(
                "sam_vit_l",
                "sam_vit_l_0b3195.pth",
                "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
                1_249_524_607,
            ),
            _official(
                "sam_vit_h",
                "sam_vit_h_4b8939.pth",
                "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
                2_564_550_879,
            ),
        )
    }
)
"""Every segmenter by name. Source: the model list of facebookresearch/segment-anything; mobile_sam see NOTICE."""


def weight_file(name: str) -> WeightFile:
    """The entry of a segmenter.

    Raises:
        SchemaError: SCH005 where there is none of that name.
    """
    if name not in WEIGHTS:
        raise SchemaError("SCH005", f"there is no segmenter named {name!r}", f"use one of {', '.join(WEIGHTS)}")
    return WEIGHTS[name]


def local_path(name: str) -> Path:
    """Where the weights of a segmenter lie, or would lie once fetched."""
    weight = weight_file(name)
    folder = Path(__file__).with_name("data") if weight.url is None else cache_dir("weights")
    return folder / weight.file_name


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


def verify(name: str) -> str:
    """Compare the local file of a segmenter with the published hash, which it returns.

    Raises:
        BackendError: BCK001 where the file is missing, BCK002 where it differs.
    """
    weight, path = weight_file(name), local_path(name)
    if not path.is_file():
        raise BackendError(
            "BCK001",
            f"the weights of {name} are not at {path}",
            f"run `pointsam-label weights get {name}` (downloads {weight.url}, {weight.num_bytes / 1e6:.0f} MB), "
            "or give the path of a copy",
        )
    found = sha256_of(path)
    if found != weight.sha256:
        raise _differs(weight, f"{path} is not the published file of {name}: sha256 is {found}")
    return found


def get(name: str, bar: tqdm[NoReturn] | None = None) -> Path:
    """Download the weights of a segmenter into the cache, unless a good copy is there; returns their path.

    The file appears under its name only when whole and verified.

    Args:
        name: a key of `WEIGHTS`.
        bar: shows how far the download is.

    Raises:
        BackendError: BCK001 where the download fails, BCK002 where it brings another file.
        StoreError: OUT002 on a full disk, OUT003 where the cache cannot be written.
    """
    import pooch
    from requests import RequestException

    weight, path = weight_file(name), local_path(name)
    if weight.url is None:
        verify(name)
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
        else "install pointsam again: the file it carries is damaged",
    )
