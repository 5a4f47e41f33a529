"""The method on one frame, from images to clusters, without files or state."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.base.runtime import Stopwatch
from pointsam.base.seeding import generator
from pointsam.geometry.motion import is_moved
from pointsam.geometry.origins import origin_of_point_m, origins_m
from pointsam.geometry.rings import ring_gaps_rad
from pointsam.masks.requests import Embed, FromBoxes, FromPoints, Request
from pointsam.semantics.base import SemanticModel
from pointsam.semantics.riders import ride
from pointsam.stages.grow import grow
from pointsam.stages.lift import lift
from pointsam.stages.limit import limit
from pointsam.stages.merge import merge
from pointsam.stages.paint import paint, semantic_map
from pointsam.stages.probability import ProbabilityModel, with_probability
from pointsam.stages.prompt import prompt
from pointsam.stages.recipes import ClustersConfig, MasksConfig
from pointsam.stages.refine import refine
from pointsam.stages.summarize import CameraEvidence, summarize
from pointsam.stages.trim import trim
from pointsam.taxonomy import Taxonomy
from pointsam.types import (
    NO_INSTANCE,
    CameraView,
    Detections,
    Frame,
    FrameLabels,
    FramePoints,
    FrameRow,
    ImageMasks,
    InstanceMap,
    Masks,
    PointLabels,
)


def image_masks(
    image_rgb: NDArray[np.uint8],
    read_cloud: Callable[[], NDArray[np.float64]],
    frame: Frame,
    view: CameraView,
    semantics: SemanticModel,
    segmenter: str,
    taxonomy: Taxonomy,
    config: MasksConfig,
    stopwatch: Stopwatch,
) -> Generator[Request, Any, ImageMasks]:
    """Detections with masks, and candidate masks, of one image.

    It yields what it asks of the segmenter, and is sent the answers, so that several images can be segmented together.

    Args:
        image_rgb: (H,W,3) uint8 RGB.
        read_cloud: returns `prompt_cloud`, (M,3) points that supply prompts; called only if points are prompts.
        frame: the key frame.
        view: the camera of the image.
        semantics: source of classes.
        segmenter: name of the segmenter, for errors.
        taxonomy: the run's classes.
        config: options of the 2D stage.
        stopwatch: measures detect, read and prompt in seconds.

    Raises:
        SchemaError: SCH003 if a network gives a score that is not possible; and what the networks raise.
    """
    height, width = image_rgb.shape[:2]
    where = f"frame {frame.frame_id}, camera {view.name},"
    with stopwatch("detect"):
        found = semantics.detect(image_rgb, frame, view)
        _require(
            f"{semantics.name} at {where}", "score", found.score, (found.score >= 0) & (found.score <= 1), "0 to 1"
        )
        if semantics.riders_apart:
            found = ride(found, taxonomy, config.riders)
    masks, uv = Masks.empty(height, width), np.zeros((0, 2), dtype=np.int32)
    if len(found) == 0:
        return ImageMasks(frame.frame_id, view.name, "ok", "", "", masks, replace(found, rle=()), uv)
    embedding = yield Embed(image_rgb)
    box_prompts = config.prompts != "points" and found.instances
    by_box = (yield FromBoxes(embedding, found.box_xyxy_px)) if box_prompts or found.rle is None else masks
    if found.rle is None:
        found = replace(found, rle=by_box.rle)
    if config.prompts != "boxes" or not found.instances:
        with stopwatch("read"):
            cloud_lidar_m = read_cloud()
        with stopwatch("prompt"):
            semantic = semantic_map(found, height, width, config.semantic_overlap)
            rng = generator(config.seed, frame.frame_id, view.name, "prompt")
            uv = prompt(cloud_lidar_m, frame, view, semantic, config.prompt, rng)
        masks = yield FromPoints(embedding, uv)
    if box_prompts:
        masks = _joined(by_box, masks)
    for name, values in (("pred_iou", masks.pred_iou), ("stability", masks.stability)):
        _require(f"{segmenter} at {where}", name, values, np.isfinite(values), "a finite number")
    return ImageMasks(frame.frame_id, view.name, "ok", "", "", masks, found, uv)


def _require(network: str, what: str, values: NDArray[np.float32], fits: NDArray[np.bool_], wanted: str) -> None:
    """Refuse scores of a network without which no confidence and no probability would mean anything."""
    if not fits.all():
        raise SchemaError(
            "SCH003",
            f"{network} gave a {what} of {values[~fits][0]}, not {wanted}",
            "correct the network or its plug-in (docs/plugins.md)",
        )


def instance_map(
    row: ImageMasks, taxonomy: Taxonomy, overlap: Literal["score", "published"], config: ClustersConfig
) -> InstanceMap:
    """The instances of an image: each pixel belongs to at most one.

    Args:
        row: masks of the image.
        taxonomy: the run's classes.
        overlap: `semantic_overlap` of the 2D stage that made the masks.
        config: options of the 3D stage.
    """
    semantic = semantic_map(row.detections, row.masks.height_px, row.masks.width_px, overlap)
    return paint(row.masks, semantic, row.detections, taxonomy, config.paint)


@dataclass(frozen=True, eq=False)
class LiftedFrame:
    """Labels of the points of a frame by camera, before refinement.

    Args:
        labels: (N,) labels from each camera; instance_id is an index into the instances of its image.
        num_masks: number of instances of each image.
        views: (N,) uint8 number of cameras that see each point.
        covered: (N,) uint8 number of cameras whose masks cover each point.
        evidence: evidence from each camera.
    """

    labels: tuple[PointLabels, ...]
    num_masks: tuple[int, ...]
    views: NDArray[np.uint8]
    covered: NDArray[np.uint8]
    evidence: tuple[CameraEvidence, ...]


def frame_labels(
    frame: Frame,
    points: FramePoints,
    images: Mapping[str, ImageMasks],
    painted: Callable[[str], InstanceMap],
    taxonomy: Taxonomy,
    config: ClustersConfig,
    stopwatch: Stopwatch,
    model: ProbabilityModel | None = None,
) -> FrameLabels:
    """Clusters of one frame from the masks of its images.

    Args:
        frame: the key frame.
        points: points of all its sweeps.
        images: masks by camera name, for every camera of the frame.
        painted: returns the `instance_map` of a camera; called for one camera after another, so that one map at a time
            needs to be in memory.
        taxonomy: the run's classes.
        config: options of the 3D stage.
        stopwatch: measures paint, lift, refine, merge, trim, grow and summarize in seconds.
        model: gives the clusters their probability; None for the one in the package.
    """
    lifted = lifted_labels(frame, points, images, painted, config, stopwatch)
    found = refined_labels(frame, points, lifted, taxonomy, config, stopwatch)
    with stopwatch("summarize"):
        return with_probability(found, taxonomy, model)


def lifted_labels(
    frame: Frame,
    points: FramePoints,
    images: Mapping[str, ImageMasks],
    painted: Callable[[str], InstanceMap],
    config: ClustersConfig,
    stopwatch: Stopwatch,
) -> LiftedFrame:
    """The first half of `frame_labels`: everything that depends on the calibration. Arguments as there."""
    views, covered = np.zeros((2, len(points)), dtype=np.uint8)
    labels, num_masks, evidence = [], [], []
    for view in frame.cameras:
        row = images[view.name]
        with stopwatch("paint"):
            instances = painted(view.name)
        with stopwatch("lift"):
            lifted = lift(points, frame, view, instances, config.lift)
        labels.append(lifted.labels)
        num_masks.append(len(instances.mask_id))
        views += lifted.seen
        covered += lifted.labels.instance_id != NO_INSTANCE
        evidence.append(
            CameraEvidence(
                view.name,
                lifted.labels,
                instances.mask_id,
                row.masks.pred_iou[instances.mask_id],
                row.masks.stability[instances.mask_id],
                _scores(row.masks, row.detections, instances.mask_id, instances.class_id),
            )
        )
    return LiftedFrame(tuple(labels), tuple(num_masks), views, covered, tuple(evidence))


def refined_labels(
    frame: Frame,
    points: FramePoints,
    lifted: LiftedFrame,
    taxonomy: Taxonomy,
    config: ClustersConfig,
    stopwatch: Stopwatch,
) -> FrameLabels:
    """The second half of `frame_labels`, without probabilities: refine, merge, refine again, trim, limit, grow.

    Range and ring gap of a point are those of the LiDAR that measured it: they determine how far its neighbours are.
    """
    by_camera, xyz_lidar_m, mount = [], points.xyz_lidar_m, frame.sweep.ego_SE3_lidar
    origin_m = origin_of_point_m(frame, points.sweep_index)
    gaps = ring_gaps_rad(frame, points, origins_m(frame)) if config.refine.rings > 0 else np.zeros(len(frame.sweeps))
    gap_rad = float(gaps[0]) if len(gaps) == 1 else gaps[points.sweep_index]
    with stopwatch("refine"):
        for labels, count in zip(lifted.labels, lifted.num_masks, strict=True):
            alone = np.ones(count, dtype=np.uint64)  # all masks come from one camera
            by_camera.append(refine(xyz_lidar_m, labels, taxonomy, config.refine, alone, gap_rad, origin_m, mount))
    with stopwatch("merge"):
        merged = merge(by_camera, config.merge)
    with stopwatch("refine"):
        refined = refine(xyz_lidar_m, merged.labels, taxonomy, config.refine, merged.cameras, gap_rad, origin_m, mount)
    with stopwatch("trim"):
        refined = trim(xyz_lidar_m, mount, refined, taxonomy, config.trim)
    with stopwatch("grow"):
        refined = limit(xyz_lidar_m, mount, refined, taxonomy, config.limit, origin_m)
        refined, grown = grow(xyz_lidar_m, mount, refined, taxonomy, config.grow, origin_m)
    with stopwatch("summarize"):
        found, clusters = summarize(xyz_lidar_m, refined, lifted.evidence, taxonomy, grown, mount)
    summary = FrameRow(
        frame_id=frame.frame_id,
        scene=frame.scene,
        t_us=frame.sweep.t_us,
        num_points=len(xyz_lidar_m),
        num_clusters=len(clusters),
        calibration_hash=calibration_hash(frame),
        sweep_points=tuple(np.bincount(points.sweep_index, minlength=len(frame.sweeps)).tolist()),
    )
    return FrameLabels(summary, found, lifted.views, lifted.covered, grown, clusters)


def calibration_hash(frame: Frame) -> str:
    """16 hex digits of a digest of all poses and cameras of the frame.

    If a camera has a rolling shutter or points of a sweep are moved to its time stamp, the digest includes what the ego
    motion is computed from: the neighbouring sweeps and the times.
    """
    digest = hashlib.sha256()
    poses = [frame.sweep.ego_SE3_lidar, frame.sweep.world_SE3_ego]
    for view in frame.cameras:
        poses += [view.ego_SE3_cam, view.world_SE3_ego]
        digest.update(view.camera.as_bytes())
        if view.shutter is not None:
            digest.update(f"{view.t_us} ".encode() + view.shutter.as_bytes())
    for sweep in frame.sweeps[1:]:
        poses += [sweep.ego_SE3_lidar, sweep.world_SE3_ego]
    if any(view.shutter for view in frame.cameras) or any(is_moved(frame, sweep) for sweep in frame.sweeps):
        for sweep in (*frame.sweeps, *frame.neighbours.values()):
            digest.update(f"{sweep.t_us} {sweep.needs_compensation} ".encode())
            if sweep.revolution is not None:
                digest.update(sweep.revolution.as_bytes())
            poses.append(sweep.world_SE3_ego)
    for pose in poses:
        digest.update(pose.rotation.astype("<f8").tobytes() + pose.translation_m.astype("<f8").tobytes())
    return digest.hexdigest()[:16]


def _joined(first: Masks, second: Masks) -> Masks:
    return Masks(
        first.height_px,
        first.width_px,
        first.rle + second.rle,
        np.concatenate([first.pred_iou, second.pred_iou]),
        np.concatenate([first.stability, second.stability]),
        np.concatenate([first.source, second.source]),
    )


def _scores(
    masks: Masks, found: Detections, mask_id: NDArray[np.int32], class_id: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """(K,) semantic scores of the instances: of the detection that prompted it, else the best of its class."""
    best = np.zeros(256, dtype=np.float32)
    np.maximum.at(best, found.class_id, found.score)
    source = masks.source[mask_id]
    if len(found) == 0:
        return best[class_id]
    return np.where(source >= 0, found.score[np.maximum(source, 0)], best[class_id])
