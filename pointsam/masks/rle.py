"""COCO run lengths: masks as short byte strings, and back, whole or cropped to their bounding box.

Reading is done here rather than by pycocotools for two reasons: a mask's box is a small part of its image, and
pycocotools trusts the runs, so that a malformed string from a user's file would write past the image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from pointsam.errors import SchemaError


def encode(mask: NDArray[np.bool_]) -> bytes:
    """Compress an (H,W) mask to COCO's "counts" (column-major runs, background first).

    Source: pycocotools, the COCO API.
    """
    counts: bytes = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return counts


def encode_crop(crop: NDArray[np.bool_], v_px: int, u_px: int, height_px: int, width_px: int) -> bytes:
    """Compress an (h,w) crop whose first pixel lies at (v_px, u_px) of an otherwise empty image."""
    mask = np.zeros((height_px, width_px), dtype=np.bool_, order="F")
    mask[v_px : v_px + crop.shape[0], u_px : u_px + crop.shape[1]] = crop
    return encode(mask)


def decode(rle: bytes, height_px: int, width_px: int) -> NDArray[np.bool_]:
    """Expand to an (H,W) mask.

    Raises:
        SchemaError: SCH003 where the runs do not fill the image exactly.
    """
    counts = _counts(rle, height_px, width_px)
    ones = np.arange(len(counts)) % 2 == 1
    return np.repeat(ones, counts).reshape(width_px, height_px).T


def decode_crop(rle: bytes, height_px: int, width_px: int) -> tuple[slice, slice, NDArray[np.bool_]]:
    """Expand only the bounding box: (rows, columns, (h,w) mask) with `image[rows, columns][mask]` the mask's pixels.

    Cost grows with the box, not with the image. An empty mask gives empty slices.

    Raises:
        SchemaError: SCH003 where the runs do not fill the image exactly.
    """
    first, last = _runs_of_ones(rle, height_px, width_px)
    rows, columns = _bounds(first, last, height_px)
    h, w = rows.stop - rows.start, columns.stop - columns.start
    # A run that wraps into the next column makes the box full height, so both ends of every run fall inside the crop.
    edges = np.zeros(h * w + 1, dtype=np.int8)
    edges[(first // height_px - columns.start) * h + first % height_px - rows.start] += 1
    edges[(last // height_px - columns.start) * h + last % height_px - rows.start + 1] -= 1
    inside = np.cumsum(edges[:-1], dtype=np.int8).astype(np.bool_)
    return rows, columns, inside.reshape(w, h).T


def area_px(rle: bytes, height_px: int, width_px: int) -> int:
    """Number of pixels of the mask."""
    return int(_counts(rle, height_px, width_px)[1::2].sum())


def bbox_xyxy_px(rle: bytes, height_px: int, width_px: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the mask, right and bottom exclusive; zeros for an empty mask."""
    rows, columns = _bounds(*_runs_of_ones(rle, height_px, width_px), height_px)
    return columns.start, rows.start, columns.stop, rows.stop


def _runs_of_ones(rle: bytes, height_px: int, width_px: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last pixel of every run of the mask, counted column by column."""
    ends = np.cumsum(_counts(rle, height_px, width_px))
    last = ends[1::2] - 1
    first = ends[0::2][: len(last)]
    filled = first <= last
    return first[filled], last[filled]


def _bounds(first: NDArray[np.int64], last: NDArray[np.int64], height_px: int) -> tuple[slice, slice]:
    if len(first) == 0:
        return slice(0, 0), slice(0, 0)
    columns = slice(int(first[0] // height_px), int(last[-1] // height_px) + 1)
    if (first // height_px != last // height_px).any():
        return slice(0, height_px), columns
    return slice(int((first % height_px).min()), int((last % height_px).max()) + 1), columns


def _counts(rle: bytes, height_px: int, width_px: int) -> NDArray[np.int64]:
    """(R,) run lengths, background first.

    A count is written in groups of five bits, lowest first, as characters from 48 on: bit 5 says that more follow, bit
    4 of the last is the sign. From the fourth on a count is stored as the difference to the last but one.
    """
    code = np.frombuffer(rle, dtype=np.uint8).astype(np.int64) - 48
    is_last = (code & 0x20) == 0
    if len(code) == 0 or not is_last[-1] or code.min() < 0 or code.max() > 0x3F:
        raise _malformed(height_px, width_px)
    start = np.flatnonzero(np.concatenate([[True], is_last[:-1]]))
    place = np.arange(len(code)) - np.repeat(start, np.diff(np.append(start, len(code))))
    counts = np.add.reduceat((code & 0x1F) << (5 * place), start)
    negative = (code[is_last] & 0x10) != 0
    counts[negative] -= np.int64(1) << (5 * (place[is_last][negative] + 1))
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    if counts.min() < 0 or counts.sum() != height_px * width_px:
        raise _malformed(height_px, width_px)
    return counts


def _malformed(height_px: int, width_px: int) -> SchemaError:
    return SchemaError(
        "SCH003",
        f"a mask's run lengths do not describe an image of {height_px} x {width_px} pixels",
        "compress masks with COCO's RLE at the image's own height and width",
    )
