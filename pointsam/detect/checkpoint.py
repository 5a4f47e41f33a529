"""Checkpoints: network, optimizer and progress of a run in one safetensors file, which holds no executable code.

Learning rate, momentum and every random draw follow from the step, so no generator state is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pointsam.base.document import LEFT_OUT, canonical_json, json_object, parse_document
from pointsam.base.errors import SchemaError
from pointsam.base.files import require_file, write_together

_MODEL, _OPTIMIZER = "model.", "optimizer."
_ABOUT = "pointsam"


@dataclass(frozen=True)
class TrainingProgress:
    """The progress of a training run.

    Args:
        step: number of steps done.
        best: best validation score so far, None before the first validation.
    """

    step: int = 0
    best: float | None = None


@dataclass(frozen=True)
class CheckpointDocument:
    """The metadata of a checkpoint.

    Args:
        about: description of the network, recipe and taxonomy, as JSON values.
        place: progress of the run; the name is stored.
        content: digest of all numbers; None in files of 0.1.0.
    """

    about: Mapping[str, object]
    place: TrainingProgress
    content: str | None = field(default=None, metadata=LEFT_OUT)


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: TrainingProgress, about: object
) -> None:
    """Write a checkpoint atomically.

    Args:
        path: path of the file.
        model: the network.
        optimizer: AdamW over the model's parameters, in their order.
        progress: progress of the run.
        about: description of the network, recipe and taxonomy: a dataclass, or JSON values.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be written.
    """
    tensors = {_MODEL + name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    moments = optimizer.state_dict()["state"]
    for index, name in enumerate(_names(model)):
        for key, value in moments.get(index, {}).items():
            tensors[f"{_OPTIMIZER}{name}/{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
    about_it = CheckpointDocument(json_object(about), progress, digest_of(tensors))
    document = canonical_json(about_it)  # one entry: their order is not fixed
    write_together([(path, save(tensors, {_ABOUT: document}))])


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Hex sha256 of tensors; a safetensors file whose size is right may hold other numbers than were written."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """A moment in the memory layout of its parameter (channels last), which a fused optimizer requires."""
    return torch.empty_like(parameter, device="cpu", dtype=moment.dtype).copy_(moment) if moment.dim() else moment


def _names(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_parameters()]


class Checkpoint:
    """A checkpoint on disk.

    Args:
        path: path of the file.

    Attributes:
        about: description of the network, as JSON values.
        progress: progress of the run.

    Raises:
        SchemaError: SCH003 if the file is missing or is not a checkpoint of PointSAM.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            require_file(path)
            with safe_open(str(path), "pt") as file:
                content = (file.metadata() or {}).get(_ABOUT, "")
                self._tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (OSError, SafetensorError) as error:
            raise self.refused(str(error)) from error
        document = parse_document(content, CheckpointDocument, self.refused)
        if document.content is not None and document.content != digest_of(self._tensors):
            raise self.refused("its numbers are not those that were written")
        self.about, self.progress = document.about, document.place

    def refused(self, why: str) -> SchemaError:
        """The error for a file that a run did not write."""
        return SchemaError(
            "SCH003", f"{self.path}: no readable checkpoint ({why})", "give the folder of a run: mixsup-train fit"
        )

    def weights(self) -> dict[str, Tensor]:
        """The weights by name, and the statistics of normalisations."""
        return {name.removeprefix(_MODEL): t for name, t in self._tensors.items() if name.startswith(_MODEL)}

    def load_model(self, model: nn.Module) -> None:
        """Load the weights into a network.

        Raises:
            SchemaError: SCH003 if the network has other parameters or shapes.
        """
        try:
            model.load_state_dict(self.weights())
        except RuntimeError as error:
            raise SchemaError(
                "SCH003",
                f"{self.path}: weights of another network ({str(error).splitlines()[-1].strip()})",
                "use the recipe that the checkpoint was trained with",
            ) from error

    def load_optimizer(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Load the moments into an optimizer over the network's parameters."""
        state: dict[int, dict[str, Tensor]] = {}
        for index, (name, parameter) in enumerate(model.named_parameters()):
            prefix = f"{_OPTIMIZER}{name}/"
            own = {key.removeprefix(prefix): t for key, t in self._tensors.items() if key.startswith(prefix)}
            if own:
                state[index] = {key: _laid_out_as(parameter, value) for key, value in own.items()}
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
