"""The document `noise.json`: all figures of a finished sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.robustness.cells import KINDS
from pipelines.robustness.counts import Counts
from pipelines.robustness.curves import LOSSES, Banded, Curve, by_kind, shift

Values = tuple[float | None, ...]
"""None for NaN."""


@dataclass(frozen=True)
class BreakDocument:
    """The size of an error at which a fraction of the clean PQ is lost.

    Args:
        lost: the fraction.
        level: the size, in the kind's unit; None if no size of the sweep reaches the loss.
        low, high: 95 % confidence interval; None where there is no bound.
    """

    lost: float
    level: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ShiftDocument:
    """By how much refinement shifts that size.

    Args:
        lost: the fraction.
        by: the shift, in the kind's unit; None if a curve does not reach the loss.
        low, high: 95 % confidence interval; None where there is no bound.
    """

    lost: float
    by: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class CurveDocument:
    """One `Curve`, its columns as lists of L values.

    Args:
        kind: a key of KINDS.
        unit: unit of the levels.
        sar: whether labels were refined.
        level: sizes of the error.
        pq, low, high: PQ and its 95 % confidence interval.
        lost, lost_low, lost_high: fraction of the clean PQ that is lost, and its 95 % confidence interval.
        seeds: (L,2) lowest and highest PQ of the seeds.
        breaks: one for each of LOSSES.
    """

    kind: str
    unit: str
    sar: bool
    level: Values
    pq: Values
    low: Values
    high: Values
    lost: Values
    lost_low: Values
    lost_high: Values
    seeds: tuple[Values, ...]
    breaks: tuple[BreakDocument, ...]


@dataclass(frozen=True)
class ShiftsDocument:
    """The shifts by refinement of one kind of error, one for each of LOSSES."""

    kind: str
    unit: str
    breaks: tuple[ShiftDocument, ...]


@dataclass(frozen=True)
class SweepDocument:
    """`noise.json`.

    Args:
        num_frames: number of frames counted.
        failed: number of quarantined frames.
        masks: "reused" or "re-made" in every cell.
        seeds: seeds of the cells whose error is drawn.
        curves: curves without and with refinement, by kind.
        moved_by_sar: shifts by refinement, by kind.
    """

    num_frames: int
    failed: int
    masks: str
    seeds: tuple[int, ...]
    curves: tuple[CurveDocument, ...]
    moved_by_sar: tuple[ShiftsDocument, ...]


def sweep_document(counts: Counts, curves: Sequence[Curve]) -> SweepDocument:
    """The document of a sweep.

    Args:
        counts: counts of the sweep.
        curves: curves of the counts, in the order in which `curves` returns them.
    """
    return SweepDocument(
        counts.num_frames,
        counts.failed,
        counts.masks,
        counts.seeds,
        tuple(map(_curve, curves)),
        tuple(
            ShiftsDocument(
                kind,
                KINDS[kind].unit,
                tuple(ShiftDocument(loss, *_finite(shift(*pair, k))) for k, loss in enumerate(LOSSES)),
            )
            for kind, pair in by_kind(curves)
        ),
    )


def _curve(curve: Curve) -> CurveDocument:
    pq, low, high = (_values(column) for column in curve.pq.T.tolist())
    lost, lost_low, lost_high = (_values(column) for column in curve.lost.T.tolist())
    return CurveDocument(
        kind=curve.kind,
        unit=KINDS[curve.kind].unit,
        sar=curve.sar,
        level=_values(curve.level.tolist()),
        pq=pq,
        low=low,
        high=high,
        lost=lost,
        lost_low=lost_low,
        lost_high=lost_high,
        seeds=tuple(map(_values, curve.seeds.tolist())),
        breaks=tuple(BreakDocument(loss, *_finite(size)) for loss, size in zip(LOSSES, curve.breaks, strict=True)),
    )


def _values(values: Sequence[float]) -> Values:
    return tuple(None if math.isnan(value) else value for value in values)


def _finite(banded: Banded) -> tuple[float | None, float | None, float | None]:
    value, low, high = (value if math.isfinite(value) else None for value in banded)
    return value, low, high
