"""One object of a 2D result as JSON states it: its label, its score, and its mask or box in any of the usual forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from pointsam import rle
from pointsam.base.errors import DatasetError
from pointsam.base.mask_files import DOCS, as_object, fraction, label_of, malformed
from pointsam.base.remote import DataPath

Size = tuple[int, int]
"""height_px, width_px of an image."""

_POLYGONS = "a list of polygons, each [x1, y1, x2, y2, ...] of three points or more in pixels,"
_BOXES = '"bbox" as [left, top, width, height] or "box_xyxy" as [left, top, right, bottom] in pixels'
_CORNERS = ("x1", "y1", "x2", "y2")


class Found(NamedTuple):
    """One object of an image.

    Args:
        label: label name.
        score: from 0 to 1.
        rle: COCO run lengths of its mask, None if only its box is known.
        box_xyxy_px: left, top, right, bottom inside the image; None if the mask gives it.
    """

    label: str
    score: float
    rle: bytes | None
    box_xyxy_px: tuple[float, float, float, float] | None = None


def object_of(path: DataPath, entry: Mapping[str, object], where: str, size: Size) -> Found:
    """An object with `label` (or `category`, `name`), `score` (or `confidence`), and a mask or a box.

    Args:
        path: the file.
        entry: the object.
        where: its place in the file, for errors.
        size: of the image.

    Raises:
        DatasetError: DAT011 naming file and field.
    """
    if "score" not in entry and "confidence" in entry:
        entry = {**entry, "score": entry["confidence"]}
    return shape_of(path, entry, where, size, label_of(path, entry, where), fraction(path, entry, "score", where))


def shape_of(
    path: DataPath, entry: Mapping[str, object], where: str, size: Size, label: str, score: float = 1.0
) -> Found:
    """The mask of an object, or else its box; arguments and errors as of `object_of`.

    Masks are in `segmentation`, as polygons or run lengths, compressed or not, or in `segments` as Ultralytics writes
    them. Boxes are COCO's `bbox`, `box_xyxy`, or an object `box` with x1, y1, x2, y2.
    """
    segmentation, segments = entry.get("segmentation"), entry.get("segments")
    if segmentation not in (None, [], {}):
        return Found(label, score, mask_of(path, segmentation, f"{where}.segmentation", size))
    if segments not in (None, [], {}):
        xy = as_object(path, segments, f"{where}.segments")
        x, y = (_numbers(path, xy.get(axis), f"{where}.segments.{axis}", _POLYGONS) for axis in "xy")
        if len(x) != len(y):
            raise malformed(path, f"{where}.segments has {len(x)} x and {len(y)} y", "as many y as x,")
        return Found(label, score, polygon_mask(path, [list(np.stack([x, y], 1).ravel())], f"{where}.segments", size))
    return Found(label, score, None, _box(path, entry, where, size))


def mask_of(path: DataPath, value: object, where: str, size: Size) -> bytes:
    """Run lengths of a COCO segmentation of any form; arguments and errors as of `object_of`."""
    if isinstance(value, list):
        return polygon_mask(path, value, where, size)
    stated = as_object(path, value, where)
    height_width, counts = stated.get("size"), stated.get("counts")
    if not (isinstance(height_width, list) and len(height_width) == 2 and all(type(n) is int for n in height_width)):
        raise malformed(path, f"{where}.size is {height_width!r}", "[height, width] of the image")
    if tuple(height_width) != size:
        raise other_size(path, (height_width[0], height_width[1]), size, f"{where}.size ")
    if isinstance(counts, list):
        return _uncompressed(path, counts, where, size)
    if not isinstance(counts, str):
        kind = type(counts).__name__
        raise malformed(path, f"{where}.counts is a {kind}", "run lengths, compressed (a text) or not (a list),")
    try:
        raw = counts.encode("ascii")
        rle.check(raw, size[0] * size[1])
    except ValueError as error:
        problem = "not ASCII" if isinstance(error, UnicodeError) else str(error)
        raise malformed(path, f"{where}.counts: {problem}", "what pycocotools.mask.encode gives,") from error
    return raw


def polygon_mask(path: DataPath, polygons: Sequence[object], where: str, size: Size) -> bytes:
    """Run lengths of the pixels in any of several polygons; arguments and errors as of `object_of`.

    A polygon is [x1, y1, x2, y2, ...]. A single polygon may also be a list of points [x, y].
    """
    from pycocotools import mask as coco

    height, width = size
    if all(isinstance(point, list) and len(point) == 2 for point in polygons):
        polygons = [[number for point in polygons if isinstance(point, list) for number in point]]
    elif all(_is_number(number) for number in polygons):
        polygons = [polygons]
    parts = []
    for k, polygon in enumerate(polygons):
        xy = _numbers(path, polygon, f"{where}[{k}]", _POLYGONS)
        if len(xy) < 6 or len(xy) % 2:
            raise malformed(path, f"{where}[{k}] has {len(xy)} numbers", _POLYGONS)
        _require_pixels(path, xy.reshape(-1, 2), f"{where}[{k}]", size)
        parts.append(xy.tolist())
    counts: bytes = coco.merge(coco.frPyObjects(parts, height, width))["counts"]
    return counts


def other_size(path: DataPath, given: Size, size: Size, what: str = "") -> DatasetError:
    """DAT011 for a mask or picture of `given` size that belongs to an image of `size`."""
    return DatasetError(
        "DAT011",
        f"{path}: {what}{given[1]} x {given[0]} px, but the image has {size[1]} x {size[0]} px",
        "write masks in the size of the image",
    )


def needs_masks_error(path: DataPath, where: str) -> DatasetError:
    """DAT002 for an object that states a box only, in a run whose recipe needs masks."""
    return DatasetError(
        "DAT002",
        f"{path}: {where} has a box and no mask, but prompts from LiDAR points, as of --recipe paper, need the masks "
        "of the objects",
        f"use --recipe default or --set masks.prompts=boxes, or write masks ({DOCS})",
    )


def _uncompressed(path: DataPath, counts: list[object], where: str, size: Size) -> bytes:
    runs = [n for n in counts if type(n) is int and n >= 0]
    if len(runs) != len(counts):
        raise malformed(path, f"{where}.counts holds more than run lengths", "numbers of pixels, background first,")
    if sum(runs) != size[0] * size[1]:
        raise malformed(
            path,
            f"{where}.counts: {sum(runs)} pixels instead of {size[0] * size[1]}",
            "run lengths of the whole image, column by column,",
        )
    ones = np.arange(len(runs)) % 2 == 1
    return rle.encode_mask(np.repeat(ones, runs).reshape(size[1], size[0]).T)


def _box(path: DataPath, entry: Mapping[str, object], where: str, size: Size) -> tuple[float, float, float, float]:
    named = [name for name in ("bbox", "box_xyxy", "box") if entry.get(name) is not None]
    if len(named) != 1:
        problem = f"{where} has {' and '.join(named)}" if named else f"{where} has neither a mask nor a box"
        raise malformed(path, problem, f'"segmentation", or {_BOXES},')
    (name,) = named
    value, field = entry[name], f"{where}.{name}"
    if name == "box":
        if not isinstance(value, dict):
            problem = f"{field} does not say whether it holds corners or width and height"
            raise malformed(path, problem, _BOXES)
        lacking = [corner for corner in _CORNERS if corner not in value]
        if lacking:
            raise malformed(path, f"{field} has no {', '.join(lacking)}", _BOXES)
        value = [value[corner] for corner in _CORNERS]
    numbers = _numbers(path, value, field, _BOXES)
    if len(numbers) != 4:
        raise malformed(path, f"{field} has {len(numbers)} numbers", _BOXES)
    corners = numbers.copy()
    if name == "bbox":
        corners[2:] += numbers[:2]
        if _seems_corners(numbers, size):
            raise malformed(
                path, f"{field} {numbers.tolist()} leaves the image: it seems to be [left, top, right, bottom]", _BOXES
            )
    if not (corners[2:] > corners[:2]).all():
        raise malformed(path, f"{field} {numbers.tolist()} has no area", _BOXES)
    _require_pixels(path, corners.reshape(2, 2), field, size)
    left, top, right, bottom = np.clip(corners, 0, [size[1], size[0]] * 2).tolist()
    if right <= left or bottom <= top:
        raise malformed(path, f"{field} {numbers.tolist()} lies outside of the image", _BOXES)
    return left, top, right, bottom


def has_corners(entry: Mapping[str, object], size: Size) -> bool | None:
    """Whether the `bbox` of an object seems to hold two corners; None if it has none or it is not used."""
    value = entry.get("bbox")
    if entry.get("segmentation") or not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        return None
    return _seems_corners(np.array(value, dtype=np.float64), size)


def _seems_corners(numbers: NDArray[np.float64], size: Size) -> bool:
    """Whether four numbers leave the image as left, top, width, height, and are a box in it as two corners."""
    low, high, extent = numbers[:2], numbers[2:], np.array(size[::-1])
    leaves = (low + high - extent > np.maximum(2, 0.05 * high)).any()
    return bool(leaves and (high <= extent + 1).all() and (low >= -1).all() and (high > low).all())


def _require_pixels(path: DataPath, xy: NDArray[np.float64], where: str, size: Size) -> None:
    """Refuse coordinates that are fractions of the image, or far outside."""
    extent = np.array(size[::-1])
    if min(size) > 2 and xy.min() >= 0 and xy.max() <= 1:
        raise malformed(path, f"{where} holds fractions of the image", "pixels")
    if (xy < -extent).any() or (xy > 2 * extent).any():
        raise malformed(
            path, f"{where} lies far outside of the image of {size[1]} x {size[0]} px", "pixels of this image"
        )


def _numbers(path: DataPath, value: object, where: str, wanted: str) -> NDArray[np.float64]:
    if not isinstance(value, list) or not all(_is_number(number) for number in value):
        raise malformed(path, f"{where} is {value!r:.60}", wanted)
    return np.array(value, dtype=np.float64)


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether a JSON value is a number of a size that pixels can have."""
    return not isinstance(value, bool) and isinstance(value, int | float) and -1e9 < value < 1e9
