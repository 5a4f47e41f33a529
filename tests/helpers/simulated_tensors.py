"""What a simulated CUDA device has: tensors, generators, streams, and memory that knows which stream wrote it."""

import sys

import torch
from helpers.simulated_backend import BACKEND

CUDA = torch.device("cuda", 0)
"""The device that Python sees."""


class DeviceTensor(torch.Tensor):
    """A tensor on the simulated device; `values` is the CPU tensor that holds its numbers."""

    @staticmethod
    def __new__(cls, values):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=BACKEND,
        )

    def __init__(self, values):
        self.values = values

    __torch_function__ = torch._C._disabled_torch_function_impl
    device, is_cuda = property(lambda self: CUDA), property(lambda self: True)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError(f"{func}: a tensor of the simulated device outside of simulated_device()")

    def __repr__(self):
        return f"DeviceTensor({self.values!r})"

    def to(self, *args, **kwargs):
        return super().to(*map(_backend, args), **{name: _backend(value) for name, value in kwargs.items()})

    def __setitem__(self, index, value):
        """A number stays on the CPU, as on CUDA."""
        super().__setitem__(index, torch.tensor(value) if isinstance(value, (bool, int, float)) else value)

    def tolist(self):
        return self.cpu().tolist()

    def numpy(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy it to the host")

    __array__ = numpy


class Generator(torch.Generator):
    """A random generator that says on which device it is; its numbers are those of a CPU generator."""

    def __new__(cls, device="cpu"):
        generator = super().__new__(cls)
        _DEVICES[generator._cdata] = torch.device(device)
        return generator

    device = property(lambda self: device_of(self))


_DEVICES = {}


def device_of(generator):
    """The device of a generator; operators receive one of torch's own class at the same address."""
    return _DEVICES.get(generator._cdata, torch.device("cpu"))


class Stream(torch._C.Stream):
    """A queue of work; `seen` is the time up to which it has waited for all others."""

    _numbers = iter(range(1, sys.maxsize))

    def __new__(cls, device=None):
        return super().__new__(cls, stream_id=next(cls._numbers), device_index=0, device_type=1)

    def __init__(self, device=None):
        self.seen = {}

    def wait_stream(self, other):
        self.seen[other.stream_id] = Memory.time


class Memory:
    """An allocation: the streams that may keep it, and when and by which it was last written.

    It is an attribute of the storage of a tensor's values, which views share.
    """

    time = 0

    def __init__(self, stream):
        self.streams = {stream.stream_id}
        self.write(stream)

    def write(self, stream):
        Memory.time += 1
        self.by, self.at = stream.stream_id, Memory.time

    @staticmethod
    def of(tensor):
        return tensor.values.untyped_storage().memory


DEFAULT = Stream()
"""The stream of all work for which none is chosen."""


def _backend(value):
    """The backend, where an argument names CUDA."""
    is_cuda = isinstance(value, (str, torch.device)) and torch.device(value).type == "cuda"
    return BACKEND if is_cuda else value


def is_pinned(tensor):
    return getattr(tensor.untyped_storage(), "pinned", False)


def pinned(tensor):
    tensor.untyped_storage().pinned = True
    return tensor
