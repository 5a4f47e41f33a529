"""A detector's looks at an image: one at the whole image and one at each tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam import rle
from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require
from pointsam.semantics.base import Detector, Look, SemanticsContext, SemanticsPlugin
from pointsam.semantics.boxes import area, nms
from pointsam.semantics.mapping import require_labels
from pointsam.semantics.tiles import Window, cut, windows
from pointsam.taxonomy import BACKGROUND, LabelMapping
from pointsam.types import CameraView, Detections, Frame

C = TypeVar("C", bound="TiledConfig")
_MARGIN = 0.02
"""Boxes end up to this share of a window before the border that cuts the object."""


@dataclass(frozen=True)
class TiledConfig:
    """Thresholds and tiling of a detector.

    Args:
        score_threshold: keep boxes with a higher score.
        nms_iou: if two boxes of a class have a higher IoU, only the one with the higher score is kept.
        tile_px: 0 = only the whole image, resized to the network's input; else also overlapping square tiles with this
            side, which show small objects larger (docs/mapping.md has figures).
        tile_overlap: fraction of a tile that overlaps its neighbour. A box cut by the border between tiles is
            dropped: a smaller object is complete in another tile, a larger one in the whole image.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    score_threshold: float = 0.3
    nms_iou: float = 0.5
    tile_px: int = 0
    tile_overlap: float = 0.2

    section: ClassVar[str] = "tiled"
    """Name of the options in messages."""

    def __post_init__(self) -> None:
        for name, fits, domain in (
            ("score_threshold", 0 <= self.score_threshold < 1, "a value in [0, 1)"),
            ("nms_iou", 0 < self.nms_iou <= 1, "a value in (0, 1]"),
            ("tile_px", self.tile_px == 0 or self.tile_px >= 64, "0, or at least 64"),
            ("tile_overlap", 0 <= self.tile_overlap < 0.9, "a value in [0, 0.9)"),
        ):
            require(fits, f"{self.section}.{name}", getattr(self, name), domain)


class TiledSemantics:
    """The detections of a network, in classes of the run.

    Args:
        name: name of the plug-in.
        weights_sha256: digest of what determines the network's answers.
        detector: the network.
        mapping: its label names to the run's classes; labels that it leaves out are not reported.
        config: thresholds and tiling.
    """

    riders_apart = True
    concurrent = True

    def __init__(
        self, name: str, weights_sha256: str, detector: Detector, mapping: LabelMapping, config: TiledConfig
    ) -> None:
        self.name, self.weights_sha256 = name, weights_sha256
        self._detector, self._config = detector, config
        class_id = np.array([mapping.class_id(label) if label else BACKGROUND for label in detector.names])
        self._column = np.flatnonzero(class_id != BACKGROUND)
        self._class_id = class_id[self._column].astype(np.uint8)

    def detect(self, image_rgb: NDArray[np.uint8], frame: Frame, view: CameraView) -> Detections:
        """Objects in an (H,W,3) uint8 RGB image by falling score: boxes clipped to the image, and masks if the network
        gives them.
        """
        found = looks(self._detector, image_rgb, self._config, self._column)
        class_id = self._class_id[found.label]
        keep = nms(found.box_xyxy_px, class_id, found.score, self._config.nms_iou)
        masks = None if found.rle is None else tuple(found.rle[k] for k in keep)
        return Detections(found.box_xyxy_px[keep], class_id[keep], found.score[keep], masks)


@dataclass(frozen=True, eq=False)
class Seen:
    """N boxes of the looks at an image.

    Args:
        box_xyxy_px: (N,4) left, top, right, bottom in the image.
        label: (N,) index into the columns that count.
        score: (N,) scores.
        rle: (N,) run lengths of their masks in the image, none of them empty; None for a network without masks.
    """

    box_xyxy_px: NDArray[np.float32]
    label: NDArray[np.intp]
    score: NDArray[np.float32]
    rle: tuple[bytes, ...] | None


