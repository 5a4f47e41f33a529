"""The bundled detector: SSDLite MobileNetV2 trained on COCO, which outputs boxes with classes.

It is the default because it is small, free and always available. A stronger network, used through
`pointsam.semantics.precomputed`, gives better labels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam.base.errors import BackendError, SchemaError
from pointsam.semantics.base import SemanticsPlugin
from pointsam.semantics.boxes import area, nms
from pointsam.semantics.coco import COCO_NAMES
from pointsam.semantics.tiles import Window, cut, windows
from pointsam.taxonomy import BACKGROUND, LabelMapping
from pointsam.types import CameraView, Detections, Frame

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WEIGHTS = "coco_ssd_lite_mobilenetv2.onnx"
WEIGHTS_SHA256 = "860ef8e13733c6f74e179d10d492099bd33f9fb8a86795028d425d6f3ccf1939"

_INPUT_PX = 300
# The boxes of this coarse network end up to 6 of its 300 pixels before the border that cuts the object.
_MARGIN_SHARE = 0.02


@dataclass(frozen=True)
class SsdConfig:
    """Thresholds and tiling of the detector.

    Args:
        score_threshold: keep boxes with a higher score.
        nms_iou: if two boxes of a class have a higher IoU, only the one with the higher score is kept.
        tile_px: 0 = only the whole image, resized to 300 x 300 pixels; else also overlapping square tiles with this
            side, which show small objects larger. 400 suits nuScenes and KITTI (docs/mapping.md has figures).
        tile_overlap: fraction of a tile that overlaps its neighbour. A box cut by the border between tiles is
            dropped: a smaller object is complete in another tile, a larger one in the whole image.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    score_threshold: float = 0.3  # of the published method
    nms_iou: float = 0.5
    tile_px: int = 0
    tile_overlap: float = 0.2

    def __post_init__(self) -> None:
        for name, fits, domain in (
            ("score_threshold", 0 <= self.score_threshold < 1, "[0, 1)"),
            ("nms_iou", 0 < self.nms_iou <= 1, "(0, 1]"),
            ("tile_px", self.tile_px == 0 or self.tile_px >= 64, "0 or at least 64"),
            ("tile_overlap", 0 <= self.tile_overlap < 0.9, "[0, 0.9)"),
        ):
            if not fits:
                raise SchemaError("SCH005", f"ssd.{name} = {getattr(self, name)}", f"choose a value in {domain}")


class SsdSemantics:
    """Detections of the bundled network, on the CPU.

    Args:
        mapping: COCO label names to the run's classes; labels that it leaves out are not reported.
        config: thresholds and tiling.
        threads: CPU threads of one inference.

    Raises:
        BackendError: BCK005 if onnxruntime is not installed, BCK001 if the bundled weights are missing, BCK002 if they
            are damaged.
        SchemaError: SCH001 if the mapping has no COCO label, because the detector could then find nothing.
    """

    name = "ssd"
    weights_sha256 = WEIGHTS_SHA256
    riders_apart = True

    def __init__(self, mapping: LabelMapping, config: SsdConfig, threads: int = 1) -> None:
        known = {k: mapping.class_id(label) for k, label in COCO_NAMES.items()}
        wanted = {k: class_id for k, class_id in known.items() if class_id != BACKGROUND}
        if not wanted:
            raise SchemaError(
                "SCH001",
                f"the mapping to {mapping.taxonomy.name!r} names no label of the ssd detector, only "
                f"{sorted(mapping.classes) or 'none'}",
                "map COCO labels such as car, person, bicycle (docs/mapping.md), or use --semantics precomputed",
            )
        self._column = np.array(list(wanted)) - 1  # column k of the scores is category id k + 1
        self._class_id = np.array(list(wanted.values()), dtype=np.uint8)
        self._config = config
        self._session = _session(threads)

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
        patch = Image.fromarray(image_rgb[top:bottom, left:right])
        pixels = np.asarray(patch.resize((_INPUT_PX, _INPUT_PX), Image.Resampling.BILINEAR), dtype=np.float32)
        boxes, scores = self._session.run(None, {self._session.get_inputs()[0].name: (pixels / 127.5 - 1)[None]})
        score = scores[0][:, self._column]
        anchor, label = np.nonzero(score > self._config.score_threshold)
        box = boxes[0, anchor, 0][:, [1, 0, 3, 2]]  # the network outputs top, left, bottom, right
        box = box * _twice(right - left, bottom - top) + _twice(left, top)
        drop = cut(box, window, width, height, _MARGIN_SHARE * (right - left))
        box = np.clip(box, 0, _twice(width, height))
        keep = ~drop & (area(box) > 0)
        return box[keep], self._class_id[label[keep]], score[anchor, label][keep]


def _twice(x: int, y: int) -> NDArray[np.float32]:
    return np.array([x, y, x, y], dtype=np.float32)


def _session(threads: int) -> InferenceSession:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            "BCK005", f"--semantics ssd needs onnxruntime ({error})", "pip install 'pointsam[ssd]'"
        ) from error
    weights = resources.files("pointsam.semantics") / "data" / WEIGHTS
    try:
        content = weights.read_bytes()
    except OSError as error:
        raise BackendError(
            "BCK001", f"{weights}: the bundled detector is missing ({error.strerror})", "install pointsam again"
        ) from error
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        raise BackendError(
            "BCK002",
            f"{weights}: sha256 is not {WEIGHTS_SHA256}",
            "the file is damaged: install pointsam again",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


PLUGIN = SemanticsPlugin(
    SsdConfig,
    lambda config, context: SsdSemantics(context.mapping, config, context.threads),
    lambda _config, _masks_dir: WEIGHTS_SHA256,
    labels="coco",
)
