"""The frames of a scene in a worker: their points, their poses, and their quarantine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from pipelines.poses import NO_ODOMETRY, lack_poses, odometry_version, registered
from pipelines.tasks import Attempt, Task
from pointsam.base.errors import PointSamError
from pointsam.base.runtime import Stopwatch
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.points import read_frame_points, read_sweep_points
from pointsam.geometry.odometry import PACKAGE
from pointsam.geometry.se3 import SE3
from pointsam.stages.tracks.config import TracksConfig
from pointsam.stages.tracks.scene import SceneFrame, scene_frame
from pointsam.stages.tracks.stones import Stone, with_velocities
from pointsam.store.reader import Labels
from pointsam.store.sources import digests_of, of_sweeps, require_unchanged
from pointsam.taxonomy import Taxonomy
from pointsam.types import Frame, FrameLabels, FramePoints, FrameRow

_Made = TypeVar("_Made")


@dataclass
class FrameWork:
    """A frame of a scene while it is processed.

    Args:
        frame_id: the frame.
        seconds: time by step.
        sources: digests of what was read.
        error: why it is quarantined, None as long as it is not.
    """

    frame_id: str
    seconds: dict[str, float] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    error: PointSamError | None = None

    def guarded(self, step: str, work: Callable[[], _Made]) -> _Made | None:
        """The result of a step; None if the frame is quarantined because of it."""
        stopwatch = Stopwatch()
        attempt = Attempt(Task(self.frame_id, "", True, None), stopwatch, self.sources)
        with stopwatch(step):
            made = attempt.do(work)
        self.add({step: stopwatch.seconds[step]})
        self.error = attempt.error
        return made

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count seconds by step."""
        for step, spent in seconds.items():
            self.seconds[step] = round(self.seconds.get(step, 0.0) + spent, 4)

    def failed(self, row: FrameRow) -> FrameLabels:
        """Labels of a frame that is quarantined, from its row of the first round."""
        assert self.error is not None
        error = self.error
        return FrameLabels.empty(FrameRow(row.frame_id, row.scene, row.t_us, 0, 0, "failed", error.code, error.message))


@dataclass(frozen=True)
class ScenePoses:
    """Poses of the vehicle where the data set has none.

    Args:
        by_frame: the poses; empty where the data set has some, and where odometry is switched off or not installed.
        odometry: version of the library that they are from, `NO_ODOMETRY` if it is not installed; None where it is not
            needed or not wanted.
        remarks: what users should know of them.
    """

    by_frame: Mapping[str, SE3] = field(default_factory=dict)
    odometry: str | None = None
    remarks: tuple[str, ...] = ()


def poses_of(dataset: Dataset, frames: Sequence[FrameWork], enabled: bool) -> ScenePoses:
    """Poses of the vehicle in a scene whose data set has none. Frames whose sweep cannot be read are quarantined.

    Args:
        dataset: the data set.
        frames: the labelled frames of a scene.
        enabled: whether odometry is used.
    """
    if not enabled or any(one.error is not None for one in frames):
        return ScenePoses()
    works = {one.frame_id: one for one in frames}
    read = [one.guarded("associate", partial(read_cloud_frame, dataset, one.frame_id)) for one in frames]
    found: list[Frame] = [frame for frame in read if frame is not None]
    if not lack_poses(found):
        return ScenePoses()
    version = odometry_version()
    if version == NO_ODOMETRY:
        remark = (
            "it has no poses and is tracked as if the vehicle stood still; pip install 'pointsam[odometry]', then the "
            "same command follows it again with its motion"
        )
        return ScenePoses({}, version, (remark,))

    def points(frame: Frame) -> FramePoints | None:
        return works[frame.frame_id].guarded("associate", partial(read_frame_points, frame))

    remark = f"it has no poses: those of its tracks are from odometry ({PACKAGE})"
    return ScenePoses(registered(found, points), version, (remark,))


def seen_frame(dataset: Dataset, labels: Labels, one: FrameWork, poses: Mapping[str, SE3]) -> SceneFrame | None:
    """What tracks need of a frame; None if it has no labels, cannot be read, or has changed since it was labelled.

    Args:
        dataset: the data set.
        labels: the labels that are followed.
        one: the frame.
        poses: poses of the vehicle where the data set has none.
    """
    found = labels.labels(one.frame_id)
    if found.frame.status != "ok" or one.error is not None:
        return None

    def work() -> SceneFrame:
        frame = read_cloud_frame(dataset, one.frame_id)
        require_unchanged(labels.sources("clusters", one.frame_id), frame, "clusters", of_sweeps)
        one.sources.update(digests_of(frame, of_sweeps))
        return scene_frame(frame, read_frame_points(frame), found, poses.get(one.frame_id))

    return one.guarded("associate", work)


def followed(dataset: Dataset, seen: SceneFrame, taxonomy: Taxonomy, config: TracksConfig) -> SceneFrame:
    """The frame with the velocities of its clusters from the sweeps before it, and from the one after it.

    Args:
        dataset: the data set.
        seen: the frame.
        taxonomy: the classes.
        config: the rules; without `stones` the frame stays as it is.
    """
    if not config.stones.enabled:
        return seen
    frame = read_cloud_frame(dataset, seen.frame_id)
    sweeps = [*dataset.past_sweeps(seen.frame_id, config.stones.sweeps)]
    sweeps += [sweep for offset, sweep in frame.neighbours.items() if offset > 0]
    stones = [
        Stone.of(read_sweep_points(frame, one), one.t_us, one.world_SE3_ego, one.ego_SE3_lidar, config)
        for one in {sweep.t_us: sweep for sweep in sweeps if sweep.t_us != frame.sweep.t_us}.values()
    ]
    return with_velocities(seen, stones, taxonomy, config)
