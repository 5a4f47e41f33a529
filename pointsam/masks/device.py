"""Copies to a device, and batches that its memory holds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from pointsam.base.errors import BackendError

T = TypeVar("T")


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on the device; a GPU copies it while the host goes on."""
    return values if device.type == "cpu" else values.pin_memory().to(device, non_blocking=True)


class Portions:
    """How many things go through a network at once.

    Args:
        most: how many at first. If the memory of a GPU runs out, half as many from then on.
        doing: what is done with `{}` of them, for the warning.
    """

    def __init__(self, most: int, doing: str) -> None:
        self._most, self._doing = most, doing

    def each(self, total: int, work: Callable[[slice], T]) -> Iterator[T]:
        """What `work` returns for each portion of `total` things, in their order.

        Raises:
            BackendError: BCK007 if the memory of the GPU does not hold a single one.
        """
        start = 0
        while start < total:
            part = slice(start, min(start + self._most, total))
            try:
                found = work(part)
            except torch.cuda.OutOfMemoryError as error:
                if part.stop - start == 1:
                    raise BackendError(
                        "BCK007",
                        f"out of GPU memory when {self._doing.format(1)}: {error}",
                        "use a smaller network (--masks), --set masks.segment.precision=bfloat16, or another GPU",
                    ) from error
            else:
                start = part.stop
                yield found
                continue
            # Not in the handler, whose traceback keeps the tensors of the failed call.
            self._most = min(self._most, (part.stop - start) // 2)  # another thread may have found less to fit
            torch.cuda.empty_cache()
            warnings.warn(f"out of GPU memory: {self._doing.format(self._most)} at once from now on", stacklevel=2)
