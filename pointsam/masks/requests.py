"""What an image asks of a segmenter. The requests of several images are answered together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.base.runtime import Stopwatch
from pointsam.masks.base import BatchSegmenter, ImageEmbedding


@dataclass(frozen=True, eq=False)
class Embed:
    """Asks for the embedding of an (H,W,3) uint8 RGB image."""

    image_rgb: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class FromBoxes:
    """Asks for the masks of (D,4) boxes in pixels."""

    embedding: ImageEmbedding
    box_xyxy_px: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FromPoints:
    """Asks for the masks of (P,2) points in pixels."""

    embedding: ImageEmbedding
    uv_px: NDArray[np.int32]


Request: TypeAlias = Embed | FromBoxes | FromPoints


def answers(segmenter: BatchSegmenter, asked: Sequence[tuple[Request, Stopwatch]]) -> list[Any]:
    """The embedding or masks of each request, of those of one kind in one call.

    Args:
        segmenter: the segmenter.
        asked: requests, each with the stopwatch of its image, which gets its share of the seconds. On a GPU, these
            include the wait for other threads.

    Raises:
        SchemaError: SCH003 if it gives no sequence of one answer for each image.
    """
    found: list[Any] = [None] * len(asked)
    for kind, step in ((Embed, "encode"), (FromBoxes, "decode"), (FromPoints, "decode")):
        where = [k for k, (request, _) in enumerate(asked) if isinstance(request, kind)]
        if not where:
            continue
        start = time.perf_counter()
        given = _answered(segmenter, [asked[k][0] for k in where])
        if not isinstance(given, Sequence) or len(given) != len(where):
            raise SchemaError(
                "SCH003",
                f"segmenter {segmenter.name} was asked for {len(where)} images at once, and gave "
                + (f"answers for {len(given)}" if isinstance(given, Sequence) else type(given).__name__),
                "correct its plug-in (docs/plugins.md)",
            )
        share = (time.perf_counter() - start) / len(where)
        for k, answer in zip(where, given, strict=True):
            found[k] = answer
            asked[k][1].add(step, share)
    return found


def _answered(segmenter: BatchSegmenter, requests: Sequence[Any]) -> Sequence[Any]:
    first = requests[0]
    if isinstance(first, Embed):
        return segmenter.embed_all([one.image_rgb for one in requests])
    embeddings = [one.embedding for one in requests]
    if isinstance(first, FromBoxes):
        return segmenter.from_boxes_all(embeddings, [one.box_xyxy_px for one in requests])
    return segmenter.from_points_all(embeddings, [one.uv_px for one in requests])
