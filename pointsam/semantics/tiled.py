"""What the bundled networks share: one look at the whole image and one at each tile, on onnxruntime."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam.base.errors import BackendError, SchemaError
from pointsam.base.ranges import require
from pointsam.semantics.boxes import area, nms
from pointsam.semantics.coco import COCO_NAMES
from pointsam.semantics.tiles import Window, cut, windows
from pointsam.taxonomy import BACKGROUND, LabelMapping
from pointsam.types import CameraView, Detections, Frame

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_MARGIN = 0.02
"""The networks' boxes end up to this share of a window before the border that cuts the object."""


@dataclass(frozen=True)
class TiledConfig:
    """Thresholds and tiling of a network.

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


class TiledNetwork(ABC):
    """Detections of a bundled network, on the CPU.

    Args:
        mapping: COCO label names to the run's classes; labels that it leaves out are not reported.
        config: thresholds and tiling.
        threads: CPU threads of one inference; the result does not depend on it.

    Attributes:
        name: name of the plug-in.
        weights: file in `pointsam/semantics/data`.
        weights_sha256: digest of the file.
        labels: column of the scores to COCO label name.

    Raises:
        BackendError: BCK005 if onnxruntime is not installed, BCK001 if the bundled weights are missing, BCK002 if they
            are damaged.
        SchemaError: SCH001 if the mapping has no COCO label, because the network could then find nothing.
    """

    name: str
    weights: str
    weights_sha256: str
    labels: Mapping[int, str]
    riders_apart = True

    def __init__(self, mapping: LabelMapping, config: TiledConfig, threads: int = 1) -> None:
        require_coco_labels(mapping)
        known = {column: mapping.class_id(label) for column, label in self.labels.items()}
        wanted = {column: class_id for column, class_id in known.items() if class_id != BACKGROUND}
        self._column = np.array(list(wanted))
        self._class_id = np.array(list(wanted.values()), dtype=np.uint8)
        self._config = config
        self._session = open_session(self.weights, self.weights_sha256, threads)

    @abstractmethod
    def _look(self, patch: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N,4) boxes in pixels of an RGB patch and their (N,C) scores, from one inference."""

    def detect(self, image_rgb: NDArray[np.uint8], frame: Frame, view: CameraView) -> Detections:
        """Objects in an (H,W,3) uint8 RGB image by falling score: boxes without masks, clipped to the image."""
        height, width = image_rgb.shape[:2]
        whole = (0, 0, width, height)
        crops = [whole]
        if self._config.tile_px:
            crops += [w for w in windows(width, height, self._config.tile_px, self._config.tile_overlap) if w != whole]
        found = [self._detect_in(image_rgb, window) for window in crops]
        box, class_id, score = (np.concatenate(parts) for parts in zip(*found, strict=True))
        keep = nms(box, class_id, score, self._config.nms_iou)
        return Detections(box[keep], class_id[keep], score[keep])

    def _detect_in(
        self, image_rgb: NDArray[np.uint8], window: Window
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
        left, top, right, bottom = window
        height, width = image_rgb.shape[:2]
        boxes, scores = self._look(Image.fromarray(image_rgb[top:bottom, left:right]))
        score = scores[:, self._column]
        row, label = np.nonzero(score > self._config.score_threshold)
        box = boxes[row] + twice(left, top)
        drop = cut(box, window, width, height, _MARGIN * (right - left))
        box = np.clip(box, 0, twice(width, height))
        keep = ~drop & (area(box) > 0)
        return box[keep], self._class_id[label[keep]], score[row, label][keep]

    def _run(self, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Outputs of the network for one batch."""
        outputs: list[NDArray[np.float32]] = self._session.run(None, {self._session.get_inputs()[0].name: pixels})
        return outputs


def require_coco_labels(mapping: LabelMapping) -> tuple[str, ...]:
    """Refuse a mapping with which the bundled networks could find nothing.

    Returns:
        A warning if there are classes to which labels are mapped, but none of COCO's: the networks never find them.

    Raises:
        SchemaError: SCH001 if no label of COCO is mapped to a class.
    """
    found = {mapping.class_id(label) for label in COCO_NAMES.values()} - {BACKGROUND}
    if not found:
        raise SchemaError(
            "SCH001",
            f"the mapping to {mapping.taxonomy.name!r} names no COCO label, which the bundled networks give, only "
            f"{sorted(mapping.classes) or 'none'}",
            "map COCO labels such as car, person, bicycle (docs/mapping.md), or use --semantics precomputed",
        )
    lost: dict[str, list[str]] = {}
    for label, name in mapping.classes.items():
        if mapping.class_id(label) not in {*found, BACKGROUND}:
            lost.setdefault(name, []).append(repr(label))
    if not lost:
        return ()
    stated = {name: label for label, name in mapping.taxonomy.coco.items() if label in COCO_NAMES.values()}
    told = [
        f"{name} (mapped from {', '.join(labels)}" + (f"; COCO says {stated[name]!r})" if name in stated else ")")
        for name, labels in lost.items()
    ]
    return (
        f"the bundled networks give COCO's labels and never find {', '.join(told)}: map labels of COCO to these "
        "classes too (--mapping, docs/mapping.md), or use another network (docs/precomputed_masks.md)",
    )


def twice(x: float, y: float) -> NDArray[np.float32]:
    """(4,) x, y, x, y."""
    return np.array([x, y, x, y], dtype=np.float32)


def open_session(weights: str, sha256: str, threads: int) -> InferenceSession:
    """The session of a network that the package carries.

    Args:
        weights: file in `pointsam/semantics/data`.
        sha256: its digest.
        threads: CPU threads of one inference.

    Raises:
        BackendError: as `TiledNetwork`.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            "BCK005", f"the bundled networks need onnxruntime ({error})", "pip install 'pointsam[ssd]'"
        ) from error
    path = resources.files("pointsam.semantics") / "data" / weights
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackendError(
            "BCK001", f"{path}: a bundled network is missing ({error.strerror})", "install pointsam again"
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BackendError("BCK002", f"{path}: sha256 is not {sha256}", "the file is damaged: install pointsam again")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
