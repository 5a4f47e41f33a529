"""The boxes that predictions are scored by: whether frames have them, and whether they are those of an earlier call."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from pointsam.base.errors import PointSamError
from pointsam.datasets.base import Dataset
from pointsam.detect.data.digests import box_digests


class Truth(NamedTuple):
    """The boxes of some frames.

    Args:
        bare: frame_id -> why predictions in the frame cannot be scored.
        digest: hex sha256 of the ids of all frames, and of their boxes to a centimetre.
    """

    bare: dict[str, str]
    digest: str


def read_truth(dataset: Dataset, frame_ids: Iterable[str]) -> Truth:
    """Read the boxes of frames; no sweep is read."""
    bare, digest, names = dict[str, str](), hashlib.sha256(), dataset.taxonomy.names
    for frame_id in frame_ids:
        try:
            boxes = dataset.boxes(frame_id)
        except PointSamError as error:
            if not error.of_frame:
                raise
            boxes, bare[frame_id] = None, str(error)
        if boxes is None:
            bare.setdefault(frame_id, "it has no boxes")
        told = "-" if boxes is None else " ".join(box_digests(boxes, names))
        digest.update(f"{frame_id} {told}\n".encode())
    return Truth(bare, digest.hexdigest())
