"""Models of transformers from a folder of the hub: safetensors only, never code, and no tensor left random."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointsam.base.errors import BackendError
from pointsam.base.hub import HubModel
from pointsam.base.runtime import require_device, require_packages

if TYPE_CHECKING:
    import torch

PRECISIONS = ("float32", "bfloat16", "float16")
"""Number types of a network; its weights and its answers are always float32."""
_PACKAGES = ("torch", "torchvision", "transformers", "safetensors")


def settings_of(found: HubModel) -> dict[str, Any]:
    """The values of its config.json.

    Raises:
        BackendError: BCK004 if the file cannot be read.
    """
    path = found.folder / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BackendError("BCK004", f"{path} cannot be read ({error})", "fetch it again") from error
    if not isinstance(values, dict):
        raise BackendError("BCK004", f"{path} cannot be read (it holds no object)", "fetch it again")
    return values


def model_type(found: HubModel, known: Iterable[str], what: str) -> str:
    """The `model_type` of its config.json.

    Args:
        found: the model.
        known: the types that the caller can open.
        what: what they are, for the message: "promptable segmenter".

    Raises:
        BackendError: BCK003 if it is none of them, BCK004 if config.json cannot be read.
    """
    kind = settings_of(found).get("model_type")
    if not isinstance(kind, str) or kind not in known:
        raise BackendError(
            "BCK003",
            f"{found.folder} holds a model of type {kind!r}, no {what}",
            f"give one of {', '.join(known)}",
        )
    return kind


def open_model(
    found: HubModel, source: Path, class_name: str, processor: str, device: str, threads: int | None
) -> tuple[Any, Any, torch.device]:
    """A model in single precision on the device, its processor, and the device.

    Args:
        found: the model.
        source: what the user named, for messages.
        class_name: name of its class in transformers.
        processor: name of the class of its processor: "AutoImageProcessor", "AutoProcessor".
        device: torch device.
        threads: CPU threads of torch in this process; None leaves torch's setting.

    Raises:
        BackendError: BCK003 if tensors are missing or of another shape, BCK004 if it cannot be read, BCK005 if a
            package is not installed, BCK006 if the device is not available.
    """
    require_packages("hf", *_PACKAGES)
    place = require_device(device)
    import torch

    transformers: Any = import_module("transformers")
    if threads is not None:
        torch.set_num_threads(threads)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # the errors below say what its reports say
    options = {"local_files_only": True, "trust_remote_code": False}
    told_of = {"output_loading_info": True, "ignore_mismatched_sizes": True}
    try:
        kind = getattr(transformers, class_name)
        model, told = kind.from_pretrained(found.folder, use_safetensors=True, **told_of, **options)
        prepares = getattr(transformers, processor).from_pretrained(found.folder, **options)
    except Exception as error:  # transformers and safetensors raise errors of many kinds
        raise BackendError(
            "BCK004",
            f"{source} cannot be loaded as {class_name}: {(str(error).splitlines() or [''])[0]:.300}",
            "fetch it again, or save the model and its processor with save_pretrained",
        ) from error
    missing = sorted([*told["missing_keys"], *(name for name, *_ in told["mismatched_keys"])])
    if missing:
        raise BackendError(
            "BCK003",
            f"{source} does not fit {class_name} in {len(missing)} tensors, the first is {missing[0]!r}",
            "give the folder of a complete model",
        )
    return model.to(place).eval().float(), prepares, place


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a network computes in one of `PRECISIONS`."""
    import torch

    dtype = getattr(torch, precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)
