"""What a sweep says: quality over the size of each error, what of it is lost, where labels break, each with its band.

All figures see the same draws of scenes and seeds. What is lost is a share of the clean quality of the same draw, and
what refinement moves is the difference of two levels of the same draw, so that how hard scenes are cancels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.robustness.cells import KINDS, Cell
from pipelines.robustness.counts import Counts, panoptic_quality
from pointsam.base.seeding import generator
from pointsam.evaluate.bootstrap import times_drawn

_DRAWS = 1000
"""Of the bootstrap."""
LOSSES = (0.05, 0.2)
"""Shares of the clean quality whose loss is looked for."""

_Floats = NDArray[np.float64]
Banded = tuple[float, float, float]
"""A figure, and the bounds of 95 % of its draws."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Quality over the size of one kind of error, its first point the clean calibration.

    Args:
        kind: of KINDS.
        sar: whether labels were refined.
        level: (L,).
        pq: (L,3) mean of the seeds, and its bounds.
        lost: (L,3) share of the clean quality that is lost, and its bounds.
        seeds: (L,2) lowest and highest quality of the seeds.
        breaks: level at which each of LOSSES is lost; infinity beyond the last level.
        crossings: (D,losses) that of each draw; NaN where there was nothing to lose.
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
    """Every kind of the sweep, without and with refinement."""
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
    """By how much refinement moves the level at which LOSSES[k] is lost: with it less without it, draw by draw.

    Infinite where but one of the two is reached; NaN where neither is: then a draw says nothing, and the bounds are
    those that hold whatever it would have said.
    """
    a, b = without.crossings[:, k], refined.crossings[:, k]
    neither = np.isinf(a) & np.isinf(b)
    apart = np.where(neither, 0, b) - np.where(neither, 0, a)
    low, high = (bounds(np.where(neither, side * math.inf, apart))[end] for end, side in enumerate((-1, 1)))
    levels = without.breaks[k][0], refined.breaks[k][0]
    return math.nan if all(map(math.isinf, levels)) else levels[1] - levels[0], float(low), float(high)


def bounds(draws: _Floats) -> _Floats:
    """(2,...) of 95 % of (D,...) draws, NaN not counted; values that occur, for infinity has no mean."""
    ordered = np.sort(draws, axis=0)  # NaN comes last
    last = np.maximum((~np.isnan(draws)).sum(axis=0) - 1, 0)
    places = np.stack([np.rint(share * last) for share in (0.025, 0.975)]).astype(np.int64)
    return np.take_along_axis(ordered, places, axis=0)


def _resampled(counts: Counts) -> _Floats:
    """(draw,cell,sar) quality of scenes drawn with replacement; all cells see the same draws. NaN of a single one."""
    units = len(counts.unit)
    if units == 1:  # always drawn itself: that would look as if nothing were in doubt
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
    few = max(len(seeds) - 1, 1)  # one less than there are gives their mean the spread that it has (Rao and Wu 1988)
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
    """(...,L) share of the first of (...,L) qualities that is lost, NaN if there is none."""
    clean = pq[..., :1]
    share: _Floats = 1 - pq / np.where(clean > 0, clean, np.nan)
    return share


def _crossing(level: _Floats, lost: _Floats, share: float) -> float:
    """Where a piecewise linear loss first reaches a share; infinity if it does not, NaN if there is no loss."""
    if np.isnan(lost[0]):
        return math.nan
    beyond = np.flatnonzero(lost >= share)
    if len(beyond) == 0:
        return math.inf
    k = beyond[0]
    part = (share - lost[k - 1]) / (lost[k] - lost[k - 1])
    return float(level[k - 1] + part * (level[k] - level[k - 1]))
