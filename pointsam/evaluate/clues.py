"""Marks of errors that the labels of a scene show without ground truth.

Each clue is asked of some clusters only, those that could show it. Frames follow each other if at most `STEP_S` lie
between them; quarantined frames are passed over. Thresholds are stated below.

Specification
    break             asked of a cluster of a track, if another frame follows: the track has no cluster in the next
                      frame, but goes on after at most `FRAMES` frames without one; or it ends here, and in one of the
                      next `FRAMES` frames another track begins within `NEAR_M`, seen from above, of where this one
                      would be if it went on as in its last step. An end and a beginning make one break at most.
    class change      asked of a cluster of a track after its first: its class differs from the one before.
    size jump         asked of a cluster whose track has one in the frame before: its length or its height changes by
                      more than a factor of `JUMP`, and by more than `JUMP_M`.
    left points       asked of the points of a cluster in a track of three or more: they lie further from the median of
                      the cluster than `REACH` times the track's median reach, and `MARGIN_M`. The reach of a cluster
                      holds 98 % of its points.
    cameras disagree  asked of a cluster that masks of two or more cameras built: not all of its masked points have
                      masks of its class.
    odd size          asked of a cluster whose class has a typical size: it is more than `ODD` times as long or as high.
    flicker           asked of a cluster in a frame between two others: no other frame has its track.
    beginning         asked of a cluster of a track in a frame that follows another: it is the first of its track. New
                      objects begin tracks too, so it is no sign of an error by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.evaluate.tracked_frames import SPREAD_M, TrackedCluster, TrackedFrame
from pointsam.taxonomy import Taxonomy

CLUES = (
    *("break", "class change", "size jump", "left points", "cameras disagree", "odd size"),
    *("flicker", "beginning"),
)
"""Names of the clues."""
STEP_S, FRAMES, NEAR_M = 1.0, 3, 2.0
JUMP, JUMP_M = 1.5, 0.5
REACH, MARGIN_M = 1.25, 0.25
ODD = 1.5
_MOST = 0.98

_Bools = NDArray[np.bool_]
_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Clues:
    """Clues of the K clusters of a scene, in the order of frames and clusters.

    Args:
        clusters: the clusters.
        frame: (K,) index of the frame of each.
        before: (K,) index of the cluster of its track before it, -1 for none.
        asked: (K,8) of how many things each clue is asked: 0 or 1, and the number of points for "left points".
        found: (K,8) how many of them show it.
        gaps: (G,2) index of a frame in which a track has no cluster, and of the cluster before the gap.
    """

    clusters: tuple[TrackedCluster, ...]
    frame: _Ints
    before: _Ints
    asked: _Ints
    found: _Ints
    gaps: _Ints


def clues_of(frames: Sequence[TrackedFrame], taxonomy: Taxonomy) -> Clues:
    """The clues of one scene.

    Args:
        frames: its frames in the order of time, quarantined ones too.
        taxonomy: classes of the labels.
    """
    clusters = tuple(cluster for frame in frames for cluster in frame.clusters)
    frame = np.repeat(np.arange(len(frames)), [len(one.clusters) for one in frames])
    place, follows = _order(frames)
    scene = _Scene(clusters, place[frame], follows)
    asked, found = (np.zeros((len(clusters), len(CLUES)), dtype=np.int64) for _ in range(2))
    gaps = scene.gaps()
    for name, (of, shown) in {
        "break": scene.breaks(gaps),
        "class change": scene.class_changes(),
        "size jump": scene.size_jumps(),
        "left points": scene.left_points(),
        "cameras disagree": _disagreement(clusters),
        "odd size": _odd_sizes(clusters, taxonomy),
        "flicker": scene.flickers(),
        "beginning": scene.beginnings(),
    }.items():
        asked[:, CLUES.index(name)] = of
        found[:, CLUES.index(name)] = np.minimum(shown, of)
    usable = np.flatnonzero([one.ok for one in frames])
    rows = [(usable[g], k) for k, last in gaps for g in range(scene.place[k] + 1, last)]
    return Clues(clusters, frame, scene.before, asked, found, np.array(rows, dtype=np.int64).reshape(-1, 2))


def _order(frames: Sequence[TrackedFrame]) -> tuple[_Ints, _Bools]:
    """Place of each frame among those with labels, and whether the next of these follows it."""
    usable = np.array([one.ok for one in frames], dtype=bool)
    t_us = np.array([one.t_us for one in frames], dtype=np.int64)[usable]
    return np.cumsum(usable) - 1, np.append(np.diff(t_us) <= STEP_S * 1e6, False)[: len(t_us)]


class _Scene:
    """The clusters of a scene along their tracks.

    Args:
        clusters: K clusters.
        place: (K,) place of the frame of each among the F frames with labels.
        follows: (F,) whether the next frame follows each.
    """

    def __init__(self, clusters: tuple[TrackedCluster, ...], place: _Ints, follows: _Bools) -> None:
        self.clusters, self.place = clusters, place
        self.follows = follows
        self.run = np.append(0, np.cumsum(~follows))[: len(follows)]  # frames of one run follow each other
        track = np.array([one.track_id for one in clusters], dtype=np.int64)
        size = np.array([one.num_points for one in clusters], dtype=np.int64)
        order = np.lexsort((-size, place, track))
        order = order[track[order] >= 0]
        repeated = np.append(False, (np.diff(track[order]) == 0) & (np.diff(place[order]) == 0))[: len(order)]
        order = order[~repeated]  # the largest cluster of a track in a frame
        same = track[order][1:] == track[order][:-1]
        self.before, self.after = (np.full(len(clusters), -1, dtype=np.int64) for _ in range(2))
        self.before[order[1:][same]], self.after[order[:-1][same]] = order[:-1][same], order[1:][same]
        self.track, self.tracked = track, np.isin(np.arange(len(clusters)), order)
        self.center = np.array([one.center_world_m for one in clusters]).reshape(-1, 3)

    def neighbours(self) -> _Bools:
        """(K,) whether the cluster before is in the frame that this one follows."""
        last = self.before
        next_to = (self.place - self.place[last] == 1) & (self.run[self.place] == self.run[self.place[last]])
        return np.asarray((last >= 0) & next_to)

    def gaps(self) -> list[tuple[int, int]]:
        """Cluster before each gap of a track, and place of the frame in which it goes on."""
        k = np.flatnonzero(self.after >= 0)
        first, last = self.place[k], self.place[self.after[k]]
        gap = (last - first > 1) & (last - first <= FRAMES + 1) & (self.run[first] == self.run[last])
        return list(zip(k[gap].tolist(), last[gap].tolist(), strict=True))

    def breaks(self, gaps: Sequence[tuple[int, int]]) -> tuple[_Bools, _Bools]:
        asked = self.tracked & self.follows[self.place]
        found = np.zeros(len(self.clusters), dtype=bool)
        found[[k for k, _ in gaps]] = True
        ends = np.flatnonzero(asked & (self.after < 0))
        starts = np.flatnonzero(self.tracked & (self.before < 0))
        found[list(self._joins(ends, starts))] = True
        return asked, found

    def _joins(self, ends: _Ints, starts: _Ints) -> dict[int, int]:
        """The beginning near the end of a track, by end; the nearest first, each once."""
        pairs = []
        step = np.where(self.neighbours()[ends, None], self.center[ends] - self.center[self.before[ends]], 0.0)
        for end, move in zip(ends.tolist(), step, strict=True):
            later = self.place[starts] - self.place[end]
            same_run = self.run[self.place[starts]] == self.run[self.place[end]]
            some = starts[(later >= 1) & (later <= FRAMES) & same_run]
            ahead = self.center[end] + move * (self.place[some] - self.place[end])[:, None]
            away = np.linalg.norm((self.center[some] - ahead)[:, :2], axis=1)
            pairs += [(float(m), end, k) for m, k in zip(away, some.tolist(), strict=True) if m <= NEAR_M]
        joined, begun = dict[int, int](), set[int]()
        for _, end, start in sorted(pairs):
            if end not in joined and start not in begun:
                joined[end] = start
                begun.add(start)
        return joined

    def class_changes(self) -> tuple[_Bools, _Bools]:
        class_id = np.array([one.class_id for one in self.clusters], dtype=np.int64)
        return self.before >= 0, class_id != class_id[self.before]

    def size_jumps(self) -> tuple[_Bools, _Bools]:
        size = np.array([(one.length_m, one.height_m) for one in self.clusters]).reshape(-1, 2)
        small, large = np.minimum(size, size[self.before]), np.maximum(size, size[self.before])
        return self.neighbours(), ((large > JUMP * small) & (large - small > JUMP_M)).any(axis=1)

    def left_points(self) -> tuple[_Ints, _Ints]:
        asked, found = (np.zeros(len(self.clusters), dtype=np.int64) for _ in range(2))
        judged = np.array([bool(one.spread) for one in self.clusters], dtype=bool) & self.tracked
        order = np.flatnonzero(judged)[np.argsort(self.track[judged], kind="stable")]
        for members in np.split(order, np.flatnonzero(np.diff(self.track[order])) + 1):
            if len(members) < 3:
                continue
            spreads = [np.array(self.clusters[k].spread) for k in members]
            reach = [np.searchsorted(np.cumsum(rings), _MOST * rings.sum()) + 1 for rings in spreads]
            outside = int(np.ceil(REACH * np.median(reach) + MARGIN_M / SPREAD_M))
            asked[members] = [rings.sum() for rings in spreads]
            found[members] = [rings[outside:].sum() for rings in spreads]
        return asked, found

    def flickers(self) -> tuple[_Bools, _Bools]:
        between = self.follows & self._led()
        return self.tracked & between[self.place], (self.before < 0) & (self.after < 0)

    def beginnings(self) -> tuple[_Bools, _Bools]:
        return self.tracked & self._led()[self.place], self.before < 0

    def _led(self) -> _Bools:
        """(F,) whether each frame follows another."""
        return np.append(False, self.follows[:-1])[: len(self.follows)]


def _disagreement(clusters: Sequence[TrackedCluster]) -> tuple[_Bools, _Bools]:
    cameras = np.array([one.num_cameras for one in clusters], dtype=np.int64)
    return cameras >= 2, np.array([one.class_share for one in clusters], dtype=np.float64) < 1 - 1e-9


def _odd_sizes(clusters: Sequence[TrackedCluster], taxonomy: Taxonomy) -> tuple[_Bools, _Bools]:
    size = np.array([(one.length_m, one.height_m) for one in clusters]).reshape(-1, 2)
    typical = np.array([typical_size_m(taxonomy, one.class_id) for one in clusters]).reshape(-1, 2)
    return np.isfinite(typical[:, 0]), (size > ODD * typical).any(axis=1)


def typical_size_m(taxonomy: Taxonomy, class_id: int) -> tuple[float, float]:
    """Typical diagonal from above and height of a class; NaN where they are not known."""
    lwh_m = taxonomy.classes[class_id].typical_lwh_m
    return (np.nan, np.nan) if lwh_m is None else (float(np.hypot(*lwh_m[:2])), lwh_m[2])
