"""A promptable network made of SAM's parts: MobileSAM, and those of segment_anything."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor

from pointsam.base.hub_models import autocast
from pointsam.masks.decoder import MULTI_MASK, SINGLE_MASK, ImageTokens, decode_prompts, image_tokens
from pointsam.masks.network import Encoded


class SamNetwork:
    """A `PromptNetwork`.

    Args:
        sam: network with weights.
        device: device to compute on.
        precision: number type of the networks.
    """

    def __init__(self, sam: Sam, device: torch.device, precision: str) -> None:
        self._sam = sam.to(device, memory_format=torch.channels_last)  # saves a seventh of the CPU time in TinyViT
        self._device, self._precision = device, precision
        self._resize = ResizeLongestSide(sam.image_encoder.img_size)
        self.model_px, self.low_px = self._resize.target_length, sam.prompt_encoder.mask_input_size[0]

    def encode(self, image_rgb: NDArray[np.uint8]) -> Encoded:
        """Resize the long side of an image to 1024 (antialiased bilinear), normalise, pad and encode it."""
        resized = torch.from_numpy(self._resize.apply_image(image_rgb)).to(self._device)
        network_input = self._sam.preprocess(resized.permute(2, 0, 1)[None])
        with autocast(self._device, self._precision):
            features = self._sam.image_encoder(network_input)
        return Encoded(image_tokens(self._sam, features.float()), (resized.shape[0], resized.shape[1]))

    def prompts(self, coords: Tensor, boxes: bool) -> Tensor:
        """(B,N,C) encoded prompts."""
        points = None if boxes else (coords, torch.ones(len(coords), 1, device=coords.device))
        corners = coords.reshape(-1, 4) if boxes else None
        found: Tensor = self._sam.prompt_encoder(points=points, boxes=corners, masks=None)[0]
        return found

    def decode(self, features: ImageTokens, prompts: Tensor, boxes: bool) -> tuple[Tensor, Tensor]:
        """Logits and predicted IoU."""
        with autocast(self._device, self._precision):
            return decode_prompts(self._sam, features, prompts, SINGLE_MASK if boxes else MULTI_MASK)
