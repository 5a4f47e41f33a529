"""The folder of a training run.

It holds fit.json (everything that determines the weights), last.safetensors and best.safetensors, losses.csv, events
for TensorBoard, and scores.json. The same command resumes the run; a request with another fit.json is rejected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.data import DataSpec
from pipelines.training.predict import BEST, LAST, Score
from pipelines.training.recipe_file import Network, with_recipe_upgraded
from pipelines.training.scores import ValidationDocument, read_validations
from pointsam.base.document import LEFT_OUT, differences, read_document, write_document
from pointsam.base.errors import StoreError
from pointsam.base.hardware import hardware
from pointsam.base.progress import progress
from pointsam.datasets.base import Dataset
from pointsam.detect.data.budget_file import read_budget
from pointsam.detect.data.loader import cut_bank
from pointsam.detect.data.paste import PasteBank
from pointsam.detect.data.training_set import TrainingSet
from pointsam.detect.devices import process_count
from pointsam.detect.logs import TrainingLog
from pointsam.detect.recipe import Recipe, TrainConfig
from pointsam.detect.train import Trainer
from pointsam.store.document import DatasetId
from pointsam.store.layout import damaged
from pointsam.store.reader import Labels

_DECIDES = "fit.json"
SCORES = "scores.json"
"""The validations of a run, by step."""


@dataclass(frozen=True)
class FitRequest:
    """One call of `fit`.

    Args:
        recipe: what to train.
        data: the data set.
        budget: the budget file.
        out: the run folder.
        labels: output folder of a labelling run, if the recipe uses one.
        val: split to validate on; None for no validation.
        device: "cpu", "cuda", "cuda:1".
        allow_noise: accept labels that were made with a perturbed calibration.
    """

    recipe: Recipe
    data: DataSpec
    budget: Path
    out: Path
    labels: Path | None = None
    val: str | None = "val"
    device: str = "cpu"
    allow_noise: bool = False


@dataclass(frozen=True)
class FitDocument(Network):
    """fit.json: everything that determines the weights.

    Args:
        dataset: fingerprint of the data set.
        labels: key of the clusters; None without labels.
        val: validation split; None for no validation.
        processes: number of processes that train together.
        budget: sha256 of the budget file.
        read: how the data set was read; None in older files.
        label_files: digest of the label files of the budget's frames; None without labels and in older files.
    """

    dataset: str
    labels: str | None
    val: str | None
    processes: int
    budget: str
    read: DatasetId | None = field(default=None, metadata=LEFT_OUT)
    label_files: str | None = field(default=None, metadata=LEFT_OUT)


class RunFolder:
    """The files of a run.

    Args:
        request: the request of the run; the folder of another request is rejected.
        dataset: the opened data set of the request.
        labels: its opened labels, if there are any.
        writes: whether this process writes files.
        recipe: recipe of the network: that of the request without classes that have no box; None for the request's.

    Raises:
        StoreError: OUT001 if the folder holds another run, OUT004 if its fit.json is damaged.
    """

    def __init__(
        self, request: FitRequest, dataset: Dataset, labels: Labels | None, writes: bool, recipe: Recipe | None = None
    ) -> None:
        self.out, self.writes, self.workers = request.out, writes, request.recipe.train.workers
        self.last, self.best = self.out / LAST, self.out / BEST
        self.recipe = recipe or request.recipe
        self.about = Network(self.recipe, dataset.taxonomy)
        decides = FitDocument(
            request.recipe,
            dataset.taxonomy,
            dataset=dataset.fingerprint(),
            labels=None if labels is None else labels.key("clusters"),
            val=request.val,
            processes=process_count(),
            budget=hashlib.sha256(request.budget.read_bytes()).hexdigest(),
            read=request.data.made_from(dataset),
            label_files=None if labels is None else labels.content("clusters", read_budget(request.budget).frames),
        )
        path = self.out / _DECIDES
        if path.exists():
            before = _decides(path)
            if before.label_files is None:
                decides = replace(decides, label_files=None)
            changed = differences(_without_free(before), _without_free(decides))
            if changed and changed[0].startswith("label_files:") and len(changed) == 1:
                raise StoreError(
                    "OUT001",
                    f"labels in {request.labels} were made again after the training in {self.out} began, so that an "
                    "epoch may have other samples",
                    "give another --out to train on the new labels",
                )
            if changed:
                raise StoreError(
                    "OUT001",
                    f"{self.out} holds another run: {'; '.join(changed[:5])}",
                    "give another --out, or resume with the same data, labels, budget, --val, processes and recipe "
                    "(field recipe of fit.json, as a .json file)",
                )
        elif writes:
            write_document(path, decides)

    def bank(self, data: TrainingSet) -> PasteBank:
        """Objects to paste: those that an earlier call saved, or else cut and saved by this call."""
        path = self.out / "paste.npz"
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
        return dict(scores[max(scores, key=int)].left_out) if scores else {}

    def scores(self) -> dict[str, ValidationDocument]:
        """The validations by step.

        Raises:
            StoreError: OUT004 if scores.json is damaged.
        """
        return read_validations(self.out / SCORES)

    def keep_score(self, trainer: Trainer, epochs: int, left_out: Mapping[str, str], result: Score) -> None:
        """Add a validation to scores.json."""
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
        )
        write_document(self.out / SCORES, scores, indent=1, sort_keys=False)


def read_as_fitted(run: Path, data: DataSpec) -> DataSpec:
    """Data read as a detector's training read its data, where nothing else is given.

    Args:
        run: the run folder.
        data: a data set.

    Raises:
        StoreError: OUT004 if the folder's fit.json is damaged.
    """
    path = run / _DECIDES
    read = _decides(path).read if path.exists() else None
    return data if read is None else replace(data, reading=data.reading.like(read))


def _decides(path: Path) -> FitDocument:
    return read_document(
        path, FitDocument, lambda why: damaged(path, why), lambda values: with_recipe_upgraded(values, str(path))
    )


def _without_free(decides: FitDocument) -> FitDocument:
    """The document without fields that may differ between calls: workers, and how often it validates and saves.

    How the data were read is left out as well: the fingerprint compares them.
    """
    free = TrainConfig()
    train = replace(
        decides.recipe.train,
        workers=free.workers,
        eval_epochs=free.eval_epochs,
        checkpoint_minutes=free.checkpoint_minutes,
    )
    return replace(decides, recipe=replace(decides.recipe, train=train), read=None)
