"""Checkpoints: network, optimizer and place in the run as one safetensors file; nothing in it can run.

Learning rate, momentum and every draw follow from the step, so no generator has a state worth keeping.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pointsam.base.document import canonical_json
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


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, place: Place, about: Mapping[str, object]
) -> None:
    """Write whole or not at all.

    Args:
        path: of the file.
        model: the network.
        optimizer: AdamW over the model's parameters, in their order.
        place: in the run.
        about: what the network is: recipe and taxonomy; JSON values.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be written.
    """
    tensors = {_MODEL + name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    moments = optimizer.state_dict()["state"]
    for index, name in enumerate(_names(model)):
        for key, value in moments.get(index, {}).items():
            tensors[f"{_OPTIMIZER}{name}/{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
    document = canonical_json({"about": dict(about), "place": asdict(place)})  # one entry: several have no order
    write_together([(path, save(tensors, {_ABOUT: document}))])


def _names(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_parameters()]


class Checkpoint:
    """A checkpoint on disk.

    Args:
        path: of the file.

    Raises:
        SchemaError: SCH003 if it is missing or none of ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with safe_open(str(path), "pt") as file:
                document = json.loads((file.metadata() or {})[_ABOUT])
                self.about: dict[str, Any] = document["about"]
                self.place = Place(**document["place"])
                self._tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise SchemaError(
                "SCH003", f"{path}: no readable checkpoint ({error})", "give the folder of a run: mixsup-train fit"
            ) from error

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
