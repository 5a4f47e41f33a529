"""What a detector is trained on: one sweep with its boxes and clusters, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class SampleLabels:
    """Labels of one sample, in its (augmented) LiDAR frame, metres.

    Args:
        boxes: (B,7) x, y, z, length, width, height, yaw of the budget's boxes.
        box_class: (B,) int64.
        velocity: (B,2) metres a second, NaN where unknown.
        visible_center: (B,3) mid-point of the extent of the points in each box, its own middle where there is none
            (method.md B.3 step 7).
        cluster_class: (M,) int64.
        cluster_center: (M,3) mid-points of their extents.
        cluster_points: (M,) int64 number of their points in the key sweep.
        xyz: (P,3) points of the key sweep.
        cluster_id: (P,) int64 cluster of each, -1 for none.
        unknown: (P,) bool points that may be of an object nobody labelled: what is about them is not background.
    """

    boxes: Tensor
    box_class: Tensor
    velocity: Tensor
    visible_center: Tensor
    cluster_class: Tensor
    cluster_center: Tensor
    cluster_points: Tensor
    xyz: Tensor
    cluster_id: Tensor
    unknown: Tensor
