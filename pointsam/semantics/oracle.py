"""Ground-truth instances of every image, degraded to simulate a 2D network of any quality (docs/oracle.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointsam import rle
from pointsam.base.errors import DatasetError
from pointsam.base.mask_files import TRUTH
from pointsam.base.ranges import require
from pointsam.base.seeding import generator
from pointsam.semantics import precomputed
from pointsam.semantics.base import SemanticsContext, SemanticsPlugin, required_folder
from pointsam.semantics.layouts import InstancePng
from pointsam.taxonomy import LabelMapping
from pointsam.types import CameraView, Detections, Frame

DOCS = "docs/oracle.md"

# Range of the scores of false positives: above the published threshold of 0.3, but uncertain.
_FALSE_SCORE = (0.3, 0.7)


@dataclass(frozen=True)
class OracleConfig:
    """How the ground truth is degraded; the defaults do not degrade it.

    Args:
        miss_rate: probability that an object is not reported.
        miss_rate_small: the same for objects lower than `small_px`; without effect if it is below `miss_rate`.
        small_px: an object is small if its box is lower than this.
        confusion: probability that an object is reported as another class of the taxonomy, drawn uniformly.
        boundary: standard deviation of each edge of a box, as a fraction of the box's width or height.
        false_positives: mean number of false positives per image; the number is Poisson distributed.
        score_noise: standard deviation of a normal draw whose absolute value is subtracted from the score. Scores are
            clipped to [0, 1].
        min_pixels: objects with fewer visible pixels are never reported, and do not count as missed.
        masks: True = report the true masks too, which make the class map; False = SAM segments the objects.

    Raises:
        SchemaError: SCH005 on a value out of range, or if both `boundary` and `masks` are set: the boxes would not fit
            the masks.
    """

    miss_rate: float = 0.0
    miss_rate_small: float = 0.0
    small_px: float = 40.0
    confusion: float = 0.0
    boundary: float = 0.0
    false_positives: float = 0.0
    score_noise: float = 0.0
    min_pixels: int = 16
    masks: bool = False

    def __post_init__(self) -> None:
        for name in ("miss_rate", "miss_rate_small", "confusion", "score_noise"):
            require(0 <= getattr(self, name) <= 1, f"oracle.{name}", getattr(self, name), "a number from 0 to 1")
        require(0 <= self.small_px < np.inf, "oracle.small_px", self.small_px, "a height in pixels, 0 or more")
        require(0 <= self.boundary <= 0.5, "oracle.boundary", self.boundary, "a fraction of the box from 0 to 0.5")
        require(0 <= self.false_positives <= 100, "oracle.false_positives", self.false_positives, "0 to 100 per image")
        require(self.min_pixels >= 0, "oracle.min_pixels", self.min_pixels, "a number of pixels, 0 or more")
        require(
            not (self.masks and self.boundary > 0),
            "oracle.boundary",
            self.boundary,
            "0 if oracle.masks is true: the boxes of true masks have no noise",
        )


class OracleSemantics:
    """Degraded ground-truth objects of an image.

    All random numbers of an image are drawn whatever the options are. Changing one option therefore changes its own
    effect only: a higher miss rate drops further objects, more false positives are added to the existing ones. Only
    `min_pixels` also changes the shapes of false positives.

    Args:
        mapping: label names of the ground truth to the run's classes; labels that it leaves out are background.
        truth_dir: folder with an instance map and its JSON file per image (docs/precomputed_masks.md).
        config: how to degrade.
        seed: seed of the run.

    Raises:
        DatasetError: DAT001 if there is no such folder, DAT002 if it does not hold instance maps.
        SchemaError: SCH005 if `confusion` is set and the taxonomy has a single class.
    """

    name = "oracle"
    weights_sha256 = ""
    riders_apart = False
    concurrent = True

    def __init__(self, mapping: LabelMapping, truth_dir: Path, config: OracleConfig, seed: int) -> None:
        _check(truth_dir)
        self._num_classes = len(mapping.taxonomy.classes)
        enough = config.confusion == 0 or self._num_classes > 1
        require(enough, "oracle.confusion", config.confusion, f"0: {mapping.taxonomy.name!r} has a single class")
        self._truth = precomputed.PrecomputedSemantics(mapping, truth_dir)
        self._config = config
        self._seed = seed

    def detect(self, image_rgb: NDArray[np.uint8], frame: Frame, view: CameraView) -> Detections:
        """Reported objects in the order of their ids in the ground truth, then false positives; boxes in the image.

        Raises:
            DatasetError, SchemaError: as `PrecomputedSemantics.detect`.
        """
        config, (height, width) = self._config, image_rgb.shape[:2]
        truth = self._truth.detect(image_rgb, frame, view)
        masks = truth.rle or ()
        box = truth.box_xyxy_px.astype(np.float64)
        extent = box[:, 2:] - box[:, :2]

        rng = generator(self._seed, frame.frame_id, view.name, self.name)
        luck, clarity = rng.random((2, len(truth)))
        other = rng.integers(1, max(self._num_classes, 2), len(truth))
        shift = rng.standard_normal((len(truth), 4))
        doubt = np.abs(rng.standard_normal(len(truth)))

        visible = np.array([rle.area_px(mask, height, width) >= config.min_pixels for mask in masks], dtype=np.bool_)
        small = extent[:, 1] < config.small_px
        kept = visible & (luck >= np.where(small, max(config.miss_rate, config.miss_rate_small), config.miss_rate))
        class_id = truth.class_id + np.where(clarity < config.confusion, other, 0)
        box = _inside(box + config.boundary * shift * np.tile(extent, 2), height, width)
        found = Detections(
            box[kept].astype(np.float32),
            (class_id[kept] % self._num_classes).astype(np.uint8),
            np.clip(truth.score - config.score_noise * doubt, 0, 1)[kept].astype(np.float32),
            tuple(masks[k] for k in np.flatnonzero(kept)) if config.masks else None,
        )
        false = self._false(rng, truth.box_xyxy_px[visible].astype(int), height, width)
        return replace(_joined(found, false, height, width), unmapped=truth.unmapped)

    def _false(self, rng: np.random.Generator, model: NDArray[np.int_], height: int, width: int) -> Detections:
        """False positives: each has the size and the row of a true object, and a random column."""
        if len(model) == 0:
            side = max(1, min(height // 8, width))
            model = np.array([[0, height // 2, side, height // 2 + side]])
        boxes, classes, scores = [], [], []
        # The points of a Poisson process between 0 and the rate: a higher rate adds to the points of a lower one.
        reached = rng.exponential()
        while reached < self._config.false_positives:
            left, top, right, bottom = model[rng.integers(len(model))]
            u = rng.integers(width - (right - left) + 1)
            boxes.append((u, top, u + right - left, bottom))
            classes.append(rng.integers(self._num_classes))
            scores.append(rng.uniform(*_FALSE_SCORE))
            reached += rng.exponential()
        return Detections(
            np.array(boxes, dtype=np.float32).reshape(-1, 4),
            np.array(classes, dtype=np.uint8),
            np.array(scores, dtype=np.float32),
        )


def fingerprint(truth_dir: Path) -> str:
    """Hex digest of the ground truth's folder, as `precomputed.fingerprint`.

    Raises:
        DatasetError: DAT001 if there is no such folder, DAT002 if it does not hold instance maps.
    """
    _check(truth_dir)
    return precomputed.fingerprint(truth_dir)


def _check(truth_dir: Path) -> None:
    if not truth_dir.is_dir():
        raise DatasetError(
            "DAT001",
            f"no folder {truth_dir}: --semantics oracle reads the ground-truth instances of the images there",
            f"give a data root that has them, or name their folder with --masks-dir ({DOCS})",
        )
    kind = precomputed.layout_kind(truth_dir)
    if not issubclass(kind, InstancePng):
        raise DatasetError(
            "DAT002",
            f"{truth_dir} holds masks in layout {kind.title}, but ground-truth instances need layout InstancePng",
            f"write an instance PNG with its JSON for every image ({DOCS}), or use --semantics precomputed",
        )


def _inside(box: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Boxes clipped to the image, with their edges in order and at least one pixel wide and high."""
    size = np.array([width, height])
    low, high = np.minimum(box[:, :2], box[:, 2:]), np.maximum(box[:, :2], box[:, 2:])
    low = np.clip(low, 0, size - 1)
    return np.concatenate([low, np.clip(high, low + 1, size)], axis=1)


def _joined(found: Detections, false: Detections, height: int, width: int) -> Detections:
    masks = found.rle
    if masks is not None:
        for left, top, right, bottom in false.box_xyxy_px.astype(int):
            whole = np.ones((bottom - top, right - left), dtype=np.bool_)
            masks += (rle.encode_crop(whole, top, left, height, width),)
    return Detections(
        np.concatenate([found.box_xyxy_px, false.box_xyxy_px]),
        np.concatenate([found.class_id, false.class_id]),
        np.concatenate([found.score, false.score]),
        masks,
    )


def _load(config: OracleConfig, context: SemanticsContext) -> OracleSemantics:
    return OracleSemantics(context.mapping, required_folder("oracle", context.masks_dir), config, context.seed)


PLUGIN = SemanticsPlugin(
    OracleConfig,
    _load,
    lambda _config, masks_dir: fingerprint(required_folder("oracle", masks_dir)),
    folder=TRUTH,
    files=precomputed.files,
    survey=lambda _, context, images: precomputed.survey(required_folder("oracle", context.masks_dir), context, images),
)
