"""The labels of training samples as tensors: boxes and clusters of one sweep, and those of a batch in one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SampleLabels:
    """Labels of one sample, in its (augmented) map frame: B boxes, M clusters, P points.

    Args:
        boxes: (B,7) boxes of the budget: x, y, z of the centre, length, width, height in metres, yaw in radians.
        box_class: (B,) int64 class_id of each box.
        velocity: (B,2) metres per second, NaN where unknown.
        visible_center: (B,3) mid-point of the extent of the points in each box, or the centre of a box without points
            (docs/method.md B.3 step 7).
        cluster_class: (M,) int64 class_id of each cluster.
        cluster_center: (M,3) mid-point of the extent of each cluster.
        cluster_points: (M,) int64 number of points of each cluster in the key sweep.
        xyz: (P,3) points of the key sweep.
        cluster_id: (P,) int64 cluster of each point, -1 for none.
        unknown: (P,) bool, points that may belong to an unlabelled object; their surroundings are not background.
    """

    boxes: Tensor
    box_class: Tensor
    velocity: Tensor
    visible_center: Tensor
    cluster_class: Tensor
    cluster_center: Tensor
    cluster_points: Tensor
    xyz: Tensor
    cluster_id: Tensor
    unknown: Tensor


_FIELDS = tuple(field.name for field in dataclasses.fields(SampleLabels))
_BY_BOX, _BY_CLUSTER = _FIELDS[:4], _FIELDS[4:7]


@dataclass(frozen=True, eq=False)
class BatchLabels:
    """Labels of S samples, one after another, so that targets of all of them are computed at once.

    Args:
        every: the labels of all samples; its `cluster_id` counts the clusters of the whole batch.
        box_sample, cluster_sample, point_sample: (B,), (M,), (P,) int64 sample of each box, cluster and point.
        counts: (S) numbers of boxes, clusters and points of each sample.
        longest_m: by class_id, the longest side of the boxes, and of the extents of the clusters in the ground plane.
            Like `counts`, they are known without asking the device.
    """

    every: SampleLabels
    box_sample: Tensor
    cluster_sample: Tensor
    point_sample: Tensor
    counts: tuple[tuple[int, int, int], ...]
    longest_m: tuple[dict[int, float], dict[int, float]]

    def __len__(self) -> int:
        return len(self.counts)

    @staticmethod
    def join(samples: Sequence[SampleLabels]) -> BatchLabels:
        """The labels of one sample or more."""
        counts = tuple((len(s.boxes), len(s.cluster_class), len(s.xyz)) for s in samples)
        columns = {name: torch.cat([getattr(s, name) for s in samples]) for name in _FIELDS}
        index = torch.arange(len(samples))
        box, cluster, point = (index.repeat_interleave(torch.tensor(count)) for count in zip(*counts, strict=True))
        first = torch.tensor([clusters for _, clusters, _ in counts]).cumsum(0) - torch.tensor(counts)[:, 1]
        ids = columns["cluster_id"]
        columns["cluster_id"] = torch.where(ids >= 0, ids + first[point], -1)
        every = SampleLabels(**columns)
        return BatchLabels(every, box, cluster, point, counts, _longest_m(every))

    def samples(self) -> list[SampleLabels]:
        """The labels of each sample, as views of these; only the ids of clusters are computed."""
        boxes, clusters, points = (list(count) for count in zip(*self.counts, strict=True))
        parts = {
            name: torch.split(
                getattr(self.every, name), boxes if name in _BY_BOX else clusters if name in _BY_CLUSTER else points
            )
            for name in _FIELDS
        }
        ids, first = [], 0
        for own, count in zip(parts["cluster_id"], clusters, strict=True):
            ids.append((own - first).clamp(min=-1))
            first += count
        rows = zip(*(ids if name == "cluster_id" else parts[name] for name in _FIELDS), strict=True)
        return [SampleLabels(*row) for row in rows]

    def map(self, change: Callable[[Tensor], Tensor]) -> BatchLabels:
        """The labels with each tensor changed, for example moved to a device."""
        every = SampleLabels(*(change(getattr(self.every, name)) for name in _FIELDS))
        box, cluster, point = (change(index) for index in (self.box_sample, self.cluster_sample, self.point_sample))
        return BatchLabels(every, box, cluster, point, self.counts, self.longest_m)


def _longest_m(labels: SampleLabels) -> tuple[dict[int, float], dict[int, float]]:
    """As in `BatchLabels`; a cluster may be said to be longer, if `cluster_center` is not the middle of its points."""
    member = (labels.cluster_id >= 0).nonzero(as_tuple=True)[0]
    owner = labels.cluster_id[member]
    from_center = (labels.xyz[member, :2] - labels.cluster_center[owner, :2]).abs().amax(dim=1)
    sides = (labels.boxes[:, 3:5].amax(dim=1), labels.box_class), (2 * from_center, labels.cluster_class[owner])
    most = (side.new_zeros(256).scatter_reduce_(0, class_id, side, "amax").tolist() for side, class_id in sides)
    boxes, clusters = ({k: side for k, side in enumerate(some) if side > 0} for some in most)
    return boxes, clusters
