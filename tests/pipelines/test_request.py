from pathlib import Path

import pytest

from pipelines.config import default
from pipelines.request import Request

HERE = Path()


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_the_workers_asked_for_do_every_stage(device):
    request = Request(HERE, HERE, default(), device=device, workers=3)
    assert {request.workers_for(stage) for stage in ("masks", "clusters")} == {3}


def test_a_gpu_gets_one_worker_and_what_runs_on_the_cpu_one_a_core(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(6)), raising=False)
    on_gpu, on_cpu = (Request(HERE, HERE, default(), device=device) for device in ("cuda", "cpu"))
    assert (on_gpu.workers_for("masks"), on_gpu.workers_for("clusters")) == (1, 6)
    assert (on_cpu.workers_for("masks"), on_cpu.workers_for("clusters")) == (6, 6)


@pytest.mark.parametrize(("engine", "device"), [("local", "cuda:1"), ("ray", "cuda")])
def test_a_worker_of_ray_takes_the_gpu_that_ray_gave_it(engine, device):
    assert Request(HERE, HERE, default(), device="cuda:1", engine=engine).worker_device == device
