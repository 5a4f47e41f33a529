"""Overlap of a box and a cluster: intersection over union of their sets of points.

Source: docs/method.md B.6: |P(B) and K| / (|P(B)| + |K| - |P(B) and K| + 1e-6). P(B) are all points of the sweep in the
box, of any object or of none, and |K| is the number of points of the cluster. A point may lie in any number of boxes.
"""

from __future__ import annotations

from torch import Tensor


def iou_of_counts(shared: Tensor, held: Tensor, cluster_points: Tensor) -> Tensor:
    """(...) float32 overlap.

    Args:
        shared: (...) number of points of the cluster in the box.
        held: (...) number of points in the box.
        cluster_points: (...) number of points of the cluster; all three broadcast.
    """
    union = held + cluster_points - shared
    return (shared.double() / (union.double() + 1e-6)).float()
