"""Processes and devices of a run: a single process, or those that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from pointsam.base.runtime import require_device

_PATIENCE = timedelta(hours=3)
"""How long the other processes wait while the first one validates."""


@dataclass(frozen=True)
class Processes:
    """This process among those of a run.

    Args:
        rank: index of this process, from 0.
        count: number of processes.
        device: device of this process.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes and validates."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.count > 1:
            distributed.barrier()

    @staticmethod
    @contextmanager
    def join(device: str) -> Iterator[Processes]:
        """Join the process group that torchrun started, or run as a single process.

        Args:
            device: "cpu", "cuda" or "cuda:1"; with several processes, "cuda" means one device per process.

        Raises:
            BackendError: BCK006 if the device is absent.
        """
        # Sizes of tensors change at each step; without this, freed memory is in pieces that fit none of them.
        os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
        rank, local = (int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK"))
        count = process_count()
        chosen = require_device(f"cuda:{local}" if count > 1 and device == "cuda" else device)
        if chosen.type == "cuda" and chosen.index is not None:
            torch.cuda.set_device(chosen)  # NCCL's barrier and kernels of other libraries start on the current one
        if count > 1:
            backend = "nccl" if chosen.type == "cuda" else "gloo"
            distributed.init_process_group(backend, timeout=_PATIENCE)
        try:
            yield Processes(rank, count, chosen)
        finally:
            if count > 1:
                distributed.destroy_process_group()


def exchanged(content: bytes, device: torch.device) -> list[bytes]:
    """The contents of all processes, in their order; all of them call this.

    Args:
        content: what this process gives, at least a byte.
        device: its device.
    """
    own = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(device)
    size = torch.tensor([len(content)], device=device)
    sizes = [torch.zeros_like(size) for _ in range(distributed.get_world_size())]
    distributed.all_gather(sizes, size)
    padded = torch.zeros(int(torch.cat(sizes).max()), dtype=torch.uint8, device=device)
    padded[: len(content)] = own
    parts = [torch.zeros_like(padded) for _ in sizes]
    distributed.all_gather(parts, padded)
    return [part[: int(count)].cpu().numpy().tobytes() for part, count in zip(parts, sizes, strict=True)]


def process_count() -> int:
    """Number of processes that torchrun started, or 1."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def peak_gpu_mb(device: torch.device) -> float:
    """Peak memory of this process's tensors on a GPU, in MB of 1024 * 1024 bytes."""
    return torch.cuda.max_memory_allocated(device) / 2**20
