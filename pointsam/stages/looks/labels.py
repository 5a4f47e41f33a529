"""The labels of a frame with the clusters that second looks add. Those of the first round stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.base.runtime import Stopwatch
from pointsam.geometry.origins import origin_of_point_m
from pointsam.stages.frame import LiftedFrame, instance_map, lifted_labels, refined_labels
from pointsam.stages.grow import grow
from pointsam.stages.probability import ProbabilityModel, with_probability
from pointsam.stages.recipes import ClustersConfig
from pointsam.stages.summarize import CameraEvidence, summarize
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import (
    NO_INSTANCE,
    Detections,
    Frame,
    FrameLabels,
    FramePoints,
    ImageMasks,
    InstanceMap,
    Masks,
    PointLabels,
)


def looked_labels(
    frame: Frame,
    points: FramePoints,
    found: FrameLabels,
    looks: Mapping[str, ImageMasks],
    num_masks: Mapping[str, int],
    taxonomy: Taxonomy,
    overlap: Literal["score", "published"],
    config: ClustersConfig,
    stopwatch: Stopwatch,
    model: ProbabilityModel | None = None,
) -> FrameLabels:
    """The labels of both rounds.

    The masks of looks are painted, lifted, refined, merged, trimmed, limited and grown as those of the first round,
    with the points that no cluster holds. The clusters of the first round keep their points and all their properties;
    only ids may change, because the larger cluster comes first.

    Args:
        frame: the frame.
        points: its points.
        found: labels of the first round.
        looks: masks of second looks by camera, of images that have some.
        num_masks: number of masks of the first round by camera, which those of looks follow in `mask_ids`.
        taxonomy: the classes.
        overlap: `semantic_overlap` of the 2D stage.
        config: options of the 3D stage, as for the first round.
        stopwatch: as of `frame_labels`.
        model: likewise.

    Source: ours (docs/looks.md).
    """
    images = {view.name: looks.get(view.name) or _nothing(frame, view.name) for view in frame.cameras}
    sizes = {view.name: (view.camera.height_px, view.camera.width_px) for view in frame.cameras}

    def painted(camera: str) -> InstanceMap:
        if camera in looks:
            return instance_map(looks[camera], taxonomy, overlap, config)
        none = np.full(sizes[camera], NO_INSTANCE, dtype=np.int32)
        return InstanceMap(none, np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.int32))

    held = found.labels.instance_id != NO_INSTANCE
    whole = lifted_labels(frame, points, images, painted, config, stopwatch)
    lifted = _free(whole, held, num_masks)
    alone = replace(config, grow=replace(config.grow, enabled=False))
    new = refined_labels(frame, points, lifted, taxonomy, alone, stopwatch).labels
    first = len(found.clusters)
    joined = _joined(found.labels, new, first)
    origin_m = origin_of_point_m(frame, points.sweep_index)
    with stopwatch("grow"):
        mount = frame.sweep.ego_SE3_lidar
        grown_labels, added = grow(points.xyz_lidar_m, mount, joined, taxonomy, config.grow, origin_m)
        added &= grown_labels.instance_id >= first
    labels = PointLabels(
        np.where(added, grown_labels.instance_id, joined.instance_id),
        np.where(added, grown_labels.class_id, joined.class_id),
    )
    with stopwatch("summarize"):
        grown = found.grown | added
        numbered, described = summarize(points.xyz_lidar_m, labels, lifted.evidence, taxonomy, grown, mount)
        row = replace(found.frame, num_clusters=len(described))
        covered = np.maximum(found.covered, whole.covered)
        made = with_probability(FrameLabels(row, numbered, found.views, covered, grown, described), taxonomy, model)
        old = _former_ids(labels.instance_id, numbered.instance_id, len(described))
        clusters = tuple(
            replace(found.clusters[before], cluster_id=cluster.cluster_id) if before < first else cluster
            for cluster, before in zip(made.clusters, old.tolist(), strict=True)
        )
    return replace(made, clusters=clusters)


def _free(lifted: LiftedFrame, held: NDArray[np.bool_], num_masks: Mapping[str, int]) -> LiftedFrame:
    """The lifted labels of points that no cluster holds, with the indices of their masks after those of round one."""
    labels = tuple(_without(one, held) for one in lifted.labels)
    evidence = tuple(
        CameraEvidence(
            one.camera,
            own,
            (one.mask_id + num_masks[one.camera]).astype(np.int32),
            one.pred_iou,
            one.stability,
            one.score,
        )
        for one, own in zip(lifted.evidence, labels, strict=True)
    )
    return replace(lifted, labels=labels, evidence=evidence)


def _without(labels: PointLabels, held: NDArray[np.bool_]) -> PointLabels:
    return PointLabels(
        np.where(held, np.int32(NO_INSTANCE), labels.instance_id), np.where(held, np.uint8(BACKGROUND), labels.class_id)
    )


def _joined(first: PointLabels, new: PointLabels, count: int) -> PointLabels:
    """The labels of both rounds; ids of the second follow the `count` ids of the first."""
    take = new.instance_id != NO_INSTANCE
    return PointLabels(
        np.where(take, new.instance_id + np.int32(count), first.instance_id),
        np.where(take, new.class_id, first.class_id),
    )


def _former_ids(before: NDArray[np.int32], after: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """(K,) id before numbering of each cluster."""
    out = np.zeros(count, dtype=np.int64)
    held = after != NO_INSTANCE
    out[after[held]] = before[held]
    return out


def _nothing(frame: Frame, camera: str) -> ImageMasks:
    """No look at an image."""
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.uint8), np.zeros(0, np.float32), ())
    return ImageMasks(frame.frame_id, camera, "ok", "", "", Masks.empty(0, 0), none, np.zeros((0, 2), dtype=np.int32))
