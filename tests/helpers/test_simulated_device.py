"""The simulated CUDA device refuses what CUDA refuses, and counts what makes the host wait."""

import os

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

OTHER_DEVICE = "expected all tensors to be on the same device"


@pytest.fixture
def pair(device):
    """(3,3) numbers on the CPU, and on the device."""
    values = torch.arange(9.0).view(3, 3)
    return values, values.to("cuda")


def stalls_of(device, do):
    """Names of the operators for which the host waits, and why."""
    with device.counted() as counted:
        do()
    return [stall for stall, times in counted.stalls.items() for _ in range(times)]


REFUSED = {
    "a sum": lambda host, ours: ours + host,
    "a sum with a number on the device": lambda host, ours: host + ours[0, 0],
    "a product": lambda host, ours: ours @ host,
    "a concatenation": lambda host, ours: torch.cat([host, ours]),
    "a change in place": lambda host, ours: host.add_(ours),
    "a number in place": lambda host, ours: host[0, 0].add_(ours[0, 0]),
    "a selection": lambda host, ours: torch.where(ours > 1, host, ours),
    "a loss": lambda host, ours: functional.smooth_l1_loss(ours, host),
    "device indices of a host tensor": lambda host, ours: host[ours[0].long()],
    "host values at device indices": lambda host, ours: ours.index_put_((ours[0].long(),), host),
    "index_select": lambda host, ours: ours.index_select(0, torch.tensor([1])),
    "gather": lambda host, ours: ours.gather(0, host.long()),
    "index_add": lambda host, ours: ours.index_add_(0, torch.tensor([0, 1, 2]), ours),
    "out": lambda host, ours: torch.add(ours, ours, out=host),
    "a layer on the host": lambda _, ours: nn.Linear(3, 3)(ours),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_tensors_of_two_devices_are_refused(kind, pair):
    with pytest.raises(RuntimeError, match=OTHER_DEVICE):
        REFUSED[kind](*pair)


ALLOWED = {
    "a number on the host": (lambda host, ours: ours * host[1, 1], []),
    "a number of Python": (lambda _, ours: ours * 2 + 1, []),
    "a number in place": (lambda _, ours: ours.__setitem__(0, 5.0), []),
    "a number in a mask": (lambda _, ours: ours.__setitem__(ours > 3, 5.0), []),
    "where with a number of Python": (lambda _, ours: torch.where(ours > 2, ours, 0), []),
    "host indices": (lambda _, ours: ours[torch.tensor([0, 2])], ["index: indices to the device"]),
    "host indices of a host tensor": (lambda host, _: host[torch.tensor([0, 2])], []),
    "a copy": (lambda host, ours: ours.copy_(host), ["copy_: to the device, and its end is waited for"]),
}


@pytest.mark.parametrize("kind", ALLOWED)
def test_what_cuda_allows_is_computed(kind, pair, device):
    do, waits = ALLOWED[kind]
    assert stalls_of(device, lambda: do(*pair)) == waits
    host, ours = pair
    twin = ours.cpu()
    found, expected = do(host, ours), do(host, twin)
    assert found is expected is None or torch.equal(found.cpu(), expected)
    assert torch.equal(ours.cpu(), twin)


STALLS = {
    "nonzero": lambda host, ours: ours.nonzero(),
    "index: a mask": lambda host, ours: ours[ours > 2],
    "index_put_: a mask": lambda host, ours: ours.index_put_((ours > 9,), ours[0, 0]),
    "masked_select": lambda host, ours: ours.masked_select(ours > 2),
    "masked_fill: a value": lambda host, ours: ours.masked_fill(ours > 2, ours[0, 0]),
    "_unique2": lambda host, ours: torch.unique(ours),
    "unique_dim": lambda host, ours: torch.unique(ours, dim=0),
    "unique_consecutive": lambda host, ours: torch.unique_consecutive(ours),
    "bincount": lambda host, ours: torch.bincount(ours[0].long()),
    "repeat_interleave": lambda host, ours: ours[0].repeat_interleave(ours[0].long()),
    "_local_scalar_dense": lambda host, ours: ours[0, 1].item(),
    "_local_scalar_dense: a value": lambda host, ours: bool(ours.any()),
    "_local_scalar_dense: a value that": lambda host, ours: torch.empty(int(ours[0, 1]), device="cuda"),
    "equal": lambda host, ours: torch.equal(ours, ours),
    "allclose": lambda host, ours: torch.allclose(ours, ours),
    "where: a number": lambda host, ours: torch.where(ours > 2, ours, host[0, 0]),
    "_to_copy: to the host": lambda host, ours: ours.cpu(),
    "_to_copy: to the host, for a list": lambda host, ours: ours.tolist(),
    "_to_copy: to the device, and": lambda host, ours: torch.tensor([1.0, 2.0], device="cuda"),
    "_to_copy: to the device, and its": lambda host, ours: ours.new_tensor(3.0),
    "_to_copy: to the device, and its end": lambda host, ours: ours[:, [1, 0]],
    "_to_copy: to the device, and its end is": lambda host, ours: torch.as_tensor(np.ones(3), device="cuda"),
    "_to_copy: to the device, and its end is waited for": lambda host, ours: host.pin_memory().to("cuda"),
    "_to_copy: to the device, from": lambda host, ours: torch.ones(20_000).to("cuda", non_blocking=True),
    "copy_: to the device": lambda host, ours: ours.copy_(host),
    "synchronize": lambda host, ours: torch.cuda.synchronize(),
}


@pytest.mark.parametrize("stall", STALLS)
def test_what_makes_the_host_wait_is_counted(stall, pair, device):
    (counted,) = stalls_of(device, lambda: STALLS[stall](*pair))
    assert counted.startswith(stall.replace(", for a list", ""))


def test_what_the_device_does_alone_is_no_stall(pair, device):
    host, ours = pair
    index = ours[0].long()

    def work():
        ours[index].sum().clamp(min=1)
        ours.masked_fill_(ours > 2, 1.0)
        ours[ours > 100] = 3.0  # one mask and one number: torch fills
        ours.scatter_reduce_(0, index[None], ours[:1] + 1, "amax")
        torch.zeros(4, device="cuda").index_add_(0, index, ours[0])
        ours.sort(dim=1).values.topk(2)
        index.repeat_interleave(index, output_size=3)
        torch.ones(20_000).pin_memory().to("cuda", non_blocking=True)
        host.to("cuda", non_blocking=True)  # few numbers
        ours.to(torch.bfloat16)
        assert ours.to("cuda") is ours

    assert stalls_of(device, work) == []


def test_operators_of_the_device_are_counted_and_others_are_not(pair, device):
    host, ours = pair
    with device.counted() as counted:
        host + host
        ours + ours
        ours * 2
        ours + 1
    assert counted.operators == {"add": 2, "mul": 1}
    assert device.counts.operators["add"] == 2


def test_numpy_pinning_and_other_devices_are_refused(pair):
    host, ours = pair
    for to_numpy in (ours.numpy, lambda: np.asarray(ours), lambda: np.add(host.numpy(), ours)):
        with pytest.raises(TypeError, match="numpy"):
            to_numpy()
    with pytest.raises(RuntimeError, match="cannot pin"):
        ours.pin_memory()
    with pytest.raises(RuntimeError, match="there is no device cuda:1"):
        host.to("cuda:1")
    with pytest.raises(RuntimeError, match="nothing waits"):
        ours.to("cpu", non_blocking=True)
    with pytest.raises(RuntimeError, match="not implemented on CUDA for"):
        ours.long() @ ours.long()
    assert host.pin_memory().is_pinned()
    assert not host.is_pinned()
    assert not ours.is_pinned()
    assert (host.device.type, ours.device, ours.is_cuda) == ("cpu", torch.device("cuda", 0), True)


def test_a_generator_is_of_one_device(device):
    on_host, on_device = torch.Generator().manual_seed(3), torch.Generator("cuda").manual_seed(3)
    assert (
        torch.randperm(5, generator=on_device, device="cuda").tolist() == torch.randperm(5, generator=on_host).tolist()
    )
    draws = (
        lambda: torch.randperm(5, generator=on_host, device="cuda"),
        lambda: torch.rand(3, generator=on_device),
        lambda: torch.zeros(3, device="cuda").normal_(generator=on_host),
        lambda: torch.zeros(3).uniform_(generator=on_device),
    )
    for draw in draws:
        with pytest.raises(RuntimeError, match="device type for generator"):
            draw()
    assert functional.dropout(torch.ones(100, device="cuda")).sum() > 0


def test_a_stream_waits_for_what_another_one_wrote_and_keeps_its_memory(device):
    side, main = torch.cuda.Stream("cuda"), torch.cuda.current_stream()
    with torch.cuda.stream(side):
        value = torch.ones(3).pin_memory().to("cuda", non_blocking=True)
        part = value[:2] + 1
    with pytest.raises(RuntimeError, match="did not wait"):
        value + 1
    main.wait_stream(side)
    with pytest.raises(RuntimeError, match="not recorded"):
        value + 1
    for tensor in (value, part):
        tensor.record_stream(main)
    assert (value[1:] + part).tolist() == [3, 3]
    with torch.cuda.stream(side):
        value.add_(1)
    with pytest.raises(RuntimeError, match="did not wait"):
        value + 1


def test_gradients_and_steps_are_those_of_the_cpu(device):
    def trained(where):
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(36, 2)
        )
        layers = layers.to(where)
        on_cuda = where == "cuda"
        optimizer = torch.optim.AdamW(layers.parameters(), lr=0.1, fused=on_cuda)
        losses = []
        for _ in range(3):
            x = torch.ones(2, 2, 5, 5).cumsum(3).to(where)
            loss = layers(x)[:, 0].square().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(layers.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        return losses

    assert trained("cuda") == pytest.approx(trained("cpu"), rel=1e-5)


def test_moments_in_another_layout_are_refused(device):
    layer = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last).to("cuda")
    optimizer = torch.optim.AdamW(layer.parameters(), fused=True)

    def step():
        layer(torch.ones(1, 2, 4, 4, device="cuda")).sum().backward()
        optimizer.step()

    step()
    state = optimizer.state[layer.weight]
    state["exp_avg"] = state["exp_avg"].contiguous()
    with pytest.raises(RuntimeError, match="same layout"):
        step()


