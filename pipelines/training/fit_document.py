"""fit.json of a run folder: what determines the weights of a run, and whether a call may continue the run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.training.checkpoints import BEST, LAST
from pipelines.training.recipe_file import Network, with_recipe_upgraded
from pipelines.training.request import FitRequest
from pointsam.base.document import LEFT_OUT, differences, read_document
from pointsam.base.errors import SchemaError, StoreError
from pointsam.base.words import counted
from pointsam.datasets.base import Dataset
from pointsam.detect.data.budget_file import read_budget
from pointsam.detect.devices import process_count
from pointsam.detect.recipe import Recipe, TrainConfig
from pointsam.store.document import DatasetId
from pointsam.store.layout import damaged
from pointsam.store.reader import Labels

DECIDES = "fit.json"
SCHEDULE = (
    "epochs",
    "learning_rate",
    "weight_decay",
    "warm_share",
    "start_division",
    "end_division",
    "momentum",
    "grad_clip",
    "precision",
)
"""Fields of `train` with which a run can be continued, although it began with others."""
_SPARSE = ["recipe", "detector", "sparse"]
"""What computes sparse convolutions may change too: results differ by rounding only."""
_FREE = ("workers", "eval_epochs", "checkpoint_minutes")
"""Fields of `train` that do not determine the weights."""


@dataclass(frozen=True)
class Stretch:
    """The schedule of a run's first steps, where the run was continued with another.

    Args:
        until: number of steps done by its end.
        train: the schedule.
    """

    until: int
    train: TrainConfig


@dataclass(frozen=True)
class FitDocument(Network):
    """fit.json: everything that determines the weights.

    Args:
        dataset: fingerprint of the data set.
        labels: key of the clusters; None without labels.
        val: validation split; None for no validation.
        processes: number of processes that trained together at first; with the batch size, the samples of a step.
        budget: sha256 of the budget file.
        read: how the data set was read; None in older files.
        label_files: digest of the label files of the budget's frames; None without labels and in older files.
        boxes: digest of the boxes that were read; None in older files.
        init: sha256 of the weights that the run started from; None for random ones.
        earlier: schedules of the first steps, if the run was continued with another; None if it was not.
    """

    dataset: str
    labels: str | None
    val: str | None
    processes: int
    budget: str
    read: DatasetId | None = field(default=None, metadata=LEFT_OUT)
    label_files: str | None = field(default=None, metadata=LEFT_OUT)
    boxes: str | None = field(default=None, metadata=LEFT_OUT)
    init: str | None = field(default=None, metadata=LEFT_OUT)
    earlier: tuple[Stretch, ...] | None = field(default=None, metadata=LEFT_OUT)


def described(request: FitRequest, dataset: Dataset, labels: Labels | None, boxes: str | None = None) -> FitDocument:
    """The document of a call.

    Args:
        request: the call.
        dataset: its opened data set.
        labels: its opened labels, if there are any.
        boxes: digest of the boxes that it reads; None if they were not read.
    """
    return FitDocument(
        request.recipe,
        dataset.taxonomy,
        dataset=dataset.fingerprint(),
        labels=None if labels is None else labels.key(labels.stage),
        val=request.val,
        processes=process_count(),
        budget=_sha256(request.budget),
        read=request.data.made_from(dataset),
        label_files=None if labels is None else labels.content(labels.stage, read_budget(request.budget).frames),
        boxes=boxes,
        init=_init_digest(request),
    )


def _init_digest(request: FitRequest) -> str | None:
    """Digest of the weights to start from; None without, and if a run goes on and they are gone."""
    path = None if request.init is None else weights_of(request.init)
    return None if path is None or (not path.exists() and begun(request.out)) else _sha256(path)


def init_note(before: FitDocument, request: FitRequest) -> list[str]:
    """A note that `--init` names other weights than when the run began, which goes on from its own checkpoint."""
    if before.init is None or _init_digest(request) in (None, before.init):
        return []
    return [f"--init {request.init} holds other weights than when this run began; it goes on from its own checkpoint"]


def weights_of(path: Path) -> Path:
    """The checkpoint that `--init` names: the file itself, or the best one of a run folder, else its last one."""
    if not path.is_dir():
        return path
    return path / BEST if (path / BEST).exists() else path / LAST


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SchemaError("SCH003", f"{path}: cannot be read ({error.strerror})", "give the path of a file") from error


def begun(out: Path) -> FitDocument | None:
    """The document of the run in a folder; None if nothing was trained there: there is no checkpoint.

    Raises:
        StoreError: OUT004 if it is damaged, OUT001 if there is a checkpoint without it.
    """
    path, held = out / DECIDES, [name for name in (LAST, BEST) if (out / name).exists()]
    if held and not path.exists():
        raise StoreError(
            "OUT001",
            f"{out} holds {held[0]} but no {DECIDES}, so that nothing tells what it was trained on",
            f"give another --out, or put {DECIDES} of its run beside it; to start from these weights, give another "
            f"--out and --init {out / held[0]}",
        )
    return read_decides(path) if held else None


def read_decides(path: Path) -> FitDocument:
    """Read fit.json.

    Raises:
        StoreError: OUT004 if it is damaged.
    """
    return read_document(
        path, FitDocument, lambda why: damaged(path, why), lambda values: with_recipe_upgraded(values, str(path))
    )


def for_processes(recipe: Recipe, before: FitDocument | None, processes: int) -> Recipe:
    """A recipe with the batch size that keeps the samples of a step, if its run goes on in other processes.

    Raises:
        StoreError: OUT001 if so many processes cannot share them.
    """
    if before is None or before.processes == processes or before.recipe.train.batch_size != recipe.train.batch_size:
        return recipe
    whole = before.recipe.train.batch_size * before.processes
    if whole % processes:
        fitting = ", ".join(str(count) for count in range(1, whole + 1) if whole % count == 0)
        raise StoreError(
            "OUT001",
            f"a step of this run has {counted(whole, 'sample')} ({before.processes} x "
            f"{before.recipe.train.batch_size}), which {processes} processes cannot share equally",
            f"continue it in {fitting} processes, or give another --out",
        )
    return replace(recipe, train=replace(recipe.train, batch_size=whole // processes))


def continued(before: FitDocument, now: FitDocument, request: FitRequest, step: Callable[[], int]) -> FitDocument:
    """The document of a run that a call continues.

    Args:
        before: the run's document.
        now: that of the call.
        request: the call.
        step: number of steps that the run has done.

    Raises:
        StoreError: OUT001 with the fields that differ and must not.
    """
    for name in ("label_files", "boxes"):  # older files lack them, and not every caller reads the boxes
        if getattr(before, name) is None or getattr(now, name) is None:
            now = replace(now, **{name: getattr(before, name)})
    if before.init is not None or now.init is None:  # the weights are those of the checkpoint now
        now = replace(now, init=before.init)
    now = replace(now, processes=before.processes, earlier=before.earlier)
    changed = differences(_fixed(before), _fixed(now))
    schedule = [line for line in changed if _field(line)[:2] == ["recipe", "train"] and _field(line)[2] in SCHEDULE]
    others = [line for line in changed if line not in schedule and _field(line) != _SPARSE]
    if others or (changed and not request.changed):
        raise _another(before, request, changed, not others)
    if schedule:
        stretch = Stretch(step(), before.recipe.train)
        now = replace(now, earlier=(*(before.earlier or ()), stretch))
    return now


def _field(line: str) -> list[str]:
    """The parts of the name of a field that differs."""
    return line.partition(":")[0].split(".")


def _another(before: FitDocument, request: FitRequest, changed: list[str], only_schedule: bool) -> StoreError:
    names = {line.partition(":")[0] for line in changed}
    if "label_files" in names <= {"label_files", "boxes"}:  # frames without labels are not read
        return StoreError(
            "OUT001",
            f"labels in {request.labels} were made again after the training in {request.out} began, so that an "
            "epoch may have other samples",
            "give another --out to train on the new labels",
        )
    if names == {"boxes"}:
        return StoreError(
            "OUT001",
            f"boxes of {request.data.root} were changed after the training in {request.out} began",
            "give another --out to train on the new boxes",
        )
    way = "give another --out, or resume with the same data, labels, budget and recipe (field recipe of fit.json, as a "
    way += ".json file)"
    if only_schedule:
        way = "give another --out, or continue this run with the new schedule from its last checkpoint: --changed"
    return StoreError("OUT001", f"{request.out} holds another run: {'; '.join(changed[:5])}", way)


def _fixed(decides: FitDocument) -> FitDocument:
    """The document with the fields only that must stay the same between calls.

    The validation split may change, and how the data were read is left out as well: the fingerprint compares them.
    """
    defaults = TrainConfig()
    free = {name: getattr(defaults, name) for name in _FREE}
    recipe = replace(decides.recipe, train=replace(decides.recipe.train, **free))
    return replace(decides, recipe=recipe, read=None, val=None, earlier=None)
