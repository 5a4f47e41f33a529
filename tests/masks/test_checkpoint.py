import io
import pickle
import zipfile

import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
from helpers.checkpoints import Trap, plain_pickle  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from pointsam.base.errors import BackendError  # noqa: E402
from pointsam.base.tensors import read_tensors  # noqa: E402
from pointsam.masks import load_segmenter  # noqa: E402
from pointsam.masks.checkpoint import load_all, require_architecture  # noqa: E402
from pointsam.masks.sam import build_sam  # noqa: E402


def torch_zip(path, content):
    """As torch.save writes it, with our pickle in its place."""
    genuine = io.BytesIO()
    torch.save({"weight": torch.zeros(2)}, genuine)
    with zipfile.ZipFile(genuine) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.namelist():
            swap = entry.endswith("data.pkl")
            target.writestr(entry, pickle.dumps(content, protocol=2) if swap else source.read(entry))


def vit(width, dtype=None):
    return {"image_encoder.pos_embed": torch.zeros(1, 2, 2, width, dtype=dtype)}


@pytest.mark.parametrize("write", [plain_pickle, torch_zip])
def test_the_trap_works_where_a_pickle_is_trusted(tmp_path, write):
    write(tmp_path / "evil.pth", {"weight": Trap(tmp_path / "pwned")})
    torch.load(tmp_path / "evil.pth", weights_only=False) if write is torch_zip else pickle.loads(
        (tmp_path / "evil.pth").read_bytes()
    )
    assert (tmp_path / "pwned").exists()


@pytest.mark.parametrize("write", [plain_pickle, torch_zip])
def test_a_malicious_pickle_is_refused_and_never_executed(tmp_path, write):
    write(tmp_path / "evil.pth", {"weight": Trap(tmp_path / "pwned")})
    with pytest.raises(BackendError, match=r"BCK004.*evil\.pth") as caught:
        load_segmenter("sam_vit_b", weights=tmp_path / "evil.pth")
    assert not (tmp_path / "pwned").exists()
    assert "safetensors" in caught.value.hint
    assert "weights_only" not in str(caught.value)  # torch recommends to load it without the check


def test_a_checkpoint_of_a_training_says_which_part_is_the_weights(tmp_path):
    torch.save({"epoch": 3, "model": {"weight": torch.zeros(2)}}, tmp_path / "odd.pth")
    with pytest.raises(BackendError, match=r"BCK003.*has tables in it: 'model'") as caught:
        read_tensors(tmp_path / "odd.pth")
    assert "torch.load(FILE)['model']" in caught.value.hint


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04broken", b"\x80\x02."])
def test_a_damaged_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BackendError, match="BCK004"):
        read_tensors(tmp_path / name)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"weight": torch.zeros(2)}}, torch.zeros(2)])
def test_anything_but_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(BackendError, match="BCK003"):
        read_tensors(tmp_path / "odd.pth")


def test_half_precision_weights_become_single(tmp_path):
    save_file(vit(768, torch.float16), tmp_path / "half.safetensors")
    assert read_tensors(tmp_path / "half.safetensors")["image_encoder.pos_embed"].dtype == torch.float32


@pytest.mark.parametrize(("width", "found"), [(768, "sam_vit_b"), (1024, "sam_vit_l"), (1280, "sam_vit_h")])
def test_weights_of_another_vit_say_which_and_how_to_use_them(tmp_path, width, found):
    torch.save(vit(width), tmp_path / "other.pth")
    with pytest.raises(BackendError, match=f"BCK003.*{found}") as caught:
        load_segmenter("mobile_sam", weights=tmp_path / "other.pth")
    assert f"--masks {found}" in caught.value.hint


def test_weights_of_an_unknown_network_name_what_is_in_the_file(tmp_path):
    save_file({"conv.weight": torch.zeros(2)}, tmp_path / "resnet.safetensors")
    with pytest.raises(BackendError, match=r"BCK003.*conv\.weight"):
        load_segmenter("sam_vit_b", weights=tmp_path / "resnet.safetensors")


def test_weights_with_a_tensor_missing_extra_or_misshapen_name_it(tmp_path):
    model = torch.nn.Linear(2, 3)
    for tensors in ({}, {"weight": torch.zeros(3, 2)}, {"weight": torch.zeros(3, 2), "bias": torch.zeros(4)}):
        with pytest.raises(BackendError, match=r"BCK003.*bias has shape"):
            load_all(model, tensors, tmp_path / "w.pth")
    with pytest.raises(BackendError, match=r"BCK003.*more has shape"):
        load_all(model, {**model.state_dict(), "more": torch.zeros(1)}, tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["sam_vit_b", "sam_vit_l", "sam_vit_h"])
def test_official_vits_are_told_apart_and_nothing_is_left_without_values(tmp_path, name):
    sam = build_sam(name)
    tensors = {key: torch.empty(value.shape) for key, value in sam.state_dict().items()}
    require_architecture(tensors, name, tmp_path / "w.pth")
    load_all(sam, tensors, tmp_path / "w.pth")
    assert not any(tensor.is_meta for tensor in [*sam.parameters(), *sam.buffers()])
