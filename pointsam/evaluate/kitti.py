"""KITTI's average precision at 40 recalls, easy, moderate and hard.

Objects too hard for a level, and those of a similar class, are neither wanted nor wrong: a detection that takes one is
forgotten. The steps are those of KITTI's own evaluation; of its 41 recalls the first, 0, does not count (R40).
Source: KITTI object development kit; arXiv 1905.12365 for the 40 recalls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RECALLS = 41


@dataclass(frozen=True)
class Level:
    """Which objects count.

    Args:
        name: of the level.
        min_height_px: of the 2D box, of objects and of detections.
        max_occlusion: 0 visible, 1 partly, 2 largely hidden.
        max_truncation: share outside of the image.
    """

    name: str
    min_height_px: float
    max_occlusion: int
    max_truncation: float


LEVELS = (Level("easy", 40, 0, 0.15), Level("moderate", 25, 1, 0.3), Level("hard", 25, 2, 0.5))
SIMILAR = {"Car": "Van", "Pedestrian": "Person_sitting"}
MIN_IOU = {"Car": 0.7, "Pedestrian": 0.5, "Cyclist": 0.5}


@dataclass(frozen=True, eq=False)
class KittiFrame:
    """One frame and class: D detections of the class; G objects of it and of the similar class.

    Args:
        iou: (D,G) overlap, 3D or in bird's-eye view.
        score: (D,).
        height_px: (D,) of the detections' 2D boxes.
        similar: (G,) bool, of the similar class.
        object_height_px: (G,).
        occlusion: (G,).
        truncation: (G,).
    """

    iou: NDArray[np.float64]
    score: NDArray[np.float64]
    height_px: NDArray[np.float64]
    similar: NDArray[np.bool_]
    object_height_px: NDArray[np.float64]
    occlusion: NDArray[np.int64]
    truncation: NDArray[np.float64]

    def forgiven(self, level: Level) -> NDArray[np.bool_]:
        """(G,) objects that need not be found at a level."""
        return (
            self.similar
            | (self.occlusion > level.max_occlusion)
            | (self.truncation > level.max_truncation)
            | (self.object_height_px <= level.min_height_px)
        )


def average_precision_r40(frames: Sequence[KittiFrame], level: Level, min_iou: float) -> float:
    """Of one class, in [0,1]; NaN if no object counts.

    Args:
        frames: all of them.
        level: of difficulty.
        min_iou: overlap above which a detection may take an object.
    """
    wanted = sum(int((~frame.forgiven(level)).sum()) for frame in frames)
    if wanted == 0:
        return float("nan")
    scores = np.concatenate([np.zeros(0), *(_matched_scores(frame, level, min_iou) for frame in frames)])
    precision = np.zeros(_RECALLS)
    for k, threshold in enumerate(_thresholds(scores, wanted)):
        counts = np.sum([_count(frame, level, min_iou, threshold) for frame in frames], axis=0)
        precision[k] = counts[0] / max(counts.sum(), 1)
    best_after = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best_after[1:].mean())


def _matched_scores(frame: KittiFrame, level: Level, min_iou: float) -> NDArray[np.float64]:
    """Scores at which objects are found: each object takes the best-scored detection that meets it."""
    forgiven, small = frame.forgiven(level), frame.height_px < level.min_height_px
    free = np.ones(len(frame.score), dtype=bool)
    scores = []
    for g in range(frame.iou.shape[1]):
        able = np.flatnonzero(free & (frame.iou[:, g] > min_iou))
        if len(able):
            d = able[frame.score[able].argmax()]
            free[d] = False
            if not (forgiven[g] or small[d]):
                scores.append(frame.score[d])
    return np.array(scores, dtype=np.float64)


def _thresholds(scores: NDArray[np.float64], wanted: int) -> list[float]:
    """Scores that come nearest to the 41 recalls."""
    falling, chosen = np.sort(scores)[::-1], list[float]()
    recall = 0.0
    for k, score in enumerate(falling):
        last = k == len(falling) - 1
        here, following = (k + 1) / wanted, (k + (1 if last else 2)) / wanted
        if following - recall < recall - here and not last:
            continue
        chosen.append(float(score))
        recall += 1 / (_RECALLS - 1)
    return chosen[:_RECALLS]


def _count(frame: KittiFrame, level: Level, min_iou: float, threshold: float) -> tuple[int, int]:
    """Right and wrong detections from a score on: each object takes the one that meets it best."""
    forgiven, small = frame.forgiven(level), frame.height_px < level.min_height_px
    free = (frame.score >= threshold) & ~small
    right = 0
    for g in range(frame.iou.shape[1]):
        able = np.flatnonzero(free & (frame.iou[:, g] > min_iou))
        if len(able):
            free[able[frame.iou[able, g].argmax()]] = False
            right += not forgiven[g]
    return right, int(free.sum())
