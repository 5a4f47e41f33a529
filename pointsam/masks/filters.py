"""The filters of SAM's automatic mask generator, on enlarged logits or on those of the network."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms  # type: ignore[import-untyped]

from pointsam.masks.config import SegmentConfig
from pointsam.masks.enlarge import Crop, span


def stability(crop: Crop, config: SegmentConfig) -> Tensor:
    """Stability score: area above the raised threshold / area above the lowered one, 0 for an empty mask.

    `crop` must contain all pixels above the lowered threshold.
    """
    inner = torch.count_nonzero(crop.logits > config.mask_threshold + config.stability_offset)
    outer = torch.count_nonzero(crop.logits > config.mask_threshold - config.stability_offset)
    return inner / outer.clamp(min=1)


def inclusive_box(crop: Crop, config: SegmentConfig) -> Tensor:
    """(4,) first column, first row, last column and last row of the mask in image pixels, as in SAM's generator."""
    mask = crop.logits > config.mask_threshold
    rows, columns = span(mask.any(1)), span(mask.any(0))
    return torch.stack(
        [columns[0] + crop.u_px, rows[0] + crop.v_px, columns[1] + crop.u_px - 1, rows[1] + crop.v_px - 1]
    )


def low_stability(logits: Tensor, config: SegmentConfig) -> Tensor:
    """(K,) stability scores of (K,h,w) logits of the network that show the image."""
    inner = (logits > config.mask_threshold + config.stability_offset).sum((1, 2))
    outer = (logits > config.mask_threshold - config.stability_offset).sum((1, 2))
    return inner / outer.clamp(min=1)


def low_box(logits: Tensor, config: SegmentConfig) -> Tensor:
    """(K,4) first column, first row, and one past the last column and row, of masks of (K,h,w) logits."""
    mask = logits > config.mask_threshold
    rows, columns = span(mask.any(2)), span(mask.any(1))
    return torch.stack([columns[:, 0], rows[:, 0], columns[:, 1], rows[:, 1]], dim=1)


def suppress(box_xyxy_px: Tensor, pred_iou: Tensor, config: SegmentConfig) -> Tensor:
    """Indices that non-maximum suppression keeps, by falling predicted IoU; of two equals the earlier comes first.

    Args:
        box_xyxy_px: (K,4) boxes of `inclusive_box` or `low_box`.
        pred_iou: (K,) predicted IoU.
        config: gives the threshold `nms_iou`.
    """
    keep: Tensor = nms(box_xyxy_px.float(), pred_iou, config.nms_iou)
    return keep
