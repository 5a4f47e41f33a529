"""Points and objects in 3D: boxes, labels, ground truth, clusters, and all labels of a frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.taxonomy import BACKGROUND
from pointsam.types.validation import check_row, check_shapes, check_status

NO_INSTANCE = -1
"""instance_id or cluster_id of a pixel or point that belongs to no object."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Oriented 3D boxes in the reference LiDAR's frame.

    Args:
        center_m: (M,3) float64.
        size_lwh_m: (M,3) float64 length along the box's x, width along y, height along z.
        rotation: (M,3,3) float64, lidar_R_box.
        class_id: (M,) uint8; BACKGROUND marks void boxes, whose points are not evaluated.
        token: the data set's own name of each box.
    """

    center_m: NDArray[np.float64]
    size_lwh_m: NDArray[np.float64]
    rotation: NDArray[np.float64]
    class_id: NDArray[np.uint8]
    token: tuple[str, ...]

    def __post_init__(self) -> None:
        m = len(self.token)
        check_shapes(
            self,
            center_m=(self.center_m, (m, 3)),
            size_lwh_m=(self.size_lwh_m, (m, 3)),
            rotation=(self.rotation, (m, 3, 3)),
            class_id=(self.class_id, (m,)),
        )

    def __len__(self) -> int:
        return len(self.token)


@dataclass(frozen=True, eq=False)
class PointLabels:
    """A class and an instance for every point of a frame, sweep after sweep, each in file order.

    Args:
        instance_id: (N,) int32, NO_INSTANCE = none.
        class_id: (N,) uint8, BACKGROUND exactly where instance_id is NO_INSTANCE.

    Raises:
        SchemaError: SCH003 on different shapes, or a point with a class but no instance, or the reverse.
    """

    instance_id: NDArray[np.int32]
    class_id: NDArray[np.uint8]

    def __post_init__(self) -> None:
        check_shapes(self, instance_id=(self.instance_id, (None,)), class_id=(self.class_id, self.instance_id.shape))
        if not np.array_equal(self.instance_id == NO_INSTANCE, self.class_id == BACKGROUND):
            raise SchemaError(
                "SCH003",
                "a point has an instance without a class, or a class without an instance",
                "set instance_id = -1 and class_id = 255 together",
            )

    def __len__(self) -> int:
        return len(self.instance_id)

    @staticmethod
    def empty(num_points: int) -> PointLabels:
        """Labels of points that are all background."""
        return PointLabels(
            np.full(num_points, NO_INSTANCE, dtype=np.int32), np.full(num_points, BACKGROUND, dtype=np.uint8)
        )


@dataclass(frozen=True, eq=False)
class PointTruth:
    """Ground truth of the points of a frame, for evaluation.

    Args:
        labels: (N) ground-truth objects.
        void: (N,) bool, points that are not evaluated.
        source: source of the ground truth: "panoptic", "lidarseg" (with boxes), "semantickitti" or "boxes".
        names: name of the object of each instance_id, the same in all frames of a scene; None if the source names none.
    """

    labels: PointLabels
    void: NDArray[np.bool_]
    source: str
    names: Mapping[int, str] | None = None

    def __post_init__(self) -> None:
        check_shapes(self, void=(self.void, (len(self.labels),)))
        if self.names is not None:
            object.__setattr__(self, "names", MappingProxyType(dict(self.names)))

    def of_points(self, present: NDArray[np.bool_]) -> PointTruth:
        """The ground truth with rows without a position as void.

        Args:
            present: (N,) whether each row has a position.

        Raises:
            SchemaError: SCH003 if the number of points differs.
        """
        check_shapes(self, present=(present, (len(self.labels),)))
        return self if present.all() else replace(self, void=self.void | ~present)


@dataclass(frozen=True)
class Cluster:
    """One labelled object and its provenance (one row of the `clusters` table).

    Args:
        cluster_id: id in its frame, without gaps, ordered by (-num_points, first point index).
        class_id, class_name: its class.
        num_points: number of points of all sweeps.
        center_lidar_m: mid-point of the extent, (max + min) / 2, not the mean (docs/method.md B.1); LiDAR frame.
        size_aabb_m: extent along the axes of the LiDAR's level frame (`pointsam.geometry.level`): z points up.
        radius_bev_m: largest horizontal distance of a point from the centre, without safety margin.
        range_m: distance of the centre from the reference LiDAR.
        cameras: names of the cameras whose masks contributed, in the frame's order.
        mask_ids: index of each contributing mask in its image, aligned with `cameras` (a camera may repeat).
        pred_iou: mean predicted IoU of those masks, weighted by points.
        stability: mean stability, weighted likewise.
        class_share: fraction of its masked points whose mask had its class.
        num_points_cut: number of points that its masks covered and refinement removed.
        confidence: in [0,1], see `pointsam.stages.summarize`.
        num_points_grown: number of its points that no mask gave it, but growth (`pointsam.stages.grow`).
        score: mean semantic score of those masks, weighted by points.
        probability: of an IoU above 0.5 with a true object, in [0,1] (`pointsam.stages.probability`). NaN in labels of
            0.1.0, which have neither it nor `score`.
    """

    cluster_id: int
    class_id: int
    class_name: str
    num_points: int
    center_lidar_m: tuple[float, float, float]
    size_aabb_m: tuple[float, float, float]
    radius_bev_m: float
    range_m: float
    cameras: tuple[str, ...] = field(default=())
    mask_ids: tuple[int, ...] = field(default=())
    pred_iou: float = 0.0
    stability: float = 0.0
    class_share: float = 0.0
    num_points_cut: int = 0
    confidence: float = 0.0
    num_points_grown: int = 0
    score: float = math.nan
    probability: float = math.nan

    @property
    def exported_score(self) -> float:
        """The score in files of other tools: `probability`, in labels without it `confidence`."""
        return self.confidence if math.isnan(self.probability) else self.probability


@dataclass(frozen=True)
class FrameRow:
    """The result of one frame (one row of the `frames` table).

    Args:
        frame_id: the data set's id.
        scene: the drive; also the name of the folder.
        t_us: time of the reference sweep, microseconds.
        num_points: number of points of all its sweeps, 0 if they could not be read.
        num_clusters: number of labelled objects.
        status: "ok" or "failed" (quarantined: the frame has no labels, which does not mean that it has no objects).
        error_code: a code of `pointsam.base.errors`; empty if ok.
        error: the error message.
        calibration_hash: digest of the poses and intrinsics that were used.
        sweep_points: number of points of each sweep; by default of one sweep with all points.

    Raises:
        SchemaError: SCH003 on a status without its code, or a code without the status, or if the numbers of points
            differ.
    """

    frame_id: str
    scene: str
    t_us: int
    num_points: int
    num_clusters: int = 0
    status: str = "ok"
    error_code: str = ""
    error: str = ""
    calibration_hash: str = ""
    sweep_points: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_status(f"frame {self.frame_id}", self.status, self.error_code)
        if not self.sweep_points and self.num_points:
            object.__setattr__(self, "sweep_points", (self.num_points,))
        check_row(
            sum(self.sweep_points) == self.num_points,
            f"frame {self.frame_id} of {self.num_points} points has sweeps of {self.sweep_points}",
        )

    @property
    def sweep_index(self) -> NDArray[np.uint8]:
        """(N,) index of the sweep of each point."""
        return np.repeat(np.arange(len(self.sweep_points), dtype=np.uint8), self.sweep_points)


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """All labels of one frame: a row of `frames`, one of `points`, and its rows of `clusters`.

    Args:
        frame: result of the frame.
        labels: (N,) class and cluster of every point, one sweep after another, each in the order of its source.
        views: (N,) uint8, number of cameras that see the point.
        covered: (N,) uint8, number of cameras in which a painted mask covers the point.
        grown: (N,) bool, whether growth gave the point to its cluster.
        clusters: (M) clusters in the order of cluster_id, 0 to M-1; `labels.instance_id` holds these ids.

    Raises:
        SchemaError: SCH003 if the numbers of points or the cluster ids of the parts differ, or a grown point has no
            cluster.
    """

    frame: FrameRow
    labels: PointLabels
    views: NDArray[np.uint8]
    covered: NDArray[np.uint8]
    grown: NDArray[np.bool_]
    clusters: tuple[Cluster, ...]

    def __post_init__(self) -> None:
        frame, n = self.frame, len(self.labels)
        check_row(
            n == frame.num_points and self.views.shape == self.covered.shape == self.grown.shape == (n,),
            f"frame {frame.frame_id} of {frame.num_points} points has {n} labels, {len(self.views)} view counts, "
            f"{len(self.covered)} counts of masks and {len(self.grown)} marks of growth",
        )
        check_row(
            not (self.grown & (self.labels.instance_id == NO_INSTANCE)).any(),
            f"frame {frame.frame_id}: a grown point has no cluster",
        )
        ids = [cluster.cluster_id for cluster in self.clusters]
        check_row(
            ids == list(range(frame.num_clusters)) and int(self.labels.instance_id.max(initial=-1)) < len(ids),
            f"frame {frame.frame_id}: cluster ids of its points and of its {frame.num_clusters} clusters differ",
        )

    @staticmethod
    def empty(frame: FrameRow) -> FrameLabels:
        """Labels of a frame without clusters, whose points are background that no camera sees."""
        none = np.zeros(frame.num_points, dtype=np.uint8)
        return FrameLabels(frame, PointLabels.empty(frame.num_points), none, none, none.astype(np.bool_), ())
