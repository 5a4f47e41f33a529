import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from pointsam.semantics import rle

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


def decoded(counts, shape):
    return coco.decode({"size": list(shape), "counts": counts}).astype(np.bool_)


@given(MASKS)
def test_what_pycocotools_writes_is_accepted(mask):
    counts = rle.encode(mask)
    rle.check(counts, mask.size)
    assert rle.area(counts) == mask.sum()
    np.testing.assert_array_equal(decoded(counts, mask.shape), mask)


@given(MASKS)
def test_another_number_of_pixels_is_refused(mask):
    for pixels in (mask.size - 1, mask.size + 1):
        with pytest.raises(ValueError, match="pixels instead of"):
            rle.check(rle.encode(mask), pixels)


@given(MASKS, st.data())
def test_what_passes_decodes_to_the_image_whatever_was_done_to_it(mask, data):
    counts = bytearray(rle.encode(mask))
    counts[data.draw(st.integers(0, len(counts) - 1))] = data.draw(st.integers(0, 255))
    try:
        rle.check(bytes(counts), mask.size)
    except ValueError:
        return
    assert rle.encode(decoded(bytes(counts), mask.shape)) == bytes(counts)


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        (b"", "no run lengths"),
        (b"\x00", "a character"),
        (b"~", "a character"),
        (b"P", "cut off"),
        (b"PPPPPPPP0", "longer than any image"),
        (b"o" * 40 + b"0", "longer than any image"),
        (b"O", "no or fewer pixels"),
        (b"403020", "no or fewer pixels"),
        (b"40", "no or fewer pixels"),
        (b"5", "5 pixels instead of 4"),
    ],
)
def test_hostile_run_lengths_are_refused_with_a_reason(counts, problem):
    with pytest.raises(ValueError, match=problem):
        rle.check(counts, 4)


@given(MASKS)
def test_boxes_hold_exactly_the_mask(mask):
    box = rle.boxes((rle.encode(mask),), *mask.shape)[0]
    v, u = np.nonzero(mask)
    assert box.tolist() == ([u.min(), v.min(), u.max() + 1, v.max() + 1] if len(v) else [0, 0, 0, 0])


@given(MASKS, st.integers(0, 99))
def test_the_union_has_the_pixels_of_either(mask, seed):
    other = np.random.default_rng(seed).random(mask.shape) < 0.5
    assert rle.united(rle.encode(mask), rle.encode(other)) == rle.encode(mask | other)


def test_no_masks_have_no_boxes():
    assert rle.boxes((), 4, 5).shape == (0, 4)
