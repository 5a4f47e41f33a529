"""A simulated CUDA device: tensors that compute on the CPU, say that they are on cuda:0, and refuse what CUDA refuses.

    with simulated_device() as device:
        x = torch.ones(3, device="cuda")
        with device.counted() as counted:
            x[x > 0]
        counted.stalls  # {"index: a mask": 1}

A tensor of the device wraps a CPU tensor. A dispatch mode receives every operator after autograd and autocast, checks
it, counts it, and computes it on the CPU.

Refused, as on CUDA: tensors of two devices in one operator (but for copies, numbers on the CPU in elementwise
operators, and CPU indices of device tensors); conversion to NumPy; pinning of device tensors; a generator of another
device; products of integer matrices; moments of a fused optimiser in another layout than their parameter. Refused
too, where CUDA would compute with wrong numbers: reading what another stream wrote, unless the stream waited for it
(`wait_stream`) and may keep its memory (`record_stream`).

Counted: operators on the device, and stalls, for which the host waits until the device has done its work. These are
sizes that depend on values (masks, `nonzero`, `unique`), values that Python reads, and copies: torch waits for the end
of every copy between host and device that is not `non_blocking`, so also for `torch.tensor(..., device="cuda")` and for
lists as indices. Copies to the device that are `non_blocking` are queued from pinned memory and up to 64 KB; of other
memory, CUDA first copies more than that to a buffer, for which the host may wait.

Not modelled: time and memory; CUDA's kernels (rounding, order of sums, errors and warnings of deterministic mode), so
results are those of the CPU; cuDNN; numbers of CUDA's generators; the cache of cast weights of autocast; stalls inside
of `torch.linalg`; several devices, processes or threads, so loaders need `workers=0`. `Module.to` makes new parameters.
"""

import os
import sys
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from unittest import mock

import torch
from helpers.simulated_backend import BACKEND, register
from helpers.simulated_tensors import (
    CUDA,
    DEFAULT,
    DeviceTensor,
    Generator,
    Memory,
    Stream,
    device_of,
    is_pinned,
    pinned,
)
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

import pointsam

CPU = torch.device("cpu")
_PACKAGE = os.path.join(os.path.dirname(pointsam.__file__), "")
_QUEUED_BYTES = 64 * 1024
_PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "addbmm", "mv", "addmv", "dot")
_COPIES = ("_to_copy", "copy_")
_INDEX = ("index", "index_put", "index_put_", "_index_put_impl_")
_NUMBERS = ("where", "fill_", "masked_fill", "masked_fill_")
_WAITS = dict.fromkeys(
    ("nonzero", "masked_select", "_unique", "_unique2", "unique_dim", "unique_consecutive", "bincount"),
    "a size that depends on values",
) | dict.fromkeys(("_local_scalar_dense", "equal", "allclose", "multinomial"), "a value that Python reads")


@dataclass
class Counted:
    """Number of operators by name, and of stalls by operator, reason and line of the package."""

    operators: Counter = field(default_factory=Counter)
    stalls: Counter = field(default_factory=Counter)


