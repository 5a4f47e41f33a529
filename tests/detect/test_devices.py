"""Processes join a group where torchrun started several, and none where there is one."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pointsam.detect import devices  # noqa: E402
from pointsam.detect.devices import Processes, process_count  # noqa: E402


@pytest.fixture
def calls(monkeypatch):
    """What is asked of torch's process groups, by name."""
    seen = []
    for name in ("init_process_group", "destroy_process_group", "barrier"):
        monkeypatch.setattr(devices.distributed, name, lambda *some, name=name, **_: seen.append((name, *some)))
    return seen


@pytest.mark.parametrize(("rank", "first"), [("0", True), ("1", False)])
def test_several_processes_join_and_leave_a_group(monkeypatch, calls, rank, first):
    for name, value in {"RANK": rank, "LOCAL_RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with Processes.join("cpu") as processes:
        processes.wait()
    assert (processes.rank, processes.count, processes.first) == (int(rank), 2, first)
    assert processes.device == torch.device("cpu")
    assert calls == [("init_process_group", "gloo"), ("barrier",), ("destroy_process_group",)]


def test_one_process_is_alone_and_the_first(monkeypatch, calls):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with Processes.join("cpu") as processes:
        processes.wait()
    assert (processes.rank, processes.count, processes.first) == (0, process_count(), True) == (0, 1, True)
    assert calls == []


@pytest.mark.parametrize(
    ("count", "device", "asked"),
    [("2", "cuda", "cuda:1"), ("2", "cpu", "cpu"), ("2", "cuda:3", "cuda:3"), ("1", "cuda", "cuda")],
)
def test_cuda_is_each_processs_own_device(monkeypatch, calls, count, device, asked):
    for name, value in {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": count}.items():
        monkeypatch.setenv(name, value)
    seen = []
    monkeypatch.setattr(devices, "require_device", lambda name: seen.append(name) or torch.device("cpu"))
    with Processes.join(device):
        assert seen == [asked]


@pytest.mark.parametrize(
    ("count", "device", "current"),
    [("1", "cuda:1", ["cuda:1"]), ("2", "cuda", ["cuda:1"]), ("1", "cuda", []), ("1", "cpu", [])],
)
def test_the_device_of_the_run_is_the_current_one(monkeypatch, calls, count, device, current):
    """Otherwise a run on cuda:1 would start kernels of other libraries on cuda:0."""
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": count}.items():
        monkeypatch.setenv(name, value)
    seen = []
    monkeypatch.setattr(devices, "require_device", torch.device)
    monkeypatch.setattr(torch.cuda, "set_device", lambda chosen: seen.append(str(chosen)))
    with Processes.join(device):
        assert seen == current
