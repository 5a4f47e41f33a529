"""Reads points and images as arrays, and rejects unusable data before they can damage a label.

Only this module reads sources of sensor data. `pointsam.datasets.clouds` defines those for files of points. Other
sources (a row group of a Parquet file, a blob) are defined beside their data set; `PointSource` and `ImageSource` of
`pointsam.types` define their interface.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam.base.errors import DatasetError
from pointsam.base.images import DAMAGED, PHOTO_FORMATS, open_image
from pointsam.base.remote import READ_ERRORS, FileSource, unreadable
from pointsam.datasets.clouds import RawPoints as RawPoints
from pointsam.datasets.clouds import point_source as point_source
from pointsam.datasets.columns import XYZ as XYZ
from pointsam.types import ImageSource, Sweep

_ENOUGH = 100
"""Points of a sweep from which on they must not all be at one place."""
_ABSENT = {"intensity": 0.0, "ring": -1.0}
"""Columns that a source may lack, and the value of points without one."""
_EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})


@dataclass(frozen=True)
class ImageFile(FileSource):
    """An image file.

    Args:
        path: JPEG, PNG, WebP, BMP or TIFF.
    """


def read_points(sweep: Sweep) -> NDArray[np.float32]:
    """Positions of a sweep, without motion compensation. `pointsam.datasets.points` reads the points of a frame.

    Returns:
        (N,3) float32, metres, LiDAR frame, in the source's order, N > 0; NaN for rows without a position.

    Raises:
        DatasetError: as `read_columns`.
    """
    return read_columns(sweep, XYZ)


def read_columns(sweep: Sweep, columns: Sequence[str]) -> NDArray[np.float32]:
    """Columns of a sweep, such as positions and intensity.

    Args:
        sweep: the sweep.
        columns: names of columns of its source. If the source has no "intensity", it is 0; if it has no "ring", -1; if
            it has no "time_s", times follow from the turn of the LiDAR, if that is known.

    Returns:
        (N,len(columns)) float32, in the source's order, N > 0; a new array. A row of which x, y or z is not finite has
        no position: x, y and z of it are NaN, as organised clouds have them where nothing returned. Intensities that
        are not finite are 0, rings that are not -1. All other values of rows with a position are finite.

    Raises:
        DatasetError: DAT004 if the data are missing or cannot be read, DAT006 if the file ends within a point, DAT007
            on another value that is not finite, DAT008 if there are no points, none has a position or all have
            the same, DAT011 if the source lacks a column or returns an array of another shape.
    """
    if sweep.implies_times and "time_s" in columns:
        return _with_times(sweep, columns)
    source = sweep.source
    here = [column for column in columns if column in source.columns]
    missing = [column for column in columns if column not in here and column not in _ABSENT]
    if missing:
        raise _malformed(source.name, f"no column {', '.join(missing)}; its columns are {', '.join(source.columns)}")
    try:
        given = np.asarray(source.read(here))
    except READ_ERRORS as error:
        raise unreadable("LiDAR file", source.name, error) from error
    except MemoryError as error:
        raise DatasetError(
            "DAT006", f"{source.name}: its points do not fit into memory", "use fewer --workers, or leave the frame out"
        ) from error
    if given.ndim != 2 or given.shape[1] != len(here):
        raise _malformed(source.name, f"values of shape {given.shape} for {len(here)} columns")
    if len(given) == 0:
        raise DatasetError(
            "DAT008", f"{source.name}: empty sweep, it has no points", "fetch the file again or leave the frame out"
        )
    with np.errstate(over="ignore"):  # beyond float32: infinite, so without a position
        values = given.astype(np.float32, order="C")
    if len(here) < len(columns):
        given, values = values, np.zeros((len(given), len(columns)), dtype=np.float32)
        values += np.array([_ABSENT.get(column, 0) for column in columns], dtype=np.float32)
        values[:, [columns.index(column) for column in here]] = given
    finite = np.isfinite(values)
    if not finite.all():
        _settle(values, finite, columns, source.name)
    if set(XYZ) <= set(columns):
        at = [columns.index(axis) for axis in XYZ]
        _require_places(values[:, :3] if at == [0, 1, 2] else values[:, at], source.name)
    return values


def _with_times(sweep: Sweep, columns: Sequence[str]) -> NDArray[np.float32]:
    """As `read_columns`, with times that follow from the turn of the LiDAR."""
    assert sweep.revolution is not None
    given = [column for column in columns if column != "time_s"]
    read = [*given, *(axis for axis in XYZ if axis not in given)]
    values = read_columns(sweep, read)
    x_m, y_m = (values[:, read.index(axis)] for axis in XYZ[:2])
    time_s = sweep.revolution.time_s(x_m, y_m).astype(np.float32)
    return np.column_stack([time_s if column == "time_s" else values[:, read.index(column)] for column in columns])


def _require_places(xyz: NDArray[np.float32], name: str) -> None:
    """Refuse a sweep whose points are all at one place, as in a file of zeros: it would pass as one without objects."""
    one = xyz[np.isfinite(xyz[:, 0]).argmax()]
    if len(xyz) >= _ENOUGH and all(((some == one) | np.isnan(some)).all() for some in (xyz[:_ENOUGH], xyz)):
        place = ", ".join(f"{value:g}" for value in np.nanmax(xyz, axis=0))
        raise DatasetError(
            "DAT008", f"{name}: all {len(xyz)} points are at {place}", "fetch the file again or leave the frame out"
        )


def _settle(values: NDArray[np.float32], finite: NDArray[np.bool_], columns: Sequence[str], name: str) -> None:
    """Make rows without a position NaN, and what is `_ABSENT` its value; refuse the rest that is not finite."""
    position = [k for k, column in enumerate(columns) if column in XYZ]
    absent = ~finite[:, position].all(axis=1)
    if absent.all():
        raise DatasetError(
            "DAT008",
            f"{name}: empty sweep, x, y or z is NaN or infinite in all {len(values)} rows",
            "fetch the file again or leave the frame out",
        )
    values[np.ix_(absent, position)] = np.nan
    for k, column in enumerate(columns):
        if column in _ABSENT:
            values[~finite[:, k], k] = _ABSENT[column]
        elif column not in XYZ:
            bad = np.flatnonzero(~finite[:, k] & ~absent)
            if len(bad):
                raise DatasetError(
                    "DAT007",
                    f"{name}: {column} is NaN or infinite in {len(bad)} of {len(values)} points, "
                    f"first at index {bad[0]}",
                    "fix the export, or make x, y and z of these points NaN: they are then not used",
                )


def read_image(source: ImageSource, expect: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """An image, fully decoded.

    Args:
        source: JPEG, PNG, WebP, BMP or TIFF, 8 bits per channel.
        expect: (height_px, width_px) in the calibration.

    Returns:
        (H,W,3) uint8 RGB.

    Raises:
        DatasetError: DAT004 if the file is missing or cannot be read, DAT005 if it is empty, truncated, damaged, of
            another format, has more than 8 bits per channel, or has another size than expected.
    """
    with _opened(source) as image:
        if expect is not None and (image.height, image.width) != tuple(expect):
            raise DatasetError(
                "DAT005",
                f"{source.name}: image of {image.width} x {image.height} px, "
                f"but the calibration states {expect[1]} x {expect[0]} px",
                "use the images that belong to the calibration, or scale the camera matrix with the images",
            )
        if image.mode not in _EIGHT_BIT_MODES:
            raise DatasetError(
                "DAT005",
                f"{source.name}: pixels of mode {image.mode!r} do not have 8 bits per channel",
                "convert the images to 8-bit RGB",
            )
        return np.asarray(image.convert("RGB"))


def image_size(source: ImageSource) -> tuple[int, int]:
    """(height_px, width_px) from the file's header; the pixels are not decoded.

    Raises:
        DatasetError: DAT004 if the file is missing or cannot be read, DAT005 if its header is of no format that
            `read_image` reads.
    """
    with _opened(source) as image:
        return image.height, image.width


def encoded_image(source: ImageSource) -> tuple[bytes, str]:
    """The bytes of an image file and their media type ("image/jpeg").

    Raises:
        DatasetError: as `image_size`.
    """
    with _stream(source) as stream:
        content = stream.read()
        with _decoding(source, io.BytesIO(content)) as image:
            return content, Image.MIME[image.format or ""]


@contextmanager
def _opened(source: ImageSource) -> Iterator[Image.Image]:
    with _stream(source) as stream, _decoding(source, stream) as image:
        yield image


@contextmanager
def _stream(source: ImageSource) -> Iterator[BinaryIO]:
    try:
        stream = source.open()
        num_bytes = stream.seek(0, os.SEEK_END)  # reads all of a compressed member
    except READ_ERRORS as error:
        raise unreadable("image", source.name, error) from error
    with stream:
        if num_bytes == 0:
            raise DatasetError("DAT005", f"{source.name}: image of zero bytes", "fetch the file again")
        stream.seek(0)
        yield stream


@contextmanager
def _decoding(source: ImageSource, stream: BinaryIO) -> Iterator[Image.Image]:
    try:
        with open_image(stream, PHOTO_FORMATS) as image:
            yield image
    except DAMAGED as error:
        raise DatasetError(
            "DAT005",
            f"{source.name}: not a readable image ({error})",
            "fetch the file again if it is damaged or truncated, or convert it to JPEG or PNG",
        ) from error


def _malformed(name: str, problem: str) -> DatasetError:
    return DatasetError("DAT011", f"{name}: {problem}", "name the columns as pointsam.types.PointSource defines them")
