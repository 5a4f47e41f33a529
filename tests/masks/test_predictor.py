import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
from pycocotools import mask as coco  # noqa: E402
from segment_anything import SamAutomaticMaskGenerator  # noqa: E402

from pointsam import rle  # noqa: E402
from pointsam.base.errors import BackendError  # noqa: E402
from pointsam.masks import SegmentConfig, predictor, sam_network  # noqa: E402
from pointsam.masks.sam_network import SamNetwork  # noqa: E402

DISC_CENTRE = np.array([[170, 140]], dtype=np.int32)
THREE_POINTS = np.array([[170, 140], [375, 220], [60, 40]], dtype=np.int32)
DISC_BOX = np.array([[110, 80, 230, 200]], dtype=np.float32)
RECTANGLE_BOX = np.array([[320, 180, 430, 260]], dtype=np.float32)


@pytest.fixture
def segmenter_with(stock_sam):
    def build(**config):
        device, settings = torch.device("cpu"), SegmentConfig(**config)
        network = SamNetwork(stock_sam, device, settings.precision)
        return predictor.PromptSegmenter(network, name="test", weights_sha256="", device=device, config=settings)

    return build


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def decoded(masks):
    return [rle.decode_mask(counts, masks.height_px, masks.width_px) for counts in masks.rle]


def stock_masks(sam, image, uv_px):
    """Meta's own automatic mask generator with the published thresholds, at our prompts."""
    height, width = image.shape[:2]
    generator = SamAutomaticMaskGenerator(
        sam,
        points_per_side=None,
        point_grids=[uv_px / [width, height]],
        points_per_batch=4,
        pred_iou_thresh=0.7,
        stability_score_thresh=0.8,
        stability_score_offset=1.0,
        box_nms_thresh=0.7,
        output_mode="coco_rle",
    )
    return generator.generate(image)


def assert_same(masks, stock):
    assert len(masks) == len(stock) > 2
    size = [masks.height_px, masks.width_px]
    for i, expected in enumerate(stock):
        overlap = coco.iou([{"size": size, "counts": masks.rle[i]}], [expected["segmentation"]], [False])
        assert overlap[0, 0] > 0.9999
    assert np.allclose(masks.pred_iou, [m["predicted_iou"] for m in stock], atol=1e-4)
    assert np.allclose(masks.stability, [m["stability_score"] for m in stock], atol=1e-4)


def test_points_give_what_sams_own_generator_gives(mobile_sam, stock_sam, disc_image, disc_embedding):
    uv = np.array([[375, 220], [180, 100]], dtype=np.int32)
    assert_same(mobile_sam.from_points(disc_embedding, uv), stock_masks(stock_sam, disc_image, uv))


def test_points_on_a_street_give_what_sams_own_generator_gives(mobile_sam, stock_sam, street_image, street_embedding):
    uv = np.array([[600, 550], [1000, 450], [1400, 700]], dtype=np.int32)
    assert_same(mobile_sam.from_points(street_embedding, uv), stock_masks(stock_sam, street_image, uv))


def test_a_point_in_a_disc_finds_the_disc(mobile_sam, disc_embedding, disc):
    masks = mobile_sam.from_points(disc_embedding, DISC_CENTRE)
    assert max(iou(mask, disc) for mask in decoded(masks)) > 0.9
    assert (masks.source == -1).all()


def test_a_box_around_a_disc_finds_the_disc(mobile_sam, disc_embedding, disc):
    masks = mobile_sam.from_boxes(disc_embedding, DISC_BOX)
    assert len(masks) == 1
    assert iou(decoded(masks)[0], disc) > 0.95
    assert masks.pred_iou[0] > 0.8
    assert masks.stability[0] > 0.9


def test_boxes_keep_their_order_and_name_their_source(mobile_sam, disc_embedding):
    boxes = np.concatenate([RECTANGLE_BOX, DISC_BOX, RECTANGLE_BOX, RECTANGLE_BOX, DISC_BOX])
    masks = mobile_sam.from_boxes(disc_embedding, boxes)
    assert masks.source.tolist() == [0, 1, 2, 3, 4]
    columns = [rle.bbox_xyxy_px(counts, masks.height_px, masks.width_px)[0] > 300 for counts in masks.rle]
    assert columns == [True, False, True, True, False]


def test_a_box_that_finds_nothing_good_still_gets_its_mask(mobile_sam, disc_embedding):
    grain = np.array([[5, 5, 12, 9]], dtype=np.float32)
    assert len(mobile_sam.from_boxes(disc_embedding, np.concatenate([grain, DISC_BOX]))) == 2


def test_no_prompts_give_no_masks(mobile_sam, disc_embedding):
    for masks in (
        mobile_sam.from_points(disc_embedding, np.zeros((0, 2), dtype=np.int32)),
        mobile_sam.from_boxes(disc_embedding, np.zeros((0, 4), dtype=np.float32)),
    ):
        assert (len(masks), masks.height_px, masks.width_px) == (0, 300, 480)


def test_points_that_pass_no_threshold_give_no_masks(segmenter_with, disc_embedding):
    assert len(segmenter_with(stability_threshold=1.0).from_points(disc_embedding, DISC_CENTRE)) == 0


