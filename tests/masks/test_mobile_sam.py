import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
from pointsam.base.tensors import read_tensors  # noqa: E402
from pointsam.masks import weight_files  # noqa: E402
from pointsam.masks.mobile_sam import build_mobile_sam, from_upstream_names  # noqa: E402
from pointsam.masks.sam import build_sam  # noqa: E402


@pytest.mark.parametrize("name", ["mobile_sam", "sam_vit_b", "sam_vit_l", "sam_vit_h"])
def test_the_networks_have_the_published_sizes(name):
    sam = build_mobile_sam() if name == "mobile_sam" else build_sam(name)
    assert sam.pixel_mean.shape == sam.pixel_std.shape == (3, 1, 1)
    assert sam.pixel_mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])
    assert sam.pixel_std.flatten().tolist() == pytest.approx([58.395, 57.12, 57.375])
    assert sam.image_encoder.img_size == 1024
    prompts = sam.prompt_encoder
    assert (prompts.input_image_size, prompts.image_embedding_size) == ((1024, 1024), (64, 64))
    assert prompts.mask_input_size == (256, 256)
    transformer = sam.mask_decoder.transformer
    assert (transformer.depth, transformer.embedding_dim, transformer.num_heads, transformer.mlp_dim) == (
        2,
        256,
        8,
        2048,
    )
    assert not sam.training


def test_every_shipped_tensor_has_its_place_and_none_is_missing():
    named = from_upstream_names(read_tensors(weight_files("mobile_sam")[0].path))
    assert named.keys() == build_mobile_sam().state_dict().keys()


def test_the_classifier_of_upstreams_own_file_is_left_out():
    head = {"image_encoder.norm_head.weight": torch.zeros(1), "image_encoder.head.bias": torch.zeros(1)}
    assert from_upstream_names(head) == {}


def test_a_cell_of_the_embedding_is_16_pixels_wide_as_in_sam(stock_sam):
    with torch.inference_mode():
        assert stock_sam.image_encoder(torch.zeros(1, 3, 256, 128)).shape == (1, 256, 16, 8)


def test_frequencies_of_the_positional_encoding_are_not_rounded_to_half():
    tensors = read_tensors(weight_files("mobile_sam")[0].path)
    frequencies = tensors["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]
    assert not torch.equal(frequencies, frequencies.half().float())
