"""What a promptable segmenter must offer, and how it is plugged in (docs/plugins.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from pointsam.masks.weights import WeightFile, sha256_of, verify
from pointsam.types import Masks

C = TypeVar("C")

ImageEmbedding: TypeAlias = Any
"""What `Segmenter.embed` returns. Each segmenter has its own class for it, which nothing else looks into."""


class Segmenter(Protocol):
    """A model that turns an image once into an embedding and then prompts into masks.

    Attributes:
        name: "mobile_sam", "sam_vit_h".
        weights_sha256: of the weight file in use.
    """

    name: str
    weights_sha256: str

    def embed(self, image_rgb: NDArray[np.uint8]) -> ImageEmbedding:
        """Encode an (H,W,3) RGB image; the result is only for the two calls below."""

    def from_points(self, embedding: ImageEmbedding, uv_px: NDArray[np.int32]) -> Masks:
        """One positive point a prompt, (P,2) pixels; three masks each, filtered and deduplicated (method.md A.3)."""

    def from_boxes(self, embedding: ImageEmbedding, box_xyxy_px: NDArray[np.float32]) -> Masks:
        """One mask a box, (D,4) pixels, in the order of the boxes and without filters; source is the box's index."""


@dataclass(frozen=True)
class SegmenterContext:
    """What a segmenter is loaded with, besides its own configuration.

    Args:
        name: of its plug-in.
        weights: the user's file or folder; None for the published files, which the caller has checked.
        device: as torch names it: cpu, cuda, cuda:1.
        threads: CPU threads of this process; None leaves them as they are.
        fingerprint: of the weights, for `Segmenter.weights_sha256`.
    """

    name: str
    weights: Path | None
    device: str
    threads: int | None
    fingerprint: str


@dataclass(frozen=True)
class SegmenterPlugin(Generic[C]):
    """A kind of segmenter, as an entry point of the group `pointsam.segmenters` names it.

    The module that holds it should import networks only when `load` is called.

    Args:
        config: frozen dataclass of its options, every field with a default, the values checked in `__post_init__`.
        load: builds the segmenter.
        weights: its published files; `pointsam-label weights` lists, fetches and verifies them.
        fingerprint: hex digest of the weights in use, given the user's file or None: equal digests give equal masks.
            None takes sha256 sums, of the user's file or of the published ones, which are verified.
        section: name of its options, `--set masks.SECTION.FIELD=VALUE`; "" is the plug-in's own name.
    """

    config: type[C]
    load: Callable[[C, SegmenterContext], Segmenter]
    weights: tuple[WeightFile, ...] = ()
    fingerprint: Callable[[Path | None], str] | None = None
    section: str = ""

    def weights_sha256(self, weights: Path | None) -> str:
        """Hex digest of the weights in use, "" for a segmenter without any.

        Raises:
            BackendError: BCK001 where a file is missing, BCK002 where it is not the published one.
        """
        if self.fingerprint is not None:
            return self.fingerprint(weights)
        if weights is not None:
            return sha256_of(weights)
        return "+".join(verify(file) for file in self.weights)
