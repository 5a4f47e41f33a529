"""What a data set shows: its objects, its points and its sweeps, for a recipe that fits them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import AnyArray, evenly
from pointsam.base.errors import DatasetError, PointSamError
from pointsam.base.progress import progress
from pointsam.base.words import counted
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.points import read_frame_points
from pointsam.detect.data.cloud import in_view
from pointsam.detect.data.map_frame import MapFrame
from pointsam.geometry.boxes import box_members
from pointsam.geometry.fit import fit_boxes
from pointsam.geometry.origins import origin_of_point_m
from pointsam.store.reader import Labels
from pointsam.taxonomy import BACKGROUND
from pointsam.types import Boxes, Frame, FramePoints

_SWEEPS = 100
"""Number of past sweeps that are asked for."""
_EXTENT = (0.5, 99.5)


@dataclass(frozen=True, eq=False)
class Survey:
    """N objects of some frames, in their map frames, and what the points of these frames are like.

    Args:
        source: "boxes", or "clusters" with boxes fitted to them.
        num_frames: number of frames that were read.
        frames: number of all frames with objects.
        counts: number of objects by class name, in all frames.
        class_id: (N,) class of each object.
        center_m, size_lwh_m: (N,3) centre, and length, width and height.
        num_points: (N,) number of points of the key sweep in each object.
        seen: (N,) whether a camera sees one of its points.
        has_velocity: whether the velocity of any object is known.
        extent_m: (2,3) the range of 99 % of the points along each axis.
        in_view: fraction of the points that a camera sees.
        intensity: smallest, middle and largest intensity; zeros without intensity.
        past_sweeps: number of past sweeps that a quarter of the frames have, at least; those at the start of a drive
            have fewer.
        bad: frame_id -> why it could not be read.
    """

    source: str
    num_frames: int
    frames: int
    counts: Mapping[str, int]
    class_id: NDArray[np.int64]
    center_m: NDArray[np.float64]
    size_lwh_m: NDArray[np.float64]
    num_points: NDArray[np.int64]
    seen: NDArray[np.bool_]
    has_velocity: bool
    extent_m: NDArray[np.float64]
    in_view: float
    intensity: tuple[float, float, float]
    past_sweeps: int
    bad: Mapping[str, str] = field(default_factory=dict)


class _Look(NamedTuple):
    """What one frame shows."""

    class_id: NDArray[np.int64]
    center_m: NDArray[np.float64]
    size_lwh_m: NDArray[np.float64]
    num_points: NDArray[np.int64]
    seen: NDArray[np.bool_]
    has_velocity: bool
    extent_m: NDArray[np.float64]
    in_view: float
    intensity: NDArray[np.float64]
    past_sweeps: int


def survey(dataset: Dataset, labels: Labels | None, frame_ids: Sequence[str], sample: int) -> Survey:
    """Look at a data set.

    Args:
        dataset: the data set.
        labels: clusters that stand for objects where the data set has no boxes; None for none.
        frame_ids: the frames.
        sample: number of frames, evenly spaced, whose points are read.

    Raises:
        DatasetError: DAT011 if no frame has boxes and there are no labels, DAT009 if the labels lack all frames;
            if no frame can be read, what reading the first one raises.
    """
    counts, boxed, bad = _counted(dataset, frame_ids)
    source, clusters = "boxes", None
    if not boxed:
        if labels is None:
            raise DatasetError(
                "DAT011",
                f"{dataset.root}: none of {len(frame_ids)} frames has boxes",
                "give clusters of pointsam-label run instead: --labels OUT",
            )
        source, clusters = "clusters", labels
        good, of_split = {row.frame_id for row in labels.frames() if row.status == "ok"}, set(frame_ids)
        frame_ids = [frame_id for frame_id in frame_ids if frame_id in good]
        if not frame_ids:
            way = "give a split that was labelled, or label these frames: pointsam-label run"
            raise DatasetError("DAT009", f"{labels.out}: no clusters of the {counted(len(of_split), 'frame')}", way)
        counts = Counter(name for frame_id, name, _ in labels.cluster_sizes() if frame_id in of_split)
    looks, first = list[_Look](), None
    for frame_id in progress(evenly(boxed or frame_ids, sample), desc="survey", unit="frame"):
        try:
            looks.append(_look(dataset, clusters, frame_id))
        except PointSamError as error:
            if not error.of_frame:
                raise
            first = first or error
            bad[frame_id] = f"[{error.code}] {error.message}"
    if not looks:
        raise first or DatasetError("DAT009", f"{dataset.root}: no frame to look at", "give a split with frames")
    intensity = np.concatenate([look.intensity for look in looks])
    extents = np.stack([look.extent_m for look in looks])

    def joined(name: str) -> AnyArray:
        return np.concatenate([getattr(look, name) for look in looks])

    return Survey(
        source,
        len(looks),
        len(boxed or frame_ids),
        counts,
        class_id=joined("class_id"),
        center_m=joined("center_m"),
        size_lwh_m=joined("size_lwh_m"),
        num_points=joined("num_points"),
        seen=joined("seen"),
        has_velocity=any(look.has_velocity for look in looks),
        extent_m=np.stack([np.median(extents[:, 0], axis=0), np.median(extents[:, 1], axis=0)]),
        in_view=float(np.mean([look.in_view for look in looks])),
        intensity=(float(intensity.min()), float(np.median(intensity)), float(intensity.max())),
        past_sweeps=int(np.percentile([look.past_sweeps for look in looks], 75, method="higher")),
        bad=bad,
    )


def _counted(dataset: Dataset, frame_ids: Sequence[str]) -> tuple[Mapping[str, int], list[str], dict[str, str]]:
    """Number of boxes by class, the frames that have box labels, and why others cannot be read."""
    counts, boxed, bad = Counter[int](), list[str](), dict[str, str]()
    for frame_id in progress(frame_ids, desc="boxes", unit="frame"):
        try:
            boxes = dataset.boxes(frame_id)
        except PointSamError as error:
            if not error.of_frame:
                raise
            bad[frame_id] = f"[{error.code}] {error.message}"
            continue
        if boxes is not None:
            boxed.append(frame_id)
            counts.update(boxes.class_id.tolist())
    return {name: counts[k] for k, name in enumerate(dataset.taxonomy.names) if counts[k]}, boxed, bad


def _look(dataset: Dataset, labels: Labels | None, frame_id: str) -> _Look:
    frame = read_cloud_frame(dataset, frame_id)
    with_cameras = dataset.frame(frame_id) if not frame.cameras else frame
    points = read_frame_points(frame, intensity=True)
    boxes = _objects(dataset, labels, frame, points)
    ours = np.flatnonzero(boxes.class_id != BACKGROUND)
    rows = points.rows()
    visible = in_view(rows, with_cameras)
    point, box = box_members(points.xyz_lidar_m, boxes)
    at = MapFrame.of(frame)
    placed = at.boxes(boxes)
    finite = np.isfinite(points.xyz_lidar_m).all(axis=1)
    xyz = at.points(points.xyz_lidar_m[finite])
    velocity = dataset.velocities_mps(frame_id) if labels is None else None
    return _Look(
        boxes.class_id[ours].astype(np.int64),
        placed.center_m[ours],
        boxes.size_lwh_m[ours],
        np.bincount(box, minlength=len(boxes))[ours],
        np.bincount(box[visible[point]], minlength=len(boxes))[ours] > 0,
        velocity is not None and bool(np.isfinite(velocity[ours]).any()),
        np.percentile(xyz, _EXTENT, axis=0),
        float(visible[finite].mean()),
        np.percentile(rows[finite, 3], (0, 50, 100)),
        sum(past.sensor == frame.sweep.sensor for past in dataset.past_sweeps(frame_id, _SWEEPS)),
    )


def _objects(dataset: Dataset, labels: Labels | None, frame: Frame, points: FramePoints) -> Boxes:
    """The boxes of a frame, or boxes fitted to its clusters."""
    if labels is not None:
        found, origin_m = labels.labels(frame.frame_id).labels, origin_of_point_m(frame, points.sweep_index)
        return fit_boxes(points.xyz_lidar_m, found, labels.taxonomy, frame.sweep.ego_SE3_lidar, origin_m)
    boxes = dataset.boxes(frame.frame_id)
    assert boxes is not None  # `_counted` chose the frame for them
    return boxes
