"""The budget of a data set: gather the objects, draw, write, and print the cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pointsam.base.errors import DatasetError, SchemaError, StoreError
from pointsam.base.progress import progress
from pointsam.base.tables import text_table
from pointsam.base.words import counted
from pointsam.datasets.base import Dataset
from pointsam.datasets.points import read_frame_points
from pointsam.datasets.unknown_classes import unknown_text
from pointsam.detect.data.budget import Budget, BudgetConfig, Objects, sample_budget
from pointsam.detect.data.budget_file import write_budget
from pointsam.geometry.boxes import count_points
from pointsam.taxonomy import BACKGROUND


def draw_budget(
    dataset: Dataset, split: str | None, config: BudgetConfig, path: Path, objects: Objects | None = None
) -> Budget:
    """Draw the budget of a split and write it.

    Args:
        dataset: a data set with boxes.
        split: name of the split, None for all frames.
        config: how to draw.
        path: the file. It must not exist, because a training run may depend on it.
        objects: the objects of the split, with the number of their points, if they were counted before.

    Raises:
        StoreError: OUT001 if the file exists.
        DatasetError: DAT011 if a frame has no boxes to draw from; and what reading the data set raises.
        SchemaError: SCH005 if no object is a candidate.
    """
    if path.exists():
        raise StoreError("OUT001", f"{path} exists already", "give another name, or delete the file if no run needs it")
    if objects is None:
        objects = objects_of(dataset, split, count=config.min_points > 0 or config.rule == "stratified")
    if not len(objects):
        unknown, where = unknown_text(dataset, objects.frame_ids), counted(len(objects.frame_ids), "frame")
        raise SchemaError(
            "SCH005",
            f"{dataset.root}: none of {where} has a box of {', '.join(dataset.taxonomy.names)}"
            + (f"; {unknown}" if unknown else ""),
            "rename the classes of the ground truth, map them (docs/mapping.md), or choose another split",
        )
    budget = sample_budget(objects, dataset.taxonomy.names, config)
    write_budget(path, Budget(budget.frames, replace(budget.description, dataset=dataset.name, split=split)))
    return budget


def objects_of(dataset: Dataset, split: str | None, count: bool) -> Objects:
    """All boxes of the taxonomy's classes in a split.

    Args:
        dataset: a data set with boxes.
        split: name of the split, None for all frames.
        count: whether to count the points of each box, which reads every sweep.

    Raises:
        DatasetError: DAT011 if a frame has no boxes; and what reading the data set raises.
    """
    frame_ids = dataset.frame_ids(split)
    frame, token, class_id, range_m, num_points, velocity = [], [], [], [], [], []
    for index, frame_id in enumerate(progress(frame_ids, desc="objects", unit="frame")):
        boxes = dataset.boxes(frame_id)
        if boxes is None:
            raise DatasetError(
                "DAT011",
                f"{dataset.root}: frame {frame_id!r} has no box labels",
                "choose a split that has them (--split train)",
            )
        ours = np.flatnonzero(boxes.class_id != BACKGROUND)
        points = np.zeros(len(boxes), int)
        if count:
            points = count_points(read_frame_points(dataset.frame(frame_id)).xyz_lidar_m, boxes)
        frame.append(np.full(len(ours), index, dtype=np.int64))
        token += [boxes.token[k] for k in ours]
        class_id.append(boxes.class_id[ours])
        range_m.append(np.linalg.norm(boxes.center_m[ours, :2], axis=1))
        num_points.append(points[ours])
        known = dataset.velocities_mps(frame_id)
        velocity.append(np.full((len(ours), 2), np.nan) if known is None else known[ours])
    return Objects(
        tuple(frame_ids),
        np.concatenate(frame),
        tuple(token),
        np.concatenate(class_id),
        np.concatenate(range_m),
        np.concatenate(num_points),
        np.concatenate(velocity),
    )


def summary(budget: Budget) -> str:
    """A table of the classes, and the cost."""
    about = budget.description
    rows = [(name, counts.objects, counts.boxes) for name, counts in about.classes.items()]
    rows.append(("all", about.objects, about.boxes))
    return "\n".join(
        [
            text_table(("class", "objects", "boxes"), rows),
            f"{about.labelled_frames} of {about.frames} frames are labelled. Relative to boxes for all objects, "
            f"{about.boxes} boxes cost {about.cost_boxes_only:.1%}, and with clusters for the other {about.clusters} "
            f"objects {about.cost_with_clusters:.1%}.",
        ]
    )
