"""Average precision of boxes by the distance of their middles, as nuScenes defines it, also by range and by points.

Per class: predictions of all frames by falling score; each takes the nearest object of its class and frame that is
left, if it is near enough. Precision is interpolated at 101 recalls; what is below a recall or precision of 0.1 does
not count. Source: nuScenes (arXiv 1903.11027), section 3.1.

Few scenes hold few objects of a rare class, whose precision weighs as much as that of cars: the mean over scenes drawn
with replacement tells how far it can be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray, IntArray
from pointsam.evaluate.bootstrap import FEWEST_SCENES, interval, times_drawn

DISTANCES_M = (0.5, 1.0, 2.0, 4.0)
CLASS_RANGE_M: Mapping[str, float] = {
    "car": 50,
    "truck": 50,
    "bus": 50,
    "trailer": 50,
    "construction_vehicle": 50,
    "pedestrian": 40,
    "motorcycle": 40,
    "bicycle": 40,
    "traffic_cone": 30,
    "barrier": 30,
}
"""How far objects of nuScenes' classes count; other classes do everywhere."""
RANGE_BINS_M = ((0.0, 20.0), (20.0, 40.0), (40.0, 1000.0))
_RECALLS = np.linspace(0, 1, 101)
_LEAST = 0.1
_DRAWS = 200


