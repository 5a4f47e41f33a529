"""What a source of 2D classes must offer."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pointsam.types import CameraView, Detections, Frame


class SemanticModel(Protocol):
    """Says what class is where in an image: a network, or files that one wrote.

    Attributes:
        name: "ssd", "precomputed", "oracle".
        weights_sha256: of the weights in use, "" where there are none.
        riders_apart: a rider and what he rides may be two objects, which `ride` is to join; False where every object
            is whole, so that whoever stands before a bicycle must not become a part of it.
    """

    name: str
    weights_sha256: str
    riders_apart: bool

    def detect(self, image_rgb: NDArray[np.uint8], frame: Frame, view: CameraView) -> Detections:
        """Objects in an (H,W,3) RGB image, classes of the run's taxonomy, background left out."""
