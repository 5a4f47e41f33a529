"""Clusters: the extent of their points, the masks that they come from, and their confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.geometry.level import level_SE3_lidar as level_frame
from pointsam.geometry.se3 import SE3
from pointsam.stages.ids import canonical_ids
from pointsam.taxonomy import Taxonomy
from pointsam.types import NO_INSTANCE, Cluster, PointLabels


@dataclass(frozen=True, eq=False)
class CameraEvidence:
    """Labels and scores from one camera, before refinement.

    Args:
        camera: name of the camera.
        lifted: (N,) labels as lifted; instance_id is an index into the arrays below.
        mask_id: (K,) int32 index of each instance's mask in its image.
        pred_iou: (K,) predicted IoU of the masks.
        stability: (K,) stability scores of the masks.
        score: (K,) semantic scores in [0,1].
    """

    camera: str
    lifted: PointLabels
    mask_id: NDArray[np.int32]
    pred_iou: NDArray[np.float32]
    stability: NDArray[np.float32]
    score: NDArray[np.float32]


def summarize(
    xyz_lidar_m: NDArray[np.float32],
    labels: PointLabels,
    evidence: Sequence[CameraEvidence],
    taxonomy: Taxonomy,
    grown: NDArray[np.bool_] | None = None,
    ego_SE3_lidar: SE3 | None = None,
) -> tuple[PointLabels, tuple[Cluster, ...]]:
    """Number the objects canonically and describe each of them.

    The extent is that of all points. Sources and scores are those of the points that masks gave, without grown ones. A
    mask contributes to a cluster if it contains at least one of these points. It is a main mask of the cluster with
    most of its points (of equal numbers, the larger cluster), so that a mask which only touches a neighbouring object
    does not count for the points which that object lost. `num_points_cut` is the number of points of a cluster's main
    masks that were background before growth, each counted once. `confidence` is the geometric mean of four values, so
    it is 0 if any of them is: the semantic score and the predicted IoU of the contributing masks (means weighted by
    points, the latter clipped to 1), the class share, and the fraction of points kept before growth.

    Args:
        xyz_lidar_m: (N,3) points of all sweeps, metres.
        labels: (N,) final labels.
        evidence: evidence from each camera, in the frame's order.
        taxonomy: the run's classes.
        grown: (N,) bool, points that growth added to their cluster; None for no point.
        ego_SE3_lidar: mounting of the LiDAR; extents are along the axes of its level frame. None if it is level.

    Returns:
        the same partition with canonical ids, and one `Cluster` per id. Its masks are in camera order, within a camera
        by falling number of the cluster's points, then by mask index.

    Raises:
        SchemaError: SCH003 if points, labels and evidence are not of one sweep.

    Source: the label contract (docs/labels.md).
    """
    grown = np.zeros(len(labels), dtype=np.bool_) if grown is None else grown
    for name, count in [("labels", len(labels)), ("grown", len(grown)), *((e.camera, len(e.lifted)) for e in evidence)]:
        if count != len(xyz_lidar_m):
            raise SchemaError(
                "SCH003", f"{name}: {count} labels for {len(xyz_lidar_m)} points", "pass labels of this sweep"
            )
    numbered = PointLabels(canonical_ids(labels.instance_id), labels.class_id)
    claims = _Claims(np.where(grown, NO_INSTANCE, numbered.instance_id), evidence)
    held = np.flatnonzero(numbered.instance_id != NO_INSTANCE)
    order = held[np.argsort(numbered.instance_id[held], kind="stable")]
    starts = np.flatnonzero(np.diff(numbered.instance_id[order], prepend=NO_INSTANCE))
    level_SE3_lidar = SE3.identity() if ego_SE3_lidar is None else level_frame(ego_SE3_lidar)
    clusters = []
    for cluster_id, members in enumerate(np.split(order, starts[1:]) if len(starts) else []):
        class_id = int(numbered.class_id[members[0]])
        extent = _extent(xyz_lidar_m[members].astype(np.float64), level_SE3_lidar)
        cluster = Cluster(cluster_id, class_id, taxonomy.names[class_id], len(members), *extent)
        clusters.append(claims.explain(replace(cluster, num_points_grown=int(grown[members].sum()))))
    return numbered, tuple(clusters)


_Xyz = tuple[float, float, float]


def _extent(xyz_lidar_m: NDArray[np.float64], level_SE3_lidar: SE3) -> tuple[_Xyz, _Xyz, float, float]:
    """Centre, size, BEV radius and range of a cluster's points in metres, as in `Cluster`."""
    xyz_m = level_SE3_lidar.apply(xyz_lidar_m)
    low, high = xyz_m.min(axis=0), xyz_m.max(axis=0)
    center, size = (high + low) / 2, high - low
    radius = np.hypot(*(xyz_m - center)[:, :2].T).max()
    center = level_SE3_lidar.inverse().apply(center[None])[0]
    return (
        (float(center[0]), float(center[1]), float(center[2])),
        (float(size[0]), float(size[1]), float(size[2])),
        float(radius),
        float(np.linalg.norm(center)),
    )


