"""The machine and its packages: cores, memory, devices, time."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pointsam.base.errors import BackendError

if TYPE_CHECKING:
    import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Options of `mallopt` (malloc.h of glibc)."""

_turns: dict[str, threading.RLock] = {}
"""By device; a process has few."""


def require_device(device: str) -> torch.device:
    """The device. Raises at once if it is missing, before a long job starts.

    Raises:
        BackendError: BCK005 without torch, BCK006 if the device is not available.
    """
    require_packages("sam", "torch")
    import torch

    try:
        wanted = torch.device(device)
        torch.zeros(1, device=wanted).item()  # fails for "meta", whose tensors hold no values
    except (RuntimeError, AssertionError, ImportError) as error:  # torch asserts that it was built with CUDA
        raise BackendError(
            "BCK006", f"device {device!r} is not available: {str(error).splitlines()[0]}", "use --device cpu"
        ) from error
    return wanted


def require_packages(extra: str, *packages: str) -> None:
    """Import optional packages.

    Args:
        extra: extra of this package that installs them.
        packages: their import names.

    Raises:
        BackendError: BCK005 naming the package and the extra.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision with a torch that it was not built for
            raise BackendError(
                "BCK005", f"cannot import {package}: {error}", f"pip install 'pointsam[{extra}]'"
            ) from error


def cores() -> int:
    """Number of cores that this process may use."""
    # macOS has no affinity
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_mb() -> float:
    """Peak resident memory of this process (on Windows, peak working set), in MB of 1024 * 1024 bytes."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1024**2
    import resource  # psutil has no peak on Linux and macOS, Windows has no `resource`

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def turn_on(device: str | torch.device) -> AbstractContextManager[object]:
    """The turn of this thread on a GPU that networks of several threads share. The CPU needs no turns."""
    name = str(device)
    return nullcontext() if name == "cpu" else _turns.setdefault(name, threading.RLock())


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees.

    A network claims and frees hundreds of megabytes for every image. By default glibc returns such blocks to the
    system, which must clear every page of the next one: a quarter of the time of MobileSAM's encoder. The process then
    holds the memory of its peak. Without glibc, nothing happens.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


@dataclass
class Stopwatch:
    """Seconds by step."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Add the duration of the block to a step."""
        start = time.perf_counter()
        yield
        self.add(step, time.perf_counter() - start)

    def add(self, step: str, seconds: float) -> None:
        """Add seconds to a step."""
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds
