"""How long a step takes and what memory it needs, by a few real steps, before a training is started."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from statistics import fmean

from pointsam.base.progress import progress
from pointsam.base.runtime import cores, peak_mb
from pointsam.base.words import counted, duration
from pointsam.detect.devices import Processes, peak_gpu_mb
from pointsam.detect.recipe import Recipe
from pointsam.detect.train import Trainer

_STEPS = 3
"""Steps that are timed; the first one, in which torch prepares much, counts only if it is the only one."""
_ENOUGH_S = 30.0
"""No further step is timed after so many seconds."""


@dataclass(frozen=True)
class Pace:
    """The pace of a training on this machine, as it is loaded now.

    Args:
        read_s: seconds in which one process reads the samples of a step.
        network_s: seconds of the network and the update of its weights.
        peak_mb: largest memory so far, MB of 1024 * 1024 bytes: that of the GPU, or of this process on the CPU.
        on_gpu: which of both.
    """

    read_s: float
    network_s: float
    peak_mb: float
    on_gpu: bool

    def step_s(self, readers: int) -> float:
        """Seconds of a step: readers work beside the network, where there are any and a core for each of them."""
        if readers == 0:
            return self.read_s + self.network_s
        beside = max(self.network_s, self.read_s / readers)
        busy = (self.read_s + (0.0 if self.on_gpu else self.network_s)) / cores()
        return max(beside, busy)

    def text(self, recipe: Recipe, steps_per_epoch: int) -> str:
        """What a run of a recipe takes."""
        readers, steps = recipe.train.workers, steps_per_epoch * recipe.train.epochs
        step_s, where = self.step_s(readers), "on the GPU" if self.on_gpu else "in the main process"
        beside = f" by {counted(readers, 'reader')} beside it" if readers else ""
        return (
            f"about {step_s:.2g} s per step on this machine as it is loaded (network {self.network_s:.2g} s, reading "
            f"{self.read_s:.2g} s{beside}): {duration(step_s * steps)} for {counted(steps, 'step')}, without "
            f"validation; {self.peak_mb / 1024:.1f} GB of memory {where}"
        )


def measured(trainer: Trainer, processes: Processes) -> Pace:
    """Time some steps of a training, whose weights change; nothing is pasted, and nothing is written.

    Raises:
        TrainingError: as `Trainer.run`.
    """
    network, read, began = list[float](), list[float](), time.perf_counter()
    on_gpu = trainer.device.type == "cuda"
    reports = islice(trainer.run(readers=0), _STEPS)
    for report in progress(reports, desc="timing", unit="step", total=_STEPS, disable=not processes.first):
        network.append(report.seconds - report.data_seconds)
        read.append(report.data_seconds)
        if time.perf_counter() - began > _ENOUGH_S:
            break
    peak = peak_gpu_mb(trainer.device) if on_gpu else peak_mb()
    return Pace(fmean(read[1:] or read), fmean(network[1:] or network), peak, on_gpu)
