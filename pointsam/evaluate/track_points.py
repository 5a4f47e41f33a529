"""Points of a frame with the number of their object in the scene: labels by track, ground truth by annotated object."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.datasets.base import Dataset, HasTracks
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, PointLabels, PointTruth

_OF_BOXES = ("boxes", "lidarseg")
"""Sources of ground truth whose instances are indices of boxes."""
_DIGITS = re.compile(r"0|[1-9][0-9]{0,8}")
_LARGEST = 2**31 - 1


def names_of_objects(dataset: Dataset, frame_id: str, truth: PointTruth) -> Mapping[int, str] | None:
    """Name of the true object of each instance_id, the same in all frames of a scene; None if it cannot be known.

    Panoptic labels of nuScenes and SemanticKITTI name their objects. Ground truth from boxes has the tracks of the
    boxes; a box without a track has no name.

    Args:
        dataset: the data set.
        frame_id: the frame.
        truth: its ground truth, from `dataset.point_truth`.

    Raises:
        DatasetError: what `HasTracks.tracks` raises.
    """
    if truth.names is not None:
        return truth.names
    if truth.source not in _OF_BOXES or not isinstance(dataset, HasTracks):
        return None
    tracks = dataset.tracks(frame_id)
    return None if tracks is None else {k: name for k, name in enumerate(tracks) if name is not None}


class Numbers:
    """Numbers of the objects of a scene.

    A name that is a small number is this number, which keeps the order of panoptic labels: the devkit's sums in single
    precision depend on it. Other names count down from the largest number.
    """

    def __init__(self) -> None:
        self._of: dict[Hashable, int] = {}

    def of(self, name: Hashable) -> int:
        """The number of an object, a new one for a new name."""
        if isinstance(name, int) or (isinstance(name, str) and _DIGITS.fullmatch(name)):
            return int(name)
        return self._of.setdefault(name, _LARGEST - len(self._of))


def true_objects(truth: PointTruth, names: Mapping[int, str], numbers: Numbers) -> PointTruth:
    """The ground truth with an object's number in its scene as instance_id.

    Points of an object without a name are void, as those of a thing without an instance are: it cannot be followed.

    Args:
        truth: ground truth of a frame.
        names: from `names_of_objects`.
        numbers: of the scene.
    """
    present = np.unique(truth.labels.instance_id[truth.labels.instance_id != NO_INSTANCE]).tolist()
    known = {k: numbers.of(names[k]) for k in present if k in names}
    number = _renumbered(truth.labels.instance_id, known)
    nameless = (number == NO_INSTANCE) & (truth.labels.instance_id != NO_INSTANCE)
    class_id = np.where(number == NO_INSTANCE, np.uint8(BACKGROUND), truth.labels.class_id)
    return replace(truth, labels=PointLabels(number, class_id), void=truth.void | nameless, names=None)


def labelled_tracks(frame_id: str, labels: PointLabels, tracks: Sequence[int], numbers: Numbers) -> PointLabels:
    """The labels with a track's number in its scene as instance_id.

    A cluster without a track is a track of its own. Clusters of one track in a frame are one object.

    Args:
        frame_id: the frame.
        labels: its labels; instance_id is the cluster.
        tracks: (M) track of each cluster, below 1e9; negative for a cluster without one.
        numbers: of the scene.

    Raises:
        SchemaError: SCH003 if a point has a cluster that `tracks` lacks.
    """
    present = np.unique(labels.instance_id[labels.instance_id != NO_INSTANCE]).tolist()
    if present and present[-1] >= len(tracks):
        raise SchemaError(
            "SCH003",
            f"frame {frame_id} has points of cluster {present[-1]}, but tracks of {len(tracks)} clusters",
            "pass the tracks of these labels",
        )
    known = {k: numbers.of(int(tracks[k]) if tracks[k] >= 0 else (frame_id, k)) for k in present}
    return PointLabels(_renumbered(labels.instance_id, known), labels.class_id)


def _renumbered(instance_id: NDArray[np.int32], number: Mapping[int, int]) -> NDArray[np.int32]:
    """(N,) numbers of ids, NO_INSTANCE for those without."""
    ids = np.array([*number.keys(), NO_INSTANCE], dtype=np.int64)
    numbers = np.array([*number.values(), NO_INSTANCE], dtype=np.int32)
    order = np.argsort(ids)
    at = np.minimum(np.searchsorted(ids[order], instance_id), len(ids) - 1)
    found = order[at]
    return np.where(ids[found] == instance_id, numbers[found], np.int32(NO_INSTANCE))
