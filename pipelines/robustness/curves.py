"""The curves of a sweep: PQ and its loss by size of the error, and the sizes at which losses are reached, with bands.

All figures use the same bootstrap draws of scenes and seeds. A loss is relative to the clean PQ of the same draw, and
the shift by refinement is the difference of two sizes of the same draw, so that the difficulty of the scenes cancels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.robustness.cells import KINDS, Cell
from pipelines.robustness.counts import Counts
from pointsam.base.seeding import generator
from pointsam.evaluate.bootstrap import times_drawn
from pointsam.evaluate.panoptic import panoptic_quality

_DRAWS = 1000
"""Number of bootstrap draws."""
LOSSES = (0.05, 0.2)
"""Fractions of the clean PQ: the sizes at which they are lost are reported."""

_Floats = NDArray[np.float64]
Banded = tuple[float, float, float]
"""A figure, and its 95 % confidence interval."""


@dataclass(frozen=True, eq=False)
class Curve:
    """PQ by size of one kind of error. The first point is the clean calibration.

    Args:
        kind: a key of KINDS.
        sar: whether labels were refined.
        level: (L,) sizes of the error, in the unit of the kind.
        pq: (L,3) PQ, mean over seeds, and its confidence interval.
        lost: (L,3) fraction of the clean PQ that is lost, and its confidence interval.
        seeds: (L,2) lowest and highest PQ of the seeds.
        breaks: the level at which each of LOSSES is lost; infinity if no level reaches the loss.
        crossings: (D,losses) the same levels in each bootstrap draw; NaN if the clean PQ is 0.
    """

    kind: str
    sar: bool
    level: _Floats
    pq: _Floats
    lost: _Floats
    seeds: _Floats
    breaks: tuple[Banded, ...]
    crossings: _Floats


def curves(counts: Counts) -> list[Curve]:
    """The curves of every kind in the sweep: without refinement, then with it."""
    draws = _resampled(counts)
    whole = panoptic_quality(counts.panoptic.sum(axis=0))
    return [
        _curve(counts.cells, kind, sar, whole[:, int(sar)], draws[:, :, int(sar)])
        for kind in KINDS
        if any(cell.kind == kind for cell in counts.cells)
        for sar in (False, True)
    ]


def by_kind(found: Sequence[Curve]) -> list[tuple[str, tuple[Curve, Curve]]]:
    """The result of `curves` by kind: without refinement and with it."""
    return [(without.kind, (without, refined)) for without, refined in zip(found[::2], found[1::2], strict=True)]


def shift(without: Curve, refined: Curve, k: int) -> Banded:
    """The shift by refinement of the level at which LOSSES[k] is lost: with refinement minus without, draw by draw.

    It is infinite if only one of the two curves reaches the loss, and NaN if neither does. A draw in which neither does
    could have any shift: it counts as minus infinity for the lower bound and as plus infinity for the upper bound.
    """
    a, b = without.crossings[:, k], refined.crossings[:, k]
    neither = np.isinf(a) & np.isinf(b)
    apart = np.where(neither, 0, b) - np.where(neither, 0, a)
    low, high = (bounds(np.where(neither, side * math.inf, apart))[end] for end, side in enumerate((-1, 1)))
    levels = without.breaks[k][0], refined.breaks[k][0]
    return math.nan if all(map(math.isinf, levels)) else levels[1] - levels[0], float(low), float(high)


def bounds(draws: _Floats) -> _Floats:
    """(2,...) bounds of 95 % of (D,...) draws without NaN. They are values of draws: infinity cannot be averaged."""
    ordered = np.sort(draws, axis=0)  # NaN comes last
    last = np.maximum((~np.isnan(draws)).sum(axis=0) - 1, 0)
    places = np.stack([np.rint(share * last) for share in (0.025, 0.975)]).astype(np.int64)
    return np.take_along_axis(ordered, places, axis=0)


def _resampled(counts: Counts) -> _Floats:
    """(draw,cell,sar) PQ of the bootstrap draws, which all cells share; NaN if there is a single scene or frame."""
    units = len(counts.unit)
    if units == 1:  # every draw would be equal: an interval of width 0
        return np.full((_DRAWS, *counts.panoptic.shape[1:3]), np.nan)
    weights = times_drawn(units, _DRAWS, "noise")
    flat = counts.panoptic.reshape(units, -1)
    return panoptic_quality((weights @ flat).reshape(_DRAWS, *counts.panoptic.shape[1:]))


def _curve(cells: tuple[Cell, ...], kind: str, sar: bool, whole: _Floats, draws: _Floats) -> Curve:
    mine = [k for k, cell in enumerate(cells) if cell.kind == kind]
    level = np.unique([0.0, *(cells[k].level for k in mine)])
    seeds = sorted({cells[k].noise.seed for k in mine})
    # (L,S) cell of each level and seed; without an error all seeds are the clean cell
    at = np.zeros((len(level), len(seeds)), dtype=np.int64)
    for k in mine:
        at[np.searchsorted(level, cells[k].level), seeds.index(cells[k].noise.seed)] = k
    few = max(len(seeds) - 1, 1)  # one fewer than there are: unbiased deviation of their mean (Rao and Wu 1988)
    chosen = generator(0, "noise", "seeds").integers(0, len(seeds), (len(draws), few))
    means = draws[np.arange(len(draws))[:, None, None], at[:, chosen].transpose(1, 0, 2)].mean(axis=2)
    by_seed = whole[at]
    pq = by_seed.mean(axis=1)
    losses = _lost(means)
    crossings = np.array([[_crossing(level, lost, share) for share in LOSSES] for lost in losses])
    found = [_crossing(level, _lost(pq), share) for share in LOSSES]
    breaks = tuple((there, float(low), float(high)) for there, low, high in zip(found, *bounds(crossings), strict=True))
    return Curve(
        kind,
        sar,
        level,
        np.column_stack([pq, *bounds(means)]),
        np.column_stack([_lost(pq), *bounds(losses)]),
        np.stack([by_seed.min(axis=1), by_seed.max(axis=1)], axis=1),
        breaks,
        crossings,
    )


def _lost(pq: _Floats) -> _Floats:
    """(...,L) fraction of the first of (...,L) values that is lost; NaN if the first is 0."""
    clean = pq[..., :1]
    fraction: _Floats = 1 - pq / np.where(clean > 0, clean, np.nan)
    return fraction


def _crossing(level: _Floats, lost: _Floats, share: float) -> float:
    """The level at which a piecewise linear loss first reaches `share`; infinity if it does not, NaN if it is NaN."""
    if np.isnan(lost[0]):
        return math.nan
    beyond = np.flatnonzero(lost >= share)
    if len(beyond) == 0:
        return math.inf
    k = beyond[0]
    part = (share - lost[k - 1]) / (lost[k] - lost[k - 1])
    return float(level[k - 1] + part * (level[k] - level[k - 1]))
