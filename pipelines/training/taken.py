"""frames.json of a run folder: the frames that a training took."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.training.fit_document import DECIDES, read_decides
from pipelines.training.splits import split_frames, split_notes
from pointsam.base.document import read_document
from pointsam.datasets.base import Dataset
from pointsam.store.layout import damaged

TAKEN = "frames.json"
_WAY = "name the split to score with --split SPLIT, or hold out drives with --val-fraction 0.2"


@dataclass(frozen=True)
class TakenFrames:
    """The frames of a run.

    Args:
        train: those that were trained on: the frames of the budget that can be read.
        val: those that were validated; empty without validation.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]


def read_taken(run: Path) -> TakenFrames | None:
    """The frames of a run; None where they were not recorded, as in runs of older versions.

    Raises:
        StoreError: OUT004 if the file is damaged.
    """
    path = run / TAKEN
    return read_document(path, TakenFrames, lambda why: damaged(path, why)) if path.exists() else None


def frames_to_score(run: Path, dataset: Dataset, split: str | None) -> tuple[list[str], list[str]]:
    """The frames on which a run is scored, and what readers of the scores should know of them.

    Args:
        run: the run folder.
        dataset: a data set.
        split: a split of it; None for the frames that the run was validated on (its split, if they were
            not recorded), or "val" on other data.

    Raises:
        DatasetError, SchemaError: as `split_frames`.
        StoreError: OUT004 if fit.json or frames.json is damaged.
    """
    taken, path = read_taken(run), run / DECIDES
    decides = read_decides(path) if path.exists() else None
    same = decides is not None and decides.dataset == dataset.fingerprint()
    notes = list[str]()
    if split is None and same and taken is not None and taken.val:
        return list(taken.val), split_notes(dataset, decides.val if decides is not None else None)
    held = decides.val if decides is not None and same else None  # frames.json may be gone, or older than it
    name = split or held or "val"
    frame_ids = split_frames(dataset, name, _WAY)
    shared = 0 if taken is None or not same else len(set(taken.train) & set(frame_ids))
    if shared:
        notes.append(f"{shared} of {len(frame_ids)} frames of {name} were trained on: their scores are too good")
    return frame_ids, [*split_notes(dataset, name), *notes]
