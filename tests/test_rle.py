import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from pointsam import rle
from pointsam.base.errors import SchemaError

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


def blob(height_px, width_px):
    v, u = np.mgrid[:height_px, :width_px]
    return (u - width_px * 0.6) ** 2 + 3 * (v - height_px * 0.3) ** 2 < (height_px * 0.2) ** 2


@given(MASKS)
def test_decoding_undoes_encoding(mask):
    assert np.array_equal(rle.decode_mask(rle.encode_mask(mask), *mask.shape), mask)


@given(MASKS)
def test_decoding_agrees_with_pycocotools(mask):
    counts = rle.encode_mask(mask)
    theirs = {"size": list(mask.shape), "counts": counts}
    assert np.array_equal(rle.decode_mask(counts, *mask.shape), coco.decode(theirs).astype(bool))
    assert rle.area_px(counts, *mask.shape) == coco.area(theirs)
    left, top, right, bottom = rle.bbox_xyxy_px(counts, *mask.shape)
    assert [left, top, right - left, bottom - top] == coco.toBbox(theirs).tolist()


@given(MASKS)
def test_a_box_holds_exactly_the_mask(mask):
    v, u = np.nonzero(mask)
    holds = (u.min(), v.min(), u.max() + 1, v.max() + 1) if len(v) else (0, 0, 0, 0)
    assert rle.bbox_xyxy_px(rle.encode_mask(mask), *mask.shape) == holds


@given(MASKS)
def test_a_crop_holds_every_pixel_of_the_mask(mask):
    rows, columns, crop = rle.decode_crop(rle.encode_mask(mask), *mask.shape)
    rebuilt = np.zeros_like(mask)
    rebuilt[rows, columns] = crop
    assert np.array_equal(rebuilt, mask)


def test_a_crop_is_no_larger_than_the_mask():
    mask = blob(90, 160)
    _, _, crop = rle.decode_crop(rle.encode_mask(mask), *mask.shape)
    assert crop[0].any()
    assert crop[-1].any()
    assert crop[:, 0].any()
    assert crop[:, -1].any()


def test_long_runs_of_a_large_image_survive():
    mask = blob(900, 1600)
    assert np.array_equal(rle.decode_mask(rle.encode_mask(mask), 900, 1600), mask)


def test_encoding_a_crop_equals_encoding_the_image():
    mask = blob(90, 160)
    rows, columns, crop = rle.decode_crop(rle.encode_mask(mask), 90, 160)
    assert rle.encode_crop(crop, rows.start, columns.start, 90, 160) == rle.encode_mask(mask)


@given(MASKS, st.tuples(*[st.integers(0, 3)] * 4))
def test_a_crop_is_encoded_wherever_it_lies(crop, margin):
    mask = np.pad(crop, (margin[:2], margin[2:]))
    assert rle.encode_crop(crop, margin[0], margin[2], *mask.shape) == rle.encode_mask(mask)


def test_an_empty_mask_has_an_empty_crop_and_box():
    counts = rle.encode_mask(np.zeros((5, 7), dtype=bool))
    rows, columns, crop = rle.decode_crop(counts, 5, 7)
    assert (rows, columns, crop.size) == (slice(0, 0), slice(0, 0), 0)
    assert rle.bbox_xyxy_px(counts, 5, 7) == (0, 0, 0, 0)


@given(MASKS, st.integers(0, 99))
def test_the_union_has_the_pixels_of_either(mask, seed):
    other = np.random.default_rng(seed).random(mask.shape) < 0.5
    assert rle.united(rle.encode_mask(mask), rle.encode_mask(other)) == rle.encode_mask(mask | other)


def test_masks_of_different_images_do_not_unite():
    with pytest.raises(ValueError, match="256 pixels instead of 144"):
        rle.united(rle.encode_mask(blob(9, 16)), rle.encode_mask(blob(16, 16)))


# pycocotools trusts run lengths, and writes past its memory where they do not fit: none may pass that do not.


@given(MASKS)
def test_what_pycocotools_writes_is_accepted(mask):
    runs = rle.check(rle.encode_mask(mask), mask.size)
    assert runs[1::2].sum() == mask.sum()


@given(MASKS)
def test_another_number_of_pixels_is_refused(mask):
    for pixels in (mask.size - 1, mask.size + 1):
        with pytest.raises(ValueError, match="pixels instead of"):
            rle.check(rle.encode_mask(mask), pixels)


@given(MASKS, st.data())
def test_what_passes_decodes_to_the_image_whatever_was_done_to_it(mask, data):
    counts = bytearray(rle.encode_mask(mask))
    counts[data.draw(st.integers(0, len(counts) - 1))] = data.draw(st.integers(0, 255))
    try:
        rle.check(bytes(counts), mask.size)
    except ValueError:
        return
    decoded = coco.decode({"size": list(mask.shape), "counts": bytes(counts)}).astype(np.bool_)
    assert rle.encode_mask(decoded) == bytes(counts)


@given(st.binary(max_size=30))
def test_no_string_of_bytes_decodes_to_anything_but_a_whole_image(counts):
    try:
        mask = rle.decode_mask(counts, 6, 9)
    except SchemaError:
        return
    assert mask.shape == (6, 9)


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
    with pytest.raises(SchemaError, match=f"SCH003.*2 x 2.*{problem}"):
        rle.decode_crop(counts, 2, 2)


def test_runs_of_another_image_size_are_refused():
    with pytest.raises(SchemaError, match="SCH003"):
        rle.decode_mask(rle.encode_mask(blob(9, 16)), 16, 16)
