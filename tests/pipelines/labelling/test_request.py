from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest

from pipelines.cli.label import main
from pipelines.labelling.request import Execution, Selection
from pointsam.base.arrays import evenly
from pointsam.stages.recipes import RECIPES


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_the_requested_workers_are_used_for_every_stage(device):
    execution = Execution(device=device, workers=3)
    assert {execution.workers_for(stage) for stage in ("masks", "clusters")} == {3}


def test_a_stage_has_one_worker_per_core_but_one_per_gpu_on_ray(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(6)), raising=False)
    on_gpu, on_cpu = (Execution(device=device) for device in ("cuda", "cpu"))
    assert (on_gpu.workers_for("masks"), on_gpu.workers_for("clusters")) == (6, 6)
    assert replace(on_gpu, engine="ray").workers_for("masks") == 1
    assert (on_cpu.workers_for("masks"), on_cpu.workers_for("clusters")) == (6, 6)


def test_threads_of_one_process_share_a_gpu():
    execution = Execution(device="cuda")
    assert [execution.engine_for(stage) for stage in ("masks", "clusters")] == ["threads", "local"]
    assert replace(execution, engine="ray").engine_for("masks") == "ray"
    assert Execution().engine_for("masks") == "local"


@pytest.mark.parametrize(("engine", "device"), [("local", "cuda:1"), ("ray", "cuda")])
def test_a_worker_of_ray_uses_gpu_0(engine, device):
    assert Execution(device="cuda:1", engine=engine).worker_device == device


@pytest.mark.parametrize(
    ("count", "most", "chosen"),
    [(10, None, list(range(10))), (10, 10, list(range(10))), (3, 9, [0, 1, 2]), (11, 3, [0, 5, 10]), (4, 1, [0])],
)
def test_a_sample_is_spread_evenly_from_the_first_to_the_last(count, most, chosen):
    assert evenly(range(count), most) == chosen


@pytest.mark.parametrize("count", [29, 280, 1001])
@pytest.mark.parametrize("most", [2, 13, 28])
def test_a_sample_takes_nothing_twice_and_leaves_equal_gaps(count, most):
    chosen = evenly(range(count), most)
    gaps = {later - sooner for sooner, later in pairwise(chosen)}
    assert len(set(chosen)) == most
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    assert max(gaps) - min(gaps) <= 1


def test_a_sample_is_of_the_selected_frames():
    ids = [f"{k}" for k in range(9)]
    dataset = SimpleNamespace(frame_ids=lambda split: ids, scene=lambda frame_id: "scene")
    asked = Selection(frames=("2", "3", "5", "7"), sample=2)
    assert asked.of(dataset) == [("scene", "2"), ("scene", "7")]


def test_the_commands_know_every_recipe():
    """The option holds a copy, because the recipes are slow to import."""
    (option,) = (param for param in main.commands["run"].params if param.name == "recipe")
    assert list(option.type.choices) == list(RECIPES)
