"""Segment Anything with its own ViT-B, ViT-L and ViT-H image encoders.

Source: Kirillov et al., Segment Anything (arXiv 2304.02643); the networks of the package segment_anything.
"""

from __future__ import annotations

import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import Sam


def build_sam(name: str) -> Sam:
    """The network of sam_vit_b, sam_vit_l or sam_vit_h. Its parameters have no storage until weights are assigned."""
    with torch.device("meta"):  # drawing random values for 640 million parameters would take seconds
        sam = sam_model_registry[name.removeprefix("sam_")]()
    # These two buffers are in no weight file.
    sam.pixel_mean = torch.tensor([123.675, 116.28, 103.53]).view(-1, 1, 1)
    sam.pixel_std = torch.tensor([58.395, 57.12, 57.375]).view(-1, 1, 1)
    return sam.eval()
