"""Overlap of a box and a cluster: intersection over union of their sets of points.

Source: docs/method.md B.6: |P(B) and K| / (|P(B)| + |K| - |P(B) and K| + 1e-6). P(B) are all points of the sweep in the
box, of any object or of none, and |K| is the number of points of the cluster. A point may lie in any number of boxes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def box_cluster_iou(point: Tensor, box: Tensor, num_boxes: int, cluster_id: Tensor, cluster_points: Tensor) -> Tensor:
    """(N,M) overlap of N boxes and M clusters.

    Args:
        point: (K,) index of the point of each (point, box) pair, as `point_box_pairs` returns it.
        box: (K,) index of the box of each pair.
        num_boxes: N.
        cluster_id: (P,) cluster of every point, -1 for none.
        cluster_points: (M,) number of points of each cluster.
    """
    m = len(cluster_points)
    held = counts_of(box, torch.ones_like(box), num_boxes)
    owner = cluster_id[point]
    ours = owner >= 0
    pair = torch.where(ours, box * m + owner, num_boxes * m)  # the last entry is that of points in no cluster
    shared = counts_of(pair, ours, num_boxes * m + 1)[:-1].view(num_boxes, m)
    union = held[:, None] + cluster_points[None] - shared
    return shared.double().div(union.double() + 1e-6).float()


def counts_of(index: Tensor, there: Tensor, size: int) -> Tensor:
    """(size,) int64 number of the (P,) entries of each index that are there; `bincount` would wait for the device."""
    return torch.zeros(size, dtype=torch.int64, device=index.device).index_add_(0, index, there.long())
