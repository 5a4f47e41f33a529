"""The folder of a training run.

It holds fit.json (everything that determines the weights), frames.json (the frames that it took), last.safetensors and
best.safetensors, losses.csv, events for TensorBoard, and scores.json. The same command resumes the run; a
request with another fit.json is rejected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from pipelines.data import DataSpec
from pipelines.training.checkpoints import BEST, LAST, read_whole
from pipelines.training.fit_document import (
    DECIDES,
    FitDocument,
    begun,
    continued,
    described,
    init_note,
    read_decides,
)
from pipelines.training.recipe_file import Network
from pipelines.training.request import FitRequest
from pipelines.training.score import Score
from pipelines.training.scores import ValidationDocument, read_validations
from pipelines.training.taken import TAKEN, TakenFrames, read_taken
from pointsam.base.document import differences, write_document
from pointsam.base.errors import SchemaError, StoreError
from pointsam.base.files import store_errors
from pointsam.base.hardware import hardware
from pointsam.base.progress import progress
from pointsam.base.words import counted
from pointsam.datasets.base import Dataset
from pointsam.detect.checkpoint import Checkpoint
from pointsam.detect.data.loader import cut_bank
from pointsam.detect.data.paste import PasteBank
from pointsam.detect.data.training_set import TrainingSet
from pointsam.detect.logs import TrainingLog
from pointsam.detect.recipe import Recipe
from pointsam.detect.train import Trainer
from pointsam.store.reader import Labels

_BANK = "paste.npz"
SCORES = "scores.json"
"""The validations of a run, by step."""


class RunFolder:
    """The files of a run.

    A folder without a checkpoint holds no run yet: whatever an earlier call wrote there is replaced.

    Args:
        request: the request of the run; the folder of another run is rejected.
        dataset: the opened data set of the request.
        labels: its opened labels, if there are any.
        writes: whether this process writes files.
        recipe: recipe of the network: that of the request without classes that have no box; None for the request's.
        boxes: digest of the boxes that are read; None if they were not read.
        steps_per_epoch: number of steps of an epoch; a schedule that ends before the steps that are done is rejected.
            None if it is not known.

    Attributes:
        notes: what changes for a run that is continued.
        val: name of the validation split; None without one.
        new_split: whether earlier validations, if any, were on another split.

    Raises:
        StoreError: OUT001 if the folder holds another run, OUT004 if its fit.json is damaged. Nothing is written then.
        SchemaError: SCH003 if its last checkpoint is damaged or missing.
    """

    def __init__(
        self,
        request: FitRequest,
        dataset: Dataset,
        labels: Labels | None,
        writes: bool,
        recipe: Recipe | None = None,
        boxes: str | None = None,
        steps_per_epoch: int | None = None,
    ) -> None:
        self.out, self.writes, self.workers = request.out, writes, request.recipe.train.workers
        self.last, self.best = self.out / LAST, self.out / BEST
        self.recipe = recipe or request.recipe
        self.about = Network(self.recipe, dataset.taxonomy)
        now, before = described(request, dataset, labels, boxes), begun(self.out)
        document = now if before is None else continued(before, now, request, self._steps_done)
        if before is not None and steps_per_epoch is not None:
            self._require_steps(steps_per_epoch)
        self.notes = [] if before is None else [*_notes(before, document, now.processes), *init_note(before, request)]
        self.val, self._left_out = now.val, dict[str, str]()
        self.new_split = before is not None and before.val != now.val
        if writes and document != (before or self._left()):
            if before is None:
                for name in (_BANK, SCORES, TAKEN):
                    (self.out / name).unlink(missing_ok=True)
            elif self.new_split:
                self._change_split(before.val)
            write_document(self.out / DECIDES, document)

    def _steps_done(self) -> int:
        checkpoint = self.checkpoint()
        return 0 if checkpoint is None else checkpoint.progress.step

    def _left(self) -> FitDocument | None:
        """What a call that ended before its first checkpoint wanted to train."""
        with suppress(StoreError, SchemaError):
            return read_decides(self.out / DECIDES)
        return None

    def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint, None if there is none yet.

        Raises:
            SchemaError: SCH003 if it is damaged or missing, with those of the folder that are whole.
        """
        if not self.last.exists() and not self.best.exists():
            return None
        return read_whole(self.last, (self.best,))

    def _require_steps(self, per_epoch: int) -> None:
        """Refuse a schedule that ends before the steps that are done.

        Raises:
            StoreError: OUT001.
        """
        done, epochs = self._steps_done(), self.recipe.train.epochs
        if done > per_epoch * epochs:
            raise StoreError(
                "OUT001",
                f"{self.out} has done {counted(done, 'step')}, and {counted(epochs, 'epoch')} are {per_epoch * epochs}",
                f"set train.epochs to {-(-done // per_epoch)} or more, or give another --out",
            )

    def best_value(self) -> float | None:
        """The mean average precision of the best network on this split and truth; None if there is no such network."""
        if not self.best.exists():
            return None
        with suppress(SchemaError):  # a damaged one is written again by the next validation
            best = Checkpoint(self.best).progress
            validation = self.scores().get(str(best.step))
            if validation is not None and validation.quality.mean_ap == best.best:
                return best.best
        return None

    def _put_scores_aside(self, split: str | None) -> str:
        """Keep the validations on another split, or other boxes, in a file of their own; return its name, or ""."""
        path = self.out / SCORES
        if not path.exists():
            return ""
        self._left_out = self.left_out()
        name, number = _scores_of(split), 1
        while (self.out / name).exists():
            number += 1
            name = _scores_of(split, number)
        with store_errors(self.out, 0):
            path.replace(self.out / name)
        return name

    def _change_split(self, before: str | None) -> None:
        """Put the validations on the split of earlier calls aside, and take those on this one back."""
        kept = self._put_scores_aside(before)
        self.notes += [f"earlier scores are kept in {kept}"] if kept else []
        number, former = 1, self.out / _scores_of(self.val)
        while (after := self.out / _scores_of(self.val, number + 1)).exists():
            number, former = number + 1, after
        if self.val and former.exists():
            with store_errors(self.out, 0):
                former.replace(self.out / SCORES)
            self.notes.append(f"scores of {former.name} are those of {self.val} again")

    def taken(self, train: Sequence[str], val: Sequence[str], truth: str | None = None) -> list[str]:
        """Record the frames of the run, in all processes; the first one writes.

        Args:
            train: frames that are trained on.
            val: frames to validate.
            truth: digest of their boxes.

        Returns:
            What changes for a run that is continued: its validation split may have other frames or boxes than before.
        """
        if not self.writes:
            return []
        now, before = TakenFrames(tuple(train), tuple(val)), read_taken(self.out)
        notes, scores = [], self.scores()
        others = before is not None and before.val != now.val and not self.new_split
        corrected = not all(one.is_of(truth) for one in scores.values())
        if self.val and scores and (others or corrected):
            kept = self._put_scores_aside(self.val)
            what = "frames" if others else "frames or boxes"
            notes.append(f"{self.val} has other {what} than before; earlier scores are kept in {kept}")
        if now != before:
            write_document(self.out / TAKEN, now)
        return notes

    def bank(self, data: TrainingSet) -> PasteBank:
        """Objects to paste: those that an earlier call saved, or else cut and saved by this call."""
        path = self.out / _BANK
        bank = PasteBank.load(path)
        if bank is None:
            bank = cut_bank(
                data,
                self.workers,
                lambda frames, count: progress(
                    frames, desc="paste bank", unit="frame", total=count, disable=not self.writes
                ),
            )
            if self.writes:
                bank.save(path)
        return bank

    def logs(self, step: int) -> TrainingLog:
        """The log of steps; entries of an earlier call after `step` are dropped, because those steps are repeated."""
        return TrainingLog(self.out, step, self.writes)

    def left_out(self) -> dict[str, str]:
        """Frames that earlier calls could not read before the last validation, and why."""
        scores = self.scores()
        return {**self._left_out, **(scores[max(scores, key=int)].left_out if scores else {})}

    def scores(self) -> dict[str, ValidationDocument]:
        """The validations by step.

        Raises:
            StoreError: OUT004 if scores.json is damaged.
        """
        return read_validations(self.out / SCORES)

    def keep_score(
        self, trainer: Trainer, epochs: int, left_out: Mapping[str, str], result: Score, truth: str | None
    ) -> None:
        """Add a validation to scores.json; `truth` is the digest of the boxes of its frames."""
        scores, document = self.scores(), result.document
        scores[str(trainer.progress.step)] = ValidationDocument(
            epochs=epochs,
            left_out=left_out,
            quarantined=trainer.data.num_failed,
            machine=hardware(),
            quality=document.quality,
            failures=document.failures,
            official=document.official,
            bad=document.bad,
            iou=document.iou,
            reasons=document.reasons,
            truth=truth,
        )
        write_document(self.out / SCORES, scores, indent=1, sort_keys=False)


