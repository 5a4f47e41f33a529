"""The checkpoints of a run folder: which of them are whole, and the detectors that they hold."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pipelines.data import DataSpec
from pipelines.training.recipe_file import Network
from pointsam.base.errors import BackendError, SchemaError
from pointsam.datasets.base import Dataset
from pointsam.datasets.mapped import MappedDataset
from pointsam.detect.checkpoint import Checkpoint
from pointsam.detect.detector import Detector, DetectorConfig
from pointsam.detect.nets.sparse import require_sparse
from pointsam.detect.recipe import Recipe

BEST, LAST = "best.safetensors", "last.safetensors"


def read_whole(path: Path, others: Iterable[Path]) -> Checkpoint:
    """A checkpoint of a run folder.

    Args:
        path: the checkpoint.
        others: other checkpoints of the folder.

    Raises:
        SchemaError: SCH003 if it is damaged or missing; the hint says which of the others are whole, and how to go on.
    """
    try:
        return Checkpoint(path)
    except SchemaError as error:
        whole = [(other, found.progress.step) for other in others if (found := _read(other)) is not None]
        if whole:
            listed = "; ".join(f"{other.name} is whole, of step {step}" for other, step in whole)
            way = f"{listed}: cp {whole[0][0]} {path}, then run the same command again"
        else:
            way = f"no other checkpoint of {path.parent} is whole: train again in another --out, or in this folder "
            way += "after its files *.safetensors are deleted"
        raise SchemaError("SCH003", error.message, way) from error


def _read(path: Path) -> Checkpoint | None:
    try:
        return Checkpoint(path)
    except SchemaError:
        return None


def data_of_run(run: Path, data: DataSpec, first: str = BEST) -> Dataset:
    """The data set with the classes of a run's detector.

    Args:
        run: the run folder.
        data: the data set.
        first: as for `load_run`.

    Raises:
        SchemaError: SCH003 if there is no checkpoint, SCH004 if none of its classes is one of the data set.
    """
    network = Network.of(_checkpoint(run, first))
    dataset = replace(data, classes=network.taxonomy).open()
    if isinstance(dataset, MappedDataset) and not dataset.mapped:
        raise SchemaError(
            "SCH004",
            f"the classes of {run} are {', '.join(network.taxonomy.names)}, those of {dataset.root} are "
            f"{', '.join(dataset.unmapped)}",
            "give a data set with the classes that the detector was trained on",
        )
    return dataset


def _checkpoint(run: Path, first: str) -> Checkpoint:
    path = run / first if (run / first).exists() else run / LAST
    others = [run / name for name in (LAST, BEST) if run / name != path]
    return read_whole(path, others) if path.exists() else Checkpoint(path)


def load_run(
    run: Path, dataset: Dataset, device: str, first: str = BEST, min_score: float | None = None
) -> tuple[Detector, Recipe]:
    """The detector of a run and its recipe.

    Args:
        run: the run folder.
        dataset: a data set with the classes that the detector was trained on.
        device: device of the network, as `fit` takes it.
        first: the preferred checkpoint; the last one is the fallback.
        min_score: predictions of a lower score are dropped; None for the threshold of the recipe.

    Returns:
        The detector and the recipe. There is a warning if no score chose the best network. If `detector.sparse` of the
        recipe cannot run on the device, torch computes the sparse convolutions, with a warning: the weights do not
        depend on it.

    Raises:
        SchemaError: SCH003 if there is no checkpoint, SCH004 if it was trained on other classes.
    """
    checkpoint = _checkpoint(run, first)
    if first == BEST:
        _warn_of_unproven(checkpoint)
    network = Network.of(checkpoint)
    recipe, names = network.recipe, network.taxonomy.names
    if names != dataset.taxonomy.names:
        raise SchemaError(
            "SCH004",
            f"the classes of {checkpoint.path} are {list(names)}, those of {dataset.root} are "
            f"{list(dataset.taxonomy.names)}",
            "give a data set with the classes that the detector was trained on",
        )
    config = recipe.detector if min_score is None else recipe.detector.with_threshold(min_score)
    recipe = replace(recipe, detector=_runnable(config, device))
    detector = Detector(recipe.detector, dataset.taxonomy).to(device)
    checkpoint.load_model(detector)
    return detector, recipe


def _warn_of_unproven(checkpoint: Checkpoint) -> None:
    """Warn of a best network that no validation chose: all of them scored 0, or had no score in older versions."""
    if checkpoint.path.name == BEST and not checkpoint.progress.best:
        step, last = checkpoint.progress.step, _read(checkpoint.path.parent / LAST)
        text = f"{checkpoint.path}, of step {step}, was chosen by no score: no validation found an object. "
        if last is None or last.progress.step <= step:
            text += "It is the last network of the run as well: train longer, or on more boxes"
        else:
            text += f"To use the last network, of step {last.progress.step}, copy {LAST} over it"
        warnings.warn(text, RuntimeWarning, stacklevel=3)


def _runnable(config: DetectorConfig, device: str) -> DetectorConfig:
    try:
        require_sparse(config.sparse, device)
    except BackendError as error:
        warnings.warn(f"torch computes the sparse convolutions ({error.message})", RuntimeWarning, stacklevel=3)
        return replace(config, sparse="torch")
    return config
