"""A source of classes: what is red in the image is a crate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.semantics.base import SemanticsContext, SemanticsPlugin
from pointsam.taxonomy import BACKGROUND
from pointsam.types import CameraView, Detections, Frame


@dataclass(frozen=True)
class RedConfig:
    """`--set masks.red.least=100`.

    Args:
        least: red value from which a pixel is red.
        label: name of what is red; a mapping file may take it to any class.
    """

    least: int = 128
    label: str = "crate"


class RedSemantics:
    """See `pointsam.semantics.base.SemanticModel` for what each method gives."""

    name = "red"
    weights_sha256 = ""
    riders_apart = False

    def __init__(self, config: RedConfig, context: SemanticsContext) -> None:
        self._least, self._class_id = config.least, context.mapping.class_id(config.label)

    def detect(self, image_rgb: NDArray[np.uint8], frame: Frame, view: CameraView) -> Detections:
        v, u = np.nonzero(image_rgb[..., 0] >= self._least)
        found = len(v) > 0 and self._class_id != BACKGROUND
        box = [[u.min(), v.min(), u.max() + 1, v.max() + 1]] if found else []
        return Detections(
            np.array(box, dtype=np.float32).reshape(-1, 4),
            np.full(len(box), self._class_id, dtype=np.uint8),
            np.ones(len(box), dtype=np.float32),
        )


RED = SemanticsPlugin(RedConfig, RedSemantics, fingerprint=lambda _config, _masks_dir: "red-1")
