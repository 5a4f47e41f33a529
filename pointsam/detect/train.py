"""The training loop: one process per device; torch's DDP averages the gradients.

It is plain torch without a framework: the loop is short, every random draw follows from (seed, epoch, position), and a
step gives the same result in one process as in several.
"""

from __future__ import annotations

import json
import math
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import OneCycleLR

from pointsam.base.errors import TrainingError
from pointsam.base.words import counted
from pointsam.detect.checkpoint import Checkpoint, TrainingProgress, save_checkpoint
from pointsam.detect.data.loader import LoadedBatch, Steps, on_device, training_loader
from pointsam.detect.data.training_set import TrainingSet
from pointsam.detect.detector import Batch, Detector
from pointsam.detect.devices import exchanged
from pointsam.detect.losses import mean_over_processes
from pointsam.detect.recipe import Recipe
from pointsam.taxonomy import Taxonomy

MOST_BAD = 0.1
"""Fraction of an epoch's frames that may be unreadable before the run stops."""


@dataclass(frozen=True)
class StepReport:
    """The record of one training step.

    Args:
        step: number of steps done, this one included.
        epoch: index of the epoch, from 0.
        last_of_epoch: whether the next step belongs to the next epoch.
        losses: weighted terms, and their sum "loss"; of several processes, over the samples of all of them.
        learning_rate: learning rate of the step.
        grad_norm: norm of the gradient before clipping.
        seconds: duration of the step.
        data_seconds: part of `seconds` spent waiting for data.
        bad: frames that could not be read, with the reasons; those of other processes come with the last step of an
            epoch.
    """

    step: int
    epoch: int
    last_of_epoch: bool
    losses: Mapping[str, float]
    learning_rate: float
    grad_norm: float
    seconds: float
    data_seconds: float
    bad: tuple[tuple[str, str], ...]


def count_steps(steps: Steps) -> int:
    """The number of steps per epoch.

    Raises:
        TrainingError: TRN002 if an epoch has too few samples for one step.
    """
    if len(steps) == 0:
        raise TrainingError(
            "TRN002",
            f"{counted(len(steps.data.order(0)), 'sample')} per epoch, too few for a step of batch size "
            f"{steps.batch_size} in {counted(steps.processes, 'process')}",
            "lower it with --set train.batch_size=N, use fewer processes, or train on more frames",
        )
    return len(steps)


