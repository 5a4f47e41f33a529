"""The segmenters that come with this package: MobileSAM, and the three networks of segment_anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pointsam.base.runtime import require_device, require_packages
from pointsam.masks.base import Segmenter, SegmenterContext, SegmenterPlugin
from pointsam.masks.config import SegmentConfig
from pointsam.masks.weights import WeightFile

_PACKAGES = ("torch", "torchvision", "segment_anything", "timm", "safetensors")
_SECTION = "segment"
_REFERENCE = "_reference"
"""End of the name of a segmenter that computes its encoder by the modules of its source, for comparison."""
_PUBLISHED = "https://dl.fbaipublicfiles.com/segment_anything"


def _load(config: SegmentConfig, context: SegmenterContext) -> Segmenter:
    require_packages("sam", *_PACKAGES)
    torch_device = require_device(context.device)
    if context.threads is not None:
        import torch

        torch.set_num_threads(context.threads)

    from pointsam.base.tensors import read_tensors
    from pointsam.masks.checkpoint import load_all, require_architecture
    from pointsam.masks.predictor import PromptSegmenter
    from pointsam.masks.sam_network import SamNetwork

    name = context.name.removesuffix(_REFERENCE)
    path = context.weights or _FILES[name].path
    tensors = read_tensors(path)
    require_architecture(tensors, name, path)
    if name == "mobile_sam":
        from pointsam.masks.mobile_sam import build_mobile_sam, from_upstream_names

        sam, tensors = build_mobile_sam(), from_upstream_names(tensors)
    else:
        from pointsam.masks.sam import build_sam

        sam = build_sam(name)
    load_all(sam, tensors, path)
    if context.name == "mobile_sam":
        from pointsam.masks.mobile_sam import FastTinyVit

        sam.image_encoder = FastTinyVit(sam.image_encoder)
    elif name.startswith("sam_vit"):
        from pointsam.masks.vit import fuse_attention

        fuse_attention(sam.image_encoder)
    if config.compile:
        import torch

        sam.image_encoder = torch.compile(sam.image_encoder)
    network = SamNetwork(sam, torch_device, config.precision)
    return PromptSegmenter(
        network, name=context.name, weights_sha256=context.fingerprint, device=torch_device, config=config
    )


def _official(name: str, file_name: str, sha256: str, num_bytes: int) -> WeightFile:
    return WeightFile(name, file_name, f"{_PUBLISHED}/{file_name}", sha256, num_bytes)


def _sam(file: WeightFile) -> SegmenterPlugin[SegmentConfig]:
    return SegmenterPlugin(SegmentConfig, _load, (file,), section=_SECTION)


# Source: the model list of facebookresearch/segment-anything; mobile_sam see NOTICE.
_FILES = {
    file.name: file
    for file in (
        WeightFile(
            "mobile_sam",
            "mobile_sam_fp16.safetensors",
            None,
            "050000ea1564f61c511e1d18d54b8d143aaa7b638eaf5aa1365af24105e410b0",
            19_891_552,
            folder=Path(__file__).with_name("data"),
        ),
        _official(
            "sam_vit_b",
            "sam_vit_b_01ec64.pth",
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
            375_042_383,
        ),
        _official(
            "sam_vit_l",
            "sam_vit_l_0b3195.pth",
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
            1_249_524_607,
        ),
        _official(
            "sam_vit_h",
            "sam_vit_h_4b8939.pth",
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            2_564_550_879,
        ),
    )
}

MOBILE_SAM = _sam(_FILES["mobile_sam"])
MOBILE_SAM_REFERENCE = _sam(replace(_FILES["mobile_sam"], name=f"mobile_sam{_REFERENCE}"))
SAM_VIT_B = _sam(_FILES["sam_vit_b"])
SAM_VIT_L = _sam(_FILES["sam_vit_l"])
SAM_VIT_H = _sam(_FILES["sam_vit_h"])
