"""A segmenter on a simulated CUDA device: what it computes, and how often the host must start or wait for something."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
from helpers.simulated_device import simulated_device  # noqa: E402

from pointsam import rle  # noqa: E402
from pointsam.masks import SegmentConfig, load_segmenter  # noqa: E402

BOXES = np.array([[110, 80, 230, 200], [320, 180, 430, 260], [20, 20, 90, 120]], np.float32)
POINTS = np.array([[170, 140], [375, 220], [60, 40], [250, 150], [30, 280]], np.int32)


@pytest.fixture(scope="module")
def images(disc_image):
    return [disc_image, np.ascontiguousarray(disc_image[:, ::-1])]


def assert_alike(one, other):
    assert len(one) == len(other) > 0
    a, b = ([rle.decode_mask(c, m.height_px, m.width_px) for c in m.rle] for m in (one, other))
    assert min((x & y).sum() / (x | y).sum() for x, y in zip(a, b, strict=True)) > 0.99


@pytest.mark.parametrize("filters", ["image", "network"])
def test_a_frame_gives_the_masks_of_the_cpu_and_hardly_ever_waits(images, filters):
    config = SegmentConfig(filters=filters)
    on_cpu = load_segmenter("mobile_sam", config=config, threads=1)
    expected = on_cpu.embed_all(images)
    with simulated_device() as device:
        segmenter = load_segmenter("mobile_sam", device="cuda", config=config, threads=1)
        with device.counted() as encoding:
            embeddings = segmenter.embed_all(images)
        with device.counted() as boxing:
            boxes = segmenter.from_boxes_all(embeddings, [BOXES] * 2)
        with device.counted() as pointing:
            points = segmenter.from_points_all(embeddings, [POINTS] * 2)
    for found, by_cpu in (
        (boxes, on_cpu.from_boxes_all(expected, [BOXES] * 2)),
        (points, on_cpu.from_points_all(expected, [POINTS] * 2)),
    ):
        for both in zip(found, by_cpu, strict=True):
            assert_alike(*both)
    # Before: 844 operators and 3 stalls for an image, 821 and 24 for 20 boxes, 18,542 and 94 for 128 points.
    assert (sum(encoding.operators.values()) <= 805, dict(encoding.stalls)) == (True, {})
    assert (sum(boxing.operators.values()) <= 480, sum(boxing.stalls.values())) == (True, 4)  # logits and scores
    assert (sum(pointing.operators.values()) <= 550, sum(pointing.stalls.values())) == (True, 4)
