"""Sensor files to arrays: what cannot be used is refused here, before it can spoil a label."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam.base.errors import DatasetError
from pointsam.base.images import DAMAGED, PHOTO_FORMATS, open_image
from pointsam.types import Sweep

_COLUMNS = {3: "x, y or z", 4: "x, y, z or intensity"}
_EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})


def read_points(sweep: Sweep) -> NDArray[np.float32]:
    """Positions of a sweep.

    Returns:
        (N,3) float32, metres, LiDAR frame, file order, N > 0, all finite.

    Raises:
        DatasetError: as `read_values`.
    """
    return read_values(sweep, 3)


def read_values(sweep: Sweep, count: int) -> NDArray[np.float32]:
    """Positions of a sweep and what its points carry besides.

    Args:
        sweep: on disk.
        count: columns, from 3 on; the fourth is the intensity in nuScenes and KITTI.

    Returns:
        (N,count) float32, metres, LiDAR frame, file order, N > 0, all finite.

    Raises:
        DatasetError: DAT004 if the file is missing or may not be read, DAT006 if its size is not a multiple of a
            point's, DAT007 on NaN or infinite values, DAT008 if it holds no point.
    """
    try:
        raw = np.fromfile(sweep.path, dtype=np.uint8)
    except OSError as error:
        raise _unreadable("LiDAR file", sweep.path, error) from error
    point_bytes = 4 * sweep.floats_per_point
    if len(raw) == 0:
        raise DatasetError(
            "DAT008", f"{sweep.path}: empty sweep, the file has no bytes", "fetch the file again or leave the frame out"
        )
    if len(raw) % point_bytes:
        raise DatasetError(
            "DAT006",
            f"{sweep.path}: {len(raw)} bytes are not whole points of {sweep.floats_per_point} float32 "
            f"({point_bytes} bytes), {len(raw) % point_bytes} are left over",
            "the download was probably cut off: fetch the file again, and check the number of values per point",
        )
    values = raw.view("<f4").reshape(-1, sweep.floats_per_point)[:, :count].astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise DatasetError(
            "DAT007",
            f"{sweep.path}: {_COLUMNS[count]} is NaN or infinite in {len(bad)} of {len(values)} points, first at index "
            f"{bad[0]}",
            "remove these points from the file, or mend the export; labels follow file order, so none is dropped here",
        )
    return values


def read_image(path: Path, expect: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """An image, fully decoded.

    Args:
        path: JPEG, PNG, WebP, BMP or TIFF, 8 bits a channel.
        expect: (height_px, width_px) of the calibration.

    Returns:
        (H,W,3) uint8 RGB.

    Raises:
        DatasetError: DAT004 if the file is missing or may not be read, DAT005 if it is empty, truncated, damaged, of
            another format, deeper than 8 bits a channel or of another size than expected.
    """
    with _opened(path) as image:
        if expect is not None and (image.height, image.width) != tuple(expect):
            raise DatasetError(
                "DAT005",
                f"{path}: image of {image.width} x {image.height} px, "
                f"but the calibration says {expect[1]} x {expect[0]} px",
                "use the images that the calibration was made for, or scale the camera matrix with the image",
            )
        if image.mode not in _EIGHT_BIT_MODES:
            raise DatasetError(
                "DAT005",
                f"{path}: pixels of mode {image.mode!r} are not 8 bits a channel",
                "convert the images to 8-bit RGB",
            )
        return np.asarray(image.convert("RGB"))


def image_size(path: Path) -> tuple[int, int]:
    """(height_px, width_px) from the file's header; the pixels are not decoded.

    Raises:
        DatasetError: DAT004 if the file is missing or may not be read, DAT005 if its header is that of no format of
            `read_image`.
    """
    with _opened(path) as image:
        return image.height, image.width


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        if path.stat().st_size == 0:
            raise DatasetError("DAT005", f"{path}: image of zero bytes", "fetch the file again")
        stream = path.open("rb")
    except OSError as error:
        raise _unreadable("image", path, error) from error
    with stream:
        try:
            with open_image(stream, PHOTO_FORMATS) as image:
                yield image
        except DAMAGED as error:
            raise DatasetError(
                "DAT005",
                f"{path}: not a readable image ({error})",
                "fetch the file again if it is damaged or cut off, or convert it to JPEG or PNG",
            ) from error


def _unreadable(what: str, path: Path, error: OSError) -> DatasetError:
    if isinstance(error, FileNotFoundError):
        return DatasetError(
            "DAT004", f"{path}: {what} is missing", "complete the download, or check that the root is the right folder"
        )
    return DatasetError(
        "DAT004", f"{path}: {what} cannot be read ({error.strerror})", "check the file's type and its permissions"
    )
