"""The training loop: one process a device, gradients averaged by torch's own DDP.

Plain torch in place of a framework: the loop is one page, every draw follows from (seed, epoch, place), and a step is
the same whether one process does it or several.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import OneCycleLR

from pointsam.base.errors import TrainingError
from pointsam.detect.checkpoint import Checkpoint, Place, save_checkpoint
from pointsam.detect.data.loader import LoadedBatch, Steps, training_loader
from pointsam.detect.data.training_set import TrainingSet
from pointsam.detect.detector import Batch, Detector
from pointsam.detect.recipe import Recipe
from pointsam.taxonomy import Taxonomy

_MOST_BAD = 0.1
"""Share of an epoch's frames that may be unreadable before the run stops."""


@dataclass(frozen=True)
class StepReport:
    """One step.

    Args:
        step: steps done, this one included.
        epoch: from 0.
        last_of_epoch: the next step is of the next epoch.
        losses: weighted terms of this process, and their sum "loss".
        learning_rate: of the step.
        grad_norm: before clipping.
        seconds: of the step.
        data_seconds: of these, waiting for data.
        bad: frames that could not be read, with the reasons.
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


class Trainer:
    """A detector in training.

    Args:
        recipe: network and schedule.
        data: what it is fed.
        taxonomy: of the labels.
        device: "cpu", "cuda:1".
        rank: of this process, processes: their number; a process group must be there if there are several.
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
        if device.type == "cuda":  # the same sums in the same order, wherever torch has such an algorithm
            torch.use_deterministic_algorithms(True, warn_only=True)
        self.recipe, self.device, self.rank = recipe, device, rank
        self.model = Detector(recipe.detector, taxonomy).to(device)
        self.network: nn.Module = self.model
        if processes > 1:
            ids = [device.index] if device.type == "cuda" else None
            self.network = DistributedDataParallel(self.model, device_ids=ids)
        config = recipe.train
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=config.learning_rate,
            betas=(config.momentum[0], 0.99),
            weight_decay=config.weight_decay,
        )
        self.data = data
        self._steps = Steps(data, config.batch_size, rank, processes)
        self.steps_per_epoch = self._count_steps()
        self.place = Place()
        self._schedule = self._one_cycle(0)
        self._bad: set[str] = set()

    @property
    def num_steps(self) -> int:
        """Of the whole run."""
        return self.steps_per_epoch * self.recipe.train.epochs

    def _count_steps(self) -> int:
        steps = len(self._steps)
        if steps == 0:
            raise TrainingError(
                "TRN002",
                f"{len(self.data.order(0))} frames make no step of {self._steps.batch_size} samples in each "
                f"of {self._steps.processes} processes",
                "lower train.batch_size, or train on more frames",
            )
        return steps

    def save(self, path: Path, about: object, best: float | None = None) -> None:
        """Write a checkpoint; `best` is the best validation so far."""
        self.place = Place(self.place.step, best if best is not None else self.place.best)
        save_checkpoint(path, self.model, self.optimizer, self.place, about)

    def load(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint: the losses that follow are those of the run that wrote it."""
        checkpoint.load_model(self.model)
        checkpoint.load_optimizer(self.model, self.optimizer)
        self.place = checkpoint.place
        self._schedule = self._one_cycle(self.place.step)

    def _one_cycle(self, step: int) -> OneCycleLR:
        """Rate and momentum from a step on; they follow from the step alone."""
        config = self.recipe.train
        return OneCycleLR(
            self.optimizer,
            config.learning_rate,
            total_steps=self.num_steps,
            pct_start=config.warm_share,
            max_momentum=config.momentum[0],
            base_momentum=config.momentum[1],
            div_factor=config.start_division,
            final_div_factor=config.end_division,
            last_epoch=step - 1,
        )

    def run(self) -> Iterator[StepReport]:
        """Train on, step by step, to the end of the recipe.

        Raises:
            TrainingError: TRN001 if a loss or gradient is no number, naming the step's frames; TRN002 if too many
                frames are bad.
        """
        config = self.recipe.train
        while self.place.step < self.num_steps:
            epoch, first = divmod(self.place.step, self.steps_per_epoch)
            self._steps.epoch, self._steps.first = epoch, first
            self._steps.paste = epoch < config.epochs - self.recipe.data.paste.off_last_epochs
            self._bad = self._bad if first else set()
            began = time.perf_counter()
            for item in training_loader(self._steps, config.workers, self.device):
                waited = time.perf_counter() - began
                losses, rate, norm = self._step(self._readable(item))
                self.place = Place(self.place.step + 1, self.place.best)
                last = self.place.step % self.steps_per_epoch == 0
                seconds = time.perf_counter() - began
                yield StepReport(self.place.step, epoch, last, losses, rate, norm, seconds, waited, item.bad)
                if last:  # epochs of equal length, whatever resampling rounds
                    break
                began = time.perf_counter()

    def _step(self, batch: Batch) -> tuple[dict[str, float], float, float]:
        config, step = self.recipe.train, self.place.step
        rate = float(self._schedule.get_last_lr()[0])
        batch = batch.to(self.device)
        draws = torch.Generator().manual_seed((config.seed * 1_000_003 + step) * 1009 + self.rank)
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            losses: dict[str, Tensor] = self.network(batch, draws)
        total = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.grad_clip)
        values = {name: float(value.detach()) for name, value in {**losses, "loss": total}.items()}
        if not torch.isfinite(norm):  # of all processes: a loss that is no number spoils the gradients of each
            self._stop(batch, values, float(norm))
        self.optimizer.step()
        self._schedule.step()
        return values, rate, float(norm)

    def _stop(self, batch: Batch, losses: Mapping[str, float], norm: float) -> None:
        wrong = [name for name, value in losses.items() if value != value or abs(value) == float("inf")]
        frames = ", ".join(batch.frame_ids)
        what = f"{', '.join(wrong)} of frames {frames}" if wrong else f"the gradient (norm {norm}) with frames {frames}"
        raise TrainingError(
            "TRN001",
            f"step {self.place.step + 1}: no number: {what}",
            "the last checkpoint is kept; look at these frames, lower train.learning_rate, or train in fp32",
        )

    def _readable(self, item: LoadedBatch) -> Batch:
        """The batch, unless too many frames of the epoch were bad."""
        self._bad |= {frame_id for frame_id, _ in item.bad}
        frames = len(self.data.frame_ids)
        if item.batch is None or len(self._bad) > _MOST_BAD * frames:
            frame_id, error = item.bad[-1]
            raise TrainingError(
                "TRN002",
                f"{len(self._bad)} of {frames} frames cannot be read, the last is {frame_id!r}: {error}",
                "mend these files, or draw a budget for frames that are whole",
            )
        return item.batch
