"""Networks of transformers: the true loading code saves and loads them, and their masks are those of its own path."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
transformers = pytest.importorskip("transformers", reason="needs pointsam[hf]")
from helpers.hub_models import NETWORKS, picture, save_network  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from pointsam import rle  # noqa: E402
from pointsam.base.errors import BackendError  # noqa: E402
from pointsam.base.hub import hub_model  # noqa: E402
from pointsam.base.tensors import read_tensors  # noqa: E402
from pointsam.masks import SegmentConfig, load_segmenter, segmenter_plugin  # noqa: E402
from pointsam.masks.checkpoint import load_all  # noqa: E402
from pointsam.masks.hf import HfNetwork  # noqa: E402
from pointsam.masks.mobile_sam import build_mobile_sam, from_upstream_names  # noqa: E402
from pointsam.masks.predictor import PromptSegmenter  # noqa: E402
from tests.semantics.test_ssd import drawn_sign  # noqa: E402

POINTS = np.array([[30, 20], [55, 12], [10, 40]], dtype=np.int32)
BOXES = np.array([[20, 10, 60, 30], [0, 5, 79, 44]], dtype=np.float32)
EVERYTHING = SegmentConfig(pred_iou_threshold=0.0, stability_threshold=0.0, nms_iou=1.0)


@pytest.fixture(scope="module", params=NETWORKS)
def saved(request, tmp_path_factory):
    return save_network(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def folder(tmp_path):
    return save_network("sam", tmp_path / "sam")


def decoded(masks):
    return np.array([rle.decode_mask(counts, masks.height_px, masks.width_px) for counts in masks.rle])


def by_transformers(folder, image, **prompts):
    """(masks, scores) as transformers' own processor and model give them, at full size."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    if not hasattr(model, "prompt_encoder"):
        model = getattr(transformers, type(model).__name__).from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    inputs = processor(images=image, return_tensors="pt")
    sizes = inputs["reshaped_input_sizes"][0] if "reshaped_input_sizes" in inputs else inputs["pixel_values"].shape[-2:]
    scale = torch.tensor([int(sizes[1]) / image.shape[1], int(sizes[0]) / image.shape[0]], dtype=torch.float64)
    scaled = {}
    for name, values in prompts.items():
        values = torch.tensor(values, dtype=torch.float64)
        scaled[name] = (values * (scale if values.shape[-1] == 2 else scale.repeat(2))).float()
    with torch.inference_mode():
        out = model(pixel_values=inputs["pixel_values"], **scaled, multimask_output="input_points" in prompts)
    more = [inputs["reshaped_input_sizes"]] if "reshaped_input_sizes" in inputs else []
    (masks,) = processor.post_process_masks(out.pred_masks, inputs["original_sizes"], *more, binarize=False)
    return masks.numpy(), out.iou_scores[0].numpy()


def test_boxes_give_the_masks_of_transformers_own_path(saved):
    image = picture()
    segmenter = load_segmenter("hf", weights=saved, config=EVERYTHING)
    found = segmenter.from_boxes(segmenter.embed(image), BOXES)
    logits, scores = by_transformers(saved, image, input_boxes=[BOXES.tolist()])
    assert found.source.tolist() == [0, 1]
    np.testing.assert_allclose(found.pred_iou, scores[:, 0], atol=1e-4)
    clear = np.abs(logits[:, 0]) > 1e-3
    assert (decoded(found) == (logits[:, 0] > 0))[clear].all()
    assert clear.mean() > 0.9


def test_points_give_three_masks_each_of_transformers_own_path(saved):
    image = picture(80, 45)
    points = POINTS[:, ::-1].copy()
    segmenter = load_segmenter("hf", weights=saved, config=EVERYTHING)
    found = segmenter.from_points(segmenter.embed(image), points)
    logits, scores = by_transformers(saved, image, input_points=[points[:, None].tolist()])
    expected = np.sort(scores[scores > 0].ravel())[::-1]
    assert len(expected) > 0
    kept = {round(float(score), 4) for score in found.pred_iou}
    assert kept <= {round(float(score), 4) for score in expected}
    flat, wanted = scores.ravel(), (logits > 0).reshape(-1, *image.shape[:2])
    for mask, score in zip(decoded(found), found.pred_iou, strict=True):
        k = int(np.abs(flat - score).argmin())
        clear = np.abs(logits.reshape(-1, *image.shape[:2])[k]) > 1e-3
        assert (mask == wanted[k])[clear].all()


