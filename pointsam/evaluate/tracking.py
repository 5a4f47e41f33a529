"""Panoptic tracking: are the objects of a scene found, and does each keep its name?

Specification
    Segment      as in `pointsam.evaluate.panoptic`. The instance of a predicted segment is its track, that of a true
                 one its object; both are numbers that hold in a scene. A track of two classes is two tracks.
    Match        of panoptic quality: a predicted and a true segment of a sweep, of one class, with IoU > 0.5.
    Switch       an object that is matched in two sweeps of a scene, one directly after the other, with two tracks.
    PTQ          of a class: (sum of IoU over matches - switches) / (TP + FP / 2 + FN / 2). The soft PTQ (sPTQ)
                 subtracts the IoU of the later match instead of 1. Means are over the classes with true objects
                 (TP + FN > 0).
    Occurrence   of an object: a sweep where it has more than `min_points` points. Its partner is the predicted segment,
                 of any class, with IoU > 0.5.
    AQ           of an object with L occurrences: sum over its partners of n^2 / (L + e - n), divided by L, where n is
                 the number of occurrences with this partner, and e the number of sweeps in which the partner has more
                 than `min_points` points (n if there are none).
    TQ           of an object: sqrt(AQ * (1 - breaks / (L - 1))), where a break is a pair of neighbouring occurrences
                 whose first has no partner or whose partners differ; sqrt(AQ) for L = 1. TQ is the mean over objects.
    PAT          2 PQ TQ / (PQ + TQ); 0 if both are 0.
    S_assoc      mean over objects of: sum over tracks of t^2 / (g + p - t), divided by g, where g, p and t are numbers
                 of points in the scene: of the object in its occurrences, of the track in sweeps with more than
                 `min_points` of its points, and of both in the object's occurrences.
    LSTQ         sqrt(S_assoc * mean IoU), the latter as in `pointsam.evaluate.semantic`.

The values are those of the nuScenes-devkit's PanopticTrackingEval, restricted to the classes that occur, as in
`pointsam.evaluate.panoptic`. Like the devkit, this module rounds every IoU to single precision: its PQ differs from
that of `pointsam.evaluate.panoptic` in the eighth digit.

Source: Fong et al., Panoptic nuScenes, 2021 (PAT, TQ); Hurtado et al., MOPT, 2020 (PTQ); Aygun et al., 4D Panoptic
LiDAR Segmentation, 2021 (LSTQ); nuscenes.eval.panoptic.PanopticTrackingEval.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.evaluate.overlap import Overlaps
from pointsam.evaluate.panoptic import match, panoptic_quality

ROWS = (
    *("tp", "fp", "fn", "iou sum", "switches", "switched iou"),
    *("objects", "track quality sum", "association sum", "points in both", "points in either"),
)
"""What is counted of a scene, by class."""
FIGURES = ("PAT", "PQ", "TQ", "PTQ", "sPTQ", "LSTQ", "S_assoc")
"""Names of the figures of `figures`."""

_NONE = -1
_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


class SceneTracks:
    """Counts of one scene; its memory grows by some numbers for each segment.

    Args:
        num_classes: number of classes.
        min_points: as in the specification; the nuScenes benchmark has 15.
    """

    def __init__(self, num_classes: int, min_points: int = 15) -> None:
        self._num_classes, self._min_points = num_classes, min_points
        self._counts = np.zeros((len(ROWS), num_classes))
        self._last = (np.zeros(0, dtype=np.int64),) * 2  # true and predicted segments of the last sweep's matches
        self._true: list[tuple[_Ints, ...]] = []  # segment, points, partner
        self._pred: list[tuple[_Ints, ...]] = []  # segment, points
        self._both: list[tuple[_Ints, ...]] = []  # true segment, predicted segment, points

    def add(self, seen: Overlaps) -> None:
        """Count the next sweep of the scene.

        Args:
            seen: its segments, with the numbers of `pointsam.evaluate.track_points` as instances.
        """
        found = match(seen, self._min_points)
        true, pred = _keys(seen.true_class, seen.true_id), _keys(seen.pred_class, seen.pred_id)
        union = seen.true_size[seen.true_index] + seen.pred_size[seen.pred_index] - seen.shared
        iou = seen.shared.astype(np.float32) / union.astype(np.float32)

        pair = np.flatnonzero(found.pair)
        pair = pair[np.argsort(seen.true_index[pair], kind="stable")]
        of, by = seen.true_index[pair], seen.pred_index[pair]
        self._add("tp", seen.true_class[of])
        self._add("fp", seen.pred_class[found.false_alarm])
        self._add("fn", seen.true_class[found.missed])
        for k in np.unique(seen.true_class[of]):  # sums in single precision
            self._counts[ROWS.index("iou sum"), k] += iou[pair][seen.true_class[of] == k].sum()
        _, before, now = np.intersect1d(self._last[0], true[of], assume_unique=True, return_indices=True)
        now = now[self._last[1][before] != pred[by][now]]
        self._add("switches", seen.true_class[of[now]])
        self._add("switched iou", seen.true_class[of[now]], iou[pair[now]].astype(np.float64))
        self._last = true[of], pred[by]

        partner = np.full(len(true), _NONE, dtype=np.int64)
        half = iou > 0.5
        partner[seen.true_index[half]] = pred[seen.pred_index[half]]
        large, kept = seen.true_size > self._min_points, seen.pred_size > self._min_points
        self._true.append((true[large], seen.true_size[large], partner[large]))
        self._pred.append((pred[kept], seen.pred_size[kept]))
        shown = large[seen.true_index]
        self._both.append((true[seen.true_index[shown]], pred[seen.pred_index[shown]], seen.shared[shown]))

        inside = seen.true_of_point[seen.pred_at]
        pred_class = seen.pred_class[seen.pred_of]
        same = (inside >= 0) & (seen.true_class[inside] == pred_class) if len(seen.true_class) else inside >= 0
        self._add("points in both", pred_class[same])
        self._add("points in either", seen.true_class, seen.true_size.astype(np.float64))
        self._add("points in either", pred_class[~same])

    def counts(self) -> _Floats:
        """(11,C) counts of the sweeps added, by row of `ROWS` and class."""
        segment, points, partner = _joined(self._true, 3)
        objects, of = np.unique(segment, return_inverse=True)
        of = of.reshape(-1)
        class_id = objects >> 32
        out = self._counts.copy()
        for row, value in (
            ("objects", np.ones(len(objects))),
            ("track quality sum", self._track_quality(of, partner, len(objects))),
            ("association sum", self._association(objects, of, points)),
        ):
            out[ROWS.index(row)] = np.bincount(class_id, value, self._num_classes)
        return out

    def _add(self, row: str, class_id: _Ints, value: _Floats | None = None) -> None:
        self._counts[ROWS.index(row)] += np.bincount(class_id, value, self._num_classes)

    def _track_quality(self, of: _Ints, partner: _Ints, count: int) -> _Floats:
        """(T,) TQ of each object.

        Args:
            of: (R,) object of each occurrence, in the order of time.
            partner: (R,) its partner.
            count: number of objects T.
        """
        length = np.bincount(of, minlength=count).astype(np.float64)
        shown, sweeps = np.unique(_joined(self._pred, 2)[0], return_counts=True)
        pair, number = np.unique(np.stack([of, partner])[:, partner != _NONE], axis=1, return_counts=True)
        extent = _looked_up(pair[1], shown, sweeps)
        extent = np.where(extent == 0, number, extent)
        association = np.bincount(pair[0], number**2 / (length[pair[0]] + extent - number), count) / length
        order = np.argsort(of, kind="stable")
        first, second = order[:-1], order[1:]
        broken = (of[first] == of[second]) & ((partner[first] == _NONE) | (partner[first] != partner[second]))
        steady = 1 - np.bincount(of[first][broken], minlength=count) / np.maximum(length - 1, 1)
        quality: _Floats = np.sqrt(association * steady)
        return quality

    def _association(self, objects: _Ints, of: _Ints, points: _Ints) -> _Floats:
        """(T,) association of the points of each object.

        Args:
            objects: (T,) keys of the objects.
            of: (R,) object of each occurrence.
            points: (R,) its number of points.
        """
        true_size = np.bincount(of, points, len(objects))
        segment, size = _joined(self._pred, 2)
        tracks, track = np.unique(segment, return_inverse=True)
        pred_size = np.bincount(track.reshape(-1), size, len(tracks))
        true, pred, shared = _joined(self._both, 3)
        pair, index = np.unique(np.stack([true, pred]), axis=1, return_inverse=True)
        shared = np.bincount(index.reshape(-1), shared, pair.shape[1])
        known = np.isin(pair[1], tracks)
        pair, shared = pair[:, known], shared[known]
        true_at = np.searchsorted(objects, pair[0])
        union = true_size[true_at] + pred_size[np.searchsorted(tracks, pair[1])] - shared
        association: _Floats = np.bincount(true_at, shared**2 / union, len(objects)) / true_size
        return association


def _keys(class_id: _Ints, number: _Ints) -> _Ints:
    return (class_id << 32) + number


def _joined(parts: list[tuple[_Ints, ...]], width: int) -> tuple[_Ints, ...]:
    none = (np.zeros(0, dtype=np.int64),) * width
    return tuple(np.concatenate(column) for column in zip(none, *parts, strict=True))


def _looked_up(wanted: _Ints, keys: _Ints, values: _Ints) -> _Ints:
    """Values of sorted keys, 0 for one that is not there."""
    at = np.searchsorted(keys, wanted)
    here = at < len(keys)
    here[here] = keys[at[here]] == wanted[here]
    out = np.zeros(len(wanted), dtype=np.int64)
    out[here] = values[at[here]]
    return out


def of_classes(counts: _Floats) -> _Floats:
    """(...,C,3) PTQ, sPTQ and TQ of each class, of (...,11,C) counts summed over scenes; NaN for 0 / 0."""
    row = dict(zip(ROWS, np.moveaxis(counts, -2, 0), strict=True))
    weight = row["tp"] + (row["fp"] + row["fn"]) / 2
    ptq, soft = (_ratio(row["iou sum"] - row[name], weight) for name in ("switches", "switched iou"))
    return np.stack([ptq, soft, _ratio(row["track quality sum"], row["objects"])], axis=-1)


def figures(counts: _Floats) -> _Floats:
    """(...,7) figures of (...,11,C) counts, summed over scenes, in the order of `FIGURES`; NaN for 0 / 0."""
    row = dict(zip(ROWS, np.moveaxis(counts, -2, 0), strict=True))
    pq, of_class = panoptic_quality(counts[..., :4, :]), of_classes(counts)
    ptq, soft = (_mean(of_class[..., k], row["tp"] + row["fn"] > 0) for k in (0, 1))
    tq, association = (
        _ratio(row[name].sum(axis=-1), row["objects"].sum(axis=-1)) for name in ("track quality sum", "association sum")
    )
    pat = np.where(pq + tq == 0, 0.0, _ratio(2 * pq * tq, pq + tq))
    iou = _mean(_ratio(row["points in both"], row["points in either"]), row["points in either"] > 0)
    return np.stack([pat, pq, tq, ptq, soft, np.sqrt(association * iou), association], axis=-1)


def _ratio(part: _Floats, whole: _Floats) -> _Floats:
    ratio: _Floats = np.where(whole == 0, np.nan, part / np.where(whole == 0, 1, whole))
    return ratio


def _mean(value: _Floats, counted: NDArray[np.bool_]) -> _Floats:
    """Mean over the classes that are counted, NaN without any."""
    return _ratio(np.where(counted, value, 0).sum(axis=-1), counted.sum(axis=-1).astype(np.float64))
