"""Painting against the rule of docs/method.md A.4, on whole images."""

import numpy as np
import pytest
from pycocotools.mask import encode

from pointsam.stages.paint import PaintConfig, paint
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import Detections, Masks

BARRIER = NUSCENES.class_id("barrier")
NO_DETECTIONS = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.uint8), np.zeros(0, np.float32), ())


def mode(values):
    value, count = np.unique(values, return_counts=True)
    return value[count.argmax()]


def oracle(masks, semantic, cover_threshold=0.3):
    """A.4 written straight down: F_sem, and F_inst as the index of the mask."""
    f_sem, f_inst = np.full(semantic.shape, BACKGROUND), np.full(semantic.shape, -1)
    for i in sorted(range(len(masks)), key=lambda i: (-masks[i].sum(), i)):
        mask = masks[i]
        if not mask.any():
            continue
        c = mode(semantic[mask])
        if c == BACKGROUND:
            continue
        if c != BARRIER:
            cover = (f_sem[mask] != BACKGROUND).mean()
            if cover > cover_threshold and mode(f_sem[mask]) == c:
                continue
        f_sem[mask], f_inst[mask] = c, i
    return f_sem, f_inst


def random_image(rng):
    """Few classes in blocks, and masks that nest, overlap, repeat, cover everything or nothing."""
    height, width = (int(n) for n in rng.integers(1, 24, 2))
    classes = np.array([0, 1, 7, BARRIER, BACKGROUND], dtype=np.uint8)
    block = int(rng.integers(1, 8))
    semantic = np.kron(rng.choice(classes, (height // block + 1, width // block + 1)), np.ones((block, block)))
    masks = []
    for _ in range(int(rng.integers(0, 25))):
        mask = np.zeros((height, width), dtype=bool)
        (v0, v1), (u0, u1) = np.sort(rng.integers(0, height + 1, 2)), np.sort(rng.integers(0, width + 1, 2))
        mask[v0:v1, u0:u1] = rng.random((v1 - v0, u1 - u0)) < rng.choice([0.3, 0.8, 1.0])
        masks.append(masks[-1].copy() if masks and rng.random() < 0.1 else mask)
    return masks, semantic[:height, :width].astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_rule_on_hostile_images(seed):
    rng = np.random.default_rng(seed)
    for _ in range(50):
        found, semantic = random_image(rng)
        rle = tuple(encode(np.asfortranarray(mask.astype(np.uint8)))["counts"] for mask in found)
        none = np.zeros(len(found), dtype=np.float32)
        masks = Masks(*semantic.shape, rle, none, none, np.full(len(found), -1, dtype=np.int32))
        painted = paint(masks, semantic, NO_DETECTIONS, NUSCENES, PaintConfig())
        f_sem, f_inst = oracle(found, semantic)
        np.testing.assert_array_equal(np.append(painted.mask_id, -1)[painted.instance_id], f_inst)
        np.testing.assert_array_equal(np.append(painted.class_id, BACKGROUND)[painted.instance_id], f_sem)