def test_the_result_is_the_same_in_chunks_and_at_every_call(saved):
    image = picture()
    masks = []
    for chunk in (1, 2, 64):
        segmenter = load_segmenter("hf", weights=saved, config=SegmentConfig(chunk=chunk))
        masks.append(segmenter.from_boxes(segmenter.embed(image), np.tile(BOXES, (2, 1))))
    for other in masks[1:]:
        np.testing.assert_allclose(other.pred_iou, masks[0].pred_iou, atol=1e-5)
        assert (decoded(other) == decoded(masks[0])).mean() > 0.999
    assert decoded(masks[0]).any()


def test_no_prompts_give_no_masks(saved):
    segmenter = load_segmenter("hf", weights=saved)
    embedding = segmenter.embed(picture())
    assert len(segmenter.from_boxes(embedding, np.zeros((0, 4), dtype=np.float32))) == 0
    assert len(segmenter.from_points(embedding, np.zeros((0, 2), dtype=np.int32))) == 0


def test_what_a_model_computes_decides_its_digest(folder, tmp_path):
    plugin = segmenter_plugin("hf")
    before = plugin.weights_sha256(folder)
    moved = folder.rename(tmp_path / "moved")
    (moved / "README.md").write_text("---\nlicense: mit\n---\nA model.\n")
    assert plugin.weights_sha256(moved) == before
    settings = json.loads((moved / "preprocessor_config.json").read_text())
    (moved / "preprocessor_config.json").write_text(json.dumps({**settings, "image_mean": [0.5, 0.5, 0.5]}))
    assert plugin.weights_sha256(moved) != before


@pytest.mark.parametrize(("text", "licence"), [("---\nlicense: mit\n---\n", "mit"), ("license: mit", ""), ("", "")])
def test_the_licence_is_that_of_the_readme(folder, text, licence):
    (folder / "README.md").write_text(text)
    assert hub_model(folder).licence == licence


def test_pickled_weights_are_not_read(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(
        BackendError, match=r"BCK004.*no \.safetensors, only pytorch_model\.bin; nothing in it was exec"
    ):
        load_segmenter("hf", weights=folder)


def test_code_of_a_model_is_never_run(folder):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "auto_map": {"AutoModel": "own.Model"}}))
    (folder / "own.py").write_text("raise SystemExit('it ran')")
    segmenter = load_segmenter("hf", weights=folder)
    assert len(segmenter.from_boxes(segmenter.embed(picture()), BOXES)) == 2


def test_a_model_of_another_kind_is_named(folder):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "model_type": "vit"}))
    with pytest.raises(BackendError, match=r"BCK003.*type 'vit', no promptable segmenter"):
        load_segmenter("hf", weights=folder)