@dataclass(frozen=True, eq=False)
class FrameBoxes:
    """Boxes of one frame, found or true, LiDAR frame.

    Args:
        center_m: (N,3).
        size_lwh_m: (N,3).
        yaw_rad: (N,).
        class_id: (N,).
        score: (N,) of found ones; of true ones the number of their points.
    """

    center_m: NDArray[np.float64]
    size_lwh_m: NDArray[np.float64]
    yaw_rad: NDArray[np.float64]
    class_id: NDArray[np.int64]
    score: NDArray[np.float64]

    def __getitem__(self, which: NDArray[np.bool_]) -> FrameBoxes:
        return FrameBoxes(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    @property
    def range_m(self) -> NDArray[np.float64]:
        """(N,) distance from the LiDAR in the ground plane."""
        distance: NDArray[np.float64] = np.linalg.norm(self.center_m[:, :2], axis=1)
        return distance


@dataclass(frozen=True)
class ClassAP:
    """Of one class.

    Args:
        name: the class.
        num_objects: true objects that count.
        ap: mean of the thresholds; NaN without an object.
        by_distance: at each of DISTANCES_M.
        by_range: mean over thresholds of what is in each of RANGE_BINS_M.
        translation_m, scale, yaw_rad: mean errors of pairs at 2 m, NaN without a pair: distance in the ground plane,
            1 - IoU of sizes, and angle.
    """

    name: str
    num_objects: int
    ap: float
    by_distance: tuple[float, ...]
    by_range: tuple[float, ...]
    translation_m: float
    scale: float
    yaw_rad: float


@dataclass(frozen=True)
class DetectionQuality:
    """Of all classes that occur.

    Args:
        classes: each.
        mean_ap: over classes with an object.
        num_frames: scored.
        draws: the mean over units drawn with replacement. All detections of the same frames see the same draws, so that
            they can be compared draw by draw.
        unit: "scenes", or "frames" where scenes are few: too narrow then, since those of a scene are alike.
    """

    classes: tuple[ClassAP, ...]
    mean_ap: float
    num_frames: int
    draws: tuple[float, ...]
    unit: str

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds of 95 % of the draws, NaN without one."""
        return interval(self.draws)


@dataclass
class DetectionAccumulator:
    """Gathers frames.

    Args:
        names: class names by class_id.
        class_range_m: how far objects of a class count.
        min_points: true objects with fewer points do not count.
    """

    names: Sequence[str]
    class_range_m: Mapping[str, float] = field(default_factory=lambda: CLASS_RANGE_M)
    min_points: int = 1
    _found: list[FrameBoxes] = field(default_factory=list)
    _true: list[FrameBoxes] = field(default_factory=list)
    _scene: list[str] = field(default_factory=list)

    def add(self, found: FrameBoxes, true: FrameBoxes, scene: str) -> None:
        """One frame of a scene."""
        self._scene.append(scene)
        self._found.append(self._in_range(found))
        self._true.append(self._in_range(true[true.score >= self.min_points]))

    def _in_range(self, boxes: FrameBoxes) -> FrameBoxes:
        limit = np.array([self.class_range_m.get(name, np.inf) for name in self.names])
        known = boxes[boxes.class_id < len(limit)]
        return known[known.range_m < limit[known.class_id]]

    @property
    def frames(self) -> tuple[list[FrameBoxes], list[FrameBoxes]]:
        """Found and true boxes that count, by frame."""
        return self._found, self._true

    def result(self) -> DetectionQuality:
        """Figures of all frames so far."""
        unit = "scenes" if len(set(self._scene)) >= FEWEST_SCENES else "frames"
        times = self._times(unit)
        found, true = (
            [[boxes[boxes.class_id == k] for boxes in frames] for k in range(len(self.names))] for frames in self.frames
        )
        both = [_class(*of, times) for of in zip(self.names, found, true, strict=True)]
        present = [quality.ap for quality, _ in both if quality.num_objects]
        mean = float(np.mean(present)) if present else float("nan")
        draws = _mean([drawn for quality, drawn in both if quality.num_objects]) if len(times) else ()
        return DetectionQuality(tuple(quality for quality, _ in both), mean, len(self._true), draws, unit)

    def _times(self, unit: str) -> NDArray[np.int64]:
        """(D,F) how often each frame is in each draw; no draw of a single scene or frame."""
        names = self._scene if unit == "scenes" else range(len(self._scene))
        index = np.unique(np.asarray(names), return_inverse=True)[1]
        count = len(set(names))
        return times_drawn(count, _DRAWS, "detection")[:, index] if count > 1 else np.zeros((0, count), dtype=np.int64)


Pairs = list[tuple[int, int, int]]
"""(frame, found, true) indices."""


def average_precision(found: Sequence[FrameBoxes], true: Sequence[FrameBoxes], limit_m: float) -> tuple[float, Pairs]:
    """Average precision of one class, NaN without an object, and the pairs.

    Args:
        found: by frame.
        true: by frame.
        limit_m: distance in the ground plane below which a prediction may take an object.
    """
    total = sum(len(t.score) for t in true)
    if total == 0:
        return float("nan"), []
    _, hit, pairs = matched(found, true, limit_m)
    return _precision(hit, np.ones(len(hit)), total), pairs


def matched(
    found: Sequence[FrameBoxes], true: Sequence[FrameBoxes], limit_m: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_], Pairs]:
    """(N,) the frame of every prediction by falling score, (N,) whether it takes an object, and the pairs."""
    frame = np.concatenate([np.full(len(f.score), k, dtype=np.int64) for k, f in enumerate(found)])
    row = np.concatenate([np.arange(len(f.score)) for f in found])
    score = np.concatenate([f.score for f in found])
    apart = [
        np.linalg.norm(f.center_m[:, None, :2] - t.center_m[None, :, :2], axis=2)
        for f, t in zip(found, true, strict=True)
    ]
    taken = [np.zeros(len(t.score), dtype=bool) for t in true]
    pairs: Pairs = []
    hit = np.zeros(len(score), dtype=bool)
    order = np.argsort(-score, kind="stable")
    for rank, index in enumerate(order):
        k, r = int(frame[index]), int(row[index])
        distance = np.where(taken[k], np.inf, apart[k][r])
        if len(distance) and distance.min() < limit_m:
            t = int(distance.argmin())
            taken[k][t] = hit[rank] = True
            pairs.append((k, r, t))
    return frame[order], hit, pairs


def _precision(hit: NDArray[np.bool_], times: FloatArray | IntArray, total: int) -> float:
    """Average precision of predictions by falling score, each counted so many times, NaN without an object."""
    if total == 0:
        return float("nan")
    there = times > 0
    hits, every = np.cumsum((hit * times)[there]), np.cumsum(times[there])
    if not len(hits) or hits[-1] == 0:
        return 0.0
    at = np.interp(_RECALLS, hits / total, hits / every, right=0)
    counted = at[round(100 * _LEAST) + 1 :]
    return float(np.mean(np.maximum(counted - _LEAST, 0)) / (1 - _LEAST))


def _mean(drawn: list[NDArray[np.float64]]) -> tuple[float, ...]:
    """By draw, over the classes of which it has objects; none without a class."""
    if not drawn:
        return ()
    present = np.isfinite(drawn)
    total = np.where(present, drawn, 0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    return tuple(np.where(present.any(axis=0), total, np.nan).round(6).tolist())


def _class(
    name: str, found: list[FrameBoxes], true: list[FrameBoxes], times: NDArray[np.int64]
) -> tuple[ClassAP, NDArray[np.float64]]:
    """Figures of a class, and (D,) its average precision in each draw, NaN where none of its objects is in it."""
    objects = np.array([len(t.score) for t in true])
    count = int(objects.sum())
    if count == 0:
        none = (float("nan"),)
        empty = ClassAP(name, 0, *none, none * len(DISTANCES_M), none * len(RANGE_BINS_M), *none * 3)
        return empty, np.full(len(times), np.nan)
    matches = [matched(found, true, limit) for limit in DISTANCES_M]
    by_distance = tuple(_precision(hit, np.ones(len(hit)), count) for _, hit, _ in matches)
    drawn = [[_precision(hit, w[frame], int(w @ objects)) for w in times] for frame, hit, _ in matches]
    by_range = []
    for low, high in RANGE_BINS_M:
        near, there = ([b[(b.range_m >= low) & (b.range_m < high)] for b in boxes] for boxes in (found, true))
        by_range.append(float(np.mean([average_precision(near, there, limit)[0] for limit in DISTANCES_M])))
    errors = _errors(found, true, matches[DISTANCES_M.index(2.0)][2])
    quality = ClassAP(name, count, float(np.mean(by_distance)), by_distance, tuple(by_range), *errors)
    return quality, np.mean(drawn, axis=0)


def _errors(found: Sequence[FrameBoxes], true: Sequence[FrameBoxes], pairs: Pairs) -> tuple[float, float, float]:
    if not pairs:
        return (float("nan"),) * 3
    rows = []
    for k, f, t in pairs:
        a, b = found[k], true[k]
        smaller = np.minimum(a.size_lwh_m[f], b.size_lwh_m[t]).prod()
        union = a.size_lwh_m[f].prod() + b.size_lwh_m[t].prod() - smaller
        turn = (a.yaw_rad[f] - b.yaw_rad[t] + np.pi) % (2 * np.pi) - np.pi
        rows.append((np.linalg.norm(a.center_m[f, :2] - b.center_m[t, :2]), 1 - smaller / union, abs(turn)))
    translation, scale, yaw = np.mean(rows, axis=0)
    return float(translation), float(scale), float(yaw)
