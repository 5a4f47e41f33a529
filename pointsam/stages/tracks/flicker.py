"""Flickers: clusters that appear in one frame or two of many in which they should have been found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pointsam.stages.tracks.config import DropConfig
from pointsam.stages.tracks.scene import SceneFrame
from pointsam.stages.tracks.values import Dropped, Track


def flickers(
    tracks: Sequence[Track], frames: Sequence[SceneFrame], config: DropConfig
) -> tuple[list[Track], tuple[Dropped, ...]]:
    """The tracks that stay, and the clusters of those that were seen too seldom, in order of time.

    Where frames are far apart, an object may come and go between two of them, and nothing is dropped.

    Args:
        tracks: the tracks.
        frames: the frames of the scene, in order of time.
        config: the rule.
    """
    steps_s = np.diff([frame.t_us for frame in frames]) * 1e-6
    if not config.enabled or len(steps_s) == 0 or np.median(steps_s) > config.longest_step_s:
        return list(tracks), ()
    kept, out = [], []
    for track in tracks:
        few = len(track.frames) <= config.most_seen
        if not (few and len(track.unseen) >= config.unseen and track.trust <= config.sure):
            kept.append(track)
            continue
        reason = f"found in {len(track.frames)} frames, but not in {len(track.unseen)} others that see its place"
        for frame, cluster in zip(track.frames.tolist(), track.clusters.tolist(), strict=True):
            out.append((frame, cluster, Dropped(frames[frame].frame_id, cluster, reason)))
    return kept, tuple(one for _, _, one in sorted(out, key=lambda row: row[:2]))
