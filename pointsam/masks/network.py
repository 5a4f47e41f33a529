"""What a promptable network must do. The rest of a segmenter is the same for all networks (`predictor`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Encoded:
    """Images that were encoded together.

    Args:
        features: what the network's decoder needs of them.
        input_hw: for each, height and width in pixels of the image within the network's square input.
    """

    features: Any
    input_hw: tuple[tuple[int, int], ...]


class PromptNetwork(Protocol):
    """A network that encodes images once and then decodes prompts.

    Attributes:
        model_px: side of its square input, which an image fills from the upper left corner; None if it fills all of it.
        low_px: side of its logits, which show the whole input.
    """

    model_px: int | None
    low_px: int

    def in_single_precision(self) -> PromptNetwork:
        """The same network, computing in single precision."""

    def prepare(self, image_rgb: NDArray[np.uint8]) -> Any:
        """An (H,W,3) uint8 RGB image for `encode`; done on the host."""

    def encode(self, prepared: Sequence[Any]) -> Encoded:
        """Encode images, in one call of the network."""

    def prompts(self, coords: Tensor, boxes: bool) -> Tensor:
        """(B,...) prompts for `decode`, each independent of the others.

        Args:
            coords: (B,1,2) points or (B,2,2) corners of boxes, in pixels of the input, double precision.
            boxes: whether they are boxes.
        """

    def decode(self, features: Any, image: Tensor | None, prompts: Tensor, boxes: bool) -> tuple[Tensor, Tensor]:
        """(B,n,low_px,low_px) logits and (B,n) predicted IoU of B prompts: n is 3 for points and 1 for boxes.

        Args:
            features: `Encoded.features`.
            image: (B,) int64 index of the image of each prompt; None if only one image was encoded.
            prompts: as `prompts` returns them.
            boxes: whether they are boxes.
        """
