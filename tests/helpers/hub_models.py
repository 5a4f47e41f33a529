"""Tiny random networks of transformers, with the true architecture, saved as folders of the hub."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
transformers = pytest.importorskip("transformers", reason="needs pointsam[hf]")

SIDE = 64
"""Side of the input of every network."""
PROMPTS = {"hidden_size": 32, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 4}
DECODER = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "mlp_dim": 64,
    "iou_head_hidden_dim": 32,
    "num_hidden_layers": 2,
}
PYRAMID = {"backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]], "fpn_hidden_size": 32}
HIERA = {
    "model_type": "sam2_hiera_det_model",
    "hidden_size": 12,
    "num_attention_heads": 1,
    "image_size": [SIDE, SIDE],
    "blocks_per_stage": [1, 2, 2, 1],
    "embed_dim_per_stage": [12, 24, 48, 96],
    "num_attention_heads_per_stage": [1, 1, 2, 2],
    "window_size_per_stage": [4, 4, 4, 4],
    "global_attention_blocks": [4],
    "window_positional_embedding_background_size": [4, 4],
}
VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": SIDE,
    "patch_size": 8,
    "output_channels": 32,
    "mlp_dim": 64,
    "global_attn_indexes": [1],
    "window_size": 4,
    "num_pos_feats": 16,
}
REPVIT = {
    "model_type": "timm_wrapper",
    "architecture": "repvit_m1",
    "num_classes": 2,
    "label_names": ["a", "b"],
    "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
}
SAM3_VIT = {
    "model_type": "sam3_vit_model",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": SIDE,
    "pretrain_image_size": 32,
    "patch_size": 16,
    "window_size": 2,
    "global_attn_indexes": [1],
}


def _sam(name, decoder=None):
    config, model = getattr(transformers, f"{name}Config"), getattr(transformers, f"{name}Model")
    prompts = PROMPTS | {"patch_size": 8, "image_embedding_size": 8}
    return model(
        config(vision_config=VIT, prompt_encoder_config=prompts, mask_decoder_config=DECODER | (decoder or {}))
    )


def _pyramid(name, vision):
    config, model = getattr(transformers, f"{name}Config"), getattr(transformers, f"{name}Model")
    return model(config(vision_config=PYRAMID | vision, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER))


def _padded():
    size = {"longest_edge": SIDE}
    return transformers.SamImageProcessor(
        size=size, pad_size={"height": SIDE, "width": SIDE}, mask_size={"longest_edge": 32}
    )


def _stretched(name):
    size = {"height": SIDE, "width": SIDE}
    return getattr(transformers, f"{name}ImageProcessor")(size=size, mask_size={"height": 16, "width": 16})


NETWORKS = {
    "sam": (lambda: _sam("Sam"), _padded),
    "sam_hq": (lambda: _sam("SamHQ", {"vit_dim": 32}), _padded),
    "sam2": (
        lambda: _pyramid("Sam2", {"backbone_config": HIERA, "backbone_channel_list": [96, 48, 24, 12]}),
        lambda: _stretched("Sam2"),
    ),
    "edgetam": (
        lambda: _pyramid("EdgeTam", {"backbone_config": REPVIT, "backbone_channel_list": [384, 192, 96, 48]}),
        lambda: _stretched("Sam2"),
    ),
    "sam3_tracker": (
        lambda: _pyramid("Sam3Tracker", {"backbone_config": SAM3_VIT}),
        lambda: _stretched("Sam3"),
    ),
}
"""Functions that make a network and its image processor, by model type."""


def save_network(kind, folder):
    """Save a random network; the same one at every call."""
    torch.manual_seed(sum(map(ord, kind)))
    make, processor = NETWORKS[kind]
    network = make()
    for value in network.parameters():  # they would be nearly 0, and masks empty
        if value.dim() > 1:
            torch.nn.init.xavier_normal_(value)
    network.save_pretrained(folder)
    processor().save_pretrained(folder)
    return folder


def picture(height=45, width=80):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    image[10:30, 20:60] = (200, 60, 40)
    return image
