import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
from pointsam.masks import weight_files  # noqa: E402
from pointsam.masks.checkpoint import read_tensors  # noqa: E402
from pointsam.masks.mobile_sam import build_mobile_sam, from_upstream_names  # noqa: E402


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