def test_weights_that_do_not_fit_are_named(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("mask_decoder.iou_token.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackendError, match=r"BCK003.*SamModel in 1 tensors, the first is 'mask_decoder\.iou_token"):
        load_segmenter("hf", weights=folder)


def test_damaged_files_are_named(folder):
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(BackendError, match=r"BCK004"):
        load_segmenter("hf", weights=folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(BackendError, match=r"BCK004.*config\.json cannot be read"):
        load_segmenter("hf", weights=folder)


def test_without_a_source_the_option_is_named():
    with pytest.raises(BackendError, match=r"BCK001(.|\n)*--weights"):
        load_segmenter("hf")


@pytest.mark.parametrize("source", ["nowhere", "a/b/c", "../gone/x", 300 * "x"])
def test_a_folder_that_is_not_there_is_named(source):
    with pytest.raises(BackendError, match=rf"BCK001.*{source}"):
        load_segmenter("hf", weights=Path(source))


def test_an_id_that_cannot_be_fetched_is_named(monkeypatch):
    def offline(*_args, **_options):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(BackendError, match=r"BCK001.*facebook/sam2-tiny.*no network(.|\n)*give the folder"):
        load_segmenter("hf", weights=Path("facebook/sam2-tiny"))


def test_an_id_is_fetched_at_its_revision_without_code_or_pickles(folder, monkeypatch, tmp_path):
    commit = "0123456789" * 4
    snapshot = folder.rename(tmp_path / commit)
    asked = []

    def fetched(name, revision=None, allow_patterns=()):
        asked.append((name, revision))
        assert not any(pattern.endswith((".py", ".bin", ".pt")) for pattern in allow_patterns)
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    assert hub_model(Path("some/sam@v2")).commit == commit
    assert hub_model(Path("some/sam")).digest == hub_model(snapshot).digest
    assert hub_model(Path("some/sam@v2")).folder == snapshot  # without the hub, where a branch may have moved
    assert asked == [("some/sam", "v2"), ("some/sam", None)]


IN_TRANSFORMERS = (
    ("pe_layer.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
    ("point_embeddings.", "point_embed."),
    ("mask_downscaling.0.", "mask_embed.conv1."),
    ("mask_downscaling.1.", "mask_embed.layer_norm1."),
    ("mask_downscaling.3.", "mask_embed.conv2."),
    ("mask_downscaling.4.", "mask_embed.layer_norm2."),
    ("mask_downscaling.6.", "mask_embed.conv3."),
    ("norm_final_attn.", "layer_norm_final_attn."),
    ("output_upscaling.0.", "upscale_conv1."),
    ("output_upscaling.1.", "upscale_layer_norm."),
    ("output_upscaling.3.", "upscale_conv2."),
    *((f".norm{k}.", f".layer_norm{k}.") for k in (1, 2, 3, 4)),
)
OF_A_HEAD = ((".layers.0.", ".proj_in."), (".layers.1.", ".layers.0."), (".layers.2.", ".proj_out."))
"""Names of tensors in segment_anything and in transformers."""


def converted(sam):
    """SAM's prompt encoder and mask decoder of segment_anything in a SamModel of transformers."""
    model, state = transformers.SamModel(transformers.SamConfig(vision_config={"num_hidden_layers": 1})).eval(), {}
    for name, value in sam.state_dict().items():
        if name.startswith(("prompt_encoder.", "mask_decoder.")):
            heads = "mlps." in name or "iou_prediction_head." in name
            for old, new in (*IN_TRANSFORMERS, *(OF_A_HEAD if heads else ())):
                name = name.replace(old, new)
            state[name] = value
    state["shared_image_embedding.positional_embedding"] = state["prompt_encoder.shared_embedding.positional_embedding"]
    told = model.load_state_dict(state, strict=False)
    assert not told.unexpected_keys
    assert all(name.startswith("vision_encoder.") for name in told.missing_keys)
    return model


def test_mobile_sams_decoder_gives_equal_masks_in_transformers():
    """With real weights: the encoder is MobileSAM's own, and all that follows is of transformers."""
    path = segmenter_plugin("mobile_sam").weights[0].path
    sam, cpu = build_mobile_sam(), torch.device("cpu")
    load_all(sam, from_upstream_names(read_tensors(path)), path)
    model = converted(sam)
    model.get_image_embeddings = lambda pixels: sam.image_encoder(pixels)
    network = HfNetwork(model, transformers.SamImageProcessor(), cpu, "float32")
    theirs = PromptSegmenter(network, name="hf", weights_sha256="", device=cpu, config=SegmentConfig())
    ours, image = load_segmenter("mobile_sam"), drawn_sign()
    points = np.array([[300, 200], [320, 400]], dtype=np.int32)
    boxes = np.array([[200, 100, 400, 300]], dtype=np.float32)
    for call, prompts in (("from_points", points), ("from_boxes", boxes)):
        one, other = (getattr(segmenter, call)(segmenter.embed(image), prompts) for segmenter in (ours, theirs))
        assert len(one) == len(other) > 0
        np.testing.assert_allclose(other.pred_iou, one.pred_iou, atol=2e-3)
        both, either = decoded(one) & decoded(other), decoded(one) | decoded(other)
        assert (both.sum((1, 2)) > 0.999 * either.sum((1, 2))).all()


def test_the_encoder_is_compiled_if_asked(folder, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda part: compiled.append(part) or part)
    load_segmenter("hf", weights=folder, config=SegmentConfig(compile=True)).embed(picture())
    assert [type(part).__name__ for part in compiled] == ["SamVisionEncoder"]


def test_images_that_are_encoded_together_give_the_masks_of_each(saved):
    images, both = [picture(), picture()[::-1].copy()], EVERYTHING
    segmenter = load_segmenter("hf", weights=saved, config=replace(both, batch=2))
    alone = load_segmenter("hf", weights=saved, config=both)
    embeddings = segmenter.embed_all(images)
    assert embeddings[0].together == 2
    for name, prompts in (("from_boxes", BOXES), ("from_points", POINTS)):
        found = getattr(segmenter, f"{name}_all")(embeddings, [prompts, prompts])
        for k, image in enumerate(images):
            expected = getattr(alone, name)(alone.embed(image), prompts)
            np.testing.assert_allclose(found[k].pred_iou, expected.pred_iou, atol=1e-4)
            assert (decoded(found[k]) == decoded(expected)).mean() > 0.99
