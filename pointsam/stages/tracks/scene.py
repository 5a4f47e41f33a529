"""What tracks need of each frame of a scene, and the clusters of all frames in one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.errors import SchemaError
from pointsam.geometry.se3 import SE3
from pointsam.stages.tracks.panorama import Panorama, panorama
from pointsam.types import NO_INSTANCE, Cluster, Frame, FrameLabels, FramePoints
from pointsam.types.validation import check_row, check_shapes

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SceneFrame:
    """One labelled frame of a scene, without the points of the background.

    Args:
        frame_id: id of the frame.
        t_us: time of the reference sweep, microseconds.
        world_SE3_lidar: pose of the reference LiDAR; z of the world points up.
        clusters: the K clusters of the frame.
        xyz_lidar_m: (M,3) float32 points of the clusters, metres.
        time_s: (M,) float32 time of each point, seconds from `t_us`; NaN where unknown.
        cluster_id: (M,) int32 cluster of each point.
        panorama: how far the LiDAR saw, and where cameras look.
        velocity_mps: (K,3) velocity of each cluster in the world, NaN where unknown; None if all are.

    Raises:
        SchemaError: SCH003 on arrays of different lengths, or points of a cluster that is not listed.
    """

    frame_id: str
    t_us: int
    world_SE3_lidar: SE3
    clusters: tuple[Cluster, ...]
    xyz_lidar_m: NDArray[np.float32]
    time_s: NDArray[np.float32]
    cluster_id: NDArray[np.int32]
    panorama: Panorama
    velocity_mps: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        m, k = len(self.cluster_id), len(self.clusters)
        check_shapes(self, xyz_lidar_m=(self.xyz_lidar_m, (m, 3)), time_s=(self.time_s, (m,)))
        if self.velocity_mps is not None:
            check_shapes(self, velocity_mps=(self.velocity_mps, (k, 3)))
        held = np.bincount(self.cluster_id, minlength=k) if m == 0 or self.cluster_id.min() >= 0 else np.zeros(0)
        check_row(
            len(held) == k and bool((held > 0).all()),
            f"frame {self.frame_id}: its points do not have the ids of its {k} clusters",
        )

    def xyz_world_m(self) -> _Floats:
        """(M,3) points in the world."""
        return self.world_SE3_lidar.apply(self.xyz_lidar_m)


def scene_frame(frame: Frame, points: FramePoints, found: FrameLabels, world_SE3_ego: SE3 | None = None) -> SceneFrame:
    """What tracks need of a frame.

    Args:
        frame: the frame.
        points: its points.
        found: its labels.
        world_SE3_ego: pose of the vehicle at the time of the reference sweep, None for that of the frame.

    Raises:
        SchemaError: SCH003 if the labels are not of these points.
    """
    if len(points) != len(found.labels):
        raise SchemaError(
            "SCH003",
            f"frame {frame.frame_id}: {len(found.labels)} labels for {len(points)} points",
            "pass labels of this frame",
        )
    held = np.flatnonzero(found.labels.instance_id != NO_INSTANCE)
    pose = frame.sweep.world_SE3_ego if world_SE3_ego is None else world_SE3_ego
    return SceneFrame(
        frame.frame_id,
        frame.sweep.t_us,
        pose @ frame.sweep.ego_SE3_lidar,
        found.clusters,
        points.xyz_lidar_m[held],
        points.time_s[held].astype(np.float32),
        found.labels.instance_id[held],
        panorama(points.xyz_lidar_m, found.views > 0),
    )


@dataclass(frozen=True, eq=False)
class Observations:
    """All clusters of a scene, frame after frame. Their order within a frame depends on their extents only.

    Args:
        frame: (O,) index of the frame.
        cluster_id: (O,) id in its frame.
        t_s: (O,) time, seconds from the first frame.
        class_id: (O,) class.
        num_points: (O,) number of points.
        evidence: (O,) probability times number of points.
        low_m, high_m: (O,3) extents along the axes of the world.
        velocity_mps: (O,3) velocity, NaN where unknown.
    """

    frame: NDArray[np.int64]
    cluster_id: NDArray[np.int64]
    t_s: _Floats
    class_id: NDArray[np.int64]
    num_points: NDArray[np.int64]
    evidence: _Floats
    low_m: _Floats
    high_m: _Floats
    velocity_mps: _Floats

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def center_m(self) -> _Floats:
        """(O,3) mid-points of the extents."""
        return (self.low_m + self.high_m) / 2


def trust(cluster: Cluster) -> float:
    """How much a cluster is believed, in [0,1]: its probability, in old labels its confidence."""
    return min(max(cluster.exported_score, 0.0), 1.0)


def observations(frames: Sequence[SceneFrame]) -> Observations:
    """The clusters of frames in order of time."""
    parts = [_of_frame(index, frame, frames[0].t_us) for index, frame in enumerate(frames)]
    return Observations(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _of_frame(index: int, frame: SceneFrame, start_us: int) -> tuple[FloatArray | NDArray[np.int64], ...]:
    k = len(frame.clusters)
    xyz = frame.xyz_world_m()
    low, high = np.full((k, 3), np.inf), np.full((k, 3), -np.inf)
    np.minimum.at(low, frame.cluster_id, xyz)
    np.maximum.at(high, frame.cluster_id, xyz)
    class_id = np.array([cluster.class_id for cluster in frame.clusters], dtype=np.int64)
    count = np.bincount(frame.cluster_id, minlength=k)
    weight = np.array([trust(cluster) for cluster in frame.clusters]) * count
    velocity = np.full((k, 3), np.nan) if frame.velocity_mps is None else frame.velocity_mps
    order = np.lexsort((class_id, count, *high.T, *low.T))
    return (
        np.full(k, index, dtype=np.int64),
        np.arange(k, dtype=np.int64)[order],
        np.full(k, (frame.t_us - start_us) * 1e-6),
        class_id[order],
        count[order],
        weight[order],
        low[order],
        high[order],
        velocity[order],
    )


def members_m(frame: SceneFrame, cluster_id: int) -> tuple[_Floats, NDArray[np.float32]]:
    """Points of a cluster: (P,3) in the world, and (P,) their times."""
    its = frame.cluster_id == cluster_id
    return frame.world_SE3_lidar.apply(frame.xyz_lidar_m[its]), frame.time_s[its]