class SimulatedDevice(TorchDispatchMode):
    """The device while it is active; `counts` is what it did so far, `stream` the current one."""

    def __init__(self):
        super().__init__()
        self.counts, self.stream = Counted(), DEFAULT
        # While torch finds a mode of this kind, it starts no CUDA driver where a device is named.
        self._mode_key = torch._C._TorchDispatchModeKey.FAKE

    @classmethod
    def is_infra_mode(cls):
        return True

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # nothing here uses dynamo, which is slow to import

    @contextmanager
    def counted(self):
        """What is done in a block."""
        before, self.counts = self.counts, Counted()
        try:
            yield self.counts
        finally:
            before.operators.update(self.counts.operators)
            before.stalls.update(self.counts.stalls)
            self.counts = before

    @contextmanager
    def on(self, stream):
        """Queue the work of a block on a stream."""
        before, self.stream = self.stream, stream
        try:
            yield
        finally:
            self.stream = before

    def stall(self, name, why):
        self.counts.stalls[f"{name}: {why}{_place()}"] += 1

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, kwargs = func.overloadpacket.__name__, dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        ours = [tensor for tensor in tensors if isinstance(tensor, DeviceTensor)]
        if name == "record_stream":
            return Memory.of(args[0]).streams.add(args[1].stream_id)
        if name == "is_pinned":
            return not ours and is_pinned(args[0])
        if name == "_pin_memory":
            _require(not ours, name, "cannot pin a tensor of the device, only dense CPU tensors can be pinned")
            return pinned(args[0].clone())
        asked, pins = kwargs.get("device"), kwargs.pop("pin_memory", False)
        on_device = bool(ours) if asked is None else asked.type != "cpu"
        if asked is not None:
            _require(asked in (CPU, torch.device("cuda"), CUDA, BACKEND), name, f"there is no device {asked}")
            kwargs["device"] = CPU
        if ours or on_device:
            self._check(func, args, kwargs, tensors, ours, on_device)
        generator, kind = kwargs.get("generator"), "cuda" if on_device else "cpu"
        right = generator is None or device_of(generator).type == kind
        _require(right, name, f"expected a {kind!r} device type for generator")
        wrapper_of = {id(tensor.values): tensor for tensor in ours}
        out = func(*tree_map(_values, args), **tree_map(_values, kwargs))
        for value, argument in zip(args, func._schema.arguments, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write:
                for written in (leaf for leaf in tree_leaves(value) if isinstance(leaf, DeviceTensor)):
                    _require(written.shape == written.values.shape, name, "a shape changes in place")
                    Memory.of(written).write(self.stream)
        if not on_device:
            return pinned(out) if pins else out
        return tree_map(lambda value: self._wrapped(value, wrapper_of), out)

    def _wrapped(self, value, wrapper_of):
        if not isinstance(value, torch.Tensor):
            return value
        storage = value.untyped_storage()
        if not hasattr(storage, "memory"):
            storage.memory = Memory(self.stream)
        return wrapper_of[id(value)] if id(value) in wrapper_of else DeviceTensor(value)

    def _check(self, func, args, kwargs, tensors, ours, on_device):
        """Refuse what CUDA refuses, and count."""
        name, others = func.overloadpacket.__name__, [tensor for tensor in tensors if tensor.device == CPU]
        self.counts.operators[name] += 1
        if name in _COPIES:
            into = on_device if name == "_to_copy" else isinstance(args[0], DeviceTensor)
            non_blocking = kwargs.get("non_blocking", False) or (name == "copy_" and len(args) > 2 and args[2])
            self._copy(name, args[0] if name == "_to_copy" else args[1], into, non_blocking)
        else:
            if ours and others:
                _refuse_mixture(func, args, others)
            self._wait(name, args, kwargs)
        if name in _PRODUCTS:
            _require(ours[0].is_floating_point(), name, f"not implemented on CUDA for {ours[0].dtype}")
        if name.startswith("_fused_adam"):
            alike = all(len({value.stride() for value in values}) == 1 for values in zip(*args[:4], strict=True))
            _require(alike, name, "params, grads, exp_avgs and exp_avg_sqs must have the same layout")
        for memory in map(Memory.of, ours):
            waited = memory.by == self.stream.stream_id or self.stream.seen.get(memory.by, 0) >= memory.at
            _require(waited, name, "the stream did not wait for the one that wrote the tensor")
            _require(self.stream.stream_id in memory.streams, name, "the memory is not recorded for the stream")

    def _copy(self, name, source, into, non_blocking):
        """Count a copy between host and device, unless the host need not wait for it."""
        if isinstance(source, DeviceTensor) == into:
            return
        if not into:
            _require(not non_blocking, name, "nothing waits for the end of this copy to the host")
            self.stall(name, "to the host")
        elif not non_blocking:
            self.stall(name, "to the device, and its end is waited for")
        elif not is_pinned(source) and source.nbytes > _QUEUED_BYTES:
            self.stall(name, "to the device, from memory that is not pinned")

    def _wait(self, name, args, kwargs):
        """Count what makes the host wait, but for copies."""
        if name in _WAITS:
            self.stall(name, _WAITS[name])
        elif name == "repeat_interleave" and kwargs.get("output_size") is None:
            self.stall(name, "a size that depends on values")
        elif name in ("masked_fill", "masked_fill_") and isinstance(args[2], DeviceTensor):
            self.stall(name, "a value that Python reads")
        elif name == "where" and any(not isinstance(value, DeviceTensor) for value in args):
            self.stall(name, "a number to the device")
        elif name in _INDEX:
            given = [index for index in args[1] if index is not None]
            masks = [index for index in given if index.dtype in (torch.bool, torch.uint8)]
            is_number = len(args) > 2 and not isinstance(args[2], DeviceTensor)
            if masks and not (is_number and len(given) == 1):  # one mask and one number: masked_fill
                self.stall(name, "a mask")
            if is_number and not masks:
                self.stall(name, "a number to the device")
            if any(not isinstance(index, DeviceTensor) for index in given):
                self.stall(name, "indices to the device")


def _refuse_mixture(func, args, others):
    """Refuse tensors of two devices, `others` on the CPU, where CUDA does."""
    name = func.overloadpacket.__name__
    if name in _INDEX:
        others = [value for value in (args[0], *args[2:3]) if isinstance(value, torch.Tensor) and value.device == CPU]
    elementwise = name in (*_NUMBERS, *_INDEX) or torch.Tag.pointwise in func.tags
    allowed = elementwise and all(tensor.dim() == 0 for tensor in others)
    changed = func._schema.arguments[0].alias_info is not None or name in _INDEX
    allowed = allowed and not (changed and any(args[0] is tensor for tensor in others))
    _require(allowed, name, "expected all tensors to be on the same device, but found cuda:0 and cpu")


def _require(holds, name, otherwise):
    if not holds:
        raise RuntimeError(f"{name}: {otherwise}")


def _place():
    """The innermost line of the package that is being executed, if any."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(_PACKAGE):
            return f" ({frame.f_code.co_filename.removeprefix(_PACKAGE)}:{frame.f_lineno})"
        frame = frame.f_back
    return ""


def _values(value):
    return value.values if isinstance(value, DeviceTensor) else value


@contextmanager
def simulated_device():
    """Let torch find a CUDA device, cuda:0; yields it. Settings of the process that a trainer changes are restored."""
    register()
    device, yes, no = SimulatedDevice(), (lambda *_, **__: True), (lambda *_, **__: False)

    def of_backend(function):
        return lambda kind, *args, **kwargs: function(BACKEND.type if kind == "cuda" else kind, *args, **kwargs)

    replaced = {
        **dict.fromkeys(
            ("torch.cuda.is_available", "torch.cuda.is_bf16_supported", "torch.accelerator.is_available"), yes
        ),
        "torch.cuda.is_current_stream_capturing": no,
        "torch.inference_mode": torch.no_grad,  # a wrapped tensor cannot be one of inference
        "torch.cuda.Stream": Stream,
        "torch.cuda.stream": device.on,
        "torch.cuda.current_stream": lambda *_: device.stream,
        "torch.cuda.synchronize": lambda *_: device.stall("synchronize", "as asked"),
        "torch.accelerator.current_accelerator": lambda *_, **__: torch.device("cuda"),
        "torch.Generator": Generator,
        "torch.utils._foreach_utils._foreach_supported_types": [*_foreach_utils._foreach_supported_types, DeviceTensor],
        **{
            f"torch.{name}": of_backend(getattr(torch, name))
            for name in ("autocast", "is_autocast_enabled", "get_autocast_dtype")
        },
    }
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only, lifted = torch.is_deterministic_algorithms_warn_only_enabled(), torch._C._only_lift_cpu_tensors()
    with ExitStack() as stack:
        for name, value in replaced.items():
            stack.enter_context(mock.patch(name, value))
        stack.enter_context(mock.patch.dict(os.environ))
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        fills = torch.utils.deterministic.fill_uninitialized_memory
        stack.callback(setattr, torch.utils.deterministic, "fill_uninitialized_memory", fills)
        stack.callback(torch._C._set_deterministic_algorithms, deterministic, warn_only=warn_only)
        # A parameter of a CPU tensor cannot become one of the device.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, False)
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device="cuda") is then a copy that is seen
        stack.callback(torch._C._set_only_lift_cpu_tensors, lifted)
        yield stack.enter_context(device)
