"""The tracks of a scene in a worker, for the stages `looks` and `tracks`: both follow a scene in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pipelines.labelling.scene_frames import FrameWork, followed, poses_of, seen_frame
from pipelines.labelling.scenes import FOLLOWED, SceneTask
from pointsam.base.document import digest
from pointsam.datasets.base import Dataset
from pointsam.stages.tracks.config import TracksConfig
from pointsam.stages.tracks.scene import SceneFrame
from pointsam.stages.tracks.tracks import track_scene
from pointsam.stages.tracks.values import Tracks
from pointsam.store.reader import Labels
from pointsam.store.sources import ODOMETRY
from pointsam.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class SceneTracks:
    """What following a scene gave.

    Args:
        tracks: its tracks, None if its frames do not follow one another.
        sources: what the sources of each of its frames hold of it, besides its labels.
        remarks: what users should know of it.
    """

    tracks: Tracks | None
    sources: Mapping[str, str]
    remarks: tuple[str, ...]

    def of(self, frame_id: str) -> Tracks | None:
        """The tracks, None for a frame that they do not have."""
        return self.tracks if self.tracks is not None and frame_id in self.tracks.frame_ids else None


NOT_FOLLOWED = SceneTracks(None, {FOLLOWED: digest([])}, ())
"""What is known of frames that are alone."""


def follow_scene(
    dataset: Dataset,
    labels: Labels,
    task: SceneTask,
    frames: Sequence[FrameWork],
    taxonomy: Taxonomy,
    config: TracksConfig,
) -> SceneTracks:
    """The tracks of a scene. Frames whose sweeps cannot be read are quarantined, and left out.

    Args:
        dataset: the data set.
        labels: the labels that are followed.
        task: the scene.
        frames: all of its frames.
        taxonomy: the classes.
        config: the rules.
    """
    if not task.together:
        return NOT_FOLLOWED
    ordered = [one for one in frames if one.frame_id not in task.unordered]
    labelled = [one for one in ordered if labels.labels(one.frame_id).frame.status == "ok"]
    poses = poses_of(dataset, labelled, config.odometry)
    seen = list[SceneFrame]()
    for one in labelled:
        found = seen_frame(dataset, labels, one, poses.by_frame)
        if found is not None and not poses.by_frame:  # sweeps between frames of a registered scene have no poses
            found = one.guarded("associate", partial(followed, dataset, found, taxonomy, config))
        if found is not None:
            seen.append(found)
    # A frame more or less changes the tracks of all others: the shards of a scene are written together.
    sources = {FOLLOWED: digest([one.frame_id for one in seen])}
    sources |= {} if poses.odometry is None else {ODOMETRY: poses.odometry}
    if not seen:
        return SceneTracks(None, sources, poses.remarks)
    tracks = track_scene(seen, taxonomy, config)
    cuts = [
        f"its poses jump from frame {cut.before} to {cut.after}, so its tracks are cut there: {cut.reason}"
        for cut in tracks.cuts
    ]
    return SceneTracks(tracks, sources, (*poses.remarks, *cuts))
