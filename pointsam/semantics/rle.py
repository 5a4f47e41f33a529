"""COCO compressed run lengths that others wrote: checked before C code that trusts them sees them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Five bits a character: seven make more than any image has pixels.
_MAX_CHARACTERS = 7


def encode(mask: NDArray[np.bool_]) -> bytes:
    """COCO compressed run lengths of an (H,W) mask."""
    from pycocotools import mask as coco

    counts: bytes = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return counts


def check(counts: bytes, num_pixels: int) -> None:
    """Refuse run lengths that do not describe an image of so many pixels.

    Args:
        counts: COCO's text form: numbers of five bits a character, least first, bit 5 = goes on, from the fourth on
            as difference to the number two before.
        num_pixels: height times width.

    Raises:
        ValueError: saying what is wrong.
    """
    runs = _runs(counts)
    if runs.min() < 0 or (runs[1:] == 0).any():
        raise ValueError("a run of no or fewer pixels")
    if runs.max() > num_pixels or runs.sum() != num_pixels:
        raise ValueError(f"{runs.sum()} pixels instead of {num_pixels}")


def _runs(counts: bytes) -> NDArray[np.int64]:
    code = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - 48
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
    # The highest bit of the last character is the sign.
    runs -= np.where(code[last] & 16, np.int64(32) << place[last], 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def boxes(rle: tuple[bytes, ...], height_px: int, width_px: int) -> NDArray[np.float32]:
    """(K,4) left, top, right, bottom of checked masks, pixels; zeros for an empty mask."""
    from pycocotools import mask as coco

    if not rle:
        return np.zeros((0, 4), dtype=np.float32)
    xywh = coco.toBbox([{"size": [height_px, width_px], "counts": counts} for counts in rle])
    xyxy: NDArray[np.float32] = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)
    return xyxy


def area(counts: bytes) -> int:
    """Pixels of a checked mask."""
    return int(_runs(counts)[1::2].sum())


def united(a: bytes, b: bytes) -> bytes:
    """The pixels of either of two checked masks of one image."""
    from pycocotools import mask as coco

    # Run lengths merge run by run. The shape is of no matter, but its area is the memory that the C code takes.
    size = [int(_runs(a).sum()), 1]
    counts: bytes = coco.merge([{"size": size, "counts": a}, {"size": size, "counts": b}])["counts"]
    return counts
