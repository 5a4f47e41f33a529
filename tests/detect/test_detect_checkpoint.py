"""What a checkpoint gives back is what it was given."""

import os

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pointsam.base.errors import PointSamError, SchemaError  # noqa: E402
from pointsam.detect.checkpoint import Checkpoint, TrainingProgress, save_checkpoint  # noqa: E402
from pointsam.detect.data.budget_file import read_budget  # noqa: E402
from pointsam.detect.logs import TrainingLog  # noqa: E402


def trained(steps, width=3):
    model = torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.BatchNorm1d(width))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(4, 2)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def test_network_moments_and_place_come_back(tmp_path):
    model, optimizer = trained(3)
    save_checkpoint(tmp_path / "c", model, optimizer, TrainingProgress(3, 0.25), {"recipe": {"name": "é"}})
    checkpoint, (fresh, its) = Checkpoint(tmp_path / "c"), trained(0)
    assert (checkpoint.progress, checkpoint.about) == (TrainingProgress(3, 0.25), {"recipe": {"name": "é"}})
    checkpoint.load_model(fresh)
    checkpoint.load_optimizer(fresh, its)
    for name, value in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)
    moments, expected = its.state_dict()["state"], optimizer.state_dict()["state"]
    assert moments.keys() == expected.keys() == {0, 1, 2, 3}
    for index, state in expected.items():
        assert all(torch.equal(torch.as_tensor(moments[index][key]), value) for key, value in state.items())


def test_moments_have_the_layout_of_their_parameters(tmp_path):
    """A fused optimizer on CUDA refuses others."""

    def convolution():
        layer = torch.nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)
        return layer, torch.optim.AdamW(layer.parameters())

    layer, optimizer = convolution()
    layer(torch.ones(1, 2, 4, 4)).sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / "c", layer, optimizer, TrainingProgress(1), {})
    fresh, its = convolution()
    Checkpoint(tmp_path / "c").load_optimizer(fresh, its)
    state, expected = its.state[fresh.weight], optimizer.state[layer.weight]
    for moment in ("exp_avg", "exp_avg_sq"):
        assert state[moment].stride() == fresh.weight.stride() != (18, 9, 3, 1)
        assert torch.equal(state[moment], expected[moment])
    assert state["step"] == 1


def test_before_the_first_step_there_are_no_moments(tmp_path):
    model, optimizer = trained(0)
    save_checkpoint(tmp_path / "c", model, optimizer, TrainingProgress(), {})
    fresh, its = trained(2)
    Checkpoint(tmp_path / "c").load_optimizer(fresh, its)
    assert its.state_dict()["state"] == {}
    assert Checkpoint(tmp_path / "c").progress == TrainingProgress(0, None)


def test_another_network_and_what_is_no_checkpoint_are_refused(tmp_path):
    save_checkpoint(tmp_path / "c", *trained(1), TrainingProgress(), {})
    with pytest.raises(SchemaError, match=r"SCH003.*weights of another network"):
        Checkpoint(tmp_path / "c").load_model(trained(0, width=4)[0])
    (tmp_path / "text").write_text("no checkpoint")
    for name in ("text", "missing"):
        with pytest.raises(SchemaError, match=rf"SCH003.*{name}: no readable checkpoint"):
            Checkpoint(tmp_path / name)


@pytest.mark.parametrize("place", [-1, -20])
def test_a_file_whose_numbers_have_changed_is_damaged(place, tmp_path):
    """Its size is right, so only the digest shows it."""
    save_checkpoint(tmp_path / "c", *trained(1), TrainingProgress(1), {})
    content = bytearray((tmp_path / "c").read_bytes())
    content[place] ^= 1
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(SchemaError, match=r"SCH003.*no readable checkpoint \(its numbers are not those"):
        Checkpoint(tmp_path / "c")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_place_of_a_checkpoint_budget_or_log_is_refused(tmp_path):
    os.mkfifo(tmp_path / "losses.csv")
    for read in (Checkpoint, read_budget, lambda path: TrainingLog(path.parent, 0, True).__enter__()):
        with pytest.raises(PointSamError, match="pipe"):
            read(tmp_path / "losses.csv")
