"""A labelled frame as exporters get it; its parts are read on demand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.export.objects import ObjectId, ScenePaths
from pointsam.geometry.boxes import turned
from pointsam.geometry.fit import fit_boxes
from pointsam.geometry.level import map_SE3_lidar
from pointsam.geometry.origins import origin_of_point_m
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import Taxonomy
from pointsam.types import Boxes, Frame, FrameLabels, ImageMasks
from pointsam.types.tracks import NO_TRACK

_T = TypeVar("_T", bound=np.generic)

Files = Mapping[str, bytes]
"""Contents by file name below the destination."""


@dataclass(frozen=True, eq=False)
class ExportFrame:
    """A labelled frame.

    Args:
        number: position in the export, from 0.
        name: name of its files: the name of the reference sweep in the data set.
        found: the labels.
        taxonomy: classes of the labels.
        read_frame: returns cameras and poses.
        read_points: returns (N,4) points of all sweeps: x, y, z in metres, frame of the reference LiDAR, and
            intensity.
        read_masks: returns the masks of the images by camera.
        detected: boxes of a detector, with their texts as tokens; None without a detector.
        objects: the object of each cluster, in the order of cluster_id; None for labels that are not tracked.
        read_paths: returns the paths of the objects of its scene.
        place: sequence and number of the frame in SemanticKITTI's tree, None for other data.
        rect_SE3_lidar: from the LiDAR frame to KITTI's frame of labels, None for other data.
        read_true_boxes: returns ground-truth boxes in the LiDAR frame, None if there are none.
        sweep_names: names of files of the single sweeps; empty if the frame has one, which has the name of the frame.
    """

    number: int
    name: str
    found: FrameLabels
    taxonomy: Taxonomy
    read_frame: Callable[[], Frame]
    read_points: Callable[[], NDArray[np.float32]]
    read_masks: Callable[[], Mapping[str, ImageMasks]]
    rect_SE3_lidar: SE3 | None = None
    read_true_boxes: Callable[[], Boxes | None] = lambda: None
    place: tuple[str, str] | None = None
    sweep_names: tuple[str, ...] = ()
    detected: Boxes | None = None
    objects: tuple[ObjectId, ...] | None = None
    read_paths: Callable[[], ScenePaths] = ScenePaths

    def by_sweep(self, values: NDArray[_T]) -> dict[str, NDArray[_T]]:
        """(N,...) values of the points as a part for each sweep, by the name of its files."""
        names, counts = self.sweep_names or (self.name,), self.found.frame.sweep_points
        if len(names) == 1:
            return {names[0]: values}
        return dict(zip(names, np.split(values, np.cumsum(counts)[:-1]), strict=True))

    def of_points(self, values: Sequence[int], none: int) -> NDArray[np.int64]:
        """(N,) the value of the cluster of each point, `none` where it has none.

        Args:
            values: (M) a value for each cluster, in the order of cluster_id.
            none: the value of points without a cluster.
        """
        return np.array([*values, none], dtype=np.int64)[self.found.labels.instance_id]

    @property
    def number_of_point(self) -> NDArray[np.int64]:
        """(N,) number of the object of each point, from 1, 0 where it has none; constant through a scene if tracked."""
        if self.objects is None:
            return self.found.labels.instance_id.astype(np.int64) + 1
        return self.of_points([one.number for one in self.objects], 0)

    @property
    def number_in_class_of_point(self) -> NDArray[np.int64]:
        """(N,) likewise, among the objects of its class."""
        if self.objects is None:
            return self.number_of_point
        return self.of_points([one.number_in_class for one in self.objects], 0)

    @cached_property
    def track_ids(self) -> tuple[int, ...]:
        """(M) track of each cluster, NO_TRACK where it has none."""
        return (
            (NO_TRACK,) * len(self.found.clusters)
            if self.objects is None
            else tuple(one.track_id for one in self.objects)
        )

    @cached_property
    def paths(self) -> ScenePaths:
        """Paths of the objects of its scene."""
        return self.read_paths()

    def velocity_mps(self, cluster_id: int) -> NDArray[np.float64]:
        """(3,) velocity of a cluster in the world, from the path of its track; 0 without one."""
        path = self.paths.by_track.get(self.track_ids[cluster_id])
        return np.zeros(3) if path is None else path.velocity_at(self.found.frame.t_us)

    def moving_paths_m(self) -> dict[int, NDArray[np.float64]]:
        """(K,3) path of each moving object of the frame by track_id, in its LiDAR frame; empty without its pose."""
        pose = self.paths.world_SE3_lidar.get(self.found.frame.frame_id)
        if pose is None:
            return {}
        found = (self.paths.by_track.get(track_id) for track_id in self.track_ids)
        to_lidar = pose.inverse()
        return {path.track_id: to_lidar.apply(path.center_m) for path in found if path is not None and path.moving}

    @cached_property
    def frame(self) -> Frame:
        """Cameras and poses."""
        return self.read_frame()

    @cached_property
    def points(self) -> NDArray[np.float32]:
        """(N,4) points: x, y, z, intensity."""
        return self.read_points()

    @cached_property
    def boxes(self) -> Boxes:
        """Boxes fitted to the clusters, in the order of their ids."""
        mount, origin_m = self.frame.sweep.ego_SE3_lidar, origin_of_point_m(self.frame, self.found.frame.sweep_index)
        return fit_boxes(self.points[:, :3], self.found.labels, self.taxonomy, mount, origin_m)

    @cached_property
    def map_SE3_lidar(self) -> SE3:
        """From the LiDAR frame to the map frame: for formats whose boxes stand on a plane."""
        return map_SE3_lidar(self.frame.sweep.ego_SE3_lidar)

    @cached_property
    def map_points(self) -> NDArray[np.float32]:
        """(N,4) points in the map frame, and intensity."""
        points = self.points.astype(np.float32)
        points[:, :3] = self.map_SE3_lidar.apply(points[:, :3])
        return points

    @cached_property
    def map_boxes(self) -> Boxes:
        """The fitted boxes in the map frame."""
        return turned(self.boxes, self.map_SE3_lidar)

    @cached_property
    def true_boxes(self) -> Boxes | None:
        """Ground-truth boxes, None if the frame has none."""
        return self.read_true_boxes()

    @cached_property
    def masks(self) -> Mapping[str, ImageMasks]:
        """Masks of the images by camera."""
        return self.read_masks()


def require_known(taxonomy: Taxonomy, classes: Collection[str], what: str) -> None:
    """Reject a taxonomy with classes that a format does not have.

    Args:
        taxonomy: classes of the labels.
        classes: classes of the format.
        what: name of the format.

    Raises:
        SchemaError: SCH004 naming the classes.
    """
    foreign = [name for name in taxonomy.names if name not in classes]
    if foreign:
        raise SchemaError(
            "SCH004",
            f"{what} has no class for {', '.join(foreign)} of taxonomy {taxonomy.name!r}",
            f"label with classes out of: {', '.join(classes)}",
        )