CASTS = {
    "linear": (lambda x: functional.linear(x, x), torch.bfloat16),
    "matmul": (lambda x: x.bfloat16() @ x, torch.bfloat16),
    "convolution": (lambda x: functional.conv2d(x[None, None], x[None, None]), torch.bfloat16),
    "exp": (lambda x: x.bfloat16().exp(), torch.float32),
    "a sum": (lambda x: x.bfloat16().sum(), torch.float32),
    "softplus": (lambda x: functional.softplus(x.bfloat16()), torch.float32),
    "a loss": (lambda x: functional.smooth_l1_loss(x.bfloat16(), x.bfloat16()), torch.float32),
    "atan2": (lambda x: torch.atan2(x.bfloat16(), x), torch.float32),
    "atan2 of halves": (lambda x: torch.atan2(x.bfloat16(), x.bfloat16()), torch.bfloat16),
    "relu": (lambda x: x.bfloat16().relu(), torch.bfloat16),
    "double": (lambda x: x.double() @ x.double(), torch.float64),
    "whole numbers": (lambda x: x.long().sum(), torch.int64),
}


@pytest.mark.parametrize("kind", CASTS)
def test_autocast_casts_as_on_cuda(kind, device):
    do, dtype = CASTS[kind]
    x = torch.ones(3, 3, device="cuda")
    with torch.autocast("cuda", torch.bfloat16):
        assert torch.is_autocast_enabled("cuda")
        assert do(x).dtype == dtype
        with torch.autocast("cuda", enabled=False):
            assert (x @ x).dtype == torch.float32
    with pytest.raises(RuntimeError, match="unsafe"), torch.autocast("cuda", torch.bfloat16):
        functional.binary_cross_entropy(x, x)


def test_the_lists_of_casts_are_those_of_this_torch(device):
    from helpers.simulated_backend import LOWERED, PROMOTED, cast_operators

    known = {name.removeprefix("aten::").partition(".")[0] for name in cast_operators()}
    assert len(known) > 90
    assert known >= LOWERED - {"linalg_vecdot"} | PROMOTED


def backward():
    torch.ones(3, requires_grad=True).sum().backward()


def test_a_process_that_is_forked_later_can_train(device):
    torch.ones(3, device="cuda", requires_grad=True).sum().backward()
    process = torch.multiprocessing.get_context("fork").Process(target=backward, daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def test_settings_of_the_process_are_restored():
    from helpers.simulated_device import simulated_device

    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    with simulated_device():
        assert torch.cuda.is_available()
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        left = torch.ones(3, device="cuda")
    assert before == (torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory)
    assert not torch.cuda.is_available()
    assert not torch.accelerator.is_available()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    with pytest.raises(RuntimeError, match="outside"):
        left + 1
    with pytest.raises((RuntimeError, AssertionError)):
        torch.zeros(1, device="cuda")
    torch.ones(3, requires_grad=True).sum().backward()
