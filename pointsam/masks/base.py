"""What a promptable segmenter must offer."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pointsam.types import Masks


class Segmenter(Protocol):
    """A model that turns an image once into an embedding and then prompts into masks.

    Attributes:
        name: "mobile_sam", "sam_vit_h".
        weights_sha256: of the weight file in use.
    """

    name: str
    weights_sha256: str

    def embed(self, image_rgb: NDArray[np.uint8]) -> Any:
        """Encode an (H,W,3) RGB image; the result is only for the two calls below."""

    def from_points(self, embedding: Any, uv_px: NDArray[np.int32]) -> Masks:
        """One positive point a prompt, (P,2) pixels; three masks each, filtered and deduplicated (method.md A.3)."""

    def from_boxes(self, embedding: Any, box_xyxy_px: NDArray[np.float32]) -> Masks:
        """One mask a box, (D,4) pixels, in the order of the boxes and without filters; source is the box's index."""
