"""The labels of one training sample as tensors: boxes and clusters of one sweep."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class SampleLabels:
    """Labels of one sample, in its (augmented) LiDAR frame: B boxes, M clusters, P points.

    Args:
        boxes: (B,7) boxes of the budget: x, y, z of the centre, length, width, height in metres, yaw in radians.
        box_class: (B,) int64 class_id of each box.
        velocity: (B,2) metres per second, NaN where unknown.
        visible_center: (B,3) mid-point of the extent of the points in each box, or the centre of a box without points
            (docs/method.md B.3 step 7).
        cluster_class: (M,) int64 class_id of each cluster.
        cluster_center: (M,3) mid-point of the extent of each cluster.
        cluster_points: (M,) int64 number of points of each cluster in the key sweep.
        xyz: (P,3) points of the key sweep.
        cluster_id: (P,) int64 cluster of each point, -1 for none.
        unknown: (P,) bool, points that may belong to an unlabelled object; their surroundings are not background.
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
