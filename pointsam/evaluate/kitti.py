"""KITTI's average precision at 40 recalls, easy, moderate and hard.

Objects that are too hard for a level, and those of a similar class, are ignored: a prediction that matches one is
neither right nor wrong. The steps are those of KITTI's own evaluation; of its 41 recalls the first, 0, does not count
(R40).
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
    """A level of difficulty: which objects count.

    Args:
        name: name of the level.
        min_height_px: smallest height of the 2D box, of objects and of predictions.
        max_occlusion: largest occlusion: 0 visible, 1 partly hidden, 2 largely hidden.
        max_truncation: largest fraction outside of the image.
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
    """A frame for one class: D predictions of the class, and G objects of it and of the similar class.

    Args:
        iou: (D,G) IoU, in 3D or in bird's-eye view.
        score: (D,) score of the predictions.
        height_px: (D,) height of the predictions' 2D boxes.
        similar: (G,) bool, whether the object is of the similar class.
        object_height_px: (G,) height of the objects' 2D boxes.
        occlusion: (G,) occlusion of the objects.
        truncation: (G,) truncation of the objects.
    """

    iou: NDArray[np.float64]
    score: NDArray[np.float64]
    height_px: NDArray[np.float64]
    similar: NDArray[np.bool_]
    object_height_px: NDArray[np.float64]
    occlusion: NDArray[np.int64]
    truncation: NDArray[np.float64]

    def forgiven(self, level: Level) -> NDArray[np.bool_]:
        """(G,) bool, objects that are ignored at a level."""
        return (
            self.similar
            | (self.occlusion > level.max_occlusion)
            | (self.truncation > level.max_truncation)
            | (self.object_height_px <= level.min_height_px)
        )


def average_precision_r40(frames: Sequence[KittiFrame], level: Level, min_iou: float) -> float:
    """Average precision of one class, in [0,1]; NaN if no object counts.

    Args:
        frames: all frames, for the class.
        level: level of difficulty.
        min_iou: IoU above which a prediction may match an object.
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
    """Scores of the matches that count; each object is matched with the prediction of highest score above `min_iou`."""
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
    """Scores at which recall is nearest to each of the 41 recalls."""
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
    """Numbers of right and wrong predictions at or above a score; each object is matched by highest IoU."""
    forgiven, small = frame.forgiven(level), frame.height_px < level.min_height_px
    free = (frame.score >= threshold) & ~small
    right = 0
    for g in range(frame.iou.shape[1]):
        able = np.flatnonzero(free & (frame.iou[:, g] > min_iou))
        if len(able):
            free[able[frame.iou[able, g].argmax()]] = False
            right += not forgiven[g]
    return right, int(free.sum())
