"""MobileSAM: SAM's own prompt encoder and mask decoder behind a TinyViT-5M image encoder.

Source: Zhang et al., Faster Segment Anything (arXiv 2306.14289); TinyViT (arXiv 2207.10666) from timm.
"""

from __future__ import annotations

import re
from typing import Any

import timm
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from timm.models.tiny_vit import TinyVit
from torch import Tensor, nn

from pointsam.masks import tiny_vit

MODEL_PX = 1024
_GRID = 64  # width and height of the embedding
_CHANNELS = 256
_PIXEL_MEAN = [123.675, 116.28, 103.53]
_PIXEL_STD = [58.395, 57.12, 57.375]


class TinyVitEncoder(nn.Module):
    """(B,3,1024,1024) normalised images to (B,256,64,64) embeddings."""

    img_size = MODEL_PX  # read by Sam

    def __init__(self) -> None:
        super().__init__()
        body = timm.create_model("tiny_vit_5m_224", pretrained=False, num_classes=0)
        assert isinstance(body, TinyVit)
        # MobileSAM omits the last downsampling, so that the embedding is 64 x 64 as in SAM, not 32 x 32.
        last_downsampling = body.get_submodule("stages.3.downsample.conv2.conv")
        assert isinstance(last_downsampling, nn.Conv2d)
        last_downsampling.stride = (1, 1)
        self.patch_embed = body.patch_embed
        self.stages = body.stages
        self.neck = nn.Sequential(
            nn.Conv2d(body.num_features, _CHANNELS, kernel_size=1, bias=False),
            LayerNorm2d(_CHANNELS),
            nn.Conv2d(_CHANNELS, _CHANNELS, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(_CHANNELS),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Encode a batch of images."""
        features: Tensor = self.neck(self.stages(self.patch_embed(image)))
        return features


class FastTinyVit(nn.Module):
    """A `TinyVitEncoder` with weights, computed by `tiny_vit`: the same embedding up to rounding.

    Args:
        encoder: the encoder, which is changed and must not be used any more.
    """

    img_size = MODEL_PX

    def __init__(self, encoder: TinyVitEncoder) -> None:
        super().__init__()
        tiny_vit.fold_norms(encoder)
        self._parts: Any = encoder

    def forward(self, image: Tensor) -> Tensor:
        """Encode a batch of images of one size."""
        parts = self._parts
        first, *others = parts.stages
        x = tiny_vit.stem(parts.patch_embed, image)
        for block in first.blocks:
            x = tiny_vit.mb_conv(block, x)
        for stage in others:
            x = tiny_vit.merging(stage.downsample, x)
            for block in stage.blocks:
                x = tiny_vit.block(block, x)
        features: Tensor = parts.neck(x.permute(0, 3, 1, 2))
        return features


def build_mobile_sam() -> Sam:
    """The network on the CPU, with random weights."""
    transformer = TwoWayTransformer(depth=2, embedding_dim=_CHANNELS, mlp_dim=2048, num_heads=8)
    sam = Sam(
        TinyVitEncoder(),
        PromptEncoder(_CHANNELS, (_GRID, _GRID), (MODEL_PX, MODEL_PX), mask_in_chans=16),
        MaskDecoder(transformer_dim=_CHANNELS, transformer=transformer),
        _PIXEL_MEAN,
        _PIXEL_STD,
    )
    return sam.eval()


def from_upstream_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the parameters of MobileSAM's own code to timm's names, without the unused classifier head.

    The names differ for the stem, for convolutions, and for downsampling, which is the end of a stage in MobileSAM's
    code and the start of the next stage in timm.
    """
    head = ("image_encoder.norm_head.", "image_encoder.head.")
    return {_timm_name(name): value for name, value in tensors.items() if not name.startswith(head)}


def _timm_name(name: str) -> str:
    name = name.replace("patch_embed.seq.0.", "patch_embed.conv1.").replace("patch_embed.seq.2.", "patch_embed.conv2.")
    name = re.sub(r"layers\.(\d)\.downsample", lambda match: f"stages.{int(match[1]) + 1}.downsample", name)
    name = name.replace("image_encoder.layers.", "image_encoder.stages.")
    return re.sub(r"\.c\.weight$", ".conv.weight", name)
