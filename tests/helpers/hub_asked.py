"""Tiny random networks of transformers that are asked in words, with true tokenizers of a few words or letters."""

import string

import pytest
from helpers.hub_detectors import save_random
from helpers.hub_models import DECODER, PROMPTS, PYRAMID, SAM3_VIT

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
transformers = pytest.importorskip("transformers", reason="needs pointsam[hf]")

SIDE = 64
MOST_TOKENS = 16
"""Tokens of a text, with the two around it."""
WORDS = ("car", "van", "truck", "pick", "##up", "traffic", "cone", "person", "bus", "barrier", "concrete", "jersey")
_BERT = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
"""Tokens whose numbers Grounding DINO knows."""
_TEXT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def bert_tokenizer():
    names = [_BERT.get(k, f"[unused{k}]") for k in range(1040)]
    names[200 : 200 + len(WORDS)] = WORDS
    return transformers.BertTokenizerFast(vocab={name: k for k, name in enumerate(names)})


def clip_tokenizer(most=MOST_TOKENS):
    """Each letter is a token."""
    letters = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    vocab = {name: k for k, name in enumerate(("!", *letters, "<|startoftext|>", "<|endoftext|>"))}
    return transformers.CLIPTokenizerFast(vocab=vocab, merges=[], pad_token="!", model_max_length=most)


def _dino(name):
    stages = {"depths": [1, 1, 1], "num_heads": [1, 2, 2], "out_features": ["stage1", "stage2", "stage3"]}
    swin = transformers.SwinConfig(embed_dim=8, window_size=4, image_size=SIDE, patch_size=4, **stages)
    config = getattr(transformers, f"{name}Config")(
        backbone_config=swin,
        text_config={"model_type": "bert", "vocab_size": 1040, "max_position_embeddings": 64, **_TEXT},
        num_queries=12,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        num_feature_levels=3,
        max_text_len=MOST_TOKENS,
    )
    return getattr(transformers, f"{name}ForObjectDetection")(config)


def _owl(name):
    text = {"vocab_size": 55, "max_position_embeddings": MOST_TOKENS, "bos_token_id": 53, "eos_token_id": 54, **_TEXT}
    vision = {"image_size": SIDE, "patch_size": 16, **_TEXT}
    config = getattr(transformers, f"{name}Config")(text_config=text, vision_config=vision, projection_dim=32)
    return getattr(transformers, f"{name}ForObjectDetection")(config)


def _sam3():
    parts = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    sizes = {"vocab_size": 55, "max_position_embeddings": 32, "projection_dim": 16}
    config = transformers.Sam3Config(
        vision_config={**PYRAMID, "backbone_config": SAM3_VIT},
        text_config={"model_type": "clip_text_model", "bos_token_id": 53, "eos_token_id": 54, **sizes, **_TEXT},
        geometry_encoder_config=parts,
        detr_encoder_config=parts,
        detr_decoder_config={**parts, "num_queries": 12},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )
    return transformers.Sam3Model(config)


def _sam3_video():
    tracker = transformers.Sam3TrackerVideoConfig(
        vision_config={**PYRAMID, "backbone_config": SAM3_VIT},
        prompt_encoder_config=PROMPTS,
        mask_decoder_config=DECODER,
        image_size=SIDE,
        memory_attention_hidden_size=32,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_encoder_hidden_size=32,
        mask_downsampler_embed_dim=32,
        memory_fuser_num_layers=1,
        memory_fuser_embed_dim=32,
        memory_fuser_intermediate_dim=32,
    )
    parts = {"detector_config": _sam3().config.to_dict(), "tracker_config": tracker.to_dict()}
    return transformers.Sam3VideoModel(transformers.Sam3VideoConfig(**parts))


def _sam3_processor():
    images = transformers.Sam3ImageProcessor(size={"height": SIDE, "width": SIDE})
    return transformers.Sam3Processor(images, clip_tokenizer(32))


def _dino_processor():
    size = {"shortest_edge": SIDE, "longest_edge": 2 * SIDE}
    images = transformers.GroundingDinoImageProcessor(size=size)
    return transformers.GroundingDinoProcessor(images, bert_tokenizer())


def _owl_processor(name):
    images = getattr(transformers, f"{name}ImageProcessor")(size={"height": SIDE, "width": SIDE})
    return getattr(transformers, f"{name}Processor")(images, clip_tokenizer())


ASKED = {
    "grounding-dino": (lambda: _dino("GroundingDino"), _dino_processor),
    "mm-grounding-dino": (lambda: _dino("MMGroundingDino"), _dino_processor),
    "owlv2": (lambda: _owl("Owlv2"), lambda: _owl_processor("Owlv2")),
    "owlvit": (lambda: _owl("OwlViT"), lambda: _owl_processor("OwlViT")),
    "sam3": (_sam3, _sam3_processor),
    "sam3_video": (_sam3_video, _sam3_processor),
}
"""Functions that make the network and its processor, by model type."""


def save_asked(kind, folder):
    """Save a random network; the same one at every call."""
    make, processor = ASKED[kind]
    save_random(make, kind, folder)
    processor().save_pretrained(folder)
    return folder
