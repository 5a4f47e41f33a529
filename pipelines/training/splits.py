"""The frames of a split: one that the data set has, drives by name, a text file, or a fraction of the drives.

The name of a split is a text, which budgets and runs record:

    val                 a split or a drive that the data set knows
    drive_3,drive_7     several of them
    lists/val.txt       a text file: ids of frames, and names of splits and drives, one a line; `#` starts a comment
    val:0.2:0           --val-fraction 0.2 --split-seed 0: a fifth of the drives; train:0.2:0 is the rest
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from pointsam.base.arrays import evenly
from pointsam.base.errors import DatasetError
from pointsam.base.ranges import require
from pointsam.base.seeding import generator
from pointsam.base.words import counted, did_you_mean
from pointsam.datasets.base import Dataset

SIDES = ("train", "val")
_FRACTION = re.compile(r"(train|val):([0-9]*\.?[0-9]+(?:e-?[0-9]+)?):([0-9]+)")
_GAP = 0.05
"""Fraction of the frames of a single drive that is left out between its two parts."""


def by_fraction(side: str, fraction: float, seed: int) -> str:
    """The name of one side of a division of the drives.

    Args:
        side: "train" or "val".
        fraction: fraction of the drives that "val" has.
        seed: seed of their draw.

    Raises:
        SchemaError: SCH005 on a fraction that leaves one side empty.
    """
    require(0 < fraction < 1, "--val-fraction", fraction, "a fraction between 0 and 1")
    require(seed >= 0, "--split-seed", seed, "a whole number, 0 or more")
    return f"{side}:{fraction:g}:{seed}"


def other_side(split: str | None) -> str | None:
    """The split that a division leaves beside one of its sides; None for any other split."""
    found = None if split is None else _FRACTION.fullmatch(split)
    return None if found is None else f"{SIDES[found[1] == 'train']}:{found[2]}:{found[3]}"


def other_frames(dataset: Dataset, val_ids: Collection[str]) -> str:
    """How to draw a budget from frames that are not validated: the options of `mixsup-train budget`.

    Args:
        dataset: the data set.
        val_ids: the frames that are validated.
    """
    try:
        train = dataset.frame_ids("train")
    except DatasetError:
        return "draw the budget from frames of another split: --split SPLIT, or --val-fraction 0.2"
    if not set(train).isdisjoint(val_ids):
        return "validate on frames of another split (--val), or give budget the same --val-fraction and --split-seed"
    return "draw the budget with --split train"


def split_frames(dataset: Dataset, split: str | None, way: str = "") -> list[str]:
    """The frame ids of a split.

    Args:
        dataset: the data set.
        split: name of the split; None for all frames.
        way: what to do if it has none, with the option that names the split.

    Raises:
        DatasetError: DAT009 or DAT010 if the split is empty or unknown, with `way` at the end of the hint; DAT004 or
            DAT011 on a file that cannot be read.
        SchemaError: SCH005 on a fraction that is none.
    """
    try:
        return _frames(dataset, split)
    except DatasetError as error:
        if error.code not in ("DAT009", "DAT010") or not way:
            raise
        raise DatasetError(error.code, error.message, f"{error.hint}; {way}") from error


def split_notes(dataset: Dataset, split: str | None) -> list[str]:
    """What a reader of scores should know of a split: sides of a single drive are no independent drives."""
    found = None if split is None else _FRACTION.fullmatch(split)
    if found is None:
        return []
    frame_ids = dataset.frame_ids()
    scenes = {dataset.scene(frame_id) for frame_id in frame_ids}
    if len(scenes) > 1:
        return []
    train, gap, val = _blocks(frame_ids, float(found[2]))
    return [
        f"{dataset.root} has one drive, {scenes.pop()}: validation takes its last {counted(len(val), 'frame')}, "
        f"training the first {len(train)}, and {gap} between them are left out; scores in a drive that was trained on "
        "are too good"
    ]


def chosen_frames(dataset: Dataset, frame_ids: Sequence[str], named: Sequence[str], most: int) -> list[str]:
    """The frames that the user names, or some of a split.

    Args:
        dataset: the data set.
        frame_ids: frames of the split.
        named: ids that the user gives; empty for `most` frames of the split, evenly spaced.
        most: number of frames.

    Raises:
        DatasetError: DAT010 on an id that the split does not have.
    """
    known = set(frame_ids)
    for frame_id in named:
        if frame_id not in known:
            dataset.scene(frame_id)  # raises if there is no such frame
            way = f"give ids such as {frame_ids[0]!r}, or another --split"
            raise DatasetError("DAT010", f"{dataset.root}: frame {frame_id!r} is not in the split", way)
    return list(named) or evenly(frame_ids, most)


def _frames(dataset: Dataset, split: str | None) -> list[str]:
    if split is None:
        return dataset.frame_ids()
    divided = _FRACTION.fullmatch(split)
    if divided is not None:
        return _side(dataset, divided[1], float(divided[2]), int(divided[3]))
    if split.endswith(".txt"):
        return _listed(dataset, Path(split))
    try:
        return dataset.frame_ids(split)
    except DatasetError as error:
        if error.code != "DAT010" or "," not in split:
            raise
    names = [name.strip() for name in split.split(",") if name.strip()]
    if not names:
        raise DatasetError("DAT010", f"{dataset.root}: --split {split!r} names nothing", "name splits or drives: A,B")
    return _in_order(dataset, [frame_id for name in names for frame_id in dataset.frame_ids(name)])


def _side(dataset: Dataset, side: str, fraction: float, seed: int) -> list[str]:
    """Frames of one side: whole drives, or blocks of a single one."""
    by_fraction(side, fraction, seed)  # refuses a fraction that is none
    frame_ids = dataset.frame_ids()
    scene = {frame_id: dataset.scene(frame_id) for frame_id in frame_ids}
    drives = sorted(set(scene.values()))
    if len(drives) == 1:
        train, _, val = _blocks(frame_ids, fraction)
        return val if side == "val" else train
    lots = {name: generator(seed, "drive", name).random() for name in drives}  # a drive that is added moves no other
    count = min(len(drives) - 1, max(1, round(fraction * len(drives))))
    held = set(sorted(drives, key=lambda name: (lots[name], name))[:count])
    return [frame_id for frame_id in frame_ids if (scene[frame_id] in held) == (side == "val")]


def _blocks(frame_ids: list[str], fraction: float) -> tuple[list[str], int, list[str]]:
    """The first and the last frames of a drive, and the number of frames between that neither side has.

    Raises:
        DatasetError: DAT009 if there are too few frames for two sides.
    """
    count, gap = max(1, round(fraction * len(frame_ids))), max(1, round(_GAP * len(frame_ids)))
    rest = len(frame_ids) - count - gap
    if rest < 1:
        raise DatasetError(
            "DAT009",
            f"the only drive has {counted(len(frame_ids), 'frame')}, too few for {count} to validate, {gap} left out "
            "between and some to train on",
            "record more, lower --val-fraction, or train without validation: --val ''",
        )
    return frame_ids[:rest], gap, frame_ids[rest + gap :]


def _listed(dataset: Dataset, path: Path) -> list[str]:
    """Frames that a text file lists.

    Raises:
        DatasetError: DAT004 if it cannot be read, DAT011 if it is no text, DAT009 if it lists nothing, DAT010 if it
            lists what the data set does not have.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError("DAT004", f"{path}: cannot be read ({error.strerror})", "give a text file") from error
    except UnicodeDecodeError as error:
        way = "give a text file with the id of a frame or the name of a drive in each line"
        raise DatasetError("DAT011", f"{path} is not a text in UTF-8", way) from error
    entries = [entry for line in text.splitlines() if (entry := line.partition("#")[0].strip())]
    if not entries:
        raise DatasetError("DAT009", f"{path} lists no frame", "write the id of a frame or the name of a drive a line")
    known, chosen, unknown = set(dataset.frame_ids()), list[str](), list[str]()
    for entry in dict.fromkeys(entries):
        if entry in known:
            chosen.append(entry)
            continue
        try:
            chosen += dataset.frame_ids(entry)
        except DatasetError as error:
            if error.code != "DAT010":
                raise
            unknown.append(entry)
    if unknown:
        drives = sorted({dataset.scene(frame_id) for frame_id in known})
        raise DatasetError(
            "DAT010",
            f"{path}: {len(unknown)} of {counted(len(entries), 'line')} name no frame and no drive of {dataset.root}, "
            f"the first is {unknown[0]!r}{did_you_mean(unknown[0], drives)}",
            f"list ids such as {min(known)!r}, or drives such as {drives[0]!r}",
        )
    return _in_order(dataset, chosen)


def _in_order(dataset: Dataset, frame_ids: Iterable[str]) -> list[str]:
    """Frames without repeats in the data set's order; those that are not used without a split come last."""
    place = {frame_id: k for k, frame_id in enumerate(dataset.frame_ids())}
    return sorted(dict.fromkeys(frame_ids), key=lambda frame_id: place.get(frame_id, len(place)))
