"""Overlap of a box and a cluster: of the points they hold.

Source: method.md B.6: |P(B) and K| / (|P(B)| + |K| - |P(B) and K| + 1e-6), where P(B) are all points of the sweep in
the box, whatever they are of, and |K| is the cluster's count. There is no cap on the boxes of a point.
"""

from __future__ import annotations

import torch
from torch import Tensor


def box_cluster_iou(point: Tensor, box: Tensor, num_boxes: int, cluster_id: Tensor, cluster_points: Tensor) -> Tensor:
    """(N,M) overlap of N boxes and M clusters.

    Args:
        point: (K,) points that lie in boxes, as `points_in_boxes` gives them.
        box: (K,) the box of each.
        num_boxes: N.
        cluster_id: (P,) of every point, -1 for none.
        cluster_points: (M,) number of points of each cluster.
    """
    m = len(cluster_points)
    held = torch.bincount(box, minlength=num_boxes)
    owner = cluster_id[point]
    ours = owner >= 0
    shared = torch.bincount(box[ours] * m + owner[ours], minlength=num_boxes * m).view(num_boxes, m)
    union = held[:, None] + cluster_points[None] - shared
    return shared.double().div(union.double() + 1e-6).float()
