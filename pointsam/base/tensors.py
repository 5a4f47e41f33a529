"""Reads weight files as plain tensors, without executing anything in them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from pointsam.base.errors import BackendError

_FEW = 5
"""Names in a message."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors or torch file by name, on the CPU; floating-point ones are converted to float32.

    Raises:
        BackendError: BCK001 if the file is missing, BCK003 if it holds anything but a table of named tensors, BCK004
            if it is damaged or holds objects that torch would have to execute.
    """
    if not path.is_file():
        raise BackendError("BCK001", f"no weights at {path}", "check the path given for the weights")
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BackendError("BCK001", f"{path} cannot be read ({error.strerror or error})", "check the file") from error
    except Exception as error:  # torch's reader raises errors of many kinds on damaged files, IndexError among them
        # Its text is left out: it recommends to load the file without the check.
        raise BackendError(
            "BCK004",
            f"{path} is damaged or holds more than tensors; nothing in it was executed ({type(error).__name__})",
            "where you trust it, save its bare tensors: as .safetensors, or torch.save(model.state_dict(), FILE)",
        ) from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        tables = (
            [name for name, value in content.items() if isinstance(value, dict)] if isinstance(content, dict) else []
        )
        within = f", but has tables in it: {', '.join(map(repr, tables[:_FEW]))}" if tables else ""
        raise BackendError(
            "BCK003",
            f"{path} is not a table of named tensors{within}",
            "save the model's bare state_dict"
            + (f": torch.save(torch.load(FILE)[{tables[0]!r}], NEW_FILE)" if tables else ""),
        )
    return {name: value.float() if value.is_floating_point() else value for name, value in content.items()}
