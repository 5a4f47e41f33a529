import copy

import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
import numpy as np  # noqa: E402
from pycocotools import mask as coco  # noqa: E402

from pointsam.masks import load_segmenter, tiny_vit  # noqa: E402
from pointsam.masks.mobile_sam import FastTinyVit  # noqa: E402

BUDGETS = (1, 1 << 16, 1 << 30)
"""Strips of one row, of some rows, and of the whole image."""


@pytest.fixture(scope="module")
def plain(stock_sam):
    return stock_sam.image_encoder


@pytest.fixture(scope="module")
def folded(plain):
    encoder = copy.deepcopy(plain)
    tiny_vit.fold_norms(encoder)
    return encoder


@pytest.fixture(params=BUDGETS)
def budget(request, monkeypatch):
    monkeypatch.setattr(tiny_vit, "_CPU_VALUES", request.param)


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def assert_close(found, expected):
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=2e-5 * float(expected.abs().max()), rtol=0)


def nchw(x):
    return x.permute(0, 3, 1, 2)


@torch.inference_mode()
def test_no_batch_norm_is_left_and_the_network_computes_the_same(plain, folded):
    kinds = [type(part) for part in folded.modules()]
    assert torch.nn.BatchNorm2d not in kinds
    image = noise(1, 3, 96, 160)
    assert_close(folded(image), plain(image))


@pytest.mark.usefixtures("budget")
@torch.inference_mode()
def test_each_block_is_that_of_timm_whatever_the_strips_are(plain, folded):
    def both(path):
        return plain.get_submodule(path), folded.get_submodule(path)

    for height, width in ((23, 30), (14, 7), (1, 2)):
        theirs, ours = both("stages.0.blocks.1")
        x = noise(2, height, width, 64)
        assert_close(tiny_vit.mb_conv(ours, x), theirs(nchw(x)).permute(0, 2, 3, 1))
        for stage, channels in ((1, 64), (2, 128), (3, 160)):
            theirs, ours = both(f"stages.{stage}.downsample")
            x = noise(2, height, width, channels)
            assert_close(tiny_vit.merging(ours, x), theirs(nchw(x)).permute(0, 2, 3, 1))
        for stage, channels in ((1, 128), (2, 160), (3, 320)):
            theirs, ours = both(f"stages.{stage}.blocks.0")
            x = noise(2, height, width, channels)
            assert_close(tiny_vit.block(ours, x), theirs(x))


@torch.inference_mode()
def test_the_encoder_gives_the_embedding_of_timms_modules_for_a_batch_and_each_image(plain):
    fast = FastTinyVit(copy.deepcopy(plain))
    images = noise(2, 3, 224, 160)
    expected = plain(images)
    assert_close(fast(images), expected)
    assert_close(fast(images[:1]), expected[:1])
    assert torch.equal(fast(images), fast(images))


@torch.inference_mode()
def test_half_precision_stays_near_single_precision(plain):
    fast = FastTinyVit(copy.deepcopy(plain))
    image = noise(1, 3, 128, 128)
    expected = plain(image)
    with torch.autocast("cpu", torch.bfloat16):
        found = fast(image).float()
    assert float((found - expected).abs().mean() / expected.abs().mean()) < 0.05


def test_masks_are_those_of_the_reference(mobile_sam, disc_image, disc_embedding):
    reference = load_segmenter("mobile_sam_reference")
    assert (reference.name, reference.weights_sha256) == ("mobile_sam_reference", mobile_sam.weights_sha256)
    box = np.array([[110, 80, 230, 200], [320, 180, 430, 260]], dtype=np.float32)
    ours, theirs = mobile_sam.from_boxes(disc_embedding, box), reference.from_boxes(reference.embed(disc_image), box)
    assert ours.pred_iou.tobytes() != theirs.pred_iou.tobytes()  # computed otherwise
    assert np.allclose(ours.pred_iou, theirs.pred_iou, atol=1e-4)
    size = [ours.height_px, ours.width_px]
    for a, b in zip(ours.rle, theirs.rle, strict=True):
        assert coco.iou([{"size": size, "counts": a}], [{"size": size, "counts": b}], [False])[0, 0] > 0.999
