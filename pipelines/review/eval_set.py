"""Which split an export is for, and which of its frames a run has labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pointsam.base.errors import DatasetError, SchemaError
from pointsam.base.words import counted
from pointsam.datasets.base import Dataset, HasDevkitVersion

_MINI = ("mini_train", "mini_val")
_KNOWN = ("train", "val", "test", *_MINI)
_MIXED, _UNSTATED = "all", "val"
"""Names for frames of several splits, and for data that state no split of the frames."""


@dataclass(frozen=True)
class EvalSet:
    """The frames of an export.

    Args:
        name: name of the split.
        frame_ids: frames of the run in it, in the run's order.
        missing: frames of the split that the run has no labels of.
        outside: number of frames of the run that are not in the split.
    """

    name: str
    frame_ids: tuple[str, ...]
    missing: tuple[str, ...] = ()
    outside: int = 0

    def notes(self) -> list[str]:
        """Frames of the split that are missing, and frames that are not in it."""
        notes = []
        if self.missing:
            notes.append(
                f"{counted(len(self.missing), 'frame')} of split {self.name!r} without labels are not in the export, "
                f"the first is {self.missing[0]}: evaluators of whole splits refuse it"
            )
        if self.outside:
            notes.append(f"{counted(self.outside, 'labelled frame')} outside of split {self.name!r} left out")
        return notes


def eval_set(dataset: Dataset, planned: Sequence[str], done: Sequence[str], stated: str | None, fixed: bool) -> EvalSet:
    """The split that a run was made for: the stated one, else the known one that holds all of its frames.

    Args:
        dataset: the data set of the run.
        planned: every frame of the run, also those that it has not labelled yet.
        done: the frames that it has labelled or quarantined.
        stated: name that the user gave; None to find it.
        fixed: whether the readers of the format know splits by name, as nuScenes' devkit does.

    Raises:
        SchemaError: SCH005 if the run has no frame of the stated split; for a `fixed` format also if there is no such
            split, or if none was stated and the frames are those of several.
    """
    if stated is not None:
        frames = _frames(dataset, stated)
        if frames is not None:
            return _within(dataset, stated, frames, planned, done)
        if fixed:
            raise SchemaError(
                "SCH005", f"--eval-set {stated}: {dataset.root} has no such split", _name_one(dataset, planned)
            )
        return EvalSet(stated, tuple(done))
    splits = _splits(dataset, planned)
    whole = [name for name, frames in splits.items() if frames == set(planned)]
    around = whole or [name for name, frames in splits.items() if frames >= set(planned)]
    if around:
        return _within(dataset, around[0], splits[around[0]], planned, done)
    if fixed:
        raise SchemaError(
            "SCH005",
            f"the labels are of {_parts(splits, planned)}, and the format is for one split",
            _name_one(dataset, planned),
        )
    return EvalSet(_MIXED if splits else _UNSTATED, tuple(done))


def _within(dataset: Dataset, name: str, frames: set[str], planned: Sequence[str], done: Sequence[str]) -> EvalSet:
    found = tuple(frame_id for frame_id in done if frame_id in frames)
    if not found:
        raise SchemaError(
            "SCH005",
            f"--eval-set {name}: none of {counted(len(done), 'frame')} of the labels is in this split",
            _name_one(dataset, planned),
        )
    have = set(found)
    missing = tuple(frame_id for frame_id in dataset.frame_ids(name) if frame_id not in have)
    return EvalSet(name, found, missing, len(done) - len(found))


def _name_one(dataset: Dataset, planned: Sequence[str]) -> str:
    splits = _splits(dataset, planned)
    if not splits:
        return "the data set states no split of these frames: use another format"
    return f"name the split with --eval-set; the labels are of {_parts(splits, planned)}"


def _parts(splits: dict[str, set[str]], planned: Sequence[str]) -> str:
    own = set(planned)
    found = [f"{name} ({counted(len(frames & own), 'frame')})" for name, frames in splits.items()]
    return ", ".join(found) or "no known split"


def _splits(dataset: Dataset, planned: Sequence[str]) -> dict[str, set[str]]:
    """Frames of the known splits that share frames with the run. Of a small release its own splits come first."""
    is_mini = isinstance(dataset, HasDevkitVersion) and dataset.devkit_version.endswith("mini")
    known = (*_MINI, *_KNOWN) if is_mini else _KNOWN
    found = {name: frames for name in known if (frames := _frames(dataset, name)) is not None}
    return {name: frames for name, frames in found.items() if frames & set(planned)}


def _frames(dataset: Dataset, split: str) -> set[str] | None:
    """The frames of a split; None if there is no such split. A split of other releases has no frames here."""
    try:
        return set(dataset.frame_ids(split))
    except DatasetError as error:
        if error.code == "DAT009":
            return set()
        return None
