"""What a network sees of an image, and where its boxes lie in it."""

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime")
from helpers.onnx_models import echo_model

from pointsam.semantics.base import Look
from pointsam.semantics.onnx.description import InputForm, parse_description
from pointsam.semantics.onnx.network import OnnxDetector
from pointsam.semantics.onnx.pixels import pixels_of

RED = (200, 100, 50)


def red(width, height):
    return Image.new("RGB", (width, height), RED)


def seen(image, form, size_px):
    return pixels_of(image, form, size_px).values


def test_colours_are_divided_shifted_and_scaled_in_the_order_of_the_channels():
    form = InputForm(channels="bgr", divide=2.0, mean=(1.0, 2.0, 3.0), std=(1.0, 2.0, 4.0))
    values = seen(red(8, 4), form, (16, 8))
    assert values.shape == (1, 3, 8, 16)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[0, :, 3, 5], [(25 - 1) / 1, (50 - 2) / 2, (100 - 3) / 4])
    assert seen(red(8, 4), InputForm(layout="nhwc", divide=1.0), (16, 8))[0, 3, 5].tolist() == list(RED)


@pytest.mark.parametrize(("fit", "place"), [("corner", (0, 0)), ("centre", (0, 16))])
def test_an_image_that_keeps_its_shape_is_padded(fit, place):
    form = InputForm(fit=fit, fill=114, divide=1.0, layout="nhwc")
    pixels = pixels_of(red(100, 50), form, (64, 64))
    left, top = place
    inside = np.zeros((64, 64), dtype=bool)
    inside[top : top + 32, left : left + 64] = True
    assert (pixels.values[0][inside] == RED).all()
    assert (pixels.values[0][~inside] == 114).all()
    assert (pixels.mask()[0] == inside).all()


@pytest.mark.parametrize(
    ("size", "expected"), [((1600, 900), (416, 224)), ((400, 400), (416, 416)), ((9, 900), (32, 416))]
)
def test_sides_may_be_multiples_without_padding(size, expected):
    pixels = pixels_of(red(*size), InputForm(fit="multiple"), (416, 416))
    assert pixels.size_px == expected
    assert pixels.values.shape == (1, 3, *expected[::-1])
    assert pixels.mask().all()


@pytest.mark.parametrize("fractions", [False, True])
@pytest.mark.parametrize("fit", ["stretch", "corner", "centre", "multiple"])
@pytest.mark.parametrize("size", [(100, 50), (31, 77)])
def test_a_box_around_what_the_network_sees_is_the_image(fit, size, fractions):
    pixels = pixels_of(red(*size), InputForm(fit=fit), (96, 64))
    rows, columns = (np.flatnonzero(pixels.mask()[0].any(axis=axis)) for axis in (1, 0))
    box = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], dtype=np.float32)
    box = box / np.array([*pixels.size_px, *pixels.size_px], dtype=np.float32) if fractions else box
    # A padded image is rounded to whole pixels of the input.
    coarse = max(size) / 64 if fit in ("corner", "centre") else 1e-3
    np.testing.assert_allclose(pixels.to_image(box, fractions), [[0, 0, *size]], atol=coarse)


def test_further_inputs_tell_the_size_and_the_mask(monkeypatch):
    extra = {"wh": "size_wh", "hw": "size_hw", "visible": "mask"}
    shapes = [("wh", (1, 2)), ("hw", (1, 2)), ("visible", (1, 32, 64))]
    description = parse_description(
        json.dumps({"model": "m.onnx", "labels": ["a"], "input": {"fit": "corner", "extra": extra}}), "test"
    )
    monkeypatch.setattr(OnnxDetector, "look", lambda *_: Look(np.zeros((0, 4)), np.zeros((0, 1))))
    detector = OnnxDetector(description, echo_model((1, 3, 32, 64), extra=shapes), "test")
    pixels = pixels_of(red(32, 32), description.input, detector._size_px)
    _, wh, hw, mask = detector._run(pixels)
    assert (wh.tolist(), hw.tolist()) == ([[64, 32]], [[32, 64]])
    assert mask.sum() == 32 * 32