def is_run(folder: Path) -> bool:
    """Whether a folder is, or is to be, that of a training run."""
    return any((folder / name).exists() for name in (DECIDES, LAST, BEST))


def read_as_fitted(run: Path, data: DataSpec) -> DataSpec:
    """Data read as a detector's training read its data, where nothing else is given.

    Args:
        run: the run folder.
        data: a data set.

    Raises:
        StoreError: OUT004 if the folder's fit.json is damaged.
    """
    path = run / DECIDES
    read = read_decides(path).read if path.exists() else None
    return data if read is None else replace(data, reading=data.reading.like(read))


def _scores_of(split: str | None, number: int = 1) -> str:
    """Name of the file with the validations on an earlier split, or on earlier boxes of it."""
    return f"scores-{quote(split or '', safe='')}{f'-{number}' if number > 1 else ''}.json"


def _notes(before: FitDocument, now: FitDocument, processes: int) -> list[str]:
    """What changes for a run that is continued."""
    notes = []
    if processes != before.processes:
        whole = before.processes * before.recipe.train.batch_size
        notes.append(
            f"{counted(processes, 'process')} in place of {before.processes}: each takes {whole // processes} of the "
            f"{whole} samples of a step; steps and learning rate stay"
        )
    if now.val != before.val:
        notes.append(f"validation on {now.val or 'no split'} in place of {before.val or 'no split'}")
    former, sparse = before.recipe.detector.sparse, now.recipe.detector.sparse
    if sparse != former:
        notes.append(f"sparse convolutions by {sparse} in place of {former}: the same up to rounding")
    if now.earlier != before.earlier:
        until = (now.earlier or ())[-1].until
        changed = differences(before.recipe.train, now.recipe.train)
        notes.append(
            f"{'; '.join(changed)}: from step {until} on, learning rate and momentum are those of this step in the new "
            "schedule; fit.json lists the earlier one"
        )
    return notes
