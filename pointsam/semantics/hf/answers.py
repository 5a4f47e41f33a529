"""What the detectors of transformers have in common: an image goes in, and boxes around centres come out."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pointsam.base.hub_models import autocast
from pointsam.base.runtime import turn_on

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Runner:
    """A model with its processor.

    Args:
        model: the model, on the device.
        processor: its processor, of images or of images and text.
        device: the device.
        precision: number type of the network.
        least_score: scores up to this one do not count, so that a detector may leave their boxes out.
    """

    model: Any
    processor: Any
    device: torch.device
    precision: str
    least_score: float

    def pixels(self, image: Image.Image) -> dict[str, Tensor]:
        """The inputs of an RGB image, as the model's own processor prepares it."""
        prepares = getattr(self.processor, "image_processor", self.processor)
        inputs, takes = prepares(images=image, return_tensors="pt"), inspect.signature(self.model.forward).parameters
        return {name: inputs[name] for name in ("pixel_values", "pixel_mask") if name in inputs and name in takes}

    def __call__(self, inputs: Mapping[str, Tensor]) -> Any:
        """The answers to inputs."""
        placed = {name: value.to(self.device) for name, value in inputs.items()}
        with self.inference():
            return self.model(**placed)

    @contextmanager
    def inference(self) -> Iterator[None]:
        """The context in which the model computes, in the turn of this thread."""
        import torch

        with turn_on(self.device), torch.inference_mode(), autocast(self.device, self.precision):
            yield


def corners(boxes: Tensor, width_px: float, height_px: float) -> NDArray[np.float32]:
    """(N,4) left, top, right, bottom in pixels.

    Args:
        boxes: (N,4) centre, width and height in fractions of an area.
        width_px: width of the area.
        height_px: height of the area.
    """
    centre, half = boxes.float()[:, :2], boxes.float()[:, 2:] / 2
    sides = np.array([width_px, height_px] * 2, dtype=np.float32)
    corner = np.concatenate([(centre - half).cpu().numpy(), (centre + half).cpu().numpy()], axis=1)
    scaled: NDArray[np.float32] = corner * sides
    return scaled
