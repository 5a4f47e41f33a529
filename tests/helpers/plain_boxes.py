"""Points in boxes and overlaps of upright rectangles, all pairs at once: for the slow twins and for tests of boxes."""

import torch

from pointsam.detect.boxes import beyond_faces


def point_box_pairs(xyz, boxes):
    """Every (point, box) pair where the point lies in the box, surface included: indices, ordered by box, then point.

    Args:
        xyz: (P,3).
        boxes: (N,7).
    """
    box, point = (beyond_faces(xyz, boxes[:, None]) <= 0).nonzero(as_tuple=True)
    return point, box


def iou_aligned(a, b):
    """(N,M) intersection over union of (N,4) and (M,4) axis-aligned rectangles x0, y0, x1, y1."""
    side = (torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])).clamp(min=0)
    shared = side.prod(dim=2)
    area_a, area_b = ((rectangles[:, 2:] - rectangles[:, :2]).prod(dim=1) for rectangles in (a, b))
    return shared / (area_a[:, None] + area_b[None] - shared).clamp(min=1e-9)
