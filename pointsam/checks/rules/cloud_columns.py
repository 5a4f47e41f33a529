"""Raw clouds have no header: the number of values per point is inferred from the values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.remote import read_bytes
from pointsam.checks.base import Probe, Problem, Rule
from pointsam.datasets.io import RawPoints

_WIDTHS = (3, 4, 5, 6, 7, 8)
_MOST_VALUES = 840 * 250  # 840 is the least multiple of all widths
_DIFFERENT = 0.05
"""Fraction of the variance between columns below which they count as alike."""
_CLEAR = 1.3
"""A wider row must have so many times the variance between columns of a narrower one."""
_REPEATS = 0.4
"""Fraction of the largest variance from which on the stated width is kept although a multiple of it has more."""
_PLAUSIBLE = (1e-6, 1e5)
"""Sizes of the values of a cloud."""


def likely_width(values: NDArray[np.float32], stated: int | None = None) -> int | None:
    """The number of values per point of a raw cloud, judged by how far the columns differ from each other.

    Columns of the right width have one meaning each: positions, small intensities, integral ring numbers. A wrong
    width mixes them, and the columns look alike.

    Args:
        values: (V,) float32 values of the file in their order.
        stated: the width that the layout states. A multiple of it needs more evidence, because LiDARs that fire their
            beams in turn repeat a pattern every few points.

    Returns:
        One of 3 to 8; None if no width stands out.
    """
    values = values[: min(len(values), _MOST_VALUES)]
    values = values[: len(values) - len(values) % 840]
    if len(values) == 0:
        return None
    features = np.stack(
        [
            np.clip(np.abs(values), 0, 100) / 100,
            np.clip(values, -3, 1) / 4,
            (values == np.round(values)).astype(np.float64),
            (values < 0).astype(np.float64),
        ]
    ).astype(np.float64)
    total = features.var(axis=1).sum()
    if not np.isfinite(total) or total == 0:
        return None
    between = {width: features.reshape(4, -1, width).mean(axis=1).var(axis=1).sum() / total for width in _WIDTHS}
    best = max(between.values())
    if best < _DIFFERENT:
        return None
    width = next(width for width in _WIDTHS if between[width] * _CLEAR >= best)
    if stated in between and width % stated == 0 and between[stated] > _REPEATS * best:
        return stated
    return width


def is_float64(raw: bytes) -> bool:
    """Whether a raw cloud holds 64-bit values.

    Read so, nearly all are of plausible size. Read as 32 bits, fewer are, or every other one is 0: the lower half of a
    value of few digits.
    """
    if len(raw) == 0 or len(raw) % 8 or _plausible(np.frombuffer(raw, dtype="<f8")) < 0.9:
        return False
    single = np.frombuffer(raw, dtype="<f4")
    lower, upper = (float((half == 0).mean()) for half in (single[::2], single[1::2]))
    return _plausible(single) < 0.9 or lower > 0.5 > upper


def _plausible(values: FloatArray) -> float:
    """Fraction of values that are 0 or of a size that a cloud can hold."""
    low, high = _PLAUSIBLE
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.abs(values)
        return float(((size == 0) | ((size > low) & (size < high))).mean())


def _check(probe: Probe) -> Iterator[Problem]:
    for sweep in probe.frame.sweeps:
        source = sweep.source
        if not isinstance(source, RawPoints):
            continue
        raw = read_bytes(source.path, "LiDAR file")
        stated = len(source.columns)
        if is_float64(raw):
            yield Problem(source.name, f"holds 64-bit values; it is read as {stated} 32-bit values per point")
            continue
        width = likely_width(np.frombuffer(raw[: len(raw) - len(raw) % 4], dtype="<f4"), stated)
        if width is not None and width != stated:
            yield Problem(source.name, f"looks like {width} values per point; it is read as {stated}")


RULE = Rule(
    id="cloud-columns",
    severity="error",
    title="Raw clouds hold the number of values per point that the layout states.",
    remedy="Convert the clouds to 32-bit rows with the columns of the layout (docs/own_data.md).",
    of_frame=_check,
)
