"""Reads weight files as plain tensors, without executing anything in them, and checks their architecture."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pointsam.base.errors import BackendError

_VIT_BY_WIDTH = {768: "sam_vit_b", 1024: "sam_vit_l", 1280: "sam_vit_h"}


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
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BackendError(
            "BCK004",
            f"{path} is damaged or holds more than tensors; nothing in it was executed ({reason})",
            "use the official file (`pointsam-label weights get NAME`), or save the bare state_dict as .safetensors",
        ) from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise BackendError(
            "BCK003",
            f"{path} is not a table of named tensors",
            "save the model's bare state_dict",
        )
    return {name: value.float() if value.is_floating_point() else value for name, value in content.items()}


def architecture_of(tensors: dict[str, Tensor]) -> str | None:
    """Name of the built-in segmenter that the tensors belong to, None if there is none."""
    if "image_encoder.patch_embed.seq.0.c.weight" in tensors:
        return "mobile_sam"
    position = tensors.get("image_encoder.pos_embed")
    return None if position is None else _VIT_BY_WIDTH.get(position.shape[-1])


def require_architecture(tensors: dict[str, Tensor], name: str, path: Path) -> None:
    """Check that weights belong to segmenter `name`.

    Raises:
        BackendError: BCK003 if they do not, naming their architecture and how to use them.
    """
    found = architecture_of(tensors)
    if found == name:
        return
    if found is None:
        raise BackendError(
            "BCK003",
            f"{path} holds no known segmenter: {len(tensors)} tensors, the first is {next(iter(tensors), None)!r}",
            f"give weights of {name} with the tensor names of the official file",
        )
    raise BackendError(
        "BCK003", f"{path} holds weights of {found}, not of {name}", f"use --masks {found}, or give weights of {name}"
    )


def load_all(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Assign the tensors to the model's parameters and buffers by name.

    Raises:
        BackendError: BCK003 if a tensor is missing, not used, or of another shape.
    """
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in tensors.items()}
    wrong = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
    if wrong:
        name = wrong[0]
        raise BackendError(
            "BCK003",
            f"{path} does not fit its architecture in {len(wrong)} tensors: "
            f"{name} has shape {given.get(name)}, expected {wanted.get(name)}",
            "use the official file (`pointsam-label weights get NAME`)",
        )
    model.load_state_dict(tensors, strict=True, assign=True)
