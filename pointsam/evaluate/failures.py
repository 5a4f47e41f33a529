"""What costs average precision: how much each kind of error, mended alone, would give back.

Every wrong detection and every object that was not found is of one kind:

* place: the object is of its class, and within 4 m but not within 0.5 m;
* class: no object of its class is within 4 m, but one of another class is within 2 m;
* double: all objects of its class within 4 m are taken by better detections;
* background: none of these, nothing is there;
* missed: no detection of its class is within 4 m of the object.

Source: TIDE (arXiv 2008.08115), with nuScenes' distances in place of overlaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.evaluate.detection import DISTANCES_M, FrameBoxes, average_precision

KINDS = ("place", "class", "double", "background", "missed")
_FAR_M = max(DISTANCES_M)
_CLASS_M = 2.0
_Frames = Sequence[FrameBoxes]


@dataclass(frozen=True)
class Failures:
    """Of one class.

    Args:
        name: the class.
        gains: by how much its average precision would rise without the errors of each of KINDS; NaN without an object.
        counts: how many there are of each.
    """

    name: str
    gains: tuple[float, ...]
    counts: tuple[int, ...]


def failures(found: _Frames, true: _Frames, names: Sequence[str]) -> tuple[Failures, ...]:
    """Of each class.

    Args:
        found: by frame.
        true: by frame.
        names: class names by class_id.
    """
    right_class = [_right_class(f, t) for f, t in zip(found, true, strict=True)]
    return tuple(Failures(name, *_class(found, true, right_class, k)) for k, name in enumerate(names))


def _class(
    found: _Frames, true: _Frames, right_class: list[NDArray[np.int64]], class_id: int
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    mine, objects = _of(found, class_id), _of(true, class_id)
    pairs = average_precision(mine, objects, _FAR_M)[1]
    near = [_distance(f, t).min(axis=1, initial=np.inf) < _FAR_M for f, t in zip(mine, objects, strict=True)]
    taken, hit = ([np.zeros(len(frame.score), dtype=bool) for frame in frames] for frames in (objects, mine))
    misplaced = 0
    for k, f, t in pairs:
        taken[k][t] = hit[k][f] = True
        misplaced += bool(_distance(mine[k], objects[k])[f, t] >= min(DISTANCES_M))
    other = [right[f.class_id == class_id] != class_id for f, right in zip(found, right_class, strict=True)]
    double = [n & ~h for n, h in zip(near, hit, strict=True)]
    nothing = [~n & ~o for n, o in zip(near, other, strict=True)]

    def without(drop: list[NDArray[np.bool_]]) -> list[FrameBoxes]:
        return [f[~d] for f, d in zip(mine, drop, strict=True)]

    renamed = [replace(f, class_id=right) for f, right in zip(found, right_class, strict=True)]
    mended = (
        average_precision(mine, objects, _FAR_M)[0],
        _mean_ap(_of(renamed, class_id), objects),
        _mean_ap(without(double), objects),
        _mean_ap(without(nothing), objects),
        _mean_ap(mine, [t[held] for t, held in zip(objects, taken, strict=True)]),
    )
    ap = _mean_ap(mine, objects)
    counts = (int(sum(map(np.sum, some))) for some in (other, double, nothing, [~t for t in taken]))
    return tuple(value - ap for value in mended), (misplaced, *counts)


def _right_class(found: FrameBoxes, true: FrameBoxes) -> NDArray[np.int64]:
    """(N,) the class a detection should have: its own, but where only an object of another class is near."""
    out = found.class_id.copy()
    if len(true.score):
        distance = _distance(found, true)
        own = np.where(found.class_id[:, None] == true.class_id, distance, np.inf).min(axis=1)
        wrong = (own >= _FAR_M) & (distance.min(axis=1) < _CLASS_M)
        out[wrong] = true.class_id[distance.argmin(axis=1)[wrong]]
    return out


def _of(frames: _Frames, class_id: int) -> list[FrameBoxes]:
    return [frame[frame.class_id == class_id] for frame in frames]


def _distance(found: FrameBoxes, true: FrameBoxes) -> NDArray[np.float64]:
    apart: NDArray[np.float64] = np.linalg.norm(found.center_m[:, None, :2] - true.center_m[None, :, :2], axis=2)
    return apart


def _mean_ap(found: _Frames, true: _Frames) -> float:
    return float(np.mean([average_precision(found, true, limit)[0] for limit in DISTANCES_M]))
