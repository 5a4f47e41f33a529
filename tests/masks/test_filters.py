import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
from segment_anything.utils.amg import batched_mask_to_box, calculate_stability_score  # noqa: E402

from pointsam.masks import SegmentConfig  # noqa: E402
from pointsam.masks.enlarge import Crop  # noqa: E402
from pointsam.masks.filters import inclusive_box, stability, suppress  # noqa: E402

CONFIG = SegmentConfig()
BOXES = torch.tensor([[0, 0, 9, 9], [0, 0, 9, 10], [50, 50, 60, 60]])


@pytest.fixture
def logits():
    return torch.randn(40, 60, generator=torch.Generator().manual_seed(0)).cumsum(0)


def test_stability_is_that_of_sams_generator(logits):
    assert torch.equal(stability(Crop(0, 0, logits), CONFIG), calculate_stability_score(logits[None], 0.0, 1.0)[0])


def test_an_empty_mask_is_not_stable():
    assert stability(Crop(0, 0, torch.full((4, 4), -5.0)), CONFIG) == 0.0
    assert stability(Crop(0, 0, torch.zeros(0, 0)), CONFIG) == 0.0


LEVELS = torch.tensor([[-9.0, -1.0, -0.5, 0.5, 1.0, 1.5]])


@pytest.mark.parametrize(("config", "share"), [({}, 1 / 4), ({"mask_threshold": 0.5, "stability_offset": 0.5}, 1 / 3)])
def test_both_levels_of_the_stability_are_strict(config, share):
    assert stability(Crop(0, 0, LEVELS), SegmentConfig(**config)) == pytest.approx(share)


def test_a_mask_of_one_sure_pixel_is_stable():
    assert stability(Crop(0, 0, torch.tensor([[-5.0, 5.0]])), CONFIG) == 1.0


@pytest.mark.parametrize(("threshold", "first"), [(-0.5, 3), (0.0, 3), (0.5, 4), (1.4, 5)])
def test_a_box_holds_the_pixels_above_the_mask_threshold(threshold, first):
    box = inclusive_box(Crop(20, 10, LEVELS), SegmentConfig(mask_threshold=threshold))
    assert box.tolist() == [10 + first, 20, 15, 20]


def test_a_box_is_that_of_sams_generator_and_shifted_with_the_crop(logits):
    logits[:3], logits[:, 50:] = -1, -1
    expected = batched_mask_to_box((logits > 0)[None])[0]
    assert torch.equal(inclusive_box(Crop(0, 0, logits), CONFIG), expected)
    assert torch.equal(inclusive_box(Crop(7, 100, logits), CONFIG), expected + torch.tensor([100, 7, 100, 7]))


def test_the_box_of_an_empty_crop_is_empty():
    left, top, right, bottom = inclusive_box(Crop(0, 0, torch.zeros(0, 0)), CONFIG).tolist()
    assert (right - left, bottom - top) == (-1, -1)


def test_of_two_overlapping_boxes_the_higher_predicted_iou_stays():
    assert suppress(BOXES, torch.tensor([0.8, 0.9, 0.7]), CONFIG).tolist() == [1, 2]


def test_of_two_equals_the_earlier_stays():
    assert suppress(BOXES, torch.tensor([0.9, 0.9, 0.9]), CONFIG).tolist() == [0, 2]


def test_boxes_that_overlap_less_than_the_threshold_all_stay():
    assert len(suppress(BOXES, torch.tensor([0.9, 0.8, 0.7]), SegmentConfig(nms_iou=0.95))) == 3
