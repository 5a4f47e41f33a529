"""Segments images with any SAM network: encode once, decode prompts in chunks, filter, compress."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor

from pointsam import rle
from pointsam.base.arrays import AnyArray
from pointsam.masks.config import SegmentConfig
from pointsam.masks.decoder import MULTI_MASK, SINGLE_MASK, ImageTokens, decode_prompts, image_tokens
from pointsam.masks.enlarge import Crop, Enlarger
from pointsam.masks.filters import inclusive_box, stability, suppress
from pointsam.types import Masks

_CPU_CHUNK = 4  # tensors of more prompts exceed the allocator's cache, so their memory is mapped again every time
_CUDA_CHUNK = 64


@dataclass(frozen=True, eq=False)
class Embedding:
    """An image encoded by `SamSegmenter.embed`."""

    height_px: int
    width_px: int
    tokens: ImageTokens
    enlarger: Enlarger


class SamSegmenter:
    """A `pointsam.masks.base.Segmenter` with a network made of SAM's parts.

    On the CPU, equal images and prompts give equal bytes for a given number of threads, which the caller sets.

    Args:
        sam: network with weights.
        name: name of the network.
        weights_sha256: digest of its weights.
        device: device to compute on.
        config: thresholds, chunk size and precision.
    """

    def __init__(
        self, sam: Sam, *, name: str, weights_sha256: str, device: torch.device, config: SegmentConfig
    ) -> None:
        self.name = name
        self.weights_sha256 = weights_sha256
        self._sam = sam.to(device, memory_format=torch.channels_last)  # saves a seventh of the CPU time in TinyViT
        self._device = device
        self._config = config
        self._resize = ResizeLongestSide(sam.image_encoder.img_size)
        self._chunk = config.chunk or (_CUDA_CHUNK if device.type == "cuda" else _CPU_CHUNK)

    def embed(self, image_rgb: NDArray[np.uint8]) -> Embedding:
        """Encode an (H,W,3) uint8 RGB image: resize the long side to 1024 (antialiased bilinear), normalise, pad."""
        height, width = image_rgb.shape[:2]
        resized = torch.from_numpy(self._resize.apply_image(image_rgb)).to(self._device)
        model_px, low_px = self._resize.target_length, self._sam.prompt_encoder.mask_input_size[0]
        with torch.inference_mode():
            network_input = self._sam.preprocess(resized.permute(2, 0, 1)[None])
            with self._autocast():
                features = self._sam.image_encoder(network_input)
            return Embedding(
                height_px=height,
                width_px=width,
                tokens=image_tokens(self._sam, features.float()),
                enlarger=Enlarger(
                    low_px, model_px, (resized.shape[0], resized.shape[1]), (height, width), self._device
                ),
            )

    def from_points(self, embedding: Embedding, uv_px: NDArray[np.int32]) -> Masks:
        """Masks of (P,2) positive points in pixels, one point per prompt, by falling predicted IoU.

        Each prompt gives three masks. The filters are, in this order, predicted IoU, stability score and non-maximum
        suppression of bounding boxes. At most three 256 x 256 logits per prompt are in memory.

        Source: SAM's automatic mask generator, as PointSAM (arXiv 2401.16305) uses it.
        """
        coords = self._to_input(embedding, uv_px[:, None, :])
        labels = torch.ones(len(uv_px), 1, device=self._device)
        with torch.inference_mode():
            prompts, _ = self._sam.prompt_encoder(points=(coords, labels), boxes=None, masks=None)
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
        boxes = self._to_input(embedding, box_xyxy_px.reshape(-1, 2, 2)).reshape(-1, 4)
        runs: list[bytes] = []
        scores: list[Tensor] = []
        stabilities: list[Tensor] = []
        with torch.inference_mode():
            prompts, _ = self._sam.prompt_encoder(points=None, boxes=boxes, masks=None)
            for logits, pred_iou in self._decode(embedding, prompts, SINGLE_MASK):
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
        for logits, pred_iou in self._decode(embedding, prompts, MULTI_MASK):
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

    def _decode(self, embedding: Embedding, prompts: Tensor, masks: slice) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits (T*n,256,256) and predicted IoU (T*n,) as float32, of n prompts at a time."""
        start = 0
        while start < len(prompts):
            try:
                with self._autocast():
                    part = prompts[start : start + self._chunk]
                    logits, pred_iou = decode_prompts(self._sam, embedding.tokens, part, masks)
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
        scaled = self._resize.apply_coords(uv_px, (embedding.height_px, embedding.width_px))
        return torch.from_numpy(scaled).to(self._device)

    def _autocast(self) -> torch.autocast:
        dtype = getattr(torch, self._config.precision)
        return torch.autocast(self._device.type, dtype=dtype, enabled=dtype != torch.float32)


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
