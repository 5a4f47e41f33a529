"""The interface of a promptable segmenter, and its plug-in (docs/plugins.md)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from pointsam.base.digests import sha256_of
from pointsam.base.hub import ModelOrigin
from pointsam.masks.weights import WeightFile, verify
from pointsam.types import Masks

C = TypeVar("C")

ImageEmbedding: TypeAlias = Any
"""What `Segmenter.embed` returns. Each segmenter has its own class, which no other code uses."""


class Segmenter(Protocol):
    """A model that encodes an image once and then turns prompts into masks.

    Attributes:
        name: name of its plug-in: "mobile_sam", "sam_vit_h".
        weights_sha256: digest of the weights.
    """

    name: str
    weights_sha256: str

    def embed(self, image_rgb: NDArray[np.uint8]) -> ImageEmbedding:
        """Encode an (H,W,3) uint8 RGB image, for the two methods below."""

    def from_points(self, embedding: ImageEmbedding, uv_px: NDArray[np.int32]) -> Masks:
        """Masks of (P,2) positive points in pixels, one point per prompt: three masks each, filtered, no duplicates."""

    def from_boxes(self, embedding: ImageEmbedding, box_xyxy_px: NDArray[np.float32]) -> Masks:
        """One mask per box of (D,4) boxes in pixels, in their order and unfiltered; `source` is the box's index."""


class BatchSegmenter(Protocol):
    """A segmenter that takes several images at once: those of a frame, on a GPU.

    Its methods may be called from several threads at once.
    """

    name: str

    def embed_all(self, images_rgb: Sequence[NDArray[np.uint8]]) -> Sequence[ImageEmbedding]:
        """`embed` of several images."""

    def from_points_all(
        self, embeddings: Sequence[ImageEmbedding], uv_px: Sequence[NDArray[np.int32]]
    ) -> Sequence[Masks]:
        """`from_points` of several images."""

    def from_boxes_all(
        self, embeddings: Sequence[ImageEmbedding], box_xyxy_px: Sequence[NDArray[np.float32]]
    ) -> Sequence[Masks]:
        """`from_boxes` of several images."""


class OneByOne:
    """A `BatchSegmenter` of a segmenter that takes one image at a time, and one thread.

    Args:
        segmenter: the segmenter.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self.name = segmenter.name
        self._segmenter, self._turn = segmenter, threading.Lock()

    def embed_all(self, images_rgb: Sequence[NDArray[np.uint8]]) -> list[ImageEmbedding]:
        """`embed` of each."""
        with self._turn:
            return [self._segmenter.embed(image) for image in images_rgb]

    def from_points_all(self, embeddings: Sequence[ImageEmbedding], uv_px: Sequence[NDArray[np.int32]]) -> list[Masks]:
        """`from_points` of each."""
        with self._turn:
            return [self._segmenter.from_points(*both) for both in zip(embeddings, uv_px, strict=True)]

    def from_boxes_all(
        self, embeddings: Sequence[ImageEmbedding], box_xyxy_px: Sequence[NDArray[np.float32]]
    ) -> list[Masks]:
        """`from_boxes` of each."""
        with self._turn:
            return [self._segmenter.from_boxes(*both) for both in zip(embeddings, box_xyxy_px, strict=True)]


def in_batches(segmenter: Segmenter) -> BatchSegmenter:
    """The segmenter itself if it takes several images at once, else one that calls it for each."""
    if all(hasattr(segmenter, name) for name in ("embed_all", "from_points_all", "from_boxes_all")):
        return cast(BatchSegmenter, segmenter)
    return OneByOne(segmenter)


@dataclass(frozen=True)
class SegmenterContext:
    """What a segmenter is loaded with, besides its own options.

    Args:
        name: name of its plug-in.
        weights: the user's file or folder; None for the published files, which the caller has checked.
        device: torch device: cpu, cuda, cuda:1.
        threads: CPU threads of this process; None leaves the setting.
        fingerprint: digest of the weights, for `Segmenter.weights_sha256`.
    """

    name: str
    weights: Path | None
    device: str
    threads: int | None
    fingerprint: str


@dataclass(frozen=True)
class SegmenterPlugin(Generic[C]):
    """A segmenter, named by an entry point of the group `pointsam.segmenters`.

    Its module should import networks only when `load` is called.

    Args:
        config: frozen dataclass of its options. Every field has a default, and `__post_init__` checks the values.
        load: builds the segmenter.
        weights: its published files; `pointsam-label weights` lists, downloads and verifies them.
        fingerprint: hex digest of the weights, from the user's file or None. Equal digests must mean equal masks. If it
            is None, the sha256 of the user's file is used, or of the published files after verification.
        section: section of its options, `--set masks.SECTION.FIELD=VALUE`; "" is the name of the plug-in.
        origins: where its models are from, by the user's file or None, for run.json; None if only digests are known.
    """

    config: type[C]
    load: Callable[[C, SegmenterContext], Segmenter]
    weights: tuple[WeightFile, ...] = ()
    fingerprint: Callable[[Path | None], str] | None = None
    section: str = ""
    origins: Callable[[Path | None], tuple[ModelOrigin, ...]] | None = None

    def weights_sha256(self, weights: Path | None) -> str:
        """Hex digest of the weights, "" for a segmenter without weights.

        Args:
            weights: the user's file or folder; None for the published files.

        Raises:
            BackendError: BCK001 if a file is missing, BCK002 if it is not the published one.
        """
        if self.fingerprint is not None:
            return self.fingerprint(weights)
        if weights is not None:
            return sha256_of(weights)
        return "+".join(verify(file) for file in self.weights)
