"""Merges the labels of all cameras into one label per point of the sweep.

There are two rules. "sequential" is the published one: it visits the cameras in order, and a later camera overwrites.
Its result depends on that order. "order_free" has the same aim (two instances of different images are one object if
they share half of the smaller one's points) but depends only on the content, never on the order of the cameras:

1. Pairs of instances of different cameras that share enough points are visited by falling number of shared points, as
   the published rule picks the partner with most shared points. A pair is joined unless the result would contain two
   instances of one camera: an image that separates two objects is better evidence than a mask of another image that
   covers both. (The published rule also separates instances that it has found before, which depends on the order.)
2. A point in several merged instances goes to the one that more cameras give it, then to the one with fewer points:
   cameras disagree where a mask bleeds into the background or covers a neighbour too, and that mask is usually the
   larger one.
3. A merged instance gets the class with most points among its members, of equal ones the lowest class_id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require
from pointsam.stages.ids import canonical_ids
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, PointLabels

_MAX_CAMERAS = 64


@dataclass(frozen=True)
class MergeConfig:
    """How the labels of cameras are merged.

    Args:
        rule: see the module.
        ratio: two instances are one object if they share at least this fraction of the smaller one.

    Raises:
        SchemaError: SCH005 on a ratio outside (0, 1].
    """

    rule: Literal["order_free", "sequential"] = "sequential"
    ratio: float = 0.5

    def __post_init__(self) -> None:
        require(0 < self.ratio <= 1, "merge.ratio", self.ratio, "a fraction above 0, at most 1")


@dataclass(frozen=True, eq=False)
class Merged:
    """Merged labels of a sweep.

    Args:
        labels: (N,) labels with canonical ids.
        cameras: (K,) uint64 by instance id; bit c is set if an instance of camera c is part of it.
    """

    labels: PointLabels
    cameras: NDArray[np.uint64]


def merge(labels_by_camera: Sequence[PointLabels], config: MergeConfig) -> Merged:
    """Merge the labels of all cameras.

    Args:
        labels_by_camera: (N,) labels of each camera, at least one, in the frame's camera order; all points of an
            instance have one class.
        config: the rule.

    Returns:
        the merged labels. A point has a label if and only if it has one from some camera.

    Raises:
        SchemaError: SCH003 if the labels are not of one sweep, or of more than 64 cameras.

    Source: PointSAM (arXiv 2401.16305) for "sequential"; "order_free" is ours.
    """
    if len({len(labels) for labels in labels_by_camera}) != 1 or len(labels_by_camera) > _MAX_CAMERAS:
        raise SchemaError(
            "SCH003",
            f"cannot merge cameras that label {[len(labels) for labels in labels_by_camera]} points",
            f"label one sweep with 1 to {_MAX_CAMERAS} cameras",
        )
    rule = _order_free if config.rule == "order_free" else _sequential
    instance, class_of, cameras_of = rule(_Nodes(labels_by_camera), config.ratio)
    class_id = np.where(instance == NO_INSTANCE, BACKGROUND, class_of[instance]).astype(np.uint8)
    labels = PointLabels(canonical_ids(instance), class_id)
    cameras = np.zeros(int(labels.instance_id.max(initial=NO_INSTANCE)) + 1, dtype=np.uint64)
    held = instance != NO_INSTANCE
    cameras[labels.instance_id[held]] = cameras_of[instance[held]]
    return Merged(labels, cameras)


class _Nodes:
    """All instances of all cameras, numbered consecutively in camera order; background is node -1.

    Attributes:
        node: (C,N) int64 node of each point in each camera.
        camera, size, class_id: (M,) camera index, number of points and class of each node.
    """

    def __init__(self, labels_by_camera: Sequence[PointLabels]) -> None:
        self.node = np.full((len(labels_by_camera), len(labels_by_camera[0])), NO_INSTANCE, dtype=np.int64)
        camera: list[NDArray[np.int64]] = []
        size: list[NDArray[np.int64]] = []
        class_id: list[NDArray[np.uint8]] = []
        for c, labels in enumerate(labels_by_camera):
            held = np.flatnonzero(labels.instance_id != NO_INSTANCE)
            _, first, index, count = np.unique(
                labels.instance_id[held], return_index=True, return_inverse=True, return_counts=True
            )
            self.node[c, held] = sum(len(known) for known in size) + index
            camera.append(np.full(len(count), c))
            size.append(count)
            class_id.append(labels.class_id[held[first]])
        self.camera = np.concatenate(camera)
        self.size = np.concatenate(size)
        self.class_id = np.concatenate(class_id)

    def __len__(self) -> int:
        return len(self.size)


# Result of a rule: (N,) merged instance of each point, and class and camera bits of each merged instance, with an
# unused last entry for index -1.
_Result = tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint64]]


def _sequential(nodes: _Nodes, ratio: float) -> _Result:
    """The published rule; the id of a merged instance is its first node."""
    reference = np.full(nodes.node.shape[1], NO_INSTANCE, dtype=np.int64)
    target = np.arange(len(nodes) + 1)
    for new in nodes.node:
        size = np.bincount(reference[reference >= 0], minlength=len(nodes))  # before this camera's edits
        a, b, shared = _overlaps(new, reference)
        # For each new instance the partner with most shared points, of equal ones the earliest in the reference.
        best = np.lexsort((b, -shared, a))
        best = best[np.flatnonzero(np.diff(a[best], prepend=-1))]
        joins = best[shared[best] >= ratio * np.minimum(size[b[best]], nodes.size[a[best]])]
        target[a[joins]] = b[joins]
        held = new >= 0
        reference[held] = target[new[held]]
    cameras = np.zeros(len(nodes) + 1, dtype=np.uint64)
    np.bitwise_or.at(cameras, target[:-1], np.uint64(1) << nodes.camera.astype(np.uint64))
    return reference, np.append(nodes.class_id, BACKGROUND).astype(np.uint8), cameras


def _order_free(nodes: _Nodes, ratio: float) -> _Result:
    rank = _content_rank(nodes)
    group, cameras = _agglomerate(nodes, _edges(nodes, rank, ratio))
    merged = np.append(group, NO_INSTANCE)[nodes.node]
    votes = np.zeros((len(nodes) + 1, BACKGROUND), dtype=np.int64)
    np.add.at(votes, (group, nodes.class_id), nodes.size)
    class_of = votes.argmax(axis=1).astype(np.uint8)
    rank_of = np.full(len(nodes) + 1, len(nodes))
    np.minimum.at(rank_of, group, rank)
    return _assign(merged, rank_of), class_of, cameras


def _overlaps(
    a: NDArray[np.int64], b: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of labels that share points, and the number of shared points."""
    both = (a >= 0) & (b >= 0)
    width = int(b.max(initial=0)) + 1
    pair, shared = np.unique(a[both] * width + b[both], return_counts=True)
    return pair // width, pair % width, shared


