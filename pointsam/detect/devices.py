"""Processes and devices of a run: one alone, or those that torchrun started."""

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
"""How long processes wait for the first one's validation."""


@dataclass(frozen=True)
class Processes:
    """This process among those of a run.

    Args:
        rank: from 0.
        count: of them.
        device: this one's.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this one writes and validates."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all have come here."""
        if self.count > 1:
            distributed.barrier()

    @staticmethod
    @contextmanager
    def join(device: str) -> Iterator[Processes]:
        """The group that torchrun started, or one process alone.

        Args:
            device: "cpu", "cuda" or "cuda:1"; with several processes "cuda" is each one's own.

        Raises:
            BackendError: BCK006 if the device is absent.
        """
        rank, local = (int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK"))
        count = process_count()
        chosen = require_device(f"cuda:{local}" if count > 1 and device == "cuda" else device)
        if count > 1:
            if chosen.type == "cuda":
                torch.cuda.set_device(chosen)  # NCCL's barrier takes the current one
            backend = "nccl" if chosen.type == "cuda" else "gloo"
            distributed.init_process_group(backend, timeout=_PATIENCE)
        try:
            yield Processes(rank, count, chosen)
        finally:
            if count > 1:
                distributed.destroy_process_group()


def process_count() -> int:
    """Processes that torchrun started, or one."""
    return int(os.environ.get("WORLD_SIZE", "1"))
