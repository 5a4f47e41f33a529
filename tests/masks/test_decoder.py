import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
from pointsam.masks.decoder import MULTI_MASK, SINGLE_MASK, decode_prompts, image_tokens  # noqa: E402


@pytest.fixture(scope="module")
def embedding():
    return torch.randn(1, 256, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.1


def original(sam, embedding, sparse, dense, multimask_output):
    return sam.mask_decoder(embedding, sam.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output)


def test_points_decode_as_in_segment_anything(stock_sam, embedding):
    uv = torch.tensor([[[300.0, 200.0]], [[0.0, 1023.0]]])
    with torch.inference_mode():
        sparse, dense = stock_sam.prompt_encoder(points=(uv, torch.ones(2, 1)), boxes=None, masks=None)
        logits, pred_iou = decode_prompts(stock_sam, image_tokens(stock_sam, embedding), sparse, MULTI_MASK)
        expected_logits, expected_iou = original(stock_sam, embedding, sparse, dense, True)
    assert logits.shape == (2, 3, 256, 256)
    assert torch.allclose(logits, expected_logits, atol=1e-3)
    assert torch.allclose(pred_iou, expected_iou, atol=1e-5)


def test_boxes_decode_as_in_segment_anything(stock_sam, embedding):
    boxes = torch.tensor([[100.0, 100.0, 400.0, 300.0], [500.0, 80.0, 900.0, 700.0]])
    with torch.inference_mode():
        sparse, dense = stock_sam.prompt_encoder(points=None, boxes=boxes, masks=None)
        logits, pred_iou = decode_prompts(stock_sam, image_tokens(stock_sam, embedding), sparse, SINGLE_MASK)
        expected_logits, expected_iou = original(stock_sam, embedding, sparse, dense, False)
    assert logits.shape == (2, 1, 256, 256)
    assert torch.allclose(logits, expected_logits, atol=1e-3)
    assert torch.allclose(pred_iou, expected_iou, atol=1e-5)
