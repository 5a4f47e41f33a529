"""Operators that torch dispatches, and those of them for which a GPU's host would wait.

Counted on a CPU: which operators are dispatched does not depend on the device.
"""

from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_WAITS = ("nonzero", "masked_select", "unique", "_unique", "bincount", "_local_scalar_dense", "lift_fresh", "equal")
"""Beginnings of names. A shape that depends on data, a value that Python reads, or a value of Python that is copied to
the device (`lift_fresh`, of `torch.tensor` and `new_tensor`) makes the host wait."""


class Dispatched(TorchDispatchMode):
    """Counts all operators, and the stalls, while it is active."""

    def __init__(self):
        super().__init__()
        self.operators, self.stalls = Counter(), Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.operators[name] += 1
        if (
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
