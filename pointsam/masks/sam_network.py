"""A promptable network made of SAM's parts: MobileSAM, and those of segment_anything."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor

from pointsam.base.hub_models import autocast
from pointsam.masks.decoder import MULTI_MASK, SINGLE_MASK, ImageTokens, decode_prompts, image_tokens
from pointsam.masks.device import to_device
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

    def in_single_precision(self) -> SamNetwork:
        """The same network, computing in single precision."""
        twin = copy(self)
        twin._precision = "float32"
        return twin

    def prepare(self, image_rgb: NDArray[np.uint8]) -> Tensor:
        """(3,h,w) uint8 image whose long side is 1024 (antialiased bilinear)."""
        return torch.from_numpy(self._resize.apply_image(image_rgb)).permute(2, 0, 1)

    def encode(self, prepared: Sequence[Tensor]) -> Encoded:
        """Normalise, pad and encode images."""
        inputs = torch.stack([self._sam.preprocess(to_device(image, self._device)) for image in prepared])
        with autocast(self._device, self._precision):
            features = self._sam.image_encoder(inputs)
        return Encoded(
            image_tokens(self._sam, features.float()), tuple((one.shape[1], one.shape[2]) for one in prepared)
        )

    def prompts(self, coords: Tensor, boxes: bool) -> Tensor:
        """(B,2,C) encoded prompts: the corners of a box, or a point and the token for "no box"."""
        encoder = self._sam.prompt_encoder
        if boxes:
            corners: Tensor = encoder(points=None, boxes=coords.reshape(-1, 4), masks=None)[0]
            return corners
        # As the encoder does with a foreground point. It uses masks, for which the host waits for a GPU.
        point = encoder.pe_layer.forward_with_coords(coords + 0.5, encoder.input_image_size)
        none = encoder.not_a_point_embed.weight.expand(len(coords), 1, -1)
        return torch.cat([point + encoder.point_embeddings[1].weight, none], dim=1)

    def decode(
        self, features: ImageTokens, image: Tensor | None, prompts: Tensor, boxes: bool
    ) -> tuple[Tensor, Tensor]:
        """Logits and predicted IoU."""
        tokens = features if image is None else features.of(image)
        with autocast(self._device, self._precision):
            return decode_prompts(self._sam, tokens, prompts, SINGLE_MASK if boxes else MULTI_MASK)
