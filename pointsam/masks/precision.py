"""Whether a network finds in half precision the masks that it finds in single precision."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointsam.base.errors import BackendError
from pointsam.masks.device import to_device
from pointsam.masks.network import PromptNetwork

LEAST_IOU = 0.9
"""Of masks in half and in single precision, on average. MobileSAM's reach 0.99 in bfloat16 and 0.999 in float16."""
_PARTS = 3
"""Boxes along each side of the image."""


def require_precision(network: PromptNetwork, image_rgb: NDArray[np.uint8], device: torch.device, what: str) -> None:
    """Compare the masks of the boxes that divide an image into nine parts.

    Args:
        network: the network, in half precision.
        image_rgb: (H,W,3) uint8 RGB image.
        device: its device.
        what: network and precision, for the message.

    Raises:
        BackendError: BCK003 if the masks differ, or are empty or no numbers in half precision only.
    """
    prepared = network.prepare(image_rgb)
    half, single = (_masks(one, prepared, device) for one in (network, network.in_single_precision()))
    united = (half | single).sum((1, 2))
    iou = ((half & single).sum((1, 2)) / united.clamp(min=1)).masked_fill(united == 0, 1.0)
    if (mean := float(iou.mean())) < LEAST_IOU:
        raise BackendError(
            "BCK003",
            f"{what} finds other masks than in single precision: mean IoU is {mean:.2f} in nine parts of an image",
            "use --set masks.segment.precision=float32, or bfloat16 in place of float16",
        )


def _masks(network: PromptNetwork, prepared: object, device: torch.device) -> Tensor:
    """(9,h,w) masks in pixels of the logits."""
    with torch.inference_mode():
        encoded = network.encode([prepared])
        height, width = encoded.input_hw[0]
        at = np.arange(_PARTS) / _PARTS
        corner = np.stack(np.meshgrid(at * width, at * height), axis=-1).reshape(-1, 1, 2)
        boxes = np.concatenate([corner, corner + np.array([width, height]) / _PARTS], axis=1)
        prompts = network.prompts(to_device(torch.from_numpy(boxes), device), boxes=True)
        return network.decode(encoded.features, None, prompts, True)[0].flatten(0, 1) > 0
