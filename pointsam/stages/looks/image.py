"""The looks at one image: detections, and masks by box prompts."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointsam.base.runtime import Stopwatch
from pointsam.masks.requests import Embed, FromBoxes, Request
from pointsam.rle import decode_crop
from pointsam.semantics.base import SemanticModel
from pointsam.semantics.riders import RiderConfig, ride
from pointsam.stages.looks.agree import agreeing, fresh
from pointsam.stages.looks.config import LooksConfig
from pointsam.stages.looks.crops import look_at
from pointsam.stages.looks.plan import Crop, FramePlan, Prompt
from pointsam.taxonomy import Taxonomy
from pointsam.types import CameraView, Detections, Frame, FrameLabels, ImageMasks, Masks

_Ints = NDArray[np.int64]


def image_looks(
    image_rgb: NDArray[np.uint8],
    frame: Frame,
    view: CameraView,
    plan: FramePlan,
    known: Detections,
    semantics: SemanticModel | None,
    taxonomy: Taxonomy,
    config: LooksConfig,
    riders: RiderConfig,
    stopwatch: Stopwatch,
) -> Generator[Request, Any, ImageMasks | None]:
    """Detections and masks of the looks at an image; None if no look found anything.

    It yields what it asks of the segmenter, as `pointsam.stages.frame.image_masks` does.

    Args:
        image_rgb: (H,W,3) uint8 RGB.
        frame: the frame.
        view: the camera of the image.
        plan: what to look at.
        known: detections of the first round that gave a cluster.
        semantics: the detector, None if crops are not shown.
        taxonomy: the classes.
        config: options of looks.
        riders: whether riders are joined with their cycles.
        stopwatch: measures the looks in seconds.
    """
    own = plan.images[view.name]
    with stopwatch("look"):
        looks, asked = _tracked(own.prompts)
        if semantics is not None:
            boxes, members = _detected(image_rgb, frame, view, plan, own.crops, semantics, taxonomy, config, riders)
            looks, asked = _joined(looks, boxes), asked + members
        kept = fresh(looks, known, taxonomy, config)
        looks, asked = _chosen(looks, kept), [asked[k] for k in kept]
    if len(looks) == 0:
        return None
    embedding = yield Embed(image_rgb)
    masks: Masks = yield FromBoxes(embedding, looks.box_xyxy_px)
    holds = np.array([_holds(masks, k, members, own.place.uv_px, config) for k, members in enumerate(asked)])
    kept = np.flatnonzero(holds & (masks.pred_iou >= config.least_iou))
    if len(kept) == 0:
        return None
    whole = Masks(
        masks.height_px,
        masks.width_px,
        tuple(masks.rle[k] for k in kept),
        masks.pred_iou[kept],
        masks.stability[kept],
        np.arange(len(kept), dtype=np.int32),
    )
    found = Detections(looks.box_xyxy_px[kept], looks.class_id[kept], looks.score[kept], whole.rle)
    return ImageMasks(frame.frame_id, view.name, "ok", "", "", whole, found, np.zeros((0, 2), dtype=np.int32))


def _tracked(prompts: tuple[Prompt, ...]) -> tuple[Detections, list[_Ints]]:
    """The boxes of tracks, and the points that ask for each."""
    found = Detections(
        np.array([one.box_xyxy_px for one in prompts], dtype=np.float32).reshape(-1, 4),
        np.array([one.of.class_id for one in prompts], dtype=np.uint8),
        np.array([one.of.score for one in prompts], dtype=np.float32),
    )
    return found, [one.members for one in prompts]


def _detected(
    image_rgb: NDArray[np.uint8],
    frame: Frame,
    view: CameraView,
    plan: FramePlan,
    crops: tuple[Crop, ...],
    semantics: SemanticModel,
    taxonomy: Taxonomy,
    config: LooksConfig,
    riders: RiderConfig,
) -> tuple[Detections, list[_Ints]]:
    """The boxes that agree with the component of their crop, and its points."""
    place, rules = plan.images[view.name].place, config.components
    rows, members = [_tracked(())[0]], list[_Ints]()
    for crop in crops:
        found = look_at(image_rgb, crop.window, semantics, frame, view, rules.largest_px)
        if semantics.riders_apart:
            found = ride(found, taxonomy, riders)
        best = agreeing(found, crop.members, plan.standing, plan.held, place, taxonomy, config)
        if best >= 0:
            rows.append(_chosen(found, np.array([best])))
            members.append(crop.members)
    out = rows[0]
    for row in rows[1:]:
        out = _joined(out, row)
    return out, members


def that_gave_a_cluster(first: ImageMasks, found: FrameLabels) -> Detections:
    """The detections of an image of the first round whose masks are sources of a cluster; none of a map of classes.

    Args:
        first: masks of the image.
        found: labels of its frame.
    """
    used = {
        int(first.masks.source[mask_id])
        for cluster in found.clusters
        for camera, mask_id in zip(cluster.cameras, cluster.mask_ids, strict=True)
        if camera == first.camera
    }
    return _chosen(first.detections, np.array(sorted(used - {-1}), dtype=np.intp))


def _chosen(found: Detections, kept: NDArray[np.intp]) -> Detections:
    return Detections(found.box_xyxy_px[kept], found.class_id[kept], found.score[kept])


def _joined(a: Detections, b: Detections) -> Detections:
    return Detections(
        np.concatenate([a.box_xyxy_px, b.box_xyxy_px]),
        np.concatenate([a.class_id, b.class_id]),
        np.concatenate([a.score, b.score]),
    )


def _holds(masks: Masks, k: int, members: _Ints, uv_px: NDArray[np.float64], config: LooksConfig) -> bool:
    """Whether a mask holds enough of the points that asked for it."""
    v, u, mask = decode_crop(masks.rle[k], masks.height_px, masks.width_px)
    pixel = uv_px[members].astype(np.int64) - np.array([u.start, v.start])
    inside = ((pixel >= 0) & (pixel < np.array(mask.shape[::-1]))).all(axis=1)
    held = mask[pixel[inside, 1], pixel[inside, 0]]
    return bool(np.count_nonzero(held) >= config.mask_inside * len(members))
