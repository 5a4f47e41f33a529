"""Global augmentation: one random flip, rotation, scale and shift for all points, boxes and clusters of a sample.

The centre of an axis-aligned extent does not rotate with its points. Clusters, and the visible centres of boxes, are
therefore measured again after a rotation (docs/method.md B.4 describes the published mismatch).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.ranges import require
from pointsam.detect.data.sample import TrainingSample


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of a sample; the defaults are those published for nuScenes.

    Args:
        flip_x, flip_y: whether to mirror the axis with probability 1/2.
        rotation_rad: largest rotation in either direction, radians.
        scale: smallest and largest factor.
        shift_m: standard deviation of the shift along each axis.
    """

    flip_x: bool = True
    flip_y: bool = True
    rotation_rad: float = 0.7853981633974483
    scale: tuple[float, float] = (0.9, 1.1)
    shift_m: float = 0.5

    def __post_init__(self) -> None:
        require(0 <= self.rotation_rad <= np.pi, "data.augment.rotation_rad", self.rotation_rad, "0 to pi")
        require(0 < self.scale[0] <= self.scale[1], "data.augment.scale", self.scale, "two increasing factors above 0")
        require(self.shift_m >= 0, "data.augment.shift_m", self.shift_m, "0 or more")


def augmented(sample: TrainingSample, config: AugmentConfig, rng: np.random.Generator) -> TrainingSample:
    """A randomly flipped, rotated, scaled and shifted copy of a sample."""
    mirror = [-1.0 if on and rng.random() < 0.5 else 1.0 for on in (config.flip_x, config.flip_y)]
    angle = rng.uniform(-config.rotation_rad, config.rotation_rad)
    scale, shift = rng.uniform(*config.scale), rng.normal(0, config.shift_m, 3)
    c, s = np.cos(angle), np.sin(angle)
    linear = np.zeros((3, 3))
    linear[:2, :2] = scale * np.array([[c, -s], [s, c]]) @ np.diag(mirror)
    linear[2, 2] = scale
    return transformed(sample, linear, shift)


def transformed(sample: TrainingSample, linear: NDArray[np.float64], shift: NDArray[np.float64]) -> TrainingSample:
    """A copy of a sample whose positions x are linear @ x + shift.

    Args:
        sample: the sample.
        linear: (3,3) rotation about z with or without mirroring, times a scale.
        shift: (3,) metres.
    """
    scale = linear[2, 2]
    of_row = np.eye(5, dtype=np.float32)
    of_row[:3, :3] = linear.T
    points = sample.points @ of_row
    for axis, shift_m in enumerate(shift):
        points[:, axis] += np.float32(shift_m)
    boxes = sample.boxes.copy()
    boxes[:, :3] = boxes[:, :3] @ linear.T + shift
    boxes[:, 3:6] *= scale
    ahead = np.column_stack([np.cos(boxes[:, 6]), np.sin(boxes[:, 6])]) @ linear[:2, :2].T
    boxes[:, 6] = np.arctan2(ahead[:, 1], ahead[:, 0])
    clusters = replace(sample.clusters, center_m=sample.clusters.center_m @ linear.T + shift)
    velocity = sample.velocity @ linear[:2, :2].T
    return replace(sample, points=points, boxes=boxes, velocity=velocity, clusters=clusters).measured()


def cropped(sample: TrainingSample, range_m: tuple[float, ...]) -> TrainingSample:
    """The part of a sample inside a range, in the ground plane: points by position, boxes and clusters by their centre.

    Points above and below the range stay. They are in no voxel, but in the extents of clusters and in overlaps.

    The centre of a cluster is that of all its points, inside or not. If it is outside, the cluster is removed
    (docs/method.md B.3 step 5).

    Args:
        sample: the sample.
        range_m: x0, y0, z0, x1, y1, z1.
    """
    low, high = np.array(range_m[:3]), np.array(range_m[3:])

    def within(xyz: FloatArray) -> NDArray[np.bool_]:
        x, y = xyz[:, 0], xyz[:, 1]
        fits: NDArray[np.bool_] = (x >= low[0]) & (x < high[0]) & (y >= low[1]) & (y < high[1])
        return fits

    kept = sample.keep_boxes(within(sample.boxes)).keep_clusters(within(sample.clusters.center_m))
    return kept.keep_points(within(sample.points))
