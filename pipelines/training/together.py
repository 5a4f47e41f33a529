"""Processes that train together must have loaded the same: each has its own folder where nodes share no disk."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from pointsam.base.errors import PointSamError, SchemaError, StoreError
from pointsam.detect.checkpoint import digest_of
from pointsam.detect.devices import exchanged
from pointsam.detect.train import Trainer


def require_same_in_all(trainer: Trainer) -> None:
    """Compare what each process would train, and from where; all processes call this.

    Raises:
        StoreError: OUT001 if processes continue from other steps, or start from other weights.
        SchemaError: SCH004 if their samples differ.
    """
    if trainer.processes == 1:
        return
    told = [json.loads(part) for part in exchanged(json.dumps(_loaded(trainer)).encode(), trainer.device)]
    for name, errors in _ERRORS.items():
        for rank, other in enumerate(told):
            if other[name] != told[0][name]:
                raise errors(f"{name}: {told[0][name]} in process 0, {other[name]} in process {rank}")


def _loaded(trainer: Trainer) -> dict[str, int | str]:
    """The step, and digests of the weights and of the samples of the next epoch in their order."""
    data, step = trainer.data, trainer.progress.step
    samples = hashlib.sha256(json.dumps([data.frame_ids, data.digest]).encode())
    samples.update(np.ascontiguousarray(data.order(step // trainer.steps_per_epoch), dtype="<i8").tobytes())
    weights = digest_of({name: value.detach().cpu() for name, value in trainer.model.state_dict().items()})
    return {"step": step, "weights": weights[:12], "samples": samples.hexdigest()[:12]}


def _other_folder(what: str) -> PointSamError:
    return StoreError(
        "OUT001",
        f"the processes of this training begin from other states of the run: {what}",
        "give all nodes the same --out and --init on a disk that they share, or copy the folder of process 0",
    )


def _other_data(what: str) -> PointSamError:
    return SchemaError(
        "SCH004",
        f"the processes of this training have other samples: {what}",
        "give all nodes the same data, labels, budget and recipe",
    )


_ERRORS = {"step": _other_folder, "weights": _other_folder, "samples": _other_data}
