"""Budgets of a data set: gather its objects, draw, write, and say what it costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pointsam.base.errors import DatasetError, StoreError
from pointsam.base.progress import progress
from pointsam.base.tables import text_table
from pointsam.datasets.base import Dataset
from pointsam.datasets.points import read_frame_points
from pointsam.detect.data.budget import Budget, BudgetConfig, Objects, draw
from pointsam.detect.data.budget_file import write_budget
from pointsam.geometry.boxes import count_points
from pointsam.taxonomy import BACKGROUND


def draw_budget(
    dataset: Dataset, split: str | None, config: BudgetConfig, path: Path, objects: Objects | None = None
) -> Budget:
    """Draw the budget of a split and write it.

    Args:
        dataset: with boxes.
        split: None for all frames.
        config: how to draw.
        path: of the file; it must not be there, since a training run may hang on it.
        objects: of the split with their points, if they have been counted before.

    Raises:
        StoreError: OUT001 if the file is there.
        DatasetError: DAT011 if a frame has no boxes to draw from; and what reading the data set raises.
        SchemaError: SCH005 if no object is a candidate.
    """
    if path.exists():
        raise StoreError("OUT001", f"{path} is there already", "give another name, or delete it if nothing needs it")
    if objects is None:
        objects = objects_of(dataset, split, count=config.min_points > 0 or config.rule == "stratified")
    budget = draw(objects, dataset.taxonomy.names, config)
    write_budget(path, Budget(budget.frames, replace(budget.description, dataset=dataset.name, split=split)))
    return budget


def objects_of(dataset: Dataset, split: str | None, count: bool) -> Objects:
    """All boxes of the taxonomy's classes; points are counted only if someone asks, since it reads every sweep."""
    frame_ids = dataset.frame_ids(split)
    frame, token, class_id, range_m, num_points, velocity = [], [], [], [], [], []
    for index, frame_id in enumerate(progress(frame_ids, desc="objects", unit="frame")):
        boxes = dataset.boxes(frame_id)
        if boxes is None:
            raise DatasetError(
                "DAT011",
                f"{dataset.root}: frame {frame_id!r} has no box labels to draw from",
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
    """A table of classes, and the cost."""
    said = budget.description
    rows = [(name, counts.objects, counts.boxes) for name, counts in said.classes.items()]
    rows.append(("all", said.objects, said.boxes))
    return "\n".join(
        [
            text_table(("class", "objects", "boxes"), rows),
            f"{said.labelled_frames} of {said.frames} frames labelled; {said.boxes} boxes alone cost "
            f"{said.cost_boxes_only:.1%} of boxing every object, with clusters on the other {said.clusters} "
            f"{said.cost_with_clusters:.1%}",
        ]
    )
