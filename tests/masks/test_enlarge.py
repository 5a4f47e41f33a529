import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
from torch.nn import functional  # noqa: E402

from pointsam.masks.enlarge import Enlarger, span  # noqa: E402

SIZES = [(900, 1600, 576, 1024), (375, 1242, 309, 1024), (1600, 900, 1024, 576), (300, 480, 640, 1024)]


def whole(logits, height, width, input_height, input_width):
    """As Sam.postprocess_masks states it."""
    model = functional.interpolate(logits[:, None], (1024, 1024), mode="bilinear", align_corners=False)
    model = model[..., :input_height, :input_width]
    return functional.interpolate(model, (height, width), mode="bilinear", align_corners=False)[:, 0]


def bump(v, u, size):
    rows, columns = torch.arange(256)[:, None] - v, torch.arange(256)[None] - u
    return 8 - 16 * (rows**2 + columns**2).sqrt() / size


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("blob", [(70, 90, 20), (0, 0, 30), (140, 255, 9), (60, 128, 400)])
def test_a_crop_is_what_enlarging_the_whole_gives_there(size, blob):
    height, width, input_height, input_width = size
    logits = bump(*blob)[None]
    crop = next(Enlarger(256, 1024, (input_height, input_width), (height, width)).crops(logits, -1.0))
    h, w = crop.logits.shape
    expected = whole(logits, *size)[0]
    inside = expected[crop.v_px : crop.v_px + h, crop.u_px : crop.u_px + w].clone()
    assert torch.allclose(crop.logits, inside, atol=1e-4)
    expected[crop.v_px : crop.v_px + h, crop.u_px : crop.u_px + w] = -1.0
    assert (expected <= -1.0).all()


def test_a_small_mask_makes_a_small_crop():
    enlarger = Enlarger(256, 1024, (576, 1024), (900, 1600))
    crop = next(enlarger.crops(bump(70, 90, 10)[None], 0.0))
    assert crop.logits.numel() < 900 * 1600 / 100


@pytest.mark.parametrize("logits", [torch.full((1, 256, 256), -9.0), bump(250, 20, 6)[None]])
def test_nothing_above_the_level_inside_the_image_makes_an_empty_crop(logits):
    enlarger = Enlarger(256, 1024, (576, 1024), (900, 1600))
    assert next(enlarger.crops(logits, 0.0)).logits.numel() == 0


def test_logits_just_above_the_level_are_in_the_crop():
    enlarger = Enlarger(256, 1024, (576, 1024), (900, 1600))
    assert next(enlarger.crops(torch.full((1, 256, 256), 5e-4), 0.0)).logits.numel() == 900 * 1600


def test_a_span_starts_at_the_first_true_and_ends_after_the_last():
    flags = torch.tensor([[False, True, False, True, False], [False] * 5, [True] * 5])
    assert span(flags).tolist() == [[1, 4], [0, 0], [0, 5]]
    assert span(flags[:, :0]).tolist() == [[0, 0]] * 3
    assert span(flags[0, :0]).tolist() == [0, 0]
