"""COCO run lengths: masks to short byte strings, and back to full masks or crops to their bounding box.

Masks are decoded here and not by pycocotools for two reasons: the box of a mask is a small part of its image, and
pycocotools does not check the runs, so that a malformed string from a user's file would write outside the image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError

# Each character holds five bits: seven characters can hold more than the number of pixels of any image.
_MAX_CHARACTERS = 7


def encode_mask(mask: NDArray[np.bool_]) -> bytes:
    """Compress an (H,W) mask to COCO's "counts" (column-major runs, background first).

    Source: pycocotools, the COCO API.
    """
    from pycocotools import mask as coco

    counts: bytes = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return counts


def encode_crop(crop: NDArray[np.bool_], v_px: int, u_px: int, height_px: int, width_px: int) -> bytes:
    """Compress an (h,w) crop whose first pixel lies at (v_px, u_px) of an otherwise empty image.

    Cost grows with the crop, not with the image.
    """
    from pycocotools import mask as coco

    h, w = crop.shape
    first, last = _runs_of_ones(encode_mask(crop), h, w)
    # A run of the crop that goes on in the next columns is one run for each column of the image.
    many = last // h - first // h + 1
    run = np.repeat(np.arange(len(first)), many)
    column = first[run] // h + np.arange(len(run)) - np.repeat(np.cumsum(many) - many, many)
    start = np.maximum(first[run], column * h) + column * (height_px - h)
    end = np.minimum(last[run], column * h + h - 1) + column * (height_px - h) + 1
    apart = start[1:] != end[:-1]  # unless the columns are those of the image
    start, end = start[np.append(True, apart)[: len(run)]], end[np.append(apart, True)[: len(run)]]
    bounds = np.column_stack([start, end]).ravel() + u_px * height_px + v_px
    counts = np.diff(bounds, prepend=0, append=height_px * width_px)
    runs = counts[:-1] if counts[-1] == 0 else counts
    size = {"size": [height_px, width_px], "counts": runs.tolist()}
    compressed: bytes = coco.frPyObjects(size, height_px, width_px)["counts"]
    return compressed


def decode_mask(rle: bytes, height_px: int, width_px: int) -> NDArray[np.bool_]:
    """Expand to an (H,W) mask.

    Raises:
        SchemaError: SCH003 if the runs do not fill the image exactly; so do all functions that take the image's size.
    """
    counts = _runs_of_image(rle, height_px, width_px)
    ones = np.arange(len(counts)) % 2 == 1
    return np.repeat(ones, counts).reshape(width_px, height_px).T


def decode_crop(rle: bytes, height_px: int, width_px: int) -> tuple[slice, slice, NDArray[np.bool_]]:
    """Expand only the bounding box: (rows, columns, (h,w) mask) with `image[rows, columns][mask]` the mask's pixels.

    Cost grows with the box, not with the image. An empty mask gives empty slices.
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
    return int(_runs_of_image(rle, height_px, width_px)[1::2].sum())


def bbox_xyxy_px(rle: bytes, height_px: int, width_px: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the mask, right and bottom exclusive; zeros for an empty mask."""
    rows, columns = _bounds(*_runs_of_ones(rle, height_px, width_px), height_px)
    return columns.start, rows.start, columns.stop, rows.stop


def united(a: bytes, b: bytes) -> bytes:
    """The pixels of either of two masks of one image.

    Raises:
        ValueError: if they are malformed or of images with different numbers of pixels.
    """
    from pycocotools import mask as coco

    # Run lengths merge run by run. The shape is of no matter, but its area is the memory that the C code takes.
    num_pixels = int(_parse(a).sum())
    check(a, num_pixels)
    check(b, num_pixels)
    size = [num_pixels, 1]
    counts: bytes = coco.merge([{"size": size, "counts": a}, {"size": size, "counts": b}])["counts"]
    return counts


def check(rle: bytes, num_pixels: int) -> NDArray[np.int64]:
    """Refuse run lengths that do not describe an image of `num_pixels` pixels.

    Args:
        rle: COCO's text form: numbers with five bits per character, least significant first; bit 5 marks that the
            number continues, bit 4 of its last character is the sign. From the fourth number on, each is the difference
            to the one two before.
        num_pixels: height times width.

    Returns:
        (R,) run lengths, background first; only the first may be 0.

    Raises:
        ValueError: with the reason.
    """
    runs = _parse(rle)
    if runs.min() < 0 or (runs[1:] == 0).any():
        raise ValueError("a run of no or fewer pixels")
    if runs.max() > num_pixels or runs.sum() != num_pixels:
        raise ValueError(f"{runs.sum()} pixels instead of {num_pixels}")
    return runs


def _parse(rle: bytes) -> NDArray[np.int64]:
    code = np.frombuffer(rle, dtype=np.uint8).astype(np.int64) - 48
    if len(code) == 0:
        raise ValueError("no run lengths")
    if code.min() < 0 or code.max() > 63:
        raise ValueError("a character that compressed run lengths do not have")
    last = np.flatnonzero(code < 32)
    if len(last) == 0 or last[-1] != len(code) - 1:
        raise ValueError("cut off in the middle of a number")
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first).max() >= _MAX_CHARACTERS:
        raise ValueError("a run longer than any image")
    place = 5 * (np.arange(len(code)) - np.repeat(first, last - first + 1))
    runs: NDArray[np.int64] = np.add.reduceat((code & 31) << place, first)
    runs -= np.where(code[last] & 16, np.int64(32) << place[last], 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _runs_of_image(rle: bytes, height_px: int, width_px: int) -> NDArray[np.int64]:
    """(R,) run lengths, background first."""
    try:
        return check(rle, height_px * width_px)
    except ValueError as error:
        raise SchemaError(
            "SCH003",
            f"a mask's run lengths do not describe an image of {height_px} x {width_px} pixels: {error}",
            "compress masks with COCO's RLE at the image's own height and width",
        ) from error


def _runs_of_ones(rle: bytes, height_px: int, width_px: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last pixel of every run of the mask, counted column by column."""
    ends = np.cumsum(_runs_of_image(rle, height_px, width_px))
    return ends[0::2][: len(ends) // 2], ends[1::2] - 1


def _bounds(first: NDArray[np.int64], last: NDArray[np.int64], height_px: int) -> tuple[slice, slice]:
    if len(first) == 0:
        return slice(0, 0), slice(0, 0)
    columns = slice(int(first[0] // height_px), int(last[-1] // height_px) + 1)
    if (first // height_px != last // height_px).any():
        return slice(0, height_px), columns
    return slice(int((first % height_px).min()), int((last % height_px).max()) + 1), columns