def _set_deterministic(wanted: bool) -> None:
    """Choose torch's deterministic algorithms on CUDA, wherever there are any."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    torch.use_deterministic_algorithms(wanted, warn_only=True)
    # Filling every new tensor takes time, and none is read before it is written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


class Trainer:
    """A detector in training.

    Args:
        recipe: network and schedule.
        data: training samples.
        taxonomy: classes of the labels.
        device: for example "cpu" or "cuda:1".
        rank: index of this process; with several processes, a process group must exist.
        processes: number of processes.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: TrainingSet,
        taxonomy: Taxonomy,
        device: torch.device,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        torch.manual_seed(recipe.train.seed)
        config, on_cuda = recipe.train, device.type == "cuda"
        if on_cuda:
            _set_deterministic(config.deterministic)
        self.recipe, self.device, self.rank, self.processes = recipe, device, rank, processes
        self.model = Detector(recipe.detector, taxonomy).to(device)
        self.network: nn.Module = self.model
        if processes > 1:
            if on_cuda:
                nn.SyncBatchNorm.convert_sync_batchnorm(self.model)  # type: ignore[no-untyped-call]
            # All processes compute the same buffers, so that none needs to send them.
            ids = [device.index] if on_cuda else None
            with warnings.catch_warnings():  # torch 2.14 has another name for the option
                warnings.simplefilter("ignore", FutureWarning)
                self.network = DistributedDataParallel(self.model, device_ids=ids, broadcast_buffers=False)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=config.learning_rate,
            betas=(config.momentum[0], 0.99),
            weight_decay=config.weight_decay,
            fused=on_cuda,
        )
        self.data = data
        self._steps = Steps(data, config.batch_size, rank, processes)
        self.steps_per_epoch = count_steps(self._steps)
        self.progress = TrainingProgress()
        self._schedule = self._one_cycle(0)
        self._bad: dict[str, str] = {}
        self._saved: int | None = None

    @property
    def num_steps(self) -> int:
        """Number of steps of the whole run."""
        return self.steps_per_epoch * self.recipe.train.epochs

    def save(self, path: Path, about: object, best: float | None = None) -> None:
        """Write a checkpoint, in the first process; `best` is the best validation score so far."""
        self.progress = TrainingProgress(self.progress.step, best if best is not None else self.progress.best)
        if self.rank == 0:
            save_checkpoint(path, self.model, self.optimizer, self.progress, about)
        self._saved = self.progress.step

    def load(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint, with the same losses as the run that wrote it."""
        checkpoint.load_model(self.model)
        checkpoint.load_optimizer(self.model, self.optimizer)
        self.progress = checkpoint.progress
        self._schedule = self._one_cycle(self.progress.step)
        self._saved = self.progress.step

    @property
    def saved(self) -> str:
        """What a later call starts from."""
        if self._saved is None:
            return "no checkpoint was written yet: the next call starts from the beginning"
        return f"the checkpoint of step {self._saved} is kept: the next call continues from it"

    def _one_cycle(self, step: int) -> OneCycleLR:
        """The schedule of learning rate and momentum from a step on; both depend on the step alone."""
        config = self.recipe.train
        alone = config.warm_share * self.num_steps == 1  # torch divides by 0; the first step is the peak, as for less
        return OneCycleLR(
            self.optimizer,
            config.learning_rate,
            total_steps=self.num_steps,
            pct_start=config.warm_share * (1 - 1e-9 * alone),
            max_momentum=config.momentum[0],
            base_momentum=config.momentum[1],
            div_factor=config.start_division,
            final_div_factor=config.end_division,
            last_epoch=step - 1,
        )

    def run(self, readers: int | None = None) -> Iterator[StepReport]:
        """Train step by step to the end of the recipe.

        Args:
            readers: number of processes that read; None for that of the recipe.

        Raises:
            TrainingError: TRN001 if a loss or gradient is NaN or infinite, naming the step's frames; TRN002 if too many
                frames cannot be read.
        """
        config = self.recipe.train
        loader = training_loader(self._steps, config.workers if readers is None else readers, self.device)
        while self.progress.step < self.num_steps:
            epoch, first = divmod(self.progress.step, self.steps_per_epoch)
            self._steps.epoch, self._steps.first = epoch, first
            self._steps.paste = epoch < config.epochs - self.recipe.data.paste.off_last_epochs
            self._bad = self._bad if first else {}
            began = time.perf_counter()
            for item in on_device(loader, self.device):
                waited = time.perf_counter() - began
                losses, rate, norm = self._step(self._readable(item))
                self.progress = TrainingProgress(self.progress.step + 1, self.progress.best)
                last = self.progress.step % self.steps_per_epoch == 0
                bad = self._bad_of_all() if last and self.processes > 1 else item.bad
                seconds = time.perf_counter() - began
                yield StepReport(self.progress.step, epoch, last, losses, rate, norm, seconds, waited, bad)
                if last:  # all epochs have the same length, even where resampling rounds differently
                    break
                began = time.perf_counter()

    def _step(self, batch: Batch) -> tuple[dict[str, float], float, float]:
        config, step = self.recipe.train, self.progress.step
        rate = float(self._schedule.get_last_lr()[0])
        draws = torch.Generator().manual_seed(((config.seed * 1_000_003 + step) * 1009 + self.rank) % 2**64)
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            losses: dict[str, Tensor] = self.network(batch, draws)
        total = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.grad_clip)
        # One copy to the host for all numbers of the step, which then waits for the device once.
        own = torch.stack([value.detach().double() for value in (*losses.values(), total, norm)])
        every = own if self.processes == 1 else mean_over_processes(own)
        told, (*numbers, size) = torch.stack([every, own]).tolist()
        names = (*losses, "loss")
        if not math.isfinite(size):  # the same in all processes: DDP averages a NaN into the gradients of each
            self._stop(batch, dict(zip(names, numbers, strict=True)), size)
        self.optimizer.step()
        self._schedule.step()
        return dict(zip(names, told, strict=False)), rate, size

    def _stop(self, batch: Batch, losses: Mapping[str, float], norm: float) -> None:
        wrong = [name for name, value in losses.items() if value != value or abs(value) == float("inf")]
        frames = ", ".join(batch.frame_ids)
        what = f"{', '.join(wrong)} of frames {frames}" if wrong else f"the gradient (norm {norm}) with frames {frames}"
        config = self.recipe.train
        rate = f"--set train.learning_rate={config.learning_rate / 10:g}"
        changes = [rate] if config.precision == "fp32" else ["--set train.precision=fp32", rate]
        continuing = " --changed" if self._saved else ""
        raise TrainingError(
            "TRN001",
            f"step {self.progress.step + 1}: NaN or infinite: {what}",
            f"{self.saved}; check these frames, or add to the command "
            f"{', or '.join(f'{change}{continuing}' for change in changes)}",
        )

    def _readable(self, item: LoadedBatch) -> Batch:
        """The batch, unless too many frames of the epoch could not be read."""
        self._bad.update(item.bad)
        if item.batch is None or self._are_many:
            raise self._too_many()
        return item.batch

    @property
    def _are_many(self) -> bool:
        return len(self._bad) > MOST_BAD * len(self.data.frame_ids)

    def _too_many(self) -> TrainingError:
        frame_id, error = list(self._bad.items())[-1]
        return TrainingError(
            "TRN002",
            f"{len(self._bad)} of {len(self.data.frame_ids)} frames cannot be read, the last is {frame_id!r}: {error}",
            "repair these files, or draw a budget for frames that can be read",
        )

    def _bad_of_all(self) -> tuple[tuple[str, str], ...]:
        """The frames of an epoch that some process could not read, unless they are too many."""
        for content in exchanged(json.dumps(self._bad).encode(), self.device):
            self._bad |= json.loads(content)
        if self._are_many:
            raise self._too_many()
        return tuple(self._bad.items())
