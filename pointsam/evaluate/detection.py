"""Average precision of boxes by the distance of their middles, as nuScenes defines it, also by range and by points.

Per class: predictions of all frames by falling score; each takes the nearest object of its class and frame that is
left, if it is near enough. Precision is interpolated at 101 recalls; what is below a recall or precision of 0.1 does
not count. Source: nuScenes (arXiv 1903.11027), section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

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
    """

    classes: tuple[ClassAP, ...]
    mean_ap: float
    num_frames: int


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

    def add(self, found: FrameBoxes, true: FrameBoxes) -> None:
        """One frame."""
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
        classes = tuple(self._class(k, name) for k, name in enumerate(self.names))
        present = [c.ap for c in classes if c.num_objects]
        return DetectionQuality(classes, float(np.mean(present)) if present else float("nan"), len(self._true))

    def _class(self, class_id: int, name: str) -> ClassAP:
        found = [f[f.class_id == class_id] for f in self._found]
        true = [t[t.class_id == class_id] for t in self._true]
        by_distance = tuple(average_precision(found, true, limit)[0] for limit in DISTANCES_M)
        by_range = []
        for low, high in RANGE_BINS_M:
            near, there = ([b[(b.range_m >= low) & (b.range_m < high)] for b in boxes] for boxes in (found, true))
            by_range.append(float(np.mean([average_precision(near, there, limit)[0] for limit in DISTANCES_M])))
        errors = _errors(found, true, average_precision(found, true, 2.0)[1])
        count = sum(len(t.score) for t in true)
        return ClassAP(name, count, float(np.mean(by_distance)), by_distance, tuple(by_range), *errors)


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
    frame = np.concatenate([np.full(len(f.score), k) for k, f in enumerate(found)])
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
    if not pairs:
        return 0.0, []
    hits = np.cumsum(hit)
    precision = hits / np.arange(1, len(hits) + 1)
    at = np.interp(_RECALLS, hits / total, precision, right=0)
    counted = at[round(100 * _LEAST) + 1 :]
    return float(np.mean(np.maximum(counted - _LEAST, 0)) / (1 - _LEAST)), pairs


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
