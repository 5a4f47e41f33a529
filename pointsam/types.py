"""The values that flow between stages: frozen, validated, numpy only.

Frames of reference: `lidar` (the key sweep's sensor), `cam` (x right, y down, z forward), `ego`, `world`.
Images are indexed [v, u]; pixels are (u, v) = (column, row).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pointsam.errors import SchemaError
from pointsam.geometry.camera import PinholeCamera
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import BACKGROUND

NO_INSTANCE = -1
"""instance_id or cluster_id of a pixel or point that belongs to none."""


def _check_shapes(owner: object, **arrays: tuple[NDArray[np.generic], tuple[int | None, ...]]) -> None:
    for name, (array, shape) in arrays.items():
        fits = array.ndim == len(shape) and all(w in (None, h) for h, w in zip(array.shape, shape, strict=True))
        if not fits:
            raise SchemaError(
                "SCH003",
                f"{type(owner).__name__}.{name} must have shape {shape}, got {array.shape}",
                "pass arrays that describe the same items",
            )


@dataclass(frozen=True, eq=False)
class Sweep:
    """One LiDAR revolution on disk: little-endian float32 rows that start with x, y, z in metres.

    Args:
        path: the file.
        floats_per_point: 5 in nuScenes (x, y, z, intensity, ring), 4 in KITTI.
        t_us: time stamp, microseconds.
        ego_SE3_lidar: mounting of the sensor.
        world_SE3_ego: pose of the vehicle at `t_us`.
        ring_gap_rad: angle between neighbouring rings, 0 where nobody knows.
    """

    path: Path
    floats_per_point: int
    t_us: int
    ego_SE3_lidar: SE3
    world_SE3_ego: SE3
    ring_gap_rad: float = 0.0


@dataclass(frozen=True, eq=False)
class CameraView:
    """One exposure of one camera.

    Args:
        name: the channel, unique in a frame (CAM_FRONT, image_2).
        image_path: the image file.
        t_us: exposure time, microseconds.
        camera: intrinsics.
        ego_SE3_cam: mounting of the camera.
        world_SE3_ego: pose of the vehicle at `t_us` - not that of the LiDAR.
    """

    name: str
    image_path: Path
    t_us: int
    camera: PinholeCamera
    ego_SE3_cam: SE3
    world_SE3_ego: SE3


@dataclass(frozen=True, eq=False)
class Frame:
    """One key frame: the sweep to label, its neighbours, and the cameras that look at it.

    Args:
        frame_id: unique in the data set.
        scene: the drive it belongs to.
        sweep: the key sweep; labels follow its file order.
        neighbours: sweeps by offset along the sensor's own chain (-1 = one revolution before); at the end of a chain
            the last reachable sweep stands in (method.md A.2).
        cameras: in the data set's fixed order.
    """

    frame_id: str
    scene: str
    sweep: Sweep
    neighbours: Mapping[int, Sweep]
    cameras: tuple[CameraView, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "neighbours", MappingProxyType(dict(self.neighbours)))


@dataclass(frozen=True, eq=False)
class Boxes:
    """Oriented 3D boxes in the key sweep's LiDAR frame.

    Args:
        center_m: (M,3) float64.
        size_lwh_m: (M,3) float64 length along the box's x, width along y, height along z.
        rotation: (M,3,3) float64, lidar_R_box.
        class_id: (M,) uint8; BACKGROUND marks void (points inside are neither right nor wrong).
        token: the data set's own name of each box.
    """

    center_m: NDArray[np.float64]
    size_lwh_m: NDArray[np.float64]
    rotation: NDArray[np.float64]
    class_id: NDArray[np.uint8]
    token: tuple[str, ...]

    def __post_init__(self) -> None:
        m = len(self.token)
        _check_shapes(
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
    """A class and an instance for every point of a sweep, in file order.

    Args:
        instance_id: (N,) int32, NO_INSTANCE = none.
        class_id: (N,) uint8, BACKGROUND exactly where instance_id is NO_INSTANCE.

    Raises:
        SchemaError: SCH003 on shapes that differ or a point with only one of the two.
    """

    instance_id: NDArray[np.int32]
    class_id: NDArray[np.uint8]

    def __post_init__(self) -> None:
        _check_shapes(self, instance_id=(self.instance_id, (None,)), class_id=(self.class_id, self.instance_id.shape))
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
        """All background."""
        return PointLabels(
            np.full(num_points, NO_INSTANCE, dtype=np.int32), np.full(num_points, BACKGROUND, dtype=np.uint8)
        )


@dataclass(frozen=True, eq=False)
class PointTruth:
    """What evaluation compares with.

    Args:
        labels: the true objects.
        void: (N,) bool, points that count neither for nor against.
        source: where it is from: "panoptic", "lidarseg" (with boxes), "semantickitti" or "boxes".
    """

    labels: PointLabels
    void: NDArray[np.bool_]
    source: str

    def __post_init__(self) -> None:
        _check_shapes(self, void=(self.void, (len(self.labels),)))


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of one image, compressed.

    Args:
        height_px: image height.
        width_px: image width.
        rle: (K,) COCO compressed run lengths ("counts", column-major), one a mask.
        pred_iou: (K,) float32, the model's own estimate of the mask's IoU.
        stability: (K,) float32, area(logit > +1) / area(logit > -1) (method.md A.3).
        source: (K,) int32, index of the detection whose box prompted the mask, -1 for a LiDAR point.
    """

    height_px: int
    width_px: int
    rle: tuple[bytes, ...]
    pred_iou: NDArray[np.float32]
    stability: NDArray[np.float32]
    source: NDArray[np.int32]

    def __post_init__(self) -> None:
        k = len(self.rle)
        _check_shapes(
            self, pred_iou=(self.pred_iou, (k,)), stability=(self.stability, (k,)), source=(self.source, (k,))
        )

    def __len__(self) -> int:
        return len(self.rle)

    @staticmethod
    def empty(height_px: int, width_px: int) -> Masks:
        """No masks."""
        none = np.zeros(0, dtype=np.float32)
        return Masks(height_px, width_px, (), none, none, np.zeros(0, dtype=np.int32))


