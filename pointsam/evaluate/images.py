"""Camera masks against the ground-truth instances of their images: the quality of the 2D stage.

Specification
    Object    a true instance of at least `min_px` pixels in an image. Masks are those that contribute to clusters.
    IoU       of an object: the largest IoU with any mask of its image, whatever its class; 0 without one. The object is
              found if it is > 0.5.
    Right     a mask is right if its best IoU with any object is > 0.5.
    Class     fraction of the found objects whose best mask has their class.
    Bands     groups of objects by the height of the box in pixels, and by the visible fraction: "clear" from 80 %.

IoU is that of the COCO mask metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from pointsam import rle
from pointsam.datasets.truth2d import ImageTruth
from pointsam.taxonomy import BACKGROUND, Taxonomy

HEIGHTS_PX = (0, 20, 40, 80, 160)
CLEAR = 0.8


@dataclass(frozen=True)
class MaskQuality:
    """Metrics of a group of objects; 0 / 0 is NaN.

    Args:
        name: "all", a class, or a band.
        num_objects: number of objects in the group.
        mean_iou: mean best IoU of the objects.
        recall: fraction of the objects that is found.
        class_share: fraction of the found objects whose best mask has their class.
        num_masks: number of masks of the class; of all masks for "all"; 0 for bands.
        precision: fraction of these masks that is right.
    """

    name: str
    num_objects: int
    mean_iou: float
    recall: float
    class_share: float
    num_masks: int
    precision: float


class ImageAccumulator:
    """Sums over images; its memory does not grow with them.

    Args:
        taxonomy: classes of masks and ground truth.
        min_px: smallest number of pixels of an object that counts.
    """

    def __init__(self, taxonomy: Taxonomy, min_px: int = 16) -> None:
        self._taxonomy, self._min_px = taxonomy, min_px
        self._bands = [f"{a}-{b - 1} px high" for a, b in pairwise(HEIGHTS_PX)]
        self._bands += [f"{HEIGHTS_PX[-1]} px high and more", "clear", "hidden in part"]
        groups = len(taxonomy.classes) + len(self._bands)
        self._objects = np.zeros((groups, 4))  # objects, IoU, found, of the right class
        self._masks = np.zeros((len(taxonomy.classes), 2), dtype=np.int64)  # masks, right

    def add(self, truth: ImageTruth, masks: Sequence[tuple[bytes, int]]) -> None:
        """Count one image.

        Args:
            truth: its ground-truth instances.
            masks: COCO RLE in the image's size, and class_id, of each mask.
        """
        iou, height = _overlaps(truth, [counts for counts, _ in masks])
        mask_class = np.array([class_id for _, class_id in masks], dtype=np.int64)
        best = iou.max(axis=1, initial=0)
        chosen = mask_class[iou.argmax(axis=1)] if len(masks) else np.full(len(best), -1)
        pixels = np.bincount(truth.ids.ravel(), minlength=int(truth.instance_id.max(initial=0)) + 1)
        void = truth.class_id == BACKGROUND
        large = (pixels[truth.instance_id] >= self._min_px) & ~void
        found = best > 0.5
        rows = np.stack([np.ones(len(best)), best, found, found & (chosen == truth.class_id)], axis=1)
        band = np.searchsorted(HEIGHTS_PX, height, side="right") - 1
        first = len(self._taxonomy.classes)
        sight = first + len(HEIGHTS_PX) + (truth.visible < CLEAR)
        for group in (truth.class_id, first + band, sight):
            np.add.at(self._objects, group[large], rows[large])
        right = iou[~void].max(axis=0, initial=0) > 0.5
        counted = right | ~(
            iou[void].max(axis=0, initial=0) > 0.5
        )  # a mask of a void object is neither right nor wrong
        np.add.at(self._masks, mask_class[counted], np.stack([np.ones(len(masks)), right], axis=1)[counted])

    def result(self) -> tuple[MaskQuality, ...]:
        """Metrics of all objects, then of each class, then of each band."""
        classes = len(self._taxonomy.classes)
        sums, masks = self._objects, self._masks
        out = [_quality("all", sums[:classes].sum(axis=0), masks.sum(axis=0))]
        out += [_quality(name, sums[k], masks[k]) for k, name in enumerate(self._taxonomy.names)]
        none = np.zeros(2, dtype=np.int64)
        return (*out, *(_quality(name, sums[classes + k], none) for k, name in enumerate(self._bands)))


def _overlaps(truth: ImageTruth, masks: Sequence[bytes]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(K,M) IoU of instances and masks, and (K,) height of each instance's box."""
    height, width = truth.ids.shape
    span = max(int(truth.ids.max(initial=0)), int(truth.instance_id.max(initial=0))) + 1
    area = np.bincount(truth.ids.ravel(), minlength=span)
    iou = np.zeros((len(truth.instance_id), len(masks)))
    for k, counts in enumerate(masks):
        rows, columns, inside = rle.decode_crop(counts, height, width)
        shared = np.bincount(truth.ids[rows, columns][inside], minlength=span)
        union = inside.sum() + area - shared
        iou[:, k] = (shared / np.maximum(union, 1))[truth.instance_id]
    boxes = find_objects(truth.ids.astype(np.int32), span)
    heights = np.array([0, *(0 if box is None else box[0].stop - box[0].start for box in boxes)], dtype=np.int64)
    return iou, heights[truth.instance_id]


def _quality(name: str, sums: NDArray[np.float64], masks: NDArray[np.int64]) -> MaskQuality:
    objects, iou, found, right_class = (float(value) for value in sums)
    count, right = (int(value) for value in masks)
    nan = float("nan")
    return MaskQuality(
        name,
        int(objects),
        iou / objects if objects else nan,
        found / objects if objects else nan,
        right_class / found if found else nan,
        count,
        right / count if count else nan,
    )