def _content_rank(nodes: _Nodes) -> NDArray[np.int64]:
    """(M,) position of each node when sorted by size, then by its points. Only equal sets tie, which step 1 joins."""
    points: list[bytes] = [b""] * len(nodes)
    for row in nodes.node:
        order = np.argsort(row, kind="stable")
        order = order[row[order] >= 0]
        for part in np.split(order, np.flatnonzero(np.diff(row[order])) + 1):
            if len(part):
                points[row[part[0]]] = part.astype(">i8").tobytes()  # big-endian bytes compare like the numbers
    rank = np.empty(len(nodes), dtype=np.int64)
    rank[sorted(range(len(nodes)), key=lambda i: (-nodes.size[i], points[i]))] = np.arange(len(nodes))
    return rank


def _edges(nodes: _Nodes, rank: NDArray[np.int64], ratio: float) -> list[tuple[int, int]]:
    """Pairs that share enough points: most shared points first, then fewest other points, then lowest rank."""
    found: list[tuple[int, int, int, int, int, int]] = []
    for i in range(len(nodes.node)):
        for j in range(i):
            for a, b, shared in zip(*_overlaps(nodes.node[i], nodes.node[j]), strict=True):
                if shared >= ratio * min(nodes.size[a], nodes.size[b]):
                    low, high = sorted((int(rank[a]), int(rank[b])))
                    found.append((-int(shared), int(nodes.size[a] + nodes.size[b]), low, high, int(a), int(b)))
    return [(a, b) for *_, a, b in sorted(found)]


def _agglomerate(nodes: _Nodes, edges: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Join nodes along the edges, but never two of one camera: (M,) group by node, (M+1,) camera bits by group."""
    group = np.arange(len(nodes))
    cameras = np.append(np.uint64(1) << nodes.camera.astype(np.uint64), np.uint64(0))
    for a, b in edges:
        keep, gone = group[a], group[b]
        if not cameras[keep] & cameras[gone]:  # a group shares its cameras with itself
            group[group == gone] = keep
            cameras[keep] |= cameras[gone]
    return group, cameras


def _assign(merged: NDArray[np.int64], rank_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) instance of each point from the (C,N) instances by camera: most cameras, then fewest points, then rank."""
    width = len(rank_of)
    point = np.broadcast_to(np.arange(merged.shape[1]), merged.shape)[merged >= 0]
    claim, votes = np.unique(point * width + merged[merged >= 0], return_counts=True)
    point, instance = claim // width, claim % width
    size = np.bincount(instance, minlength=width)
    order = np.lexsort((rank_of[instance], size[instance], -votes, point))
    winner = order[np.flatnonzero(np.diff(point[order], prepend=-1))]
    out = np.full(merged.shape[1], NO_INSTANCE, dtype=np.int64)
    out[point[winner]] = instance[winner]
    return out
