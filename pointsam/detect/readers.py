"""The processes that load data: shared memory that they need, and what is said when they or the memory fail."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch.utils.data import get_worker_info

from pointsam.base.errors import PointSamError, TrainingError

T = TypeVar("T")
SHARED = Path("/dev/shm")
"""Where Linux keeps shared memory; containers have 64 MB of it unless told otherwise."""
_AHEAD = 2
"""Batches that torch's loader keeps ready for each process."""

IN_RECIPE, IN_COMMAND = "train.workers", "--workers"
"""What sets the number of readers: the recipe of a training, or an option of the command."""


def _less(option: str) -> str:
    none = f"--set {IN_RECIPE}=0" if option == IN_RECIPE else f"{option} 0"
    return f"{none} needs none; or give the machine more: docker run --shm-size=8g, or --ipc=host"


def shared(batch: T) -> T:
    """A batch whose tensors are in shared memory, if this process loads data for another.

    torch would move them in a thread of its queue, where an error is lost and the other process waits for ever.
    """
    if get_worker_info() is not None:
        for tensor in _tensors(batch):
            tensor.share_memory_()  # type: ignore[no-untyped-call]
    return batch


def nbytes(value: object) -> int:
    """Bytes of all tensors in a value."""
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(value))


def _tensors(value: object) -> Iterator[torch.Tensor]:
    """The tensors in dataclasses, sequences and mappings."""
    if isinstance(value, torch.Tensor):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            yield from _tensors(item)


def require_shared_memory(sample_bytes: float, batch_size: int, workers: int, option: str = IN_RECIPE) -> None:
    """Refuse batches that do not fit into shared memory: their readers would fail, or hang.

    Args:
        sample_bytes: bytes of a sample.
        batch_size: samples of a batch.
        workers: processes that load data, those of all training processes on this machine.
        option: what sets their number.

    Raises:
        TrainingError: TRN003.
    """
    if not workers or not SHARED.is_dir():
        return
    needed, free = sample_bytes * batch_size * workers * _AHEAD, shutil.disk_usage(SHARED).free
    if needed > free:
        raise TrainingError(
            "TRN003",
            f"shared memory: {SHARED} has {free / 2**20:,.0f} MB, and {workers} readers with {_AHEAD} batches of "
            f"{batch_size} samples each need {needed / 2**20:,.0f} MB",
            f"lower {option}{' or train.batch_size' if option == IN_RECIPE else ''}: {_less(option)}",
        )


@contextmanager
def named_failures(again: Callable[[], str], option: str = IN_RECIPE) -> Iterator[None]:
    """Turn the death of a reader or of another process, and memory that is refused, into one error.

    Args:
        again: makes the end of the hint, how to go on.
        option: what sets the number of readers.

    Raises:
        TrainingError: TRN003.
    """
    try:
        yield
    except PointSamError:
        raise
    except (RuntimeError, MemoryError, OSError) as error:
        found = _cause(error, option)
        if found is None:
            raise
        raise TrainingError("TRN003", found[0], f"{found[1]}; {again()}") from error


_FULL = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "Cannot allocate memory",
    "Caught MemoryError in DataLoader",  # torch raises the error of a reader again, of another type
    "Unable to allocate",
    "ALLOC_FAILED",
)
"""Words of torch, NumPy and CUDA's libraries for memory that is refused."""


def _cause(error: BaseException, option: str) -> tuple[str, str] | None:
    """What failed, and what helps; None if it is none of the memory or the readers."""
    smaller = ", a smaller train.batch_size" if option == IN_RECIPE else ""
    smaller = f"use fewer readers ({option}; 0 needs none){smaller}, or a machine with more memory"
    text = str(error)
    last = text.strip().splitlines()[-1].strip() if text.strip() else type(error).__name__
    if "shared memory" in text or ("Bus error" in text and "DataLoader" in text) or f"<{SHARED}" in text:
        return f"a reader got no shared memory in {SHARED}: {last}", f"lower {option}: {_less(option)}"
    if "Too many open files" in text or "ancdata" in text:
        return f"too many open files: {last}", f"raise the limit (ulimit -n 65536), or lower {option}"
    if "DataLoader worker" in text and ("killed by signal" in text or "exited unexpectedly" in text):
        return f"a process that loads data has died, in most cases for want of memory: {last}", smaller
    if "closed by peer" in text or "Connection reset by peer" in text:
        return f"another process of the training has ended: {last}", "its own message says why"
    out = isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or _is_full(error)
    if out or any(words in text for words in _FULL):
        return f"memory ran out: {last}", smaller
    return None


def _is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOMEM


def local_processes() -> int:
    """Number of training processes on this machine, as torchrun states it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
