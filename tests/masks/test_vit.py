"""SAM's ViT with torch's fused attention is the function of segment_anything."""

import copy
from functools import partial

import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
from segment_anything.modeling import ImageEncoderViT  # noqa: E402
from segment_anything.modeling.image_encoder import Attention  # noqa: E402

from pointsam.masks.vit import FusedAttention, fuse_attention  # noqa: E402


@pytest.fixture
def encoder():
    """A small one with random weights, relative positions among them, a block with windows and one without."""
    torch.manual_seed(0)
    network = ImageEncoderViT(
        img_size=224,
        embed_dim=48,
        depth=2,
        num_heads=3,
        out_chans=16,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=5,
        global_attn_indexes=(1,),
    )
    for block in network.blocks:
        for values in (block.attn.rel_pos_h, block.attn.rel_pos_w):
            torch.nn.init.normal_(values, std=0.5)
    return network.eval()


@torch.inference_mode()
def test_the_encoder_computes_the_same(encoder):
    fused = copy.deepcopy(encoder)
    fuse_attention(fused)
    assert not any(isinstance(block.attn, Attention) for block in fused.blocks)
    images = torch.randn(2, 3, 224, 224)
    expected = encoder(images)
    assert torch.allclose(fused(images), expected, atol=1e-5 * float(expected.abs().max()))


@torch.inference_mode()
def test_relative_positions_count_and_may_be_absent(encoder):
    own = encoder.blocks[1].attn
    x = torch.randn(1, 14, 14, 48)
    found = FusedAttention(own)(x)
    assert torch.allclose(found, own(x), atol=1e-5)
    own.use_rel_pos = False
    without = FusedAttention(own)(x)
    assert torch.allclose(without, own(x), atol=1e-5)
    assert not torch.allclose(found, without, atol=1e-2)
