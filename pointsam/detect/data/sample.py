"""One training sample as numpy arrays: points of several sweeps, boxes of the budget, clusters.

P points, of which the first K are of the key sweeps, one of each LiDAR; B boxes, M clusters. Map frame
(`pointsam.detect.data.map_frame`), metres.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.document import OPTIONAL
from pointsam.base.ranges import require
from pointsam.detect.data.coarse import CoarseLabels, extents, of_points
from pointsam.detect.labels import SampleLabels
from pointsam.geometry.boxes import box_members
from pointsam.types import Boxes

_LEAST_SIDE_M = 0.1
"""Smallest side of a box around a cluster: the regression target is the logarithm of a size."""


@dataclass(frozen=True)
class PointsConfig:
    """The input points of a detector.

    Args:
        past_sweeps: number of sweeps before the key sweep, of each LiDAR.
        intensity_full: the sensor's largest intensity; 255 in nuScenes, 1 in KITTI.
        in_view_only: whether to use only points that a camera sees; KITTI has boxes only there.
        repeat_missing: whether the last past sweep is repeated where there are fewer, at the start of a scene, as
            published; without any, the key sweep is. The number of points is then that of other frames.
    """

    past_sweeps: int = 0
    intensity_full: float = 255.0
    in_view_only: bool = False
    repeat_missing: bool = field(default=False, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        require(0 <= self.past_sweeps <= 100, "data.points.past_sweeps", self.past_sweeps, "0 to 100")
        require(self.intensity_full > 0, "data.points.intensity_full", self.intensity_full, "a number above 0")


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """A training sample; every method returns a new one.

    Args:
        frame_id: id of the key frame.
        points: (P,5) float32 x, y, z, intensity (0 to 1), age in seconds: of a key sweep 0, or the little by which it
            is older than the reference sweep.
        boxes: (B,7) float64 x, y, z of the centre, length, width, height, yaw.
        box_class: (B,) int64.
        velocity: (B,2) float64 metres per second, NaN where unknown.
        clusters: coarse labels of the K points of the key sweeps.
    """

    frame_id: str
    points: NDArray[np.float32]
    boxes: NDArray[np.float64]
    box_class: NDArray[np.int64]
    velocity: NDArray[np.float64]
    clusters: CoarseLabels

    @property
    def num_key(self) -> int:
        """K, the number of points of the key sweeps."""
        return len(self.clusters.cluster_id)

    def keep_points(self, kept: NDArray[np.bool_]) -> TrainingSample:
        """The sample with some of its points; clusters without points are removed, the others are measured again.

        Args:
            kept: (P,) whether each point is kept.
        """
        key = kept[: self.num_key]
        clusters = self.clusters
        some = replace(clusters, cluster_id=clusters.cluster_id[key], unknown=clusters.unknown[key])
        points = np.compress(kept, self.points, axis=0)  # a quarter of the time of indexing
        return replace(self, points=points, clusters=some).measured()

    def measured(self) -> TrainingSample:
        """The sample with centres, radii and counts of clusters computed from its points.

        Clusters that never had points, such as centre labels, stay as they are.
        """
        old = self.clusters
        label = of_points(self.points[: self.num_key, :3], old.cluster_id, old.class_id, old.unknown)
        pointless = old.num_points == 0
        of_all = {
            name: np.concatenate([getattr(label, name), getattr(old, name)[pointless]])
            for name in CoarseLabels.BY_CLUSTER
        }
        return replace(self, clusters=replace(label, **of_all))

    def keep_clusters(self, kept: NDArray[np.bool_]) -> TrainingSample:
        """The sample with some of its clusters; the points of the others belong to no cluster.

        Args:
            kept: (M,) whether each cluster is kept.
        """
        return replace(self, clusters=self.clusters.keep(kept))

    def keep_boxes(self, kept: NDArray[np.bool_]) -> TrainingSample:
        """The sample with some of its boxes.

        Args:
            kept: (B,) whether each box is kept.
        """
        return replace(self, boxes=self.boxes[kept], box_class=self.box_class[kept], velocity=self.velocity[kept])

    def clusters_as_boxes(self) -> TrainingSample:
        """The sample with every cluster replaced by its axis-aligned box, whose heading is along the longer side."""
        low, high = extents(self.points[: self.num_key, :3], self.clusters.cluster_id, len(self.clusters))
        kept = np.isfinite(low).all(axis=1)
        size = np.maximum(high[kept] - low[kept], _LEAST_SIDE_M)
        turned = size[:, 1] > size[:, 0]
        size[turned, :2] = size[turned, 1::-1]
        boxes = np.column_stack([(low[kept] + high[kept]) / 2, size, np.where(turned, np.pi / 2, 0.0)])
        return replace(
            self,
            boxes=np.concatenate([self.boxes, boxes]),
            box_class=np.concatenate([self.box_class, self.clusters.class_id[kept].astype(np.int64)]),
            velocity=np.concatenate([self.velocity, np.full((len(boxes), 2), np.nan)]),
            clusters=self.clusters.keep(np.zeros(len(self.clusters), dtype=bool)),
        )

    def labels(self) -> SampleLabels:
        """The labels as tensors, with the visible centres of boxes from the key sweep (docs/method.md B.3 step 7)."""
        xyz, c = self.points[: self.num_key, :3], self.clusters

        def floats(values: FloatArray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

        return SampleLabels(
            floats(self.boxes),
            torch.from_numpy(self.box_class),
            floats(self.velocity),
            floats(visible_centers(xyz, self.boxes)),
            torch.from_numpy(c.class_id.astype(np.int64)),
            floats(c.center_m),
            torch.from_numpy(c.num_points.astype(np.int64)),
            floats(xyz),
            torch.from_numpy(c.cluster_id.astype(np.int64)),
            torch.from_numpy(c.unknown),
        )


def visible_centers(xyz: FloatArray, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B,3) mid-point of the extent of the points in each box, or the centre of a box without points."""
    point, box = box_members(xyz, oriented(boxes))
    low, high = extents(xyz[point], box, len(boxes))
    empty = np.isinf(low[:, :1])
    return np.where(empty, boxes[:, :3], (np.where(empty, 0, low) + np.where(empty, 0, high)) / 2)


def oriented(boxes: NDArray[np.float64]) -> Boxes:
    """(B,7) rows as `Boxes` without classes and tokens."""
    c, s, zero, one = np.cos(boxes[:, 6]), np.sin(boxes[:, 6]), np.zeros(len(boxes)), np.ones(len(boxes))
    rotation = np.stack([c, -s, zero, s, c, zero, zero, zero, one], axis=1).reshape(-1, 3, 3)
    return Boxes(boxes[:, :3], boxes[:, 3:6], rotation, np.zeros(len(boxes), dtype=np.uint8), ("",) * len(boxes))


def some_of(boxes: Boxes, which: NDArray[np.bool_]) -> Boxes:
    """The boxes that `which`, (M,), selects of M boxes."""
    tokens = tuple(token for token, keep in zip(boxes.token, which, strict=True) if keep)
    return Boxes(boxes.center_m[which], boxes.size_lwh_m[which], boxes.rotation[which], boxes.class_id[which], tokens)