@dataclass(frozen=True, eq=False)
class Detections:
    """What a 2D network found in one image, in any order.

    Args:
        box_xyxy_px: (D,4) float32 left, top, right, bottom.
        class_id: (D,) uint8 of the run's taxonomy.
        score: (D,) float32 in [0,1].
        rle: (D,) COCO compressed run lengths, or None where the network gives boxes only (SAM then cuts the masks).
        instances: False where one mask holds all pixels of a class (a semantic map): such a mask is no object.
    """

    box_xyxy_px: NDArray[np.float32]
    class_id: NDArray[np.uint8]
    score: NDArray[np.float32]
    rle: tuple[bytes, ...] | None = None
    instances: bool = True

    def __post_init__(self) -> None:
        d = len(self.class_id)
        _check_shapes(
            self,
            box_xyxy_px=(self.box_xyxy_px, (d, 4)),
            class_id=(self.class_id, (d,)),
            score=(self.score, (d,)),
        )
        if self.rle is not None and len(self.rle) != d:
            raise SchemaError(
                "SCH003", f"{d} detections with {len(self.rle)} masks", "give one mask a detection, or none at all"
            )

    def __len__(self) -> int:
        return len(self.class_id)


@dataclass(frozen=True, eq=False)
class InstanceMap:
    """A partition of an image into objects and background (method.md A.4's F_sem and F_inst).

    Args:
        instance_id: (H,W) int32, index into `mask_id`, NO_INSTANCE = background.
        class_id: (K,) uint8, class of each instance.
        mask_id: (K,) int32, index of each instance's mask among the image's candidate masks.
    """

    instance_id: NDArray[np.int32]
    class_id: NDArray[np.uint8]
    mask_id: NDArray[np.int32]

    def __post_init__(self) -> None:
        _check_shapes(
            self,
            instance_id=(self.instance_id, (None, None)),
            class_id=(self.class_id, (None,)),
            mask_id=(self.mask_id, self.class_id.shape),
        )


@dataclass(frozen=True)
class Cluster:
    """One labelled object and why it is there (the `clusters` table, one row).

    Args:
        cluster_id: dense in its frame, ordered by (-num_points, first point index).
        class_id, class_name: its class.
        num_points: points of the key sweep.
        center_lidar_m: mid-point of the axis-aligned extent, (max + min) / 2 - not the mean (method.md B.1).
        size_aabb_m: axis-aligned extent.
        radius_bev_m: largest distance from the centre in the ground plane, without safety margin.
        range_m: distance of the centre from the LiDAR.
        cameras: names of the cameras whose masks built it, in the frame's order.
        mask_ids: index of each contributing mask in its image, aligned with `cameras` (a camera may repeat).
        pred_iou: mean predicted IoU of those masks, weighted by points.
        stability: mean stability, weighted likewise.
        class_share: share of its masked points whose mask had its class.
        num_points_cut: points that its masks covered and refinement took away.
        confidence: in [0,1], see `pointsam.stages.summarize`.
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
