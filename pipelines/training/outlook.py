"""What a training will need, looked at before its first step. Every finding is a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.training.clouds import Cloud, odd_points, read_key, read_some
from pipelines.training.splits import other_frames
from pipelines.training.suggest import MIN_POINTS
from pointsam.base.errors import PointSamError, SchemaError, TrainingError
from pointsam.base.remote import FileSource
from pointsam.base.words import counted, did_you_mean
from pointsam.checks.rules.missing_files import FolderNames
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.kitti.labels import HasKittiLabels
from pointsam.detect.data.budget import Budget
from pointsam.detect.data.sample import PointsConfig, oriented
from pointsam.detect.data.training_set import TrainingSet
from pointsam.detect.heads.center import CenterHeadConfig
from pointsam.detect.recipe import Recipe
from pointsam.detect.train import MOST_BAD
from pointsam.geometry.boxes import count_points

_SIDES_M = (0.05, 60.0)
"""Shortest and longest plausible side of an object."""
_TOLD = 3
"""Boxes of a class outside of the map that say something, if most boxes are inside."""
_TURN = 2 * np.pi + 0.01


def unknown_classes(recipe: Recipe, names: Sequence[str]) -> list[str]:
    """A warning of classes that the recipe names somewhere, but does not detect.

    Args:
        recipe: the recipe.
        names: classes of the labels.

    Raises:
        SchemaError: SCH001 on a class to detect or to paste that the labels do not have.
    """
    head, detected = recipe.detector.head, recipe.detector.class_names
    fields: dict[str, Iterable[str]] = {"detector.head": detected, "data.paste.counts": recipe.data.paste.counts}
    for field, used in fields.items():
        for name in used:
            if name not in names:
                raise SchemaError(
                    "SCH001",
                    f"{field} has the class {name!r}, which the labels do not have{did_you_mean(name, names)}",
                    f"use classes of the labels: {', '.join(names)}; those of a mapping file need --mapping FILE",
                )
    if isinstance(head, CenterHeadConfig):
        fields["detector.head.smallest_radius"] = head.smallest_radius
    warnings = []
    for field, used in fields.items():
        idle = [f"{name}{did_you_mean(name, detected)}" for name in used if name not in detected]
        if idle:
            warnings.append(f"{field} has no effect for {', '.join(idle)}: the detector does not have these classes")
    return warnings


def idle(recipe: Recipe, has_labels: bool) -> list[str]:
    """Warnings of labels that the recipe does not use, and of pasting that never begins.

    Args:
        recipe: the recipe.
        has_labels: whether the user gives labels.
    """
    kind, paste, epochs = recipe.data.coarse.kind, recipe.data.paste, recipe.train.epochs
    found = []
    if has_labels and kind != "tables":
        found.append(
            f"--labels has no effect, because data.coarse.kind of the recipe is {kind!r}; --set "
            "data.coarse.kind=tables trains on its clusters"
        )
    if paste.counts and paste.off_last_epochs >= epochs:
        found.append(
            f"no objects are pasted, because data.paste.off_last_epochs is {paste.off_last_epochs} and train.epochs "
            f"{epochs}; --set data.paste.off_last_epochs={epochs // 7} keeps pasting on"
        )
    return found


def overlap(dataset: Dataset, budget: Budget, val_ids: Sequence[str]) -> str:
    """A warning of frames that are in the budget and among those to validate; "" if there are none."""
    shared = len(budget.frames.keys() & set(val_ids))
    if not shared:
        return ""
    counts = f"{shared} of {counted(len(val_ids), 'validation frame')} are in the budget"
    return f"{counts}: they are trained on, so their scores are too good; {other_frames(dataset, val_ids)}"


def unscored(
    dataset: Dataset, split: str, val_ids: Sequence[str], bare: Mapping[str, str], points: PointsConfig, way: str
) -> list[str]:
    """Warnings of validation frames without ground truth or points, and of those of some that cannot be read whole.

    Args:
        dataset: the data set.
        split: name of the split.
        val_ids: its frames.
        bare: those without ground truth, and why.
        points: how the detector reads them.
        way: what to do if no frame can be scored.

    Raises:
        SchemaError: SCH005 if no frame can be scored, which would end the training at its first validation, or if more
            than half of those that are tried cannot be read.
    """
    bad = {**absent(dataset, val_ids, points.in_view_only), **bare}
    what = "have no ground truth" if len(bare) == len(bad) else "have no points" if not bare else ""
    what = what or "have no ground truth, or no points"
    of_split = f"of the validation split {split!r}"
    warnings = list[str]()
    if bad:
        frame_id, why = next((name, bad[name]) for name in val_ids if name in bad)
        counts = f"{len(bad)} of {counted(len(val_ids), 'frame')} {of_split} {what}"
        if len(bad) == len(val_ids):
            raise SchemaError("SCH005", f"{counts}; {frame_id}: {why}", way)
        warnings.append(f"{counts}; they are not scored; {frame_id}: {why.splitlines()[0]}")
    rest = [frame_id for frame_id in val_ids if frame_id not in bad]
    read, torn = read_some(rest, lambda index: read_key(dataset, rest[index], points))
    if torn:
        frame_id, why = next(iter(torn.items()))
        counts = f"{len(torn)} of {counted(len(read) + len(torn), 'frame')} {of_split} that were tried cannot be read"
        if len(torn) > len(read):  # the first frame of a scene may be the only one that needs no past sweep
            raise SchemaError("SCH005", f"{counts}; {frame_id}: {why}", way)
        warnings.append(f"{counts}; they are not scored; {frame_id}: {why.splitlines()[0]}")
    return warnings


def absent(dataset: Dataset, frame_ids: Sequence[str], in_view: bool) -> dict[str, str]:
    """Frames that are not here, and why. Folders are listed once; no LiDAR file is opened.

    Args:
        dataset: the data set.
        frame_ids: the frames.
        in_view: whether their cameras are needed.
    """
    folders, gone = FolderNames(), dict[str, str]()
    for frame_id in frame_ids:
        try:
            frame = dataset.frame(frame_id) if in_view else read_cloud_frame(dataset, frame_id)
        except PointSamError as error:
            if not error.of_frame:
                raise
            gone[frame_id] = f"[{error.code}] {error.message}"
            continue
        sources = [sweep.source for sweep in frame.sweeps]
        files = [source.path for source in sources if isinstance(source, FileSource)]
        missing = [path for path in files if not folders.has(path)]
        if missing:
            gone[frame_id] = f"{missing[0]} is missing"
    return gone


def absent_frames(data: TrainingSet) -> list[str]:
    """A warning of frames of the budget that are not here, or whose boxes cannot be read.

    Raises:
        TrainingError: TRN002 if they are more than a tenth, as in training.
    """
    gone = absent(data.dataset, data.frame_ids, data.config.points.in_view_only)
    bad = {**data.bad, **gone}
    if not bad:
        return []
    whole = len(data.frame_ids) + len(data.bad)
    frame_id, why = next(iter(bad.items()))
    what = f"{len(bad)} of {counted(whole, 'frame')} of {data.budget.name} cannot be read in {data.dataset.root}"
    if len(bad) > MOST_BAD * whole:
        raise TrainingError(
            "TRN002",
            f"{what}, the first is {frame_id!r}: {why.splitlines()[0]}",
            "bring these files here, or draw a budget for the frames that are here",
        )
    return [f"{what}; {frame_id}: {why.splitlines()[0]}"]


def boxes_in_map(data: TrainingSet) -> list[str]:
    """Warnings of classes with half of their boxes outside of the map, of impossible sizes, and of boxes that lean."""
    found, range_m = [], list(data.range_m)
    out = {name: (total - inside, total) for name, (inside, total) in data.in_map.items() if 2 * inside <= total}
    if 2 * sum(inside for inside, _ in data.in_map.values()) > sum(total for _, total in data.in_map.values()):
        out = {name: one for name, one in out.items() if one[0] >= _TOLD and _matter(data, name)}
    if out:
        listed = ", ".join(f"{name} ({gone} of {counted(total, 'box')})" for name, (gone, total) in out.items())
        found.append(
            f"boxes are outside of the detector's grid, detector.grid.range_m {range_m}: {listed}; check this range, "
            "and the height of the LiDAR above ground"
        )
    odd = {name: sides for name, sides in data.sides_m.items() if sides[0] < _SIDES_M[0] or sides[1] > _SIDES_M[1]}
    if odd:
        listed = ", ".join(f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in odd.items())
        found.append(f"sides of boxes, which must be in metres: {listed}; check the unit of the labels")
    if data.leaning:
        total = sum(count for _, count in data.in_map.values())
        found.append(
            f"{data.leaning} of {counted(total, 'box')} are not upright: their height is more than 20 degrees from "
            "vertical, and only its direction along the ground is trained; check the mounting of the LiDAR, and the "
            "frame of the boxes"
        )
    return found


def _matter(data: TrainingSet, name: str) -> bool:
    """Whether half of a class's boxes with enough points for `suggest` are outside of the map, or none has enough."""
    ids, class_id = data.frames_with(name), data.dataset.taxonomy.class_id(name)

    def read(index: int) -> tuple[int, int]:
        sample = data.raw(data.frame_ids.index(ids[index]), 0)
        own = sample.boxes[sample.box_class == class_id]
        full = own[count_points(sample.points[: sample.num_key, :3], oriented(own)) >= MIN_POINTS, :3]
        within = (full >= data.range_m[:3]) & (full < data.range_m[3:])
        return int(within.all(axis=1).sum()), len(full)

    counts, _ = read_some(ids, read)
    inside, total = np.array([(0, 0), *counts]).sum(axis=0)
    return bool(2 * inside <= total)


