"""Promptable segmenters: image and prompts in, compressed masks out."""

from __future__ import annotations

from pathlib import Path

from pointsam.base.runtime import require_device, require_packages
from pointsam.masks.base import Segmenter
from pointsam.masks.config import SegmentConfig
from pointsam.masks.weights import WEIGHTS, local_path, sha256_of, verify, weight_file

__all__ = ["WEIGHTS", "SegmentConfig", "Segmenter", "load_segmenter"]

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
