"""SAM's mask decoder for many prompts of one image; what all prompts share is computed once.

It computes the same function as `segment_anything.modeling.MaskDecoder` from the same parameters, in half the time on a
CPU: the image is projected for the first cross-attention once per image, not once per prompt; the two transposed
convolutions of stride 2 are matrix products on tokens without reordering; only the requested mask tokens are computed.
`tests/masks/test_decoder.py` compares it with the original.

Shapes: B prompts, N tokens per prompt, T mask tokens, C = 256 channels, HW = 4096 locations of the embedding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from segment_anything.modeling import MaskDecoder, Sam
from segment_anything.modeling.transformer import Attention, TwoWayAttentionBlock
from torch import Tensor, nn
from torch.nn import functional

MULTI_MASK = slice(1, 4)
"""Mask tokens for an ambiguous prompt, a point: part, sub-part, whole."""
SINGLE_MASK = slice(0, 1)
"""Mask token for an unambiguous prompt, a box."""


@dataclass(frozen=True, eq=False)
class ImageTokens:
    """The part of the decoder's computation that depends on the image only, of I images.

    Args:
        keys: (I,HW,C) embedding plus the embedding for "no mask prompt".
        position: (1,HW,C) positional encoding of the locations.
        first_key, first_value: key and value of the first token-to-image attention, split into heads.
        first_query: query of the first image-to-token attention, split into heads.
    """

    keys: Tensor
    position: Tensor
    first_key: Tensor
    first_value: Tensor
    first_query: Tensor

    def of(self, image: Tensor) -> ImageTokens:
        """The tokens of the (B,) images with these indices."""
        moved = {name: getattr(self, name)[image] for name in ("keys", "first_key", "first_value", "first_query")}
        return replace(self, **moved)


def image_tokens(sam: Sam, embedding: Tensor) -> ImageTokens:
    """Prepare (I,C,64,64) image embeddings for any number of calls of `decode_prompts`."""
    no_mask = sam.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
    keys = (embedding + no_mask).flatten(2).transpose(1, 2).contiguous()
    position = sam.prompt_encoder.get_dense_pe().flatten(2).transpose(1, 2).contiguous()
    block = sam.mask_decoder.transformer.layers[0]
    to_image, to_token = block.cross_attn_token_to_image, block.cross_attn_image_to_token
    placed = keys + position
    return ImageTokens(
        keys=keys,
        position=position,
        first_key=_heads(to_image, to_image.k_proj(placed)),
        first_value=_heads(to_image, to_image.v_proj(keys)),
        first_query=_heads(to_token, to_token.q_proj(placed)),
    )


def decode_prompts(sam: Sam, image: ImageTokens, prompts: Tensor, masks: slice) -> tuple[Tensor, Tensor]:
    """Decode prompts.

    Args:
        sam: the network.
        image: result of `image_tokens`, of one image that all prompts have, or of the image of each prompt.
        prompts: (B,N,C) encoded prompts.
        masks: the mask tokens to decode, `MULTI_MASK` or `SINGLE_MASK`.

    Returns:
        logits (B,T,256,256) and predicted IoU (B,T).
    """
    decoder = sam.mask_decoder
    transformer = decoder.transformer
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([own.expand(len(prompts), -1, -1), prompts], dim=1)
    queries, keys = _first_block(transformer.layers[0], tokens, image)
    for block in transformer.layers[1:]:
        queries, keys = _block(block, queries, tokens, keys, image.position)
    last = transformer.final_attn_token_to_image
    attended = _attend(last, queries + tokens, keys + image.position, keys)
    queries = transformer.norm_final_attn(queries + attended)
    pred_iou = decoder.iou_prediction_head(queries[:, 0])[:, masks]
    return _mask_logits(decoder, queries[:, 1:], keys, masks), pred_iou


def _heads(attention: Attention, x: Tensor) -> Tensor:
    split: Tensor = attention._separate_heads(x, attention.num_heads)
    return split


def _project_out(attention: Attention, x: Tensor) -> Tensor:
    out: Tensor = attention.out_proj(attention._recombine_heads(x))
    return out


def _attend(attention: Attention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    q = _heads(attention, attention.q_proj(query))
    k = _heads(attention, attention.k_proj(key))
    v = _heads(attention, attention.v_proj(value))
    return _project_out(attention, functional.scaled_dot_product_attention(q, k, v))


def _first_block(block: TwoWayAttentionBlock, tokens: Tensor, image: ImageTokens) -> tuple[Tensor, Tensor]:
    """The first layer, in which the image tokens do not depend on the prompts."""
    queries = block.norm1(_attend(block.self_attn, tokens, tokens, tokens))
    to_image, to_token = block.cross_attn_token_to_image, block.cross_attn_image_to_token
    placed = queries + tokens
    # One attention over the tokens of all prompts of an image: (1, heads, B*N, channels of a head).
    q = _heads(to_image, to_image.q_proj(placed.reshape(len(image.keys), -1, placed.shape[-1])))
    attended = _project_out(to_image, functional.scaled_dot_product_attention(q, image.first_key, image.first_value))
    queries = block.norm2(queries + attended.view_as(queries))
    queries = block.norm3(queries + block.mlp(queries))
    k = _heads(to_token, to_token.k_proj(queries + tokens))
    v = _heads(to_token, to_token.v_proj(queries))
    q = image.first_query.expand(len(tokens), -1, -1, -1)
    keys = block.norm4(image.keys + _project_out(to_token, functional.scaled_dot_product_attention(q, k, v)))
    return queries, keys


def _block(
    block: TwoWayAttentionBlock, queries: Tensor, tokens: Tensor, keys: Tensor, position: Tensor
) -> tuple[Tensor, Tensor]:
    q = queries + tokens
    queries = block.norm1(queries + _attend(block.self_attn, q, q, queries))
    placed = keys + position
    queries = block.norm2(queries + _attend(block.cross_attn_token_to_image, queries + tokens, placed, keys))
    queries = block.norm3(queries + block.mlp(queries))
    attended = _attend(block.cross_attn_image_to_token, placed, queries + tokens, queries)
    return queries, block.norm4(keys + attended)


def _mask_logits(decoder: MaskDecoder, mask_tokens: Tensor, keys: Tensor, masks: slice) -> Tensor:
    """Upscale the image tokens by four and multiply them with the filter of each mask token."""
    first, norm, _, second, _ = decoder.output_upscaling
    b, locations, _ = keys.shape
    x = _double(first, keys).view(b, 4 * locations, -1)
    x = functional.gelu(functional.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps))
    x = functional.gelu(_double(second, x)).view(b, 16 * locations, -1)
    filters = [mlp(mask_tokens[:, i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)][masks]
    logits = torch.stack(filters, dim=1) @ x.transpose(1, 2)
    side = int(locations**0.5)
    # Pixels are ordered by location, then by position in the first and the second 2 x 2 block; sort by row and column.
    parts = logits.view(b, -1, side, side, 2, 2, 2, 2).permute(0, 1, 2, 4, 6, 3, 5, 7)
    return parts.reshape(b, -1, 4 * side, 4 * side)


def _double(convolution: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """Transposed convolution with kernel and stride 2, (B,n,C) to (B,n,4*D): each location becomes 2 x 2 locations."""
    assert convolution.bias is not None
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)
    return functional.linear(x, weight, convolution.bias.repeat(4))
