"""Waymo's evaluation, of detectors of Waymo's classes on any data set."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from pipelines.training.scores import Figures, number
from pointsam.base.tables import text_table
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset, HasWaymoLabels
from pointsam.detect.data.map_frame import MapFrame
from pointsam.detect.predictions_file import FramePredictions, box_overlaps
from pointsam.evaluate.detection import FrameBoxes
from pointsam.evaluate.waymo import EVERYWHERE_M, MIN_IOU, RANGES_M, WaymoFrame, average_precision, difficulty
from pointsam.geometry.boxes import rows
from pointsam.taxonomy import BACKGROUND

_IN_MEAN = ("vehicle", "pedestrian", "cyclist")
"""Waymo's ranking leaves signs out."""
_COLUMNS = ("AP/L1", "APH/L1", "AP/L2", "APH/L2")
_MEANS = tuple(f"m{name}" for name in _COLUMNS)


def has_waymo_classes(dataset: Dataset, untrained: Collection[str]) -> bool:
    """Whether a detector has Waymo's vehicles, and no class that Waymo does not have.

    Args:
        dataset: the data set, with the classes of the detector.
        untrained: classes of these that the detector does not predict.
    """
    predicted = set(dataset.taxonomy.names).difference(untrained)
    return "vehicle" in predicted and predicted <= set(MIN_IOU)


def waymo(
    dataset: Dataset, found: Sequence[FramePredictions], truth: Sequence[FrameBoxes], untrained: Collection[str]
) -> tuple[str, Figures]:
    """The printed result and its figures: means over classes, and values by class and range.

    Args:
        dataset: the data set. `HasWaymoLabels` states levels and zones; without it, points alone decide on the level.
        found: predictions, by frame.
        truth: true boxes of the same frames; their score is the number of their points.
        untrained: classes that the detector does not predict.
    """
    names = [name for name in MIN_IOU if name in dataset.taxonomy.names and name not in untrained]
    class_ids = [dataset.taxonomy.class_id(name) for name in names]
    frames = [_by_class(dataset, *both, class_ids) for both in zip(found, truth, strict=True)]
    values = dict[str, tuple[float, ...]]()
    for k, name in enumerate(names):
        for range_m in (EVERYWHERE_M, *RANGES_M):
            both = average_precision([frame[k] for frame in frames], MIN_IOU[name], range_m).values()
            values[_row(name, range_m)] = tuple(value for level in both for value in level)
    counted = [values[name] for name in names if name in _IN_MEAN and not np.isnan(values[name]).all()]
    means = tuple(map(_mean, zip(*counted, strict=True))) if counted else (float("nan"),) * len(_COLUMNS)
    rows = [(f"{name}, IoU {MIN_IOU[name]}" if name in MIN_IOU else name, *of) for name, of in values.items()]
    lines = [text_table(("Waymo", *_COLUMNS), [*rows, ("mean without signs", *means)])]
    if not isinstance(dataset, HasWaymoLabels):
        lines.append(
            f"Objects with five points or fewer are of level 2: {dataset.name} states neither levels of difficulty nor "
            "zones without labels."
        )
    bare = [name for name in names if np.isnan(values[name]).all()]
    if bare:
        lines.append(f"no object with points: {', '.join(bare)}")
    absent = [name for name in _IN_MEAN if name not in names]
    if absent:
        lines.append(f"not predicted, and not evaluated: {', '.join(absent)}")
    by_row = {name: dict(zip(_COLUMNS, map(number, of), strict=True)) for name, of in values.items()}
    return "\n".join(lines), {**dict(zip(_MEANS, map(number, means), strict=True)), **by_row}


def _row(name: str, range_m: tuple[float, float]) -> str:
    low, high = range_m
    if range_m == EVERYWHERE_M:
        return name
    return f"{name}, {low:.0f}-{high:.0f} m" if np.isfinite(high) else f"{name}, > {low:.0f} m"


def _mean(values: Sequence[float]) -> float:
    """Mean of the values that are not NaN, NaN without any."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _by_class(
    dataset: Dataset, found: FramePredictions, true: FrameBoxes, class_ids: Sequence[int]
) -> list[WaymoFrame]:
    """A frame for each class."""
    frame = read_cloud_frame(dataset, found.frame_id)
    at = MapFrame.of(frame)
    ego_SE3_map = at.pose(frame.sweep.ego_SE3_lidar)
    boxes = found.boxes.astype(np.float64)
    range_m, true_range_m = (
        np.linalg.norm(ego_SE3_map.apply(centers), axis=1) for centers in (boxes[:, :3], true.center_m)
    )
    unlabelled, stated = np.zeros(len(boxes), dtype=bool), None
    if isinstance(dataset, HasWaymoLabels):
        unlabelled = dataset.in_unlabelled_zone(found.frame_id, boxes if at.is_lidar else rows(at.lidar_boxes(boxes)))
        every = dataset.boxes(found.frame_id)
        assert every is not None  # there is truth
        stated = dataset.difficulty_levels(found.frame_id)[every.class_id != BACKGROUND]
    level = difficulty(true.score.astype(np.int64), stated)
    true_boxes = np.column_stack([true.center_m, true.size_lwh_m, true.yaw_rad])
    frames = []
    for class_id in class_ids:
        mine, ours = found.class_id == class_id, true.class_id == class_id
        frames.append(
            WaymoFrame(
                box_overlaps(boxes[mine], true_boxes[ours])["3d"],
                found.score[mine].astype(np.float64),
                boxes[mine, 6],
                range_m[mine],
                unlabelled[mine],
                true.yaw_rad[ours],
                true_range_m[ours],
                level[ours],
            )
        )
    return frames
