"""Promptable segmenters: image and prompts in, compressed masks out."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from pointsam.errors import BackendError
from pointsam.masks.base import Segmenter
from pointsam.masks.config import SegmentConfig
from pointsam.masks.weights import WEIGHTS, local_path, sha256_of, verify, weight_file

if TYPE_CHECKING:
    import torch

__all__ = ["WEIGHTS", "SegmentConfig", "Segmenter", "load_segmenter", "require_device"]

_PACKAGES = ("torch", "torchvision", "segment_anything", "timm", "safetensors")


def load_segmenter(
    name: str,
    *,
    weights: Path | None = None,
    device: str = "cpu",
    config: SegmentConfig | None = None,
    threads: int | None = None,
) -> Segmenter:
    """Build a segmenter with its weights, ready to embed.

    Args:
        name: mobile_sam, sam_vit_b, sam_vit_l or sam_vit_h.
        weights: a file of your own, checked for its architecture only; None takes the published one, which must have
            its published hash.
        device: as torch names it: cpu, cuda, cuda:1.
        config: thresholds, chunk and precision; None for the published ones.
        threads: CPU threads of torch in this process; None leaves them as they are.

    Raises:
        SchemaError: SCH005 on an unknown name.
        BackendError: BCK001 weights missing, BCK002 not the published file, BCK003 of another architecture, BCK004
            unsafe or damaged, BCK005 package not installed, BCK006 device not available.
    """
    weight_file(name)
    require_packages("sam", *_PACKAGES)
    torch_device = require_device(device)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    sha256 = verify(name) if weights is None else sha256_of(weights)
    path = local_path(name) if weights is None else weights

    from pointsam.masks.checkpoint import load_all, read_tensors, require_architecture
    from pointsam.masks.predictor import SamSegmenter

    tensors = read_tensors(path)
    require_architecture(tensors, name, path)
    if name == "mobile_sam":
        from pointsam.masks.mobile_sam import build_mobile_sam, from_upstream_names

        sam, tensors = build_mobile_sam(), from_upstream_names(tensors)
    else:
        from pointsam.masks.sam import build_sam

        sam = build_sam(name)
    load_all(sam, tensors, path)
    return SamSegmenter(
        sam, name=name, weights_sha256=sha256, device=torch_device, config=SegmentConfig() if config is None else config
    )


def require_device(device: str) -> torch.device:
    """The device, if it is here; the quickest thing to ask before a long job.

    Raises:
        BackendError: BCK005 without torch, BCK006 if the device is not available.
    """
    require_packages("sam", "torch")
    import torch

    try:
        wanted = torch.device(device)
        torch.zeros(1, device=wanted).item()  # the device "meta" makes tensors, but holds nothing
    except (RuntimeError, AssertionError, ImportError) as error:  # torch asserts that it was built with CUDA
        raise BackendError(
            "BCK006", f"device {device!r} is not available: {str(error).splitlines()[0]}", "use --device cpu"
        ) from error
    return wanted


def require_packages(extra: str, *packages: str) -> None:
    """Import packages that only some of the tool needs.

    Args:
        extra: of this package, that brings them.
        packages: their import names.

    Raises:
        BackendError: BCK005 naming the package and the extra.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except (ImportError, RuntimeError) as error:  # torchvision beside a torch it was not built for: RuntimeError
            raise BackendError(
                "BCK005", f"cannot import {package}: {error}", f"pip install 'pointsam[{extra}]'"
            ) from error
