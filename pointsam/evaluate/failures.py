"""Cost of each type of error: the gain in average precision if only errors of this type were corrected.

Every wrong prediction and every missed object has one type:

* localisation: an object of its class is within 4 m, but not within 0.5 m;
* wrong class: no object of its class is within 4 m, but one of another class is within 2 m. Corrected, the prediction
  gets that class, or is removed if that object is matched already;
* duplicate: all objects of its class within 4 m are matched with predictions of higher score;
* background: none of these;
* missed: no prediction of its class is matched with the object at 4 m.

Source: TIDE (arXiv 2008.08115), with nuScenes' distances in place of overlaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.evaluate.detection import DISTANCES_M, FrameBoxes, average_precision

KINDS = ("localisation", "wrong class", "duplicate", "background", "missed")
_FAR_M = max(DISTANCES_M)
_CLASS_M = 2.0
_Frames = Sequence[FrameBoxes]


@dataclass(frozen=True)
class Failures:
    """Errors of one class.

    Args:
        name: the class.
        gains: increase of its average precision without the errors of each of KINDS; NaN without objects.
        counts: number of errors of each of KINDS.
    """

    name: str
    gains: tuple[float, ...]
    counts: tuple[int, ...]


def failures(found: _Frames, true: _Frames, names: Sequence[str]) -> tuple[Failures, ...]:
    """Errors of each class.

    Args:
        found: predictions, by frame.
        true: true boxes, by frame.
        names: class names by class_id.
    """
    by_class = [_Found.of(_of(found, k), _of(true, k)) for k in range(len(names))]
    right = [_right_class(frame, *pair, by_class) for frame, pair in enumerate(zip(found, true, strict=True))]
    return tuple(Failures(name, *_class(found, true, right, by_class[k], k)) for k, name in enumerate(names))


@dataclass(frozen=True, eq=False)
class _Found:
    """Boxes of one class by frame, and which predictions and objects are matched at 4 m."""

    found: list[FrameBoxes]
    true: list[FrameBoxes]
    hit: list[NDArray[np.bool_]]
    taken: list[NDArray[np.bool_]]
    misplaced: int

    @staticmethod
    def of(found: list[FrameBoxes], true: list[FrameBoxes]) -> _Found:
        hit, taken = ([np.zeros(len(frame.score), dtype=bool) for frame in frames] for frames in (found, true))
        misplaced = 0
        for k, f, t in average_precision(found, true, _FAR_M)[1]:
            hit[k][f] = taken[k][t] = True
            misplaced += bool(_distance(found[k], true[k])[f, t] >= min(DISTANCES_M))
        return _Found(found, true, hit, taken, misplaced)


def _class(
    found: _Frames, true: _Frames, right: list[NDArray[np.int64]], mine: _Found, class_id: int
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    near = [_distance(f, t).min(axis=1, initial=np.inf) < _FAR_M for f, t in zip(mine.found, mine.true, strict=True)]
    other = [one[f.class_id == class_id] != class_id for f, one in zip(found, right, strict=True)]
    double = [n & ~h for n, h in zip(near, mine.hit, strict=True)]
    nothing = [~n & ~o for n, o in zip(near, other, strict=True)]

    def without(drop: list[NDArray[np.bool_]]) -> list[FrameBoxes]:
        return [f[~d] for f, d in zip(mine.found, drop, strict=True)]

    renamed = [replace(f, class_id=one) for f, one in zip(found, right, strict=True)]
    left = [t[held] for t, held in zip(mine.true, mine.taken, strict=True)]
    ap = _mean_ap(mine.found, mine.true)
    corrected = (
        average_precision(mine.found, mine.true, _FAR_M)[0],
        _mean_ap(_of(renamed, class_id), mine.true),
        _mean_ap(without(double), mine.true),
        _mean_ap(without(nothing), mine.true),
        _mean_ap(mine.found, left) if any(len(t.score) for t in left) else 1.0 + 0 * ap,  # NaN without an object
    )
    counts = (int(sum(map(np.sum, some))) for some in (other, double, nothing, [~t for t in mine.taken]))
    return tuple(value - ap for value in corrected), (mine.misplaced, *counts)


def _right_class(frame: int, found: FrameBoxes, true: FrameBoxes, by_class: list[_Found]) -> NDArray[np.int64]:
    """(N,) correct class of each prediction, -1 for those to remove."""
    out = found.class_id.copy()
    if len(true.score):
        taken = np.zeros(len(true.score), dtype=bool)
        for k, one in enumerate(by_class):
            taken[true.class_id == k] = one.taken[frame]
        distance = _distance(found, true)
        own = np.where(found.class_id[:, None] == true.class_id, distance, np.inf).min(axis=1)
        wrong = (own >= _FAR_M) & (distance.min(axis=1) < _CLASS_M)
        nearest = distance.argmin(axis=1)[wrong]
        out[wrong] = np.where(taken[nearest], -1, true.class_id[nearest])
    return out


def _of(frames: _Frames, class_id: int) -> list[FrameBoxes]:
    return [frame[frame.class_id == class_id] for frame in frames]


def _distance(found: FrameBoxes, true: FrameBoxes) -> NDArray[np.float64]:
    apart: NDArray[np.float64] = np.linalg.norm(found.center_m[:, None, :2] - true.center_m[None, :, :2], axis=2)
    return apart


def _mean_ap(found: _Frames, true: _Frames) -> float:
    return float(np.mean([average_precision(found, true, limit)[0] for limit in DISTANCES_M]))
