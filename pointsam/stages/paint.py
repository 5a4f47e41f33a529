"""Painting: from masks and classes to an instance map, in which each pixel belongs to at most one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require
from pointsam.rle import area_px, decode_crop
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import NO_INSTANCE, Detections, InstanceMap, Masks


@dataclass(frozen=True)
class PaintConfig:
    """How pixels are assigned to masks.

    Args:
        cover_threshold: a mask is discarded as a part of another if more than this fraction of it is painted already,
            mostly in its own class.
        order: "area", the published rule, or "score", which trusts masks prompted by detection boxes; see `paint`.
        duplicate_share: in order "score", two masks of one class (or of two vehicle classes) show the same object if
            they share more than this fraction of the smaller one. The worse mask then joins the better one. 1 keeps
            all masks separate.

    Raises:
        SchemaError: SCH005 on a fraction outside [0, 1].
    """

    cover_threshold: float = 0.3
    order: Literal["area", "score"] = "area"
    duplicate_share: float = 0.95  # on real frames, masks of one object share 0.99 of their pixels, of two cars less

    def __post_init__(self) -> None:
        for name in ("cover_threshold", "duplicate_share"):
            require(0 <= getattr(self, name) <= 1, f"paint.{name}", getattr(self, name), "a fraction from 0 to 1")


def semantic_map(
    detections: Detections, height_px: int, width_px: int, overlap: Literal["score", "published"]
) -> NDArray[np.uint8]:
    """The class of each pixel.

    Args:
        detections: detections with masks.
        height_px: image height.
        width_px: image width.
        overlap: which detection gets a pixel of several masks. "score": the one with the higher score, of equal scores
            the first. "published": the one with the higher class_id.

    Returns:
        (H,W) uint8 class_id, BACKGROUND for pixels without a detection.

    Raises:
        SchemaError: SCH003 if the detections have no masks.

    Source: PointSAM (arXiv 2401.16305) for "published"; "score" is ours: a better detection should not lose to a worse.
    """
    if detections.rle is None:
        raise SchemaError("SCH003", "detections with boxes only", "make their masks first: Segmenter.from_boxes")
    index = np.arange(len(detections))
    order = np.argsort(detections.class_id) if overlap == "published" else np.lexsort((-index, detections.score))
    semantic = np.full((height_px, width_px), BACKGROUND, dtype=np.uint8)
    for i in order:
        v, u, mask = decode_crop(detections.rle[i], height_px, width_px)
        semantic[v, u][mask] = detections.class_id[i]
    return semantic


def paint(
    masks: Masks, semantic: NDArray[np.uint8], detections: Detections, taxonomy: Taxonomy, config: PaintConfig
) -> InstanceMap:
    """Assign the pixels of an image to its masks.

    Order "area": masks are painted by falling area (of equal areas the lower index first). The class of a mask is the
    most frequent class of its pixels; background counts too, and discards the mask. Unless its class has the trait
    `row`, a mask is discarded as a part of another object if more than `cover_threshold` of it is painted already and
    its own class is the most frequent one there. All other masks overwrite what is painted, so that a row of barriers
    is divided into its smaller masks.

    Order "score": a mask prompted by a box has the class of its detection. These masks are painted by falling score
    (of equal scores the lower index first) on pixels that are still free. If a mask shows an object that is painted
    already (`duplicate_share`), the object gets its further pixels. Masks prompted by points follow by the rule above,
    but never take a pixel from a mask prompted by a box. The reason is that a box determines the object, while the
    largest mask of a point may contain the object and the wall behind it (docs/recipes.md).

    Of equally frequent classes the lowest class_id counts, so any class wins against background. An instance that lost
    all its pixels to later ones is left out: every instance has at least one pixel.

    Args:
        masks: candidate masks of the image.
        semantic: (H,W) uint8 class of each pixel.
        detections: detections that `masks.source` refers to.
        taxonomy: gives the trait `row`.
        config: the rule.

    Returns:
        instances in the order of painting; `mask_id` is the index in `masks`.

    Raises:
        SchemaError: SCH003 if the class map and the masks are not of one image.

    Source: PointSAM (arXiv 2401.16305) for "area"; "score" is ours.
    """
    if semantic.shape != (masks.height_px, masks.width_px):
        raise SchemaError(
            "SCH003",
            f"masks of {masks.height_px} x {masks.width_px} px on a class map of {semantic.shape}",
            "give masks and classes of one image",
        )
    boxed = np.flatnonzero(masks.source >= 0) if config.order == "score" else np.zeros(0, dtype=np.int64)
    boxed = boxed[np.argsort(-detections.score[masks.source[boxed]], kind="stable")]
    free = np.setdiff1d(np.arange(len(masks)), boxed)
    areas = np.array([area_px(masks.rle[i], masks.height_px, masks.width_px) for i in free], dtype=np.int64)
    canvas = _Canvas(masks, taxonomy, config)
    for i in boxed:
        canvas.add_box(int(i), int(detections.class_id[masks.source[i]]))
    canvas.locked = len(canvas.mask_id)
    for i in free[np.argsort(-areas, kind="stable")]:
        canvas.add_point(int(i), semantic)
    return canvas.finish()


class _Canvas:
    """Instance and class of each pixel; painting a mask changes only its bounding box."""

    def __init__(self, masks: Masks, taxonomy: Taxonomy, config: PaintConfig) -> None:
        self.masks = masks
        self.taxonomy = taxonomy
        self.rows = {class_id for class_id, spec in enumerate(taxonomy.classes) if spec.row}
        self.config = config
        self.instance = np.full((masks.height_px, masks.width_px), NO_INSTANCE, dtype=np.int32)
        self.classes = np.full((masks.height_px, masks.width_px), BACKGROUND, dtype=np.uint8)
        self.class_id: list[int] = []
        self.mask_id: list[int] = []
        self.area_px: list[int] = []
        self.box: list[tuple[slice, slice]] = []
        self.locked = 0  # instances below this id keep their pixels

    def add_box(self, i: int, class_id: int) -> None:
        v, u, mask = decode_crop(self.masks.rle[i], self.masks.height_px, self.masks.width_px)
        held = self.instance[v, u]
        area_px = np.count_nonzero(mask)
        shared_px = np.bincount(held[mask] + 1, minlength=len(self.mask_id) + 1)[1:]
        mask &= held == NO_INSTANCE
        for k in np.argsort(-shared_px, kind="stable"):
            smaller = min(area_px, self.area_px[k])
            if self._may_be_one(class_id, self.class_id[k]) and shared_px[k] > self.config.duplicate_share * smaller:
                self.instance[v, u][mask] = k
                self.classes[v, u][mask] = self.class_id[k]
                return
        self.area_px.append(area_px)
        self._write(i, class_id, v, u, mask)

    def _may_be_one(self, class_id: int, other: int) -> bool:
        a, b = self.taxonomy.classes[class_id], self.taxonomy.classes[other]
        return class_id == other or (a.vehicle and b.vehicle)

    def add_point(self, i: int, semantic: NDArray[np.uint8]) -> None:
        v, u, mask = decode_crop(self.masks.rle[i], self.masks.height_px, self.masks.width_px)
        class_id = _mode(semantic[v, u][mask])
        if class_id == BACKGROUND:
            return
        if class_id not in self.rows:
            below = self.classes[v, u][mask]
            cover = np.count_nonzero(below != BACKGROUND) / len(below)
            if cover > self.config.cover_threshold and _mode(below) == class_id:
                return
        if self.locked:
            held = self.instance[v, u]
            mask = mask & ((held < 0) | (held >= self.locked))
        self._write(i, class_id, v, u, mask)

    def _write(self, i: int, class_id: int, v: slice, u: slice, mask: NDArray[np.bool_]) -> None:
        self.instance[v, u][mask] = len(self.mask_id)
        self.classes[v, u][mask] = class_id
        self.class_id.append(class_id)
        self.mask_id.append(i)
        self.box.append((v, u))

    def finish(self) -> InstanceMap:
        class_id = np.array(self.class_id, dtype=np.uint8)
        mask_id = np.array(self.mask_id, dtype=np.int32)
        visible = np.array([(self.instance[box] == k).any() for k, box in enumerate(self.box)], dtype=np.bool_)
        if not visible.all():
            renumber = np.append(np.cumsum(visible) - 1, NO_INSTANCE).astype(np.int32)  # index -1 is the last
            self.instance = renumber[self.instance]
        return InstanceMap(self.instance, class_id[visible], mask_id[visible])


def _mode(values: NDArray[np.uint8]) -> int:
    """Most frequent value, of equally frequent ones the lowest; BACKGROUND without values."""
    return int(np.bincount(values).argmax()) if len(values) else BACKGROUND
