"""Tiny random detectors of transformers, with the true architecture, saved as folders of the hub."""

import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
transformers = pytest.importorskip("transformers", reason="needs pointsam[hf]")

NAMES = ("N/A", "person", "car", "truck")
SIDE = 64
_LABELS = {"id2label": dict(enumerate(NAMES)), "label2id": {name: k for k, name in enumerate(NAMES)}}
_SIZES = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "num_queries": 12,
}
_STAGES = {"embedding_size": 8, "hidden_sizes": [8] * 4, "depths": [1] * 4}
_THREE = ["stage2", "stage3", "stage4"]
_VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIDE, "patch_size": 8}
_WINDOWED = {
    "d_model": 32,
    "decoder_layers": 2,
    "decoder_self_attention_heads": 2,
    "decoder_cross_attention_heads": 2,
    "decoder_ffn_dim": 32,
    "num_queries": 12,
    "group_detr": 2,
    "decoder_n_points": 2,
}


def _build(name, **options):
    config = getattr(transformers, f"{name}Config")(**options, **_LABELS)
    return getattr(transformers, f"{name}ForObjectDetection")(config)


def _detr(name, out_features=("stage4",), **more):
    backbone = transformers.ResNetConfig(**_STAGES, layer_type="basic", out_features=list(out_features))
    return _build(name, **{**_SIZES, "use_timm_backbone": False, "backbone_config": backbone, **more})


def _rt_detr(name, backbone):
    return _build(
        name,
        **_SIZES,
        backbone_config=backbone,
        encoder_hidden_dim=32,
        encoder_in_channels=[8] * 3,
        decoder_in_channels=[32] * 3,
        num_denoising=0,
    )


def _resnet():
    return transformers.RTDetrResNetConfig(**_STAGES, layer_type="basic", out_features=_THREE)


def _hgnet():
    blocks = {"stage_num_blocks": [1] * 4, "stage_numb_of_layers": [1] * 4, "stage_light_block": [False] * 4}
    widths = {f"stage_{part}_channels": [8] * 4 for part in ("in", "mid", "out")}
    return transformers.HGNetV2Config(
        **_STAGES,
        **blocks,
        **widths,
        stem_channels=[3, 8, 8],
        stage_downsample=[False, True, True, True],
        stage_kernel_size=[3] * 4,
        out_features=_THREE,
    )


def _lw_detr():
    more = {"pretrain_image_size": SIDE, "num_windows": 4, "window_block_indices": [0], "out_indices": [1, 2]}
    backbone = transformers.LwDetrViTConfig(**_VIT, **more, mlp_ratio=1)
    return _build("LwDetr", **_WINDOWED, backbone_config=backbone, projector_scale_factors=[1.0])


def _rf_detr():
    backbone = transformers.RfDetrDinov2Config(**_VIT, mlp_ratio=1, num_windows=2, out_indices=[1, 2])
    return _build("RfDetr", **_WINDOWED, backbone_config=backbone)


def _yolos():
    return _build("Yolos", **{**_VIT, "image_size": [SIDE, SIDE]}, intermediate_size=32, num_detection_tokens=12)


_WHOLE = {"size": {"height": SIDE, "width": SIDE}}
_SHORTEST = {"size": {"shortest_edge": SIDE, "longest_edge": 2 * SIDE}}

DETECTORS = {
    "conditional_detr": (lambda: _detr("ConditionalDetr"), "ConditionalDetr", _SHORTEST),
    "d_fine": (lambda: _rt_detr("DFine", _hgnet()), "RTDetr", _WHOLE),
    "dab-detr": (lambda: _detr("DabDetr", hidden_size=32), "ConditionalDetr", _SHORTEST),
    "deformable_detr": (
        lambda: _detr("DeformableDetr", _THREE, num_feature_levels=3),
        "DeformableDetr",
        _SHORTEST,
    ),
    "deimv2": (lambda: _rt_detr("Deimv2", _hgnet()), "RTDetr", _WHOLE),
    "detr": (lambda: _detr("Detr"), "Detr", {**_SHORTEST, "pad_size": {"height": 160, "width": 160}}),
    "lw_detr": (_lw_detr, "DeformableDetr", _WHOLE),
    "rf_detr": (_rf_detr, "RfDetr", _WHOLE),
    "rt_detr": (lambda: _rt_detr("RTDetr", _resnet()), "RTDetr", _WHOLE),
    "rt_detr_v2": (lambda: _rt_detr("RTDetrV2", _resnet()), "RTDetr", _WHOLE),
    "table-transformer": (lambda: _detr("TableTransformer"), "Detr", _SHORTEST),
    "yolos": (_yolos, "Yolos", _SHORTEST),
}
"""A function that makes the network, its image processor and the size of its input, by model type."""


def save_detector(kind, folder):
    """Save a random detector; the same one at every call."""
    make, processor, size = DETECTORS[kind]
    save_random(make, kind, folder)
    getattr(transformers, f"{processor}ImageProcessor")(**size).save_pretrained(folder)
    return folder


def save_random(make, kind, folder):
    """Save a network whose answers differ from label to label and from box to box."""
    torch.manual_seed(sum(map(ord, kind)))
    network = make()
    for value in network.parameters():  # they would be nearly 0, and all answers alike
        if value.dim() > 1:
            torch.nn.init.xavier_normal_(value, gain=1.5)
    network.save_pretrained(folder)