def look(data: TrainingSet) -> list[str]:
    """Warnings from some frames, evenly spaced, that are read whole: points, intensities, headings and boxes.

    Raises:
        TrainingError: TRN002 if none of them can be read.
    """
    ids = data.frame_ids

    def read(index: int) -> tuple[str, Cloud, NDArray[np.int64]]:
        sample = data.raw(index, 0)
        cloud = Cloud.of(sample.points[: sample.num_key])
        return ids[index], cloud, count_points(cloud.xyz, oriented(sample.boxes))

    frames, bad = read_some(ids, read)
    first, tried = next(iter(bad.items()), ("", "")), counted(len(frames) + len(bad), "frame")
    if not frames:
        raise TrainingError(
            "TRN002",
            f"none of {tried} that were tried can be read, the first is {first[0]!r}: {first[1]}",
            "repair these files, or draw a budget for frames that can be read",
        )
    found = [f"{len(bad)} of {tried} that were tried cannot be read; {first[0]}: {first[1]}"]
    names, clouds, in_boxes = zip(*frames, strict=True)
    empty = _filled(in_boxes)
    return [
        *(found if bad else []),
        *odd_points(clouds, data.range_m, data.config.points),
        *([f"of {counted(len(frames), 'frame')} that were read, {empty}"] if empty else []),
        *_headings(data.dataset, [*names, *bad]),
    ]


def _filled(in_boxes: Sequence[NDArray[np.int64]]) -> str:
    counts = np.concatenate(in_boxes)
    empty = int((counts == 0).sum())
    if 2 * empty <= len(counts):
        return ""
    return f"{empty} of {counted(len(counts), 'box')} hold no point; check the frame, unit and headings of the boxes"


def _headings(dataset: Dataset, frame_ids: Sequence[str]) -> Iterator[str]:
    """A warning of headings in degrees, which only label files show: a rotation has lost them."""
    if not isinstance(dataset, HasKittiLabels):
        return
    rows = [row for frame_id in frame_ids for row in dataset.label_rows(frame_id) or () if not row.is_region]
    odd = [row for row in rows if abs(row.rotation_y) > _TURN]
    if odd:
        yield (
            f"rotation_y of {len(odd)} of {counted(len(rows), 'object')} is beyond a whole turn, for example "
            f"{odd[0].rotation_y:g}: it must be in radians"
        )