class _Claims:
    """Number of points that each cluster shares with each mask, and that refinement removed."""

    def __init__(self, instance_id: NDArray[np.int32], evidence: Sequence[CameraEvidence]) -> None:
        self.cameras = [e.camera for e in evidence]
        num_clusters = int(instance_id.max(initial=NO_INSTANCE)) + 1
        offsets = np.cumsum([0, *(len(e.mask_id) for e in evidence)])
        self.camera = np.repeat(np.arange(len(evidence)), np.diff(offsets))
        self.mask_id, self.pred_iou, self.stability, self.score = (
            np.concatenate([np.zeros(0), *(getattr(e, name) for e in evidence)])
            for name in ("mask_id", "pred_iou", "stability", "score")
        )
        self.class_id = np.zeros(offsets[-1], dtype=np.uint8)
        # (masks, clusters + 1) shared points; the last column is background.
        self.shared = np.zeros((offsets[-1], num_clusters + 1), dtype=np.int64)
        cut: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for e, offset in zip(evidence, offsets, strict=False):
            point = np.flatnonzero(e.lifted.instance_id != NO_INSTANCE)
            mask = e.lifted.instance_id[point] + offset
            cluster = instance_id[point]
            self.class_id[mask] = e.lifted.class_id[point]
            np.add.at(self.shared, (mask, cluster), 1)
            cut.append((mask[cluster == NO_INSTANCE], point[cluster == NO_INSTANCE]))
        self.num_cut = self._cut(cut, len(instance_id), num_clusters)

    def _cut(
        self, cut: list[tuple[NDArray[np.int64], NDArray[np.int64]]], num_points: int, num_clusters: int
    ) -> NDArray[np.int64]:
        kept = self.shared[:, :num_clusters]
        main = np.where(kept.any(axis=1), kept.argmax(axis=1), num_clusters) if num_clusters else 0
        pairs = [np.broadcast_to(main, len(kept))[mask] * num_points + point for mask, point in cut]
        cluster = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *pairs])) // max(num_points, 1)
        return np.bincount(cluster, minlength=num_clusters + 1)

    def explain(self, cluster: Cluster) -> Cluster:
        """The cluster with `cameras` and all fields after it."""
        num_cut = int(self.num_cut[cluster.cluster_id])
        weight = self.shared[:, cluster.cluster_id]
        masks = np.flatnonzero(weight)
        if len(masks) == 0:
            return replace(cluster, num_points_cut=num_cut)
        masks = masks[np.lexsort((self.mask_id[masks], -weight[masks], self.camera[masks]))]
        weight = weight[masks]
        pred_iou = float(np.average(self.pred_iou[masks], weights=weight))
        score = float(np.average(self.score[masks], weights=weight))
        class_share = float(np.average(self.class_id[masks] == cluster.class_id, weights=weight))
        num_kept = cluster.num_points - cluster.num_points_grown
        kept = num_kept / (num_kept + num_cut)
        return replace(
            cluster,
            cameras=tuple(self.cameras[c] for c in self.camera[masks]),
            mask_ids=tuple(int(m) for m in self.mask_id[masks]),
            pred_iou=pred_iou,
            stability=float(np.average(self.stability[masks], weights=weight)),
            class_share=class_share,
            num_points_cut=num_cut,
            score=score,
            confidence=(score * min(max(pred_iou, 0.0), 1.0) * class_share * kept) ** 0.25,
        )
