"""A detector's looks at an image: one at the whole image and one at each tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require
from pointsam.semantics.base import Detector, SemanticsContext, SemanticsPlugin
from pointsam.semantics.boxes import area, nms
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
        """Objects in an (H,W,3) uint8 RGB image by falling score: boxes without masks, clipped to the image."""
        box, column, score = looks(self._detector, image_rgb, self._config, self._column)
        class_id = self._class_id[column]
        keep = nms(box, class_id, score, self._config.nms_iou)
        return Detections(box[keep], class_id[keep], score[keep])


def looks(
    detector: Detector, image_rgb: NDArray[np.uint8], config: TiledConfig, column: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.float32]]:
    """(N,4) boxes of all looks, (N,) index into `column` of their labels, and (N,) scores; not suppressed.

    Args:
        detector: the network.
        image_rgb: (H,W,3) uint8 RGB image.
        config: thresholds and tiling.
        column: (C,) the columns of its scores that count.

    Raises:
        SchemaError: SCH003 if the network gives a box that is no number.
    """
    height, width = image_rgb.shape[:2]
    whole = (0, 0, width, height)
    crops = [whole]
    if config.tile_px:
        crops += [window for window in windows(width, height, config.tile_px, config.tile_overlap) if window != whole]
    found = [_look(detector, image_rgb, window, config, column) for window in crops]
    box, label, score = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return box, label, score


def _look(
    detector: Detector,
    image_rgb: NDArray[np.uint8],
    window: Window,
    config: TiledConfig,
    column: NDArray[np.intp],
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.float32]]:
    left, top, right, bottom = window
    height, width = image_rgb.shape[:2]
    boxes, scores = detector.look(Image.fromarray(image_rgb[top:bottom, left:right]))
    score = scores[:, column]
    row, label = np.nonzero(score > config.score_threshold)
    box = boxes[row] + twice(left, top)
    if not np.isfinite(box).all():
        raise SchemaError("SCH003", f"the network gave a box of {box[~np.isfinite(box)][0]}", "correct the network")
    drop = cut(box, window, width, height, _MARGIN * (right - left))
    box = np.clip(box, 0, twice(width, height))
    keep = ~drop & (area(box) > 0)
    return box[keep], label[keep], score[row, label][keep]


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


def require_labels(mapping: LabelMapping, names: Sequence[str], network: str) -> tuple[str, ...]:
    """Refuse a mapping with which a network could find nothing.

    Args:
        mapping: the mapping.
        names: names of the network's labels.
        network: what the network is called in messages.

    Returns:
        A warning if there are classes to which labels are mapped, but none of the network's: it never finds them.

    Raises:
        SchemaError: SCH001 if none of its labels is mapped to a class.
    """
    own = [name for name in names if name]
    found = {mapping.class_id(label) for label in own} - {BACKGROUND}
    if not found:
        raise SchemaError(
            "SCH001",
            f"the mapping to {mapping.taxonomy.name!r} names no label of {network} ({_few(own)}), only "
            f"{_few(sorted(mapping.classes)) or 'none'}",
            "map its labels to classes (--mapping, docs/mapping.md), or use --semantics precomputed",
        )
    lost: dict[str, list[str]] = {}
    for label, name in mapping.classes.items():
        if mapping.class_id(label) not in {*found, BACKGROUND}:
            lost.setdefault(name, []).append(repr(label))
    if not lost:
        return ()
    stated = {name: label for label, name in mapping.taxonomy.coco.items() if label in own}
    told = [
        f"{name} (mapped from {', '.join(labels)}" + (f"; it says {stated[name]!r})" if name in stated else ")")
        for name, labels in lost.items()
    ]
    return (
        f"{network} never finds {', '.join(told)}: map its labels to these classes too (--mapping, docs/mapping.md), "
        "or use another network (docs/onnx.md, docs/precomputed_masks.md)",
    )


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(repr, names[:10])) + more


def twice(x: float, y: float) -> NDArray[np.float32]:
    """(4,) x, y, x, y."""
    return np.array([x, y, x, y], dtype=np.float32)
