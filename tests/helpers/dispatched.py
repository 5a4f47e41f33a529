"""Operators that torch dispatches, and those of them for which a GPU's host would wait.

Counted on a CPU: which operators are dispatched does not depend on the device.
"""

from collections import Counter
from contextlib import ExitStack
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_WAITS = ("nonzero", "masked_select", "unique", "_unique", "bincount", "_local_scalar_dense", "lift_fresh", "equal")
"""Beginnings of names of operators. A shape that depends on data, a value that Python reads, or a value of Python that
is copied to the device (`lift_fresh`, of `torch.tensor` and `new_tensor`) makes the host wait. `torch.from_numpy`
dispatches the last one too, but copies nothing; the copy to the device that follows it may be asynchronous."""
_READS = ("cpu", "tolist")
"""Methods that copy values to the host. On a CPU, they dispatch nothing."""


class Dispatched(TorchDispatchMode):
    """Counts all operators, and the stalls, while it is active."""

    def __init__(self):
        super().__init__()
        self.operators, self.stalls, self._patches = Counter(), Counter(), ExitStack()
        self._lifts = False

    def __enter__(self):
        for name in _READS:
            self._patches.enter_context(patch.object(torch.Tensor, name, self._read(name)))
        self._patches.enter_context(patch.object(torch, "from_numpy", self._lift(torch.from_numpy)))
        return super().__enter__()

    def __exit__(self, *error):
        self._patches.close()
        return super().__exit__(*error)

    def _read(self, name):
        method = getattr(torch.Tensor, name)

        def read(tensor):
            self.stalls[name] += 1
            return method(tensor)

        return read

    def _lift(self, function):
        def lift(array):
            self._lifts = True
            tensor = function(array)
            self._lifts = False
            return tensor

        return lift

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.operators[name] += 1
        if not self._lifts and (
            name.startswith(_WAITS)
            or _selects(name, args)
            or (name == "repeat_interleave" and "output_size" not in (kwargs or {}))
        ):
            self.stalls[name] += 1
        return func(*args, **(kwargs or {}))


def _selects(name, args):
    """Whether an operator indexes by a mask, whose number of entries the host must learn."""
    if name not in ("index", "index_put", "index_put_", "_index_put_impl_"):
        return False
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