def looks(detector: Detector, image_rgb: NDArray[np.uint8], config: TiledConfig, column: NDArray[np.intp]) -> Seen:
    """The boxes of all looks, not suppressed. A box whose mask is empty is left out.

    Args:
        detector: the network.
        image_rgb: (H,W,3) uint8 RGB image.
        config: thresholds and tiling.
        column: (C,) the columns of its scores that count.

    Raises:
        SchemaError: SCH003 if the network gives a score or a box that is no number, or a mask of another size.
    """
    height, width = image_rgb.shape[:2]
    whole = (0, 0, width, height)
    crops = [whole]
    if config.tile_px:
        crops += [window for window in windows(width, height, config.tile_px, config.tile_overlap) if window != whole]
    found = [_look(detector, image_rgb, window, config, column) for window in crops]
    box, label, score = (
        np.concatenate([getattr(one, name) for one in found]) for name in ("box_xyxy_px", "label", "score")
    )
    masks = [one.rle for one in found if one.rle is not None]
    return Seen(box, label, score, tuple(mask for part in masks for mask in part) if masks else None)


def _look(
    detector: Detector,
    image_rgb: NDArray[np.uint8],
    window: Window,
    config: TiledConfig,
    column: NDArray[np.intp],
) -> Seen:
    left, top, right, bottom = window
    height, width = image_rgb.shape[:2]
    found = detector.look(Image.fromarray(image_rgb[top:bottom, left:right]))
    score = found.scores[:, column]
    _require_numbers("score", score)  # no number is above a threshold, so that NaN would drop a box in silence
    row, label = np.nonzero(score > config.score_threshold)
    box = found.boxes[row] + twice(left, top)
    _require_numbers("box", box)
    drop = cut(box, window, width, height, _MARGIN * (right - left))
    box = np.clip(box, 0, twice(width, height))
    keep = ~drop & (area(box) > 0)
    masks = _masks(found, row[keep], window, height, width)
    if masks is None:
        return Seen(box[keep], label[keep], score[row, label][keep], None)
    keep[keep] = [mask is not None for mask in masks]
    return Seen(box[keep], label[keep], score[row, label][keep], tuple(mask for mask in masks if mask is not None))


def _masks(
    found: Look, row: NDArray[np.intp], window: Window, height_px: int, width_px: int
) -> list[bytes | None] | None:
    """Run lengths in the image of the masks of rows, None for an empty one; None without masks."""
    if found.masks is None:
        return None
    left, top, right, bottom = window
    by_row: dict[int, bytes | None] = {}  # a row may count for several labels
    for k in sorted({int(k) for k in row}):
        mask = found.masks(k)
        if mask.shape != (bottom - top, right - left):
            raise SchemaError(
                "SCH003",
                f"the network gave a mask of {mask.shape[1]} x {mask.shape[0]} px for an image of "
                f"{right - left} x {bottom - top} px",
                "correct the network",
            )
        by_row[k] = rle.encode_crop(mask, top, left, height_px, width_px) if mask.any() else None
    return [by_row[int(k)] for k in row]


def _require_numbers(what: str, values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)][0]
        raise SchemaError("SCH003", f"the network gave a {what} of {wrong}", "correct the network or its weights")


def tiled_plugin(
    name: str,
    config: type[C],
    detector: Callable[[C, SemanticsContext], Detector],
    fingerprint: Callable[[C, Path | None], str],
    names: Callable[[C, Path | None], Sequence[str]],
    *,
    network: str,
    takes_folder: bool,
) -> SemanticsPlugin[C]:
    """The plug-in of a detector.

    Args:
        name: its name.
        config: class of its options.
        detector: opens the network.
        fingerprint: as of `SemanticsPlugin`.
        names: names of its labels, without opening it.
        network: what it is called in messages.
        takes_folder: as of `SemanticsPlugin`.
    """

    def load(options: C, context: SemanticsContext) -> TiledSemantics:
        require_labels(context.mapping, names(options, context.masks_dir), network)
        opened, digest = detector(options, context), fingerprint(options, context.masks_dir)
        return TiledSemantics(name, digest, opened, context.mapping, options)

    return SemanticsPlugin(
        config,
        load,
        fingerprint,
        takes_folder=takes_folder,
        survey=lambda options, context, _: require_labels(context.mapping, names(options, context.masks_dir), network),
        names=names,
        detector=detector,
    )


def twice(x: float, y: float) -> NDArray[np.float32]:
    """(4,) x, y, x, y."""
    return np.array([x, y, x, y], dtype=np.float32)
