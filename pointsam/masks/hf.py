"""Promptable networks of transformers: SAM, SAM-HQ, SAM 2 and 2.1, EdgeTAM, and the prompts of SAM 3.

`--masks hf --weights SOURCE`, where SOURCE is a folder or an id of the hub. Each network keeps the resizing and the
normalisation of its own image processor. Code of a hub is never run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from pointsam.base.errors import BackendError
from pointsam.base.hub import hub_model
from pointsam.base.hub_models import autocast, model_type, open_model
from pointsam.masks.base import Segmenter, SegmenterContext, SegmenterPlugin
from pointsam.masks.config import SegmentConfig

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from pointsam.masks.network import Encoded

_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "sam": "SamModel",
        "sam_hq": "SamHQModel",
        "sam2": "Sam2Model",
        "sam2_video": "Sam2Model",
        "edgetam": "EdgeTamModel",
        "edgetam_video": "EdgeTamModel",
        "sam3_tracker": "Sam3TrackerModel",
        "sam3_tracker_video": "Sam3TrackerModel",
        "sam3_video": "Sam3TrackerModel",
    }
)
"""Class of the network by `model_type` of config.json. Those for videos hold a network for images."""


class HfNetwork:
    """A `PromptNetwork` of transformers.

    Args:
        model: the network, on the device.
        processor: its image processor.
        device: the device.
        precision: number type of the network.
    """

    def __init__(self, model: Any, processor: Any, device: torch.device, precision: str) -> None:
        self._model, self._processor, self._device, self._precision = model, processor, device, precision
        encoder = model.prompt_encoder
        self.model_px = int(encoder.input_image_size) if processor.do_pad else None
        self.low_px = 4 * int(encoder.image_embedding_size[0])

    def in_single_precision(self) -> HfNetwork:
        """The same network, computing in single precision."""
        twin = copy(self)
        twin._precision = "float32"
        return twin

    def prepare(self, image_rgb: NDArray[np.uint8]) -> tuple[Tensor, tuple[int, int]]:
        """(3,h,w) input as the network's own processor makes it, and the size of the image within it."""
        inputs = self._processor(images=np.array(image_rgb), return_tensors="pt")  # torch warns of what it cannot write
        (pixels,) = inputs["pixel_values"]
        height, width = (
            inputs["reshaped_input_sizes"][0].tolist() if "reshaped_input_sizes" in inputs else pixels.shape[-2:]
        )
        return pixels, (height, width)

    def encode(self, prepared: Sequence[tuple[Tensor, tuple[int, int]]]) -> Encoded:
        """Encode images. The features are lists of tensors whose rows are the images."""
        import torch

        from pointsam.masks.device import to_device
        from pointsam.masks.network import Encoded

        pixels = torch.stack([to_device(one, self._device) for one, _ in prepared])
        with autocast(self._device, self._precision):
            found = self._model.get_image_embeddings(pixels)
        names = ("image_embeddings", "intermediate_embeddings") if isinstance(found, tuple) else ("image_embeddings",)
        features = dict(zip(names, found if isinstance(found, tuple) else (found,), strict=True))
        return Encoded(features, tuple(shown for _, shown in prepared))

    def prompts(self, coords: Tensor, boxes: bool) -> Tensor:
        """(B,1,2) points or (B,4) boxes."""
        return (coords.flatten(1) if boxes else coords).float()

    def decode(
        self, features: Mapping[str, Any], image: Tensor | None, prompts: Tensor, boxes: bool
    ) -> tuple[Tensor, Tensor]:
        """Logits and predicted IoU. Prompts of several images are passed as images with one prompt each."""
        name = "input_boxes" if boxes else "input_points"
        given = prompts[None] if image is None else prompts[:, None]
        if image is not None:
            features = {key: _rows(values, image) for key, values in features.items()}
        with autocast(self._device, self._precision):
            found = self._model(**features, **{name: given}, multimask_output=not boxes)
        return found.pred_masks.flatten(0, 1), found.iou_scores.flatten(0, 1)


def _rows(values: Any, image: Tensor) -> Any:
    return [_rows(one, image) for one in values] if isinstance(values, (list, tuple)) else values[image]


def _source(weights: Path | None) -> Path:
    if weights is None:
        raise BackendError(
            "BCK001",
            "segmenter hf has no network of its own",
            "name one with --weights: a folder, or an id of the hub such as facebook/sam2.1-hiera-tiny",
        )
    return weights


def _load(config: SegmentConfig, context: SegmenterContext) -> Segmenter:
    source = _source(context.weights)
    found = hub_model(source)
    class_name = _CLASSES[model_type(found, _CLASSES, "promptable segmenter")]
    opened = open_model(found, source, class_name, "AutoImageProcessor", context.device, context.threads)
    from pointsam.masks.predictor import PromptSegmenter

    if config.compile:
        import torch

        opened[0].vision_encoder = torch.compile(opened[0].vision_encoder)
    network = HfNetwork(*opened, config.precision)
    return PromptSegmenter(network, name="hf", weights_sha256=context.fingerprint, device=opened[2], config=config)


PLUGIN = SegmenterPlugin(
    SegmentConfig,
    _load,
    fingerprint=lambda weights: hub_model(_source(weights)).digest,
    section="segment",
    origins=lambda weights: (hub_model(_source(weights)).origin(_source(weights)),),
)
