"""Checkpoints: network, optimizer and place in the run as one safetensors file; nothing in it can run.

Learning rate, momentum and every draw follow from the step, so no generator has a state worth keeping.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pointsam.base.document import canonical_json, json_object, parse_document
from pointsam.base.errors import SchemaError
from pointsam.base.files import write_together

_MODEL, _OPTIMIZER = "model.", "optimizer."
_ABOUT = "pointsam"


@dataclass(frozen=True)
class Place:
    """Where a run is.

    Args:
        step: steps done.
        best: the best validation so far, None before the first.
    """

    step: int = 0
    best: float | None = None


@dataclass(frozen=True)
class CheckpointDocument:
    """What a file says beside its tensors.

    Args:
        about: JSON values of what the network is: recipe and taxonomy.
        place: in the run.
    """

    about: Mapping[str, object]
    place: Place


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, place: Place, about: object
) -> None:
    """Write whole or not at all.

    Args:
        path: of the file.
        model: the network.
        optimizer: AdamW over the model's parameters, in their order.
        place: in the run.
        about: what the network is, recipe and taxonomy: a dataclass, or JSON values.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be written.
    """
    tensors = {_MODEL + name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    moments = optimizer.state_dict()["state"]
    for index, name in enumerate(_names(model)):
        for key, value in moments.get(index, {}).items():
            tensors[f"{_OPTIMIZER}{name}/{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
    document = canonical_json(CheckpointDocument(json_object(about), place))  # one entry: several have no order
    write_together([(path, save(tensors, {_ABOUT: document}))])


def _names(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_parameters()]


class Checkpoint:
    """A checkpoint on disk.

    Args:
        path: of the file.

    Attributes:
        about: JSON values of what the network is.
        place: in the run.

    Raises:
        SchemaError: SCH003 if it is missing or none of ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with safe_open(str(path), "pt") as file:
                content = (file.metadata() or {}).get(_ABOUT, "")
                self._tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (OSError, SafetensorError) as error:
            raise self.refused(str(error)) from error
        document = parse_document(content, CheckpointDocument, self.refused)
        self.about, self.place = document.about, document.place

    def refused(self, why: str) -> SchemaError:
        """The error of a file that is not as a run writes it."""
        return SchemaError(
            "SCH003", f"{self.path}: no readable checkpoint ({why})", "give the folder of a run: mixsup-train fit"
        )

    def load_model(self, model: nn.Module) -> None:
        """Put the weights into a network.

        Raises:
            SchemaError: SCH003 if it is of another shape.
        """
        state = {name.removeprefix(_MODEL): t for name, t in self._tensors.items() if name.startswith(_MODEL)}
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise SchemaError(
                "SCH003",
                f"{self.path}: weights of another network ({str(error).splitlines()[-1].strip()})",
                "use the recipe that the checkpoint was trained with",
            ) from error

    def load_optimizer(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put the moments into an optimizer over the network's parameters."""
        state: dict[int, dict[str, Tensor]] = {}
        for index, name in enumerate(_names(model)):
            prefix = f"{_OPTIMIZER}{name}/"
            own = {key.removeprefix(prefix): t for key, t in self._tensors.items() if key.startswith(prefix)}
            if own:
                state[index] = own
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
