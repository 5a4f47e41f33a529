"""Attention of SAM's ViT by torch's fused kernel, which keeps no softmax in memory.

The function is that of `segment_anything.modeling.image_encoder.Attention`; its relative positions become the mask that
is added to the products of queries and keys. `tests/masks/test_vit.py` compares both.
"""

from __future__ import annotations

import torch
from segment_anything.modeling.image_encoder import Attention, ImageEncoderViT, get_rel_pos
from torch import Tensor, nn
from torch.nn import functional


def fuse_attention(encoder: ImageEncoderViT) -> None:
    """Let the blocks of an encoder with weights attend by `FusedAttention`."""
    for block in encoder.blocks:
        block.attn = FusedAttention(block.attn)


class FusedAttention(nn.Module):
    """Multi-head attention over the locations of a map.

    Args:
        part: segment_anything's module, whose weights are used.
    """

    def __init__(self, part: Attention) -> None:
        super().__init__()
        self._part = part

    def forward(self, x: Tensor) -> Tensor:
        """(B,H,W,C) to (B,H,W,C)."""
        part, (b, height, width, c) = self._part, x.shape
        heads = part.qkv(x).reshape(b, height * width, 3, part.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = heads.unbind(0)
        bias = None
        if part.use_rel_pos:
            grid = q.reshape(b, part.num_heads, height, width, -1)
            rows, columns = (get_rel_pos(n, n, own) for n, own in ((height, part.rel_pos_h), (width, part.rel_pos_w)))
            down = torch.einsum("bnhwc,hkc->bnhwk", grid, rows)
            across = torch.einsum("bnhwc,wkc->bnhwk", grid, columns)
            bias = (down[..., :, None] + across[..., None, :]).reshape(b, part.num_heads, height * width, -1)
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out: Tensor = part.proj(found.transpose(1, 2).reshape(b, height, width, c))
        return out
