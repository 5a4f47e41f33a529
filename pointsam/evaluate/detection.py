"""Average precision of boxes by centre distance, as nuScenes defines it, also by range.

For each class, the predictions of all frames are visited by falling score. Each is matched with the nearest object of
its class and frame that is not matched yet, if it is near enough. Precision is interpolated at 101 recalls; recalls and
precisions below 0.1 do not count. Source: nuScenes (arXiv 1903.11027), section 3.1.

A few scenes contain few objects of a rare class, whose precision has the same weight in the mean as that of cars. A
bootstrap over scenes shows the uncertainty of the mean.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray, IntArray
from pointsam.evaluate.bootstrap import FEWEST_SCENES, interval, times_drawn
from pointsam.geometry.se3 import SE3

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
"""Distance from the vehicle up to which objects of nuScenes' classes count, metres; other classes have no limit."""
SAME_TURNED: Mapping[str, float] = {"barrier": np.pi, "traffic_cone": 0.0}
"""Angle by which an object of a class may be turned and look the same, radians: half a turn, or 0 for any angle. The
headings of other classes are unique. Source: nuScenes devkit, `detection/algo.py`."""
RANGE_BINS_M = ((0.0, 20.0), (20.0, 40.0), (40.0, 1000.0))
_RECALLS = np.linspace(0, 1, 101)
_LEAST = 0.1
_DRAWS = 200
_AT_LIDAR = SE3.identity()


@dataclass(frozen=True, eq=False)
class FrameBoxes:
    """Predicted or true boxes of one frame, in a frame with z up: the map frame of a detector.

    Args:
        center_m: (N,3) centres.
        size_lwh_m: (N,3) length, width and height.
        yaw_rad: (N,) heading.
        class_id: (N,) class.
        score: (N,) score of predictions; of true boxes, the number of their points.
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
        """(N,) distance from the reference LiDAR in the ground plane."""
        distance: NDArray[np.float64] = np.linalg.norm(self.center_m[:, :2], axis=1)
        return distance


@dataclass(frozen=True)
class ClassAP:
    """Metrics of one class.

    Args:
        name: the class.
        num_objects: number of true objects that count.
        ap: average precision, mean over DISTANCES_M; NaN without objects, and of a class that is not predicted.
        by_distance: average precision at each of DISTANCES_M.
        by_range: average precision in each of RANGE_BINS_M, mean over DISTANCES_M.
        translation_m, scale: mean errors of the matches at 2 m, NaN without matches: distance in the ground plane, and
            1 - IoU of the sizes.
        yaw_rad: mean absolute error of their headings, modulo the angle of SAME_TURNED; NaN for classes without a
            heading.
        axis_rad: mean absolute error of their headings modulo half a turn; NaN likewise.
        turned: share of them whose heading is wrong by more than a quarter turn; NaN likewise, and for classes whose
            headings count modulo half a turn.
    """

    name: str
    num_objects: int
    ap: float
    by_distance: tuple[float, ...]
    by_range: tuple[float, ...]
    translation_m: float
    scale: float
    yaw_rad: float
    axis_rad: float
    turned: float


@dataclass(frozen=True)
class DetectionQuality:
    """Metrics of all classes.

    Args:
        classes: metrics of each class.
        mean_ap: mean average precision of the predicted classes with objects.
        num_frames: number of frames scored.
        draws: mean average precision of each bootstrap draw. All predictions of the same frames have the same draws, so
            that they can be compared draw by draw.
        unit: what is drawn, "scenes", or "frames" if there are few scenes (the interval is then too narrow, because
            frames of one scene are similar).
    """

    classes: tuple[ClassAP, ...]
    mean_ap: float
    num_frames: int
    draws: tuple[float, ...]
    unit: str

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the draws, NaN without any."""
        return interval(self.draws)


@dataclass
class DetectionAccumulator:
    """Collects the boxes of frames.

    Args:
        names: class names by class_id.
        trained: names of the classes that are predicted; None for all. Others have no average precision and are not
            part of the mean.
        class_range_m: distance from the vehicle up to which objects of a class count, metres.
        min_points: true objects with fewer points do not count.
    """

    names: Sequence[str]
    trained: Collection[str] | None = None
    class_range_m: Mapping[str, float] = field(default_factory=lambda: CLASS_RANGE_M)
    min_points: int = 1
    _found: list[FrameBoxes] = field(default_factory=list)
    _true: list[FrameBoxes] = field(default_factory=list)
    _scene: list[str] = field(default_factory=list)

    def add(self, found: FrameBoxes, true: FrameBoxes, scene: str, ego_SE3_boxes: SE3 = _AT_LIDAR) -> None:
        """Add the predicted and true boxes of a frame of a scene, and the pose of their frame in the vehicle."""
        self._scene.append(scene)
        self._found.append(self._in_range(found, ego_SE3_boxes))
        self._true.append(self._in_range(true[true.score >= self.min_points], ego_SE3_boxes))

    def _in_range(self, boxes: FrameBoxes, ego_SE3_boxes: SE3) -> FrameBoxes:
        limit = np.array([self.class_range_m.get(name, np.inf) for name in self.names])
        known = boxes[boxes.class_id < len(limit)]
        range_m = np.linalg.norm(ego_SE3_boxes.apply(known.center_m)[:, :2], axis=1)
        return known[range_m < limit[known.class_id]]

    @property
    def frames(self) -> tuple[list[FrameBoxes], list[FrameBoxes]]:
        """Predicted and true boxes that count, by frame."""
        return self._found, self._true

    def result(self) -> DetectionQuality:
        """Metrics of all frames added."""
        unit = "scenes" if len(set(self._scene)) >= FEWEST_SCENES else "frames"
        times = self._times(unit)
        found, true = (
            [[boxes[boxes.class_id == k] for boxes in frames] for k in range(len(self.names))] for frames in self.frames
        )
        both = [
            _class(*of, times) if self.trained is None or of[0] in self.trained else _none(of[0], of[2], len(times))
            for of in zip(self.names, found, true, strict=True)
        ]
        scored = [(quality.ap, drawn) for quality, drawn in both if not np.isnan(quality.ap)]
        mean = float(np.mean([ap for ap, _ in scored])) if scored else float("nan")
        draws = _mean([drawn for _, drawn in scored]) if len(times) else ()
        return DetectionQuality(tuple(quality for quality, _ in both), mean, len(self._true), draws, unit)

    def _times(self, unit: str) -> NDArray[np.int64]:
        """(D,F) how often each draw contains each frame; D = 0 with a single scene or frame."""
        names = self._scene if unit == "scenes" else range(len(self._scene))
        index = np.unique(np.asarray(names), return_inverse=True)[1]
        count = len(set(names))
        return times_drawn(count, _DRAWS, "detection")[:, index] if count > 1 else np.zeros((0, count), dtype=np.int64)


