"""Tiny random segmenters of transformers with classes, with the true architecture, saved as folders of the hub."""

import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
transformers = pytest.importorskip("transformers", reason="needs pointsam[hf]")

NAMES = ("road", "person", "car", "background")
SIDE = 64
_LABELS = {"id2label": dict(enumerate(NAMES)), "label2id": {name: k for k, name in enumerate(NAMES)}}
_SWIN = {
    "image_size": SIDE,
    "embed_dim": 8,
    "depths": [1] * 4,
    "num_heads": [1, 1, 2, 2],
    "window_size": 2,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}
_VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": SIDE,
    "patch_size": 8,
}


def _mask2former():
    config = transformers.Mask2FormerConfig(
        backbone_config=transformers.SwinConfig(**_SWIN),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=10,
        **_LABELS,
    )
    return transformers.Mask2FormerForUniversalSegmentation(config)


def _maskformer():
    decoder = transformers.DetrConfig(
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=10,
    )
    config = transformers.MaskFormerConfig(
        fpn_feature_size=32,
        mask_feature_size=32,
        backbone_config=transformers.SwinConfig(**_SWIN),
        decoder_config=decoder,
        **_LABELS,
    )
    return transformers.MaskFormerForInstanceSegmentation(config)


def _segformer():
    config = transformers.SegformerConfig(
        hidden_sizes=[8] * 4, depths=[1] * 4, num_attention_heads=[1] * 4, decoder_hidden_size=8, **_LABELS
    )
    return transformers.SegformerForSemanticSegmentation(config)


def _upernet():
    backbone = transformers.ConvNextConfig(hidden_sizes=[8] * 4, depths=[1] * 4, out_features=_SWIN["out_features"])
    config = transformers.UperNetConfig(
        backbone_config=backbone, hidden_size=8, auxiliary_in_channels=8, auxiliary_channels=8, **_LABELS
    )
    return transformers.UperNetForSemanticSegmentation(config)


def _beit(name):
    config = getattr(transformers, f"{name}Config")(
        **_VIT, out_indices=[1, 2, 3, 4], semantic_loss_ignore_index=255, auxiliary_channels=8, **_LABELS
    )
    return getattr(transformers, f"{name}ForSemanticSegmentation")(config)


def _dpt():
    config = transformers.DPTConfig(
        **_VIT,
        is_hybrid=False,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8] * 4,
        fusion_hidden_size=8,
        **_LABELS,
    )
    return transformers.DPTForSemanticSegmentation(config)


_WHOLE = {"size": {"height": SIDE, "width": SIDE}}
_SHORTEST = {"size": {"shortest_edge": SIDE, "longest_edge": 2 * SIDE}}
SEGMENTERS = {
    "mask2former": (_mask2former, "Mask2Former", _SHORTEST),
    "maskformer": (_maskformer, "MaskFormer", _SHORTEST),
}
"""A function that makes the network, its image processor and the size of its input, by model type."""
CLASS_MAPS = {
    "beit": (lambda: _beit("Beit"), "Beit", _WHOLE),
    "data2vec-vision": (lambda: _beit("Data2VecVision"), "Beit", _WHOLE),
    "dpt": (_dpt, "DPT", _WHOLE),
    "segformer": (_segformer, "Segformer", _WHOLE),
    "upernet": (_upernet, "Segformer", _WHOLE),
}
"""The same of networks that give the class of every pixel."""
_SEEDS = {"mask2former": 56, "maskformer": 12}
"""Seeds with which several queries have labels and pixels of their own; of most others, one query wins all pixels."""


def save_segmenter(kind, folder):
    """Save a random network; the same one at every call."""
    make, processor, size = {**SEGMENTERS, **CLASS_MAPS}[kind]
    torch.manual_seed(_SEEDS.get(kind, sum(map(ord, kind))))
    network = make()
    for name, value in network.named_parameters():  # they would be nearly 0, and all answers alike
        if value.dim() > 1:
            torch.nn.init.xavier_normal_(value, gain=6 if "class_predictor" in name else 1.5)
    network.save_pretrained(folder)
    getattr(transformers, f"{processor}ImageProcessor")(**size).save_pretrained(folder)
    return folder
