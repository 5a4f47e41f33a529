"""What tables know of the tracks of a scene: the features of `pointsam.stages.tracks.probability`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pointsam.stages.tracks.probability import TrackTraits, share_of_votes, tracked_features
from pointsam.stages.tracks.scene import trust
from pointsam.store.reader import Labels
from pointsam.types import Cluster, TrackRow


class StoredTracks:
    """Features of the clusters of tracked labels; the tracks of one scene are in memory.

    Args:
        labels: the labels, of the stage tracks.
    """

    def __init__(self, labels: Labels) -> None:
        self._labels, self._single = labels, Labels(labels.out)
        self._rows = dict(labels.tracks())
        self._frames: dict[str, list[tuple[int, str]]] = {}
        for frame in labels.frames():
            if frame.status == "ok":
                self._frames.setdefault(frame.scene, []).append((frame.t_us, frame.frame_id))
        self._scene = ""
        self._traits: dict[int, TrackTraits] = {}

    def features(self, frame_id: str, scene: str) -> NDArray[np.float64]:
        """(M,8) features of the clusters of a frame."""
        if scene != self._scene:
            frame_ids = [name for _, name in sorted(self._frames[scene])]
            self._scene, self._traits = scene, self._of_scene(self._rows.get(scene, ()), frame_ids)
        tracked, single = self._labels.tracked(frame_id), self._single.clusters(frame_id)
        own = [0.0 if one.single_id < 0 else single[one.single_id].probability for one in tracked.members]
        return tracked_features(tracked.found.clusters, tracked.members, own, self._traits)

    def _of_scene(self, rows: Sequence[TrackRow], frame_ids: Sequence[str]) -> dict[int, TrackTraits]:
        seen: dict[int, list[tuple[int, Cluster]]] = {row.track_id: [] for row in rows}
        for place, frame_id in enumerate(frame_ids):
            single = self._single.clusters(frame_id)
            for member in self._labels.tracked(frame_id).members:
                if member.single_id >= 0 and member.track_id in seen:
                    seen[member.track_id].append((place, single[member.single_id]))
        return {row.track_id: _traits(row, seen[row.track_id]) for row in rows if seen[row.track_id]}


def _traits(row: TrackRow, seen: Sequence[tuple[int, Cluster]]) -> TrackTraits:
    """Traits of a track, of the places of its frames in the scene and its single-frame clusters there."""
    places = sorted({place for place, _ in seen})
    points = sum(cluster.num_points for _, cluster in seen)
    known = sum(trust(cluster) * cluster.num_points for _, cluster in seen) / points
    return TrackTraits(len(places), len(places) / (places[-1] - places[0] + 1), share_of_votes(row.class_votes), known)