def test_every_mask_of_a_point_passes_both_thresholds(segmenter_with, disc_embedding):
    loose = segmenter_with(nms_iou=1.0).from_points(disc_embedding, THREE_POINTS)
    iou_threshold, stability_threshold = np.sort(loose.pred_iou)[1], np.sort(loose.stability)[2]
    strict = segmenter_with(
        nms_iou=1.0, pred_iou_threshold=float(iou_threshold), stability_threshold=float(stability_threshold)
    ).from_points(disc_embedding, THREE_POINTS)
    passes = (loose.pred_iou > iou_threshold) & (loose.stability >= stability_threshold)
    assert 0 < passes.sum() < len(loose)
    assert strict.pred_iou.tolist() == loose.pred_iou[passes].tolist()


@pytest.fixture
def decode_to(monkeypatch):
    """Let the decoder give one mask: left half of the network's input at the first logit, right half at the second."""

    def plant(left, right, pred_iou):
        logits = torch.full((1, 1, 256, 256), float(left))
        logits[..., 128:] = right
        monkeypatch.setattr(sam_network, "decode_prompts", lambda *_: (logits, torch.full((1, 1), pred_iou)))

    return plant


def test_a_mask_holds_all_pixels_above_its_threshold_and_no_others(segmenter_with, disc_embedding, decode_to):
    decode_to(0.0, 0.5, pred_iou=0.9)
    (mask,) = decoded(segmenter_with().from_boxes(disc_embedding, DISC_BOX))
    assert not mask[:, :200].any()
    assert mask[:, 280:].all()


@pytest.mark.parametrize(("pred_iou", "kept"), [(0.5, 0), (0.625, 1)])
def test_a_predicted_iou_at_the_threshold_does_not_pass(segmenter_with, disc_embedding, decode_to, pred_iou, kept):
    decode_to(-9.0, 9.0, pred_iou=pred_iou)
    assert len(segmenter_with(pred_iou_threshold=0.5).from_points(disc_embedding, DISC_CENTRE)) == kept


def test_the_same_image_and_prompts_give_the_same_bytes(mobile_sam, disc_image, disc_embedding):
    first = mobile_sam.from_points(disc_embedding, DISC_CENTRE)
    again = mobile_sam.from_points(mobile_sam.embed(disc_image), DISC_CENTRE)
    assert first.rle == again.rle
    assert first.pred_iou.tobytes() == again.pred_iou.tobytes()
    assert first.stability.tobytes() == again.stability.tobytes()


def test_out_of_memory_halves_the_chunk_says_so_once_and_changes_nothing(segmenter_with, disc_embedding, monkeypatch):
    segmenter = segmenter_with(chunk=4)
    boxes = np.repeat(DISC_BOX, 5, axis=0) + np.arange(5, dtype=np.float32)[:, None]
    expected = segmenter.from_boxes(disc_embedding, boxes)
    real = sam_network.decode_prompts

    def two_fit(sam, image, prompts, masks):
        if len(prompts) > 2:
            raise torch.cuda.OutOfMemoryError
        return real(sam, image, prompts, masks)

    monkeypatch.setattr(sam_network, "decode_prompts", two_fit)
    with pytest.warns(UserWarning, match=r"decoding 2 prompt\(s\) at once") as warned:
        found = segmenter.from_boxes(disc_embedding, boxes)
    assert len(warned) == 1
    for a, b in zip(decoded(found), decoded(expected), strict=True):
        assert iou(a, b) > 0.999


def test_a_prompt_that_fits_no_memory_is_an_error(segmenter_with, disc_embedding, monkeypatch):
    def none_fits(*_):
        raise torch.cuda.OutOfMemoryError("tried to allocate 2 GiB")

    monkeypatch.setattr(sam_network, "decode_prompts", none_fits)
    with pytest.raises(BackendError, match=r"BCK007.*decoding 1 prompt\(s\): tried to allocate") as caught:
        segmenter_with(chunk=1).from_boxes(disc_embedding, DISC_BOX)
    assert "precision=bfloat16" in caught.value.hint
    assert not caught.value.of_frame  # no other frame would fit either


def test_half_precision_arithmetic_finds_the_same_disc_and_returns_float32(segmenter_with, disc_image, disc):
    segmenter = segmenter_with(precision="bfloat16")
    masks = segmenter.from_boxes(segmenter.embed(disc_image), DISC_BOX)
    assert masks.pred_iou.dtype == masks.stability.dtype == np.float32
    assert iou(decoded(masks)[0], disc) > 0.95


def test_half_precision_that_changes_the_masks_is_refused(segmenter_with, disc_image, monkeypatch):
    real = SamNetwork.decode

    def overflows(network, *asked):
        logits, pred_iou = real(network, *asked)
        return (logits * torch.nan if network._precision == "float16" else logits), pred_iou

    monkeypatch.setattr(SamNetwork, "decode", overflows)
    segmenter = segmenter_with(precision="float16")
    for _ in range(2):  # it stays refused
        with pytest.raises(BackendError, match=r"BCK003.*test in float16.*mean IoU is 0.00") as caught:
            segmenter.embed(disc_image)
    assert "bfloat16" in caught.value.hint
