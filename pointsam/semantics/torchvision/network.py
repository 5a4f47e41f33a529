"""A detector of torchvision, with weights from a file."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam.base.digests import sha256_of
from pointsam.base.errors import BackendError, SchemaError
from pointsam.base.runtime import require_device, require_packages, turn_on
from pointsam.semantics.base import Look
from pointsam.semantics.torchvision.description import VisionFile

if TYPE_CHECKING:
    from torch import Tensor, nn

_LOW = "low_masks"
"""Masks of boxes before torchvision enlarges them."""
_LEAST_MASK = 0.5
"""A pixel belongs to an object if its mask says so with this probability, as torchvision documents."""


class VisionDetector:
    """A detector with torchvision's own input and suppression. Its scores below torchvision's threshold are lost.

    Args:
        description: its architecture and labels.
        weights: file of its tensors.
        device: torch device.
        threads: CPU threads of torch in this process.

    Attributes:
        names: name of each label, "" for one that is none.

    Raises:
        BackendError: BCK001 if the weights are missing, BCK003 if they do not fit or hold no numbers, BCK004 if they
            are damaged or hold more than tensors, BCK005 without torchvision, BCK006 if there is no such device.
    """

    def __init__(self, description: VisionFile, weights: Path, device: str = "cpu", threads: int = 1) -> None:
        require_packages("sam", "torch", "torchvision", "safetensors")
        self._device = require_device(device)
        import torch

        torch.set_num_threads(threads)
        self.names = description.names
        model = _blank(description)
        _fill(model, weights)
        _settle_eps(model, description, weights)
        for name, part in model.named_children():
            if name == "roi_heads":
                part.register_forward_hook(_keep_low)
        self._model = model.to(self._device).eval()

    def look(self, image: Image.Image) -> Look:
        """What torchvision finds in an RGB image, by falling score."""
        import torch

        pixels = torch.from_numpy(np.array(image))
        with turn_on(self._device), torch.inference_mode():
            (found,) = self._model([pixels.to(self._device).permute(2, 0, 1).float() / 255])
            found = {name: values.cpu() for name, values in found.items()}
        boxes, label = found["boxes"], found["labels"].numpy()
        scores = np.zeros((len(label), len(self.names)), dtype=np.float32)
        scores[np.arange(len(label)), label] = found["scores"].numpy()
        masks = _pasted(found[_LOW], boxes, image.height, image.width) if _LOW in found else None
        return Look(boxes.numpy(), scores, masks)


def _keep_low(_module: object, _inputs: object, found: tuple[list[dict[str, Tensor]], object]) -> None:
    """Keep the masks from being enlarged all at once: those of an image of 2 megapixels fill a gigabyte."""
    for one in found[0]:
        if "masks" in one:
            one[_LOW] = one.pop("masks")


def _pasted(low: Tensor, boxes: Tensor, height_px: int, width_px: int) -> Callable[[int], NDArray[np.bool_]]:
    paste: Any = import_module("torchvision.models.detection.roi_heads").paste_masks_in_image

    def mask(row: int) -> NDArray[np.bool_]:
        if not low[row].isfinite().all():  # its object would be lost in silence
            raise SchemaError(
                "SCH003", "the network gave a mask that is no number", "correct the network or its weights"
            )
        one = paste(low[row : row + 1], boxes[row : row + 1], (height_px, width_px))[0, 0]
        inside: NDArray[np.bool_] = (one >= _LEAST_MASK).numpy()
        return inside

    return mask


def _blank(description: VisionFile) -> nn.Module:
    """The network with random weights; nothing is downloaded."""
    import torch

    models: Any = import_module("torchvision.models")
    sizes = {"min_size": description.min_px, "max_size": description.max_px}
    with torch.random.fork_rng(devices=[]):
        model: nn.Module = models.get_model(
            description.torchvision,
            weights=None,
            weights_backbone=None,
            num_classes=len(description.names),
            **{name: size for name, size in sizes.items() if size is not None},
        )
    return model


def _fill(model: nn.Module, weights: Path) -> None:
    """Load tensors by name.

    torchvision renames those of older files itself. How many batches a normalisation has seen does not change what a
    network finds; files of frozen ones do not have it.
    """
    import torch

    from pointsam.base.tensors import read_tensors

    tensors = read_tensors(weights)
    odd = next((name for name, value in tensors.items() if not torch.isfinite(value).all()), None)
    if odd is not None:
        raise BackendError(
            "BCK003", f"{weights}: tensor {odd} holds values that are no numbers", "give the weights of another epoch"
        )
    given = {name: value for name, value in tensors.items() if not _is_count(name)}
    try:
        told = model.load_state_dict(given, strict=False)
    except RuntimeError as error:  # of another shape; it names the tensors, one a line
        raise _unfit(weights, str(error).splitlines()[1].strip()) from error
    missing = [name for name in told.missing_keys if not _is_count(name)]
    if missing or told.unexpected_keys:
        lacks = f"tensor {missing[0]} is missing" if missing else f"no tensor is named {told.unexpected_keys[0]}"
        raise _unfit(weights, lacks)


def _is_count(name: str) -> bool:
    return name.endswith(".num_batches_tracked")


def _unfit(weights: Path, problem: str) -> BackendError:
    return BackendError(
        "BCK003",
        f"{weights} does not fit its description: {problem}",
        "correct `torchvision`, or the number of `labels`, which counts the background (docs/torchvision.md)",
    )


def _settle_eps(model: nn.Module, description: VisionFile, weights: Path) -> None:
    """Treat published weights as torchvision does; it names their files by the first digits of their digest."""
    from torch import nn

    eps = description.architecture.published_eps
    if eps is None:
        return
    models: Any = import_module("torchvision.models")
    urls = [one.url for one in models.get_model_weights(description.torchvision)]
    if sha256_of(weights).startswith(tuple(url.rpartition("-")[2].partition(".")[0] for url in urls)):
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = eps
