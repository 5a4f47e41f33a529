import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs pointsam[sam]")
from pointsam.base.errors import BackendError, SchemaError
from pointsam.masks import SegmentConfig, load_segmenter, weight_files


def test_a_segmenter_knows_its_name_and_weights(mobile_sam):
    assert (mobile_sam.name, mobile_sam.weights_sha256) == ("mobile_sam", weight_files("mobile_sam")[0].sha256)


def test_a_file_of_ones_own_is_loaded_wherever_it_lies(tmp_path):
    copy = tmp_path / "mine.safetensors"
    copy.symlink_to(weight_files("mobile_sam")[0].path)
    assert load_segmenter("mobile_sam", weights=copy).weights_sha256 == weight_files("mobile_sam")[0].sha256


def test_an_unknown_segmenter_is_refused():
    with pytest.raises(SchemaError, match="SCH005"):
        load_segmenter("sam_vit_x")


@pytest.mark.parametrize("weights", [None, "nowhere.pth"])
def test_missing_weights_are_named(tmp_path, monkeypatch, weights):
    monkeypatch.setenv("POINTSAM_CACHE", str(tmp_path))
    with pytest.raises(BackendError, match="BCK001"):
        load_segmenter("sam_vit_b", weights=weights and tmp_path / weights)


def test_a_cached_file_that_is_not_the_published_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("POINTSAM_CACHE", str(tmp_path))
    path = weight_files("sam_vit_b")[0].path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a download")
    with pytest.raises(BackendError, match="BCK002") as caught:
        load_segmenter("sam_vit_b")
    assert "weights get sam_vit_b" in caught.value.hint


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    with pytest.raises(BackendError, match=r"BCK005.*segment_anything") as caught:
        load_segmenter("mobile_sam")
    assert caught.value.hint == "pip install 'pointsam[sam]'"


@pytest.mark.parametrize("device", ["cuda:99", "abacus", "meta"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(BackendError, match=f"BCK006.*{device}"):
        load_segmenter("mobile_sam", device=device)


@pytest.mark.parametrize(("threads", "set_to"), [(3, [3]), (None, [])])
def test_threads_are_set_only_where_asked_for(monkeypatch, threads, set_to):
    asked = []
    monkeypatch.setattr("torch.set_num_threads", asked.append)
    load_segmenter("mobile_sam", threads=threads)
    assert asked == set_to


def test_importing_the_package_loads_no_network_library():
    program = "import sys, pointsam.masks; print(sorted({'torch', 'timm', 'segment_anything'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_encoder_is_compiled_if_asked(monkeypatch, mobile_sam, disc_image):
    import torch

    compiled = []
    monkeypatch.setattr(torch, "compile", lambda part: compiled.append(part) or part)
    segmenter = load_segmenter("mobile_sam", config=SegmentConfig(compile=True))
    assert [type(part).__name__ for part in compiled] == ["FastTinyVit"]
    box = np.array([[110, 80, 230, 200]], np.float32)
    found, expected = (one.from_boxes(one.embed(disc_image), box) for one in (segmenter, mobile_sam))
    assert found.rle == expected.rle
