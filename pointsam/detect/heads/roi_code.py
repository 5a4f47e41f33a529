"""Boxes in the frames of proposals: residuals that a second stage regresses, and the distance of corners.

N pairs of a box and a proposal. Source: PV-RCNN (arXiv 1912.13192), docs/method.md B.8.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from pointsam.detect.boxes import corners_bev, wrapped


def into_boxes(xyz: Tensor, boxes: Tensor) -> Tensor:
    """(K,3) points in the frames of their boxes."""
    offset = xyz - boxes[:, :3]
    c, s = boxes[:, 6].cos(), boxes[:, 6].sin()
    x, y = offset[:, 0], offset[:, 1]
    return torch.stack([c * x + s * y, c * y - s * x, offset[:, 2]], dim=1)


def encode_roi(boxes: Tensor, rois: Tensor) -> Tensor:
    """(N,7) residuals of boxes in the frames of proposals; the yaw is taken modulo 180 degrees, in [-90, 90)."""
    diagonal = torch.linalg.norm(rois[:, 3:5], dim=1, keepdim=True)
    offset = into_boxes(boxes[:, :3], rois) / torch.cat([diagonal, diagonal, rois[:, 5:6]], dim=1)
    turn = torch.remainder(boxes[:, 6:] - rois[:, 6:] + math.pi / 2, math.pi) - math.pi / 2
    return torch.cat([offset, (boxes[:, 3:6] / rois[:, 3:6]).log(), turn], dim=1)


def decode_roi(residuals: Tensor, rois: Tensor) -> Tensor:
    """(N,7) boxes of residuals, yaw in (-pi, pi]: the inverse of `encode_roi` up to half turns."""
    diagonal = torch.linalg.norm(rois[:, 3:5], dim=1, keepdim=True)
    local = residuals[:, :3] * torch.cat([diagonal, diagonal, rois[:, 5:6]], dim=1)
    c, s = rois[:, 6].cos(), rois[:, 6].sin()
    x, y = local[:, 0], local[:, 1]
    center = torch.stack([c * x - s * y, s * x + c * y, local[:, 2]], dim=1) + rois[:, :3]
    yaw = wrapped(residuals[:, 6:] + rois[:, 6:])
    return torch.cat([center, residuals[:, 3:6].exp() * rois[:, 3:6], yaw], dim=1)


def corner_distance(predicted: Tensor, target: Tensor) -> Tensor:
    """(N,) mean smooth-L1 distance of the eight corners; the target may be turned by 180 degrees, corner by corner."""
    one, other = _corners(torch.cat([predicted, target])).chunk(2)
    # Half a turn swaps the corners of the bottom, and of the top, that are opposite to each other.
    apart = torch.minimum(*(torch.linalg.norm(one - corners, dim=3) for corners in (other, other.roll(2, dims=2))))
    return functional.smooth_l1_loss(apart, torch.zeros_like(apart), reduction="none").mean(dim=(1, 2))


def _corners(boxes: Tensor) -> Tensor:
    """(N,2,4,3) corners of the bottom and of the top."""
    flat, half = corners_bev(boxes), boxes[:, 5] / 2
    z = torch.stack([boxes[:, 2] - half, boxes[:, 2] + half], dim=1)
    return torch.cat([flat[:, None].expand(-1, 2, -1, -1), z[:, :, None, None].expand(-1, -1, 4, 1)], dim=3)