Pairs = list[tuple[int, int, int]]
"""(frame, prediction, true box) indices."""


def average_precision(found: Sequence[FrameBoxes], true: Sequence[FrameBoxes], limit_m: float) -> tuple[float, Pairs]:
    """Average precision of one class, NaN without objects, and the matches.

    Args:
        found: predictions of the class, by frame.
        true: true boxes of the class, by frame.
        limit_m: distance in the ground plane below which a prediction may match an object.
    """
    total = sum(len(t.score) for t in true)
    if total == 0:
        return float("nan"), []
    _, hit, pairs = matched(found, true, limit_m)
    return _precision(hit, np.ones(len(hit)), total), pairs


def matched(
    found: Sequence[FrameBoxes], true: Sequence[FrameBoxes], limit_m: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_], Pairs]:
    """(N,) frame of each prediction by falling score, (N,) whether it matches an object, and the matches."""
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
    """Average precision of predictions by falling score, each counted `times` times; NaN without objects."""
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
    """Mean of each draw over the classes with objects in it; empty without classes."""
    if not drawn:
        return ()
    present = np.isfinite(drawn)
    total = np.where(present, drawn, 0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    return tuple(np.where(present.any(axis=0), total, np.nan).round(6).tolist())


def _class(
    name: str, found: list[FrameBoxes], true: list[FrameBoxes], times: NDArray[np.int64]
) -> tuple[ClassAP, NDArray[np.float64]]:
    """Metrics of a class, and (D,) its average precision in each draw, NaN for a draw without its objects."""
    objects = np.array([len(t.score) for t in true])
    count = int(objects.sum())
    if count == 0:
        return _none(name, true, len(times))
    matches = [matched(found, true, limit) for limit in DISTANCES_M]
    by_distance = tuple(_precision(hit, np.ones(len(hit)), count) for _, hit, _ in matches)
    drawn = [[_precision(hit, w[frame], int(w @ objects)) for w in times] for frame, hit, _ in matches]
    by_range = []
    for low, high in RANGE_BINS_M:
        near, there = ([b[(b.range_m >= low) & (b.range_m < high)] for b in boxes] for boxes in (found, true))
        by_range.append(float(np.mean([average_precision(near, there, limit)[0] for limit in DISTANCES_M])))
    errors = _errors(found, true, matches[DISTANCES_M.index(2.0)][2], SAME_TURNED.get(name, 2 * np.pi))
    quality = ClassAP(name, count, float(np.mean(by_distance)), by_distance, tuple(by_range), *errors)
    return quality, np.mean(drawn, axis=0)


def _none(name: str, true: list[FrameBoxes], draws: int) -> tuple[ClassAP, NDArray[np.float64]]:
    """As `_class`, of a class without objects, or one that is not predicted."""
    none, count = (float("nan"),), sum(len(t.score) for t in true)
    empty = ClassAP(name, count, *none, none * len(DISTANCES_M), none * len(RANGE_BINS_M), *none * 5)
    return empty, np.full(draws, np.nan)


def _errors(found: Sequence[FrameBoxes], true: Sequence[FrameBoxes], pairs: Pairs, period: float) -> tuple[float, ...]:
    """The five errors of `ClassAP`; `period` is the angle of SAME_TURNED, a whole turn for unique headings."""
    if not pairs:
        return (float("nan"),) * 5
    rows = []
    for k, f, t in pairs:
        a, b = found[k], true[k]
        smaller = np.minimum(a.size_lwh_m[f], b.size_lwh_m[t]).prod()
        union = a.size_lwh_m[f].prod() + b.size_lwh_m[t].prod() - smaller
        turn = a.yaw_rad[f] - b.yaw_rad[t]
        rows.append((np.linalg.norm(a.center_m[f, :2] - b.center_m[t, :2]), 1 - smaller / union, turn))
    apart, scale, turn = np.array(rows, dtype=np.float64).T
    yaw = _off(turn, period).mean() if period else np.nan
    axis = _off(turn, np.pi).mean() if period else np.nan
    turned = (_off(turn, period) > np.pi / 2).mean() if period > np.pi else np.nan
    return float(apart.mean()), float(scale.mean()), float(yaw), float(axis), float(turned)


def _off(turn: NDArray[np.float64], period: float) -> NDArray[np.float64]:
    """(N,) absolute angles modulo a period."""
    off: NDArray[np.float64] = np.abs((turn + period / 2) % period - period / 2)
    return off
