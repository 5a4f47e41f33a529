"""Compares labels of several variants on the same frames: figures, their bootstrap bands, and paired differences.

Specification
    Counts      of a frame, by range of the segment, by row of `ROWS`, and by class.
    Unit        what the bootstrap draws: up to `length` consecutive frames of one scene, or whole scenes. Neighbouring
                frames show the same objects, so that bands from single frames of a sequence would be too narrow.
    Figure      PQ as in `pointsam.evaluate.panoptic`, IoU as in `pointsam.evaluate.agnostic`. rec15 and rec5 are the
                fractions of the objects with at least 15 and 5 points whose best IoU with any cluster, of any class, is
                > 0.5. Point precision and recall are those of the foreground.
    Band        2.5 and 97.5 % quantiles over the draws of the units; NaN for a figure that a single unit has.
    Difference  to the first variant, draw by draw: every draw has the same units for all variants, so that the
                difficulty of the frames cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from pointsam.evaluate.bootstrap import interval, times_drawn
from pointsam.evaluate.judge import MIN_POINTS_OBJECTS, MIN_POINTS_PANOPTIC, FrameVerdict
from pointsam.evaluate.panoptic import panoptic_quality

FIGURES = ("PQ", "IoU", "rec15", "rec5", "point precision", "point recall")
"""Names of the figures, in the order of `Compared`."""
ROWS = (
    *("tp", "fp", "fn", "iou sum"),
    *("objects", "found", "best iou sum", "large", "large found"),
    *("true points", "covered points", "cluster points", "right points"),
)
"""What is counted: rows of panoptic quality, of objects, and of points."""
DRAWS = 1000
"""Number of bootstrap draws."""

_Floats = NDArray[np.float64]
_SHARES = (
    ("best iou sum", "objects"),
    ("large found", "large"),
    ("found", "objects"),
    ("right points", "cluster points"),
    ("covered points", "true points"),
)


@dataclass(frozen=True, eq=False)
class Compared:
    """Figures of V variants, in the order of `FIGURES`.

    Args:
        counts: (V,3) TP, FP, FN of all classes.
        figure: (V,6,3) value, and lower and upper bound of its band.
        difference: (V,6,3) likewise, minus the first variant.
    """

    counts: NDArray[np.int64]
    figure: _Floats
    difference: _Floats


def frame_counts(verdict: FrameVerdict) -> _Floats:
    """(B,13,C) counts of a frame, by range, row and class. Objects have their true class, clusters their own."""
    seen = verdict.seen
    true_under_pred = seen.true_of_point[seen.pred_at]
    right = true_under_pred >= 0
    objects, large = seen.true_size >= MIN_POINTS_OBJECTS, seen.true_size >= MIN_POINTS_PANOPTIC
    found = verdict.object_iou > 0.5
    of_objects = {
        "tp": verdict.matched_objects,
        "fn": verdict.missed,
        "iou sum": verdict.matched_objects * verdict.object_iou,  # a match is the best: it has more than half
        "objects": objects,
        "found": objects & found,
        "best iou sum": objects * verdict.object_iou,
        "large": large,
        "large found": large & found,
        "true points": seen.true_size,
        "covered points": np.bincount(true_under_pred[right], minlength=len(seen.true_size)),
    }
    of_clusters = {
        "fp": verdict.false_alarm,
        "cluster points": seen.pred_size,
        "right points": np.bincount(seen.pred_of, weights=right, minlength=len(seen.pred_size)),
    }
    members = verdict.members["range"]
    counts = np.zeros((len(verdict.bins["range"]), len(ROWS), len(verdict.class_names)))
    for values, bins, class_id in (
        (of_objects, members.objects, seen.true_class),
        (of_clusters, members.clusters, seen.pred_class),
    ):
        place = bins.argmax(axis=1)  # every segment has one range
        for row, value in values.items():
            np.add.at(counts[:, ROWS.index(row)], (place, class_id), value)
    return counts


def units_of(scenes: Sequence[str], length: int | None) -> NDArray[np.int64]:
    """(N,) index of the unit of each frame.

    Args:
        scenes: scene of each frame. Frames of a scene are consecutive, in order of time.
        length: largest number of frames of a unit, None for whole scenes.
    """
    sizes: list[int] = []
    for _, group in groupby(scenes):
        count = len(list(group))
        step = count if length is None else length
        sizes += [min(step, count - first) for first in range(0, count, step)]
    return np.repeat(np.arange(len(sizes)), sizes)


def compare(counts: _Floats, unit: NDArray[np.int64]) -> Compared:
    """Compare variants over the segments of any ranges and classes.

    Args:
        counts: (N,V,13,C) counts of each frame and variant, from `frame_counts`.
        unit: (N,) unit of each frame, from `units_of`.
    """
    by_unit = np.zeros((int(unit.max(initial=-1)) + 1, *counts.shape[1:]))
    np.add.at(by_unit, unit, counts)
    return Compared(by_unit.sum(axis=0)[:, :3].sum(axis=2).astype(np.int64), *over_units(by_unit, _figures))


def over_units(by_unit: _Floats, figures: Callable[[_Floats], _Floats]) -> tuple[_Floats, _Floats]:
    """Figures of V variants and their differences to the first, with bands, as in `Compared`.

    Args:
        by_unit: (U,V,...) what is counted of each unit and variant; counts of units may be added.
        figures: (...,F) figures of (...) counts, of any leading dimensions.

    Returns:
        figure, difference: (V,F,3) each.
    """
    value = figures(by_unit.sum(axis=0))
    if len(by_unit):
        draws = figures(np.tensordot(times_drawn(len(by_unit), DRAWS, "paired"), by_unit, axes=1))
        contribute = np.isfinite(figures(by_unit)).any(axis=1).sum(axis=0)
        draws[..., contribute < 2] = np.nan  # all draws are equal: a band of width 0
    else:
        draws = np.full((1, *value.shape), np.nan)
    return _banded(value, draws), _banded(value - value[:1], draws - draws[:, :1])


def _figures(counts: _Floats) -> _Floats:
    """(...,6) figures of (...,13,C) counts, NaN for 0 / 0."""
    total = counts.sum(axis=-1)
    share = [(total[..., ROWS.index(part)], total[..., ROWS.index(whole)]) for part, whole in _SHARES]
    shares = [np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan) for part, whole in share]
    return np.stack([panoptic_quality(counts[..., :4, :]), *shares], axis=-1)


def _banded(value: _Floats, draws: _Floats) -> _Floats:
    """(V,F,3) values with the bounds of (D,V,F) draws."""
    bounds = [[interval(draws[:, v, f]) for f in range(value.shape[1])] for v in range(len(value))]
    return np.concatenate([value[..., None], bounds], axis=2)
