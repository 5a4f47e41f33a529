"""Whether tensors are those of a built-in segmenter."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from pointsam.base.errors import BackendError

_VIT_BY_WIDTH = {768: "sam_vit_b", 1024: "sam_vit_l", 1280: "sam_vit_h"}


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
