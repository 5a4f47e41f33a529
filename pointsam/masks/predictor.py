"""Segments images with any promptable network: encode once, decode prompts in chunks, filter, compress."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointsam import rle
from pointsam.base.arrays import AnyArray
from pointsam.masks.config import SegmentConfig
from pointsam.masks.enlarge import Crop, Enlarger
from pointsam.masks.filters import inclusive_box, stability, suppress
from pointsam.masks.network import PromptNetwork
from pointsam.types import Masks

_CPU_CHUNK = 4  # tensors of more prompts exceed the allocator's cache, so their memory is mapped again every time
_CUDA_CHUNK = 64


@dataclass(frozen=True, eq=False)
class Embedding:
    """An image encoded by `PromptSegmenter.embed`."""

    height_px: int
    width_px: int
    features: Any
    input_hw: tuple[int, int]
    enlarger: Enlarger


class PromptSegmenter:
    """A `pointsam.masks.base.Segmenter` with a promptable network.

    On the CPU, equal images and prompts give equal bytes for a given number of threads, which the caller sets.

    Args:
        network: the network, on the device.
        name: name of the network.
        weights_sha256: digest of its weights.
        device: its device.
        config: thresholds and chunk size.
    """

    def __init__(
        self, network: PromptNetwork, *, name: str, weights_sha256: str, device: torch.device, config: SegmentConfig
    ) -> None:
        self.name = name
        self.weights_sha256 = weights_sha256
        self._network = network
        self._device = device
        self._config = config
        self._chunk = config.chunk or (_CUDA_CHUNK if device.type == "cuda" else _CPU_CHUNK)

    def embed(self, image_rgb: NDArray[np.uint8]) -> Embedding:
        """Encode an (H,W,3) uint8 RGB image."""
        height, width = image_rgb.shape[:2]
        network = self._network
        with torch.inference_mode():
            encoded = network.encode(image_rgb)
            enlarger = Enlarger(network.low_px, network.model_px, encoded.input_hw, (height, width), self._device)
            return Embedding(height, width, encoded.features, encoded.input_hw, enlarger)

    def from_points(self, embedding: Embedding, uv_px: NDArray[np.int32]) -> Masks:
        """Masks of (P,2) positive points in pixels, one point per prompt, by falling predicted IoU.

        Each prompt gives three masks. The filters are, in this order, predicted IoU, stability score and non-maximum
        suppression of bounding boxes. At most three 256 x 256 logits per prompt are in memory.

        Source: SAM's automatic mask generator, as PointSAM (arXiv 2401.16305) uses it.
        """
        coords = self._to_input(embedding, uv_px[:, None, :])
        with torch.inference_mode():
            prompts = self._network.prompts(coords, boxes=False)
            kept = [c for c in self._candidates(embedding, prompts) if len(c.pred_iou)]
            if not kept:
                return Masks.empty(embedding.height_px, embedding.width_px)
            merged = _Candidates(*(torch.cat(parts) for parts in zip(*(c.parts() for c in kept), strict=True)))
            best = suppress(merged.box_xyxy_px, merged.pred_iou, self._config).to(self._device)
            crops = embedding.enlarger.crops(merged.logits[best], self._config.mask_threshold)
            return Masks(
                height_px=embedding.height_px,
                width_px=embedding.width_px,
                rle=tuple(self._compress(crop, embedding) for crop in crops),
                pred_iou=_float32(merged.pred_iou[best]),
                stability=_float32(merged.stability[best]),
                source=np.full(len(best), -1, dtype=np.int32),
            )

    def from_boxes(self, embedding: Embedding, box_xyxy_px: NDArray[np.float32]) -> Masks:
        """One mask per box of (D,4) boxes in pixels, in their order and unfiltered; `source` is the box's index."""
        corners = self._to_input(embedding, box_xyxy_px.reshape(-1, 2, 2))
        runs: list[bytes] = []
        scores: list[Tensor] = []
        stabilities: list[Tensor] = []
        with torch.inference_mode():
            prompts = self._network.prompts(corners, boxes=True)
            for logits, pred_iou in self._decode(embedding, prompts, boxes=True):
                scores.append(pred_iou)
                for crop in self._crops(embedding, logits):
                    stabilities.append(stability(crop, self._config))
                    runs.append(self._compress(crop, embedding))
        if not runs:
            return Masks.empty(embedding.height_px, embedding.width_px)
        return Masks(
            height_px=embedding.height_px,
            width_px=embedding.width_px,
            rle=tuple(runs),
            pred_iou=_float32(torch.cat(scores)),
            stability=_float32(torch.stack(stabilities)),
            source=np.arange(len(runs), dtype=np.int32),
        )

    def _candidates(self, embedding: Embedding, prompts: Tensor) -> Iterator[_Candidates]:
        """Masks that pass both thresholds, chunk by chunk. The predicted IoU comes first: it needs no enlarging."""
        for logits, pred_iou in self._decode(embedding, prompts, boxes=False):
            good = pred_iou > self._config.pred_iou_threshold
            logits, pred_iou = logits[good], pred_iou[good]
            if len(logits) == 0:
                continue
            measures = [
                (stability(crop, self._config), inclusive_box(crop, self._config))
                for crop in self._crops(embedding, logits)
            ]
            stabilities, boxes = (torch.stack(column) for column in zip(*measures, strict=True))
            stable = stabilities >= self._config.stability_threshold
            yield _Candidates(logits[stable], pred_iou[stable], stabilities[stable], boxes[stable])

    def _decode(self, embedding: Embedding, prompts: Tensor, boxes: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits (T*n,256,256) and predicted IoU (T*n,) as float32, of n prompts at a time."""
        start = 0
        while start < len(prompts):
            try:
                part = prompts[start : start + self._chunk]
                logits, pred_iou = self._network.decode(embedding.features, part, boxes)
            except torch.cuda.OutOfMemoryError:
                if self._chunk == 1:
                    raise
                self._chunk //= 2
                torch.cuda.empty_cache()
                warnings.warn(f"out of GPU memory: decoding {self._chunk} prompts at once from now on", stacklevel=2)
                continue
            start += len(part)
            yield logits.flatten(0, 1).float(), pred_iou.flatten().float()

    def _crops(self, embedding: Embedding, logits: Tensor) -> Iterator[Crop]:
        return embedding.enlarger.crops(logits, self._config.mask_threshold - self._config.stability_offset)

    def _compress(self, crop: Crop, embedding: Embedding) -> bytes:
        mask = (crop.logits > self._config.mask_threshold).cpu().numpy()
        return rle.encode_crop(mask, crop.v_px, crop.u_px, embedding.height_px, embedding.width_px)

    def _to_input(self, embedding: Embedding, uv_px: AnyArray) -> Tensor:
        """Pixels of the image to pixels of the network's input, in double precision as in SAM's generator."""
        (height, width), coords = embedding.input_hw, np.array(uv_px, dtype=np.float64)
        coords[..., 0] = coords[..., 0] * (width / embedding.width_px)
        coords[..., 1] = coords[..., 1] * (height / embedding.height_px)
        return torch.from_numpy(coords).to(self._device)


@dataclass(frozen=True, eq=False)
class _Candidates:
    logits: Tensor
    pred_iou: Tensor
    stability: Tensor
    box_xyxy_px: Tensor

    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.logits, self.pred_iou, self.stability, self.box_xyxy_px


def _float32(values: Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()
