"""Segments images with any promptable network: encode once, decode prompts in chunks, filter, compress.

Only the network runs on the device. Its logits are copied to the host, where masks get the size of their image, and
where threads of several frames may work at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointsam import rle
from pointsam.base.arrays import AnyArray
from pointsam.base.runtime import turn_on
from pointsam.masks.config import SegmentConfig
from pointsam.masks.device import Portions, to_device
from pointsam.masks.enlarge import Crop, Enlarger
from pointsam.masks.filters import inclusive_box, low_box, low_stability, stability, suppress
from pointsam.masks.network import Encoded, PromptNetwork
from pointsam.masks.precision import require_precision
from pointsam.types import Masks

T = TypeVar("T")

_CPU_CHUNK = 4  # tensors of more prompts exceed the allocator's cache, so their memory is mapped again every time
_CUDA_CHUNK = 64
_CUDA_BATCH = 8


@dataclass(frozen=True, eq=False)
class Embedding:
    """An image encoded by `PromptSegmenter`.

    Args:
        height_px, width_px: size of the image.
        features: what the network knows of the images that were encoded together.
        index: which of them this is.
        together: their number.
        input_hw: height and width in pixels of the image within the network's input.
        shown_hw: rows and columns of the logits that show the image.
        enlarger: enlarges logits to the image.
    """

    height_px: int
    width_px: int
    features: Any
    index: int
    together: int
    input_hw: tuple[int, int]
    shown_hw: tuple[int, int]
    enlarger: Enlarger


class PromptSegmenter:
    """A `pointsam.masks.base.BatchSegmenter` with a promptable network.

    On the CPU, equal images and prompts give equal bytes for a given number of threads, which the caller sets. On a
    GPU, rounding may depend on what is encoded and decoded together.

    Args:
        network: the network, on the device.
        name: name of the network.
        weights_sha256: digest of its weights.
        device: its device.
        config: thresholds, filters, and sizes of batches.
    """

    def __init__(
        self, network: PromptNetwork, *, name: str, weights_sha256: str, device: torch.device, config: SegmentConfig
    ) -> None:
        self.name = name
        self.weights_sha256 = weights_sha256
        self._network = network
        self._device = device
        self._config = config
        on_cpu = device.type == "cpu"
        self._images = Portions(config.batch or (1 if on_cpu else _CUDA_BATCH), "encoding {} image(s)")
        self._unguarded = config.precision != "float32"
        self._prompts = Portions(config.chunk or (_CPU_CHUNK if on_cpu else _CUDA_CHUNK), "decoding {} prompt(s)")

    def embed(self, image_rgb: NDArray[np.uint8]) -> Embedding:
        """Encode an (H,W,3) uint8 RGB image."""
        return self.embed_all([image_rgb])[0]

    def embed_all(self, images_rgb: Sequence[NDArray[np.uint8]]) -> list[Embedding]:
        """Encode (H,W,3) uint8 RGB images, several at once on a GPU.

        Raises:
            BackendError: BCK003 if half precision changes the masks, which the first image shows; BCK007 if the memory
                of the GPU does not hold one image.
        """
        with turn_on(self._device):
            if self._unguarded and len(images_rgb):
                what = f"{self.name} in {self._config.precision}"
                check = Portions(1, "comparing an image in half and single precision")
                list(check.each(1, lambda _: require_precision(self._network, images_rgb[0], self._device, what)))
                self._unguarded = False
        prepared = [self._network.prepare(image) for image in images_rgb]
        found: list[Embedding] = []
        with torch.inference_mode():
            for encoded in self._images.each(len(prepared), lambda some: self._encode(prepared[some])):
                for index in range(len(encoded.input_hw)):
                    found.append(self._embedding(images_rgb[len(found)].shape[:2], encoded, index))
        return found

    def from_points(self, embedding: Embedding, uv_px: NDArray[np.int32]) -> Masks:
        """Masks of (P,2) positive points in pixels, one point per prompt, by falling predicted IoU.

        Each prompt gives three masks. The filters are, in this order, predicted IoU, stability score and non-maximum
        suppression of bounding boxes. At most three 256 x 256 logits per prompt are in memory.

        Source: SAM's automatic mask generator, as PointSAM (arXiv 2401.16305) uses it.
        """
        return self.from_points_all([embedding], [uv_px])[0]

    def from_points_all(self, embeddings: Sequence[Embedding], uv_px: Sequence[NDArray[np.int32]]) -> list[Masks]:
        """`from_points` of several images, whose prompts are decoded together on a GPU."""
        coords = [_to_input(one, uv[:, None, :]) for one, uv in zip(embeddings, uv_px, strict=True)]
        kept: list[list[_Candidates]] = [[] for _ in embeddings]
        with torch.inference_mode():
            if self._config.filters == "network":
                for k, found in self._decoded(embeddings, coords, False, self._good_and_stable):
                    kept[k].append(found)
            else:
                for k, (logits, pred_iou) in self._decoded(embeddings, coords, False, self._good):
                    if len(logits):
                        kept[k].append(self._stable(embeddings[k], logits, pred_iou))
            return [self._best(one, found) for one, found in zip(embeddings, kept, strict=True)]

    def from_boxes(self, embedding: Embedding, box_xyxy_px: NDArray[np.float32]) -> Masks:
        """One mask per box of (D,4) boxes in pixels, in their order and unfiltered; `source` is the box's index."""
        return self.from_boxes_all([embedding], [box_xyxy_px])[0]

    def from_boxes_all(
        self, embeddings: Sequence[Embedding], box_xyxy_px: Sequence[NDArray[np.float32]]
    ) -> list[Masks]:
        """`from_boxes` of several images, whose prompts are decoded together on a GPU."""
        corners = [_to_input(one, box.reshape(-1, 2, 2)) for one, box in zip(embeddings, box_xyxy_px, strict=True)]
        runs: list[list[bytes]] = [[] for _ in embeddings]
        scores: list[list[Tensor]] = [[] for _ in embeddings]
        stabilities: list[list[Tensor]] = [[] for _ in embeddings]
        with torch.inference_mode():
            for k, (logits, pred_iou) in self._decoded(embeddings, corners, True, _all):
                scores[k].append(pred_iou)
                for crop in self._crops(embeddings[k], logits):
                    stabilities[k].append(stability(crop, self._config))
                    runs[k].append(self._compress(crop, embeddings[k]))
        return [
            Masks(
                height_px=one.height_px,
                width_px=one.width_px,
                rle=tuple(runs[k]),
                pred_iou=torch.cat(scores[k]).numpy(),
                stability=torch.stack(stabilities[k]).numpy(),
                source=np.arange(len(runs[k]), dtype=np.int32),
            )
            if runs[k]
            else Masks.empty(one.height_px, one.width_px)
            for k, one in enumerate(embeddings)
        ]

    def _encode(self, prepared: Sequence[Any]) -> Encoded:
        with turn_on(self._device):
            return self._network.encode(prepared)

    def _embedding(self, image_hw: tuple[int, ...], encoded: Encoded, index: int) -> Embedding:
        (height, width), input_hw, network = image_hw, encoded.input_hw[index], self._network
        model_hw = input_hw if network.model_px is None else (network.model_px, network.model_px)
        shown = [-(-network.low_px * own // whole) for own, whole in zip(input_hw, model_hw, strict=True)]
        enlarger = Enlarger(network.low_px, network.model_px, input_hw, (height, width))
        return Embedding(
            height, width, encoded.features, index, len(encoded.input_hw), input_hw, (shown[0], shown[1]), enlarger
        )

    def _decoded(
        self,
        embeddings: Sequence[Embedding],
        coords: Sequence[NDArray[np.float64]],
        boxes: bool,
        reduce: Callable[[Embedding, Tensor, Tensor], T],
    ) -> Iterator[tuple[int, T]]:
        """Decode the prompts of all images, a chunk at a time.

        Args:
            embeddings: the images.
            coords: for each, (B,1,2) points or (B,2,2) corners of boxes in pixels of the network's input.
            boxes: whether they are boxes.
            reduce: gets an image, logits (K,256,256) and predicted IoU (K,) as float32 on the device, in the turn of
                this thread.

        Yields:
            Index of an image, and what `reduce` made of some of its masks.
        """
        for members in _encoded_together(embeddings):
            yield from self._decoded_together(embeddings, members, coords, boxes, reduce)

    def _decoded_together(
        self,
        embeddings: Sequence[Embedding],
        members: Sequence[int],
        coords: Sequence[NDArray[np.float64]],
        boxes: bool,
        reduce: Callable[[Embedding, Tensor, Tensor], T],
    ) -> Iterator[tuple[int, T]]:
        """As `_decoded`, for members that were encoded together."""
        network, device, features = self._network, self._device, embeddings[members[0]].features
        place = np.repeat(members, [len(coords[k]) for k in members])
        given = torch.from_numpy(np.concatenate([coords[k] for k in members]))
        index = torch.from_numpy(np.array([one.index for one in embeddings])[place])
        with turn_on(device):
            prompts = network.prompts(to_device(given, device), boxes)
            image = to_device(index, device) if embeddings[members[0]].together > 1 else None

        def decode(part: slice) -> list[tuple[int, T]]:
            with turn_on(device):
                which = None if image is None else image[part]
                logits, pred_iou = network.decode(features, which, prompts[part], boxes)
                return [
                    (k, reduce(embeddings[k], logits[own].flatten(0, 1).float(), pred_iou[own].flatten().float()))
                    for k, own in _runs(place[part])
                ]

        for found in self._prompts.each(len(place), decode):
            yield from found

    def _good(self, _image: Embedding, logits: Tensor, pred_iou: Tensor) -> tuple[Tensor, Tensor]:
        """On the host, what passes the threshold of the predicted IoU, which needs no enlarging."""
        score = pred_iou.cpu()
        good = score > self._config.pred_iou_threshold
        return _rows(logits, good).cpu(), score[good]

    def _stable(self, image: Embedding, logits: Tensor, pred_iou: Tensor) -> _Candidates:
        """What passes the threshold of the stability, measured in pixels of the image."""
        measures = [
            (stability(crop, self._config), inclusive_box(crop, self._config)) for crop in self._crops(image, logits)
        ]
        stabilities, boxes = (torch.stack(column) for column in zip(*measures, strict=True))
        stable = stabilities >= self._config.stability_threshold
        return _Candidates(logits[stable], pred_iou[stable], stabilities[stable], boxes[stable])

    def _good_and_stable(self, image: Embedding, logits: Tensor, pred_iou: Tensor) -> _Candidates:
        """What passes both thresholds, measured in pixels of the logits. The logits stay on the device."""
        shown = logits[:, : image.shown_hw[0], : image.shown_hw[1]]
        measures = torch.column_stack(
            [pred_iou, low_stability(shown, self._config), low_box(shown, self._config)]
        ).cpu()
        good = (measures[:, 0] > self._config.pred_iou_threshold) & (measures[:, 1] >= self._config.stability_threshold)
        found = measures[good]
        return _Candidates(_rows(logits, good), found[:, 0], found[:, 1], found[:, 2:])

    def _best(self, image: Embedding, found: Sequence[_Candidates]) -> Masks:
        """The masks that suppression keeps, in the size of the image."""
        if not found:
            return Masks.empty(image.height_px, image.width_px)
        with turn_on(self._device):
            merged = _Candidates(*(torch.cat(parts) for parts in zip(*(one.parts() for one in found), strict=True)))
            best = suppress(merged.box_xyxy_px, merged.pred_iou, self._config)
            logits = merged.logits[to_device(best, merged.logits.device)].cpu()
        return Masks(
            height_px=image.height_px,
            width_px=image.width_px,
            rle=tuple(self._compress(c, image) for c in image.enlarger.crops(logits, self._config.mask_threshold)),
            pred_iou=merged.pred_iou[best].numpy(),
            stability=merged.stability[best].numpy(),
            source=np.full(len(best), -1, dtype=np.int32),
        )

    def _crops(self, image: Embedding, logits: Tensor) -> Iterator[Crop]:
        return image.enlarger.crops(logits, self._config.mask_threshold - self._config.stability_offset)

    def _compress(self, crop: Crop, image: Embedding) -> bytes:
        mask = (crop.logits > self._config.mask_threshold).numpy()
        return rle.encode_crop(mask, crop.v_px, crop.u_px, image.height_px, image.width_px)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Masks of points: (K,256,256) logits; on the host (K,) predicted IoU, (K,) stability and (K,4) boxes."""

    logits: Tensor
    pred_iou: Tensor
    stability: Tensor
    box_xyxy_px: Tensor

    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.logits, self.pred_iou, self.stability, self.box_xyxy_px


def _to_input(image: Embedding, uv_px: AnyArray) -> NDArray[np.float64]:
    """Pixels of the image to pixels of the network's input, in double precision as in SAM's generator."""
    (height, width), coords = image.input_hw, np.array(uv_px, dtype=np.float64)
    coords[..., 0] = coords[..., 0] * (width / image.width_px)
    coords[..., 1] = coords[..., 1] * (height / image.height_px)
    return coords


def _encoded_together(images: Sequence[Embedding]) -> list[list[int]]:
    """Indices of images, those that were encoded together in one list."""
    groups: dict[int, list[int]] = {}
    for k, image in enumerate(images):
        groups.setdefault(id(image.features), []).append(k)
    return list(groups.values())


def _runs(values: NDArray[np.int64]) -> Iterator[tuple[int, slice]]:
    """Each value of an array whose equal values are neighbours, and where it is."""
    cuts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    for first, end in pairwise(cuts):
        if end > first:
            yield int(values[first]), slice(first, end)


def _rows(values: Tensor, wanted: Tensor) -> Tensor:
    """The rows of a tensor of the device that a mask of the host wants; the device need not be waited for."""
    return values[to_device(wanted.nonzero().flatten(), values.device)]


def _all(_image: Embedding, logits: Tensor, pred_iou: Tensor) -> tuple[Tensor, Tensor]:
    return logits.cpu(), pred_iou.cpu()
