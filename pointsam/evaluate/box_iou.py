"""Average precision of boxes by their overlap in 3D, of any data set, also by range.

The predictions of all frames are visited by falling score. Each is matched with the object of its class and frame that
it overlaps most, of those that are not matched yet, if their intersection over union is above a threshold. The average
precision is the mean of the best precision at 40 recalls and above, 1/40 to 1: KITTI's, without its difficulties.
Source: KITTI object development kit; arXiv 1905.12365 for the 40 recalls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.evaluate.detection import RANGE_BINS_M, FrameBoxes
from pointsam.taxonomy import ClassSpec

MIN_IOUS = (0.7, 0.5, 0.25)
_STRICT, _SMALL = 0.7, 0.5
_LONG_M = 3.0
_RECALLS = np.arange(1, 41) / 40


@dataclass(frozen=True, eq=False)
class IouFrame:
    """A frame for one class: D predictions of the class and G objects of it.

    Args:
        iou: (D,G) IoU in 3D.
        score: (D,) score of the predictions.
        range_m: (D,) distance of their centres from the LiDAR in the ground plane.
        true_range_m: (G,) the same of the objects.
    """

    iou: NDArray[np.float64]
    score: NDArray[np.float64]
    range_m: NDArray[np.float64]
    true_range_m: NDArray[np.float64]

    @staticmethod
    def of(iou: FloatArray, found: FrameBoxes, true: FrameBoxes, class_id: int) -> IouFrame:
        """The predictions and objects of one class.

        Args:
            iou: (D,G) IoU of all predictions and objects of the frame.
            found: its D predictions.
            true: its G objects.
            class_id: the class.
        """
        ours, theirs = found.class_id == class_id, true.class_id == class_id
        return IouFrame(
            np.asarray(iou, dtype=np.float64)[ours][:, theirs],
            found.score[ours],
            found.range_m[ours],
            true.range_m[theirs],
        )

    def within(self, low_m: float, high_m: float) -> IouFrame:
        """The predictions and objects whose own centres lie in a range [low, high)."""
        found = (self.range_m >= low_m) & (self.range_m < high_m)
        true = (self.true_range_m >= low_m) & (self.true_range_m < high_m)
        return IouFrame(self.iou[found][:, true], self.score[found], self.range_m[found], self.true_range_m[true])


@dataclass(frozen=True)
class ClassIouAP:
    """Average precision of one class by overlap; NaN without objects, and of a class that is not predicted.

    Args:
        name: the class.
        num_objects: number of objects with points.
        min_iou: the threshold of the class: 0.7 for vehicles, else 0.5.
        by_iou: average precision at each of MIN_IOUS.
        by_range: average precision at `min_iou` in each of RANGE_BINS_M.
    """

    name: str
    num_objects: int
    min_iou: float
    by_iou: tuple[float, ...]
    by_range: tuple[float, ...]

    @property
    def ap(self) -> float:
        """Average precision at `min_iou`."""
        return self.by_iou[MIN_IOUS.index(self.min_iou)]


def min_iou_of(spec: ClassSpec) -> float:
    """The usual threshold of a class: 0.7 for vehicles, as KITTI and Waymo have it for cars, else 0.5."""
    size = spec.typical_lwh_m
    return _STRICT if spec.vehicle or (size is not None and size[0] >= _LONG_M) else _SMALL


def class_iou_ap(spec: ClassSpec, frames: Sequence[IouFrame], trained: bool = True) -> ClassIouAP:
    """Average precision of one class.

    Args:
        spec: the class.
        frames: all frames, for the class.
        trained: whether it is predicted.
    """
    count, own = sum(len(frame.true_range_m) for frame in frames), min_iou_of(spec)
    if not trained:
        none = (float("nan"),)
        return ClassIouAP(spec.name, count, own, none * len(MIN_IOUS), none * len(RANGE_BINS_M))
    by_iou = tuple(average_precision_iou(frames, limit) for limit in MIN_IOUS)
    by_range = tuple(average_precision_iou([f.within(*band) for f in frames], own) for band in RANGE_BINS_M)
    return ClassIouAP(spec.name, count, own, by_iou, by_range)


def average_precision_iou(frames: Sequence[IouFrame], min_iou: float) -> float:
    """Average precision of one class in [0,1]; NaN without objects.

    Args:
        frames: all frames, for the class.
        min_iou: IoU above which a prediction may match an object.
    """
    total = sum(len(frame.true_range_m) for frame in frames)
    if total == 0:
        return float("nan")
    score = np.concatenate([frame.score for frame in frames])
    hit = _hits(frames, min_iou)[np.argsort(-score, kind="stable")]
    hits = np.cumsum(hit)
    best = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]  # at this recall and above
    at = np.searchsorted(hits, np.ceil(_RECALLS * total - 1e-9), side="left")
    return float(np.where(at < len(best), np.append(best, 0.0)[np.minimum(at, len(best))], 0.0).mean())


def _hits(frames: Sequence[IouFrame], min_iou: float) -> NDArray[np.bool_]:
    """(N,) whether each prediction of all frames matches an object.

    Frames do not depend on each other. The k-th prediction of every frame, of those that overlap an object enough, is
    matched at once.
    """
    rank, found, true, iou = list[NDArray[np.int64]](), list[NDArray[np.int64]](), list[NDArray[np.int64]](), []
    first_found = first_true = 0
    for frame in frames:
        d, g = np.nonzero(frame.iou > min_iou)
        able = np.unique(d)
        order = np.empty(len(frame.score), dtype=np.int64)
        order[able[np.argsort(-frame.score[able], kind="stable")]] = np.arange(len(able))
        rank.append(order[d])
        found.append(d + first_found)
        true.append(g + first_true)
        iou.append(frame.iou[d, g])
        first_found, first_true = first_found + len(frame.score), first_true + frame.iou.shape[1]
    hit, taken = np.zeros(first_found, dtype=bool), np.zeros(first_true, dtype=bool)
    if not frames:
        return hit
    of_rank, of_found, of_true, of_iou = (np.concatenate(parts) for parts in (rank, found, true, iou))
    order = np.lexsort((of_true, -of_iou, of_found, of_rank))  # of each prediction, the largest overlap first
    of_rank, of_found, of_true = of_rank[order], of_found[order], of_true[order]
    ends = np.searchsorted(of_rank, np.arange(of_rank.max(initial=-1) + 2))
    for start, end in pairwise(ends.tolist()):
        free = start + np.flatnonzero(~taken[of_true[start:end]])
        best = free[np.unique(of_found[free], return_index=True)[1]]
        hit[of_found[best]] = taken[of_true[best]] = True
    return hit
