"""A recipe: everything that decides what a detector becomes, apart from data, labels and budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require
from pointsam.detect.data.training_set import DataConfig
from pointsam.detect.detector import DetectorConfig


@dataclass(frozen=True)
class TrainConfig:
    """How it is trained: AdamW, one cycle (method.md B.10).

    Args:
        epochs: over the resampled frames.
        batch_size: samples a process and step.
        learning_rate: at the top of the cycle.
        weight_decay: of all parameters.
        warm_share: of the steps, until the top.
        start_division: the rate begins at learning_rate / start_division.
        end_division: and ends at learning_rate / start_division / end_division.
        momentum: at both ends of the cycle, and at its top.
        grad_clip: largest norm of the gradient.
        precision: "fp32", or "bf16" for the network (losses stay fp32).
        eval_epochs: validate after so many epochs, and after the last.
        checkpoint_minutes: save at the end of an epoch, and when so much time has gone by.
        workers: processes that load data.
        seed: of weights and all draws.
    """

    epochs: int = 20
    batch_size: int = 4
    learning_rate: float = 0.001
    weight_decay: float = 0.01
    warm_share: float = 0.4
    start_division: float = 10.0
    end_division: float = 1e4
    momentum: tuple[float, float] = (0.95, 0.85)
    grad_clip: float = 10.0
    precision: Literal["fp32", "bf16"] = "fp32"
    eval_epochs: int = 5
    checkpoint_minutes: float = 10.0
    workers: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "eval_epochs"):
            require(getattr(self, name) >= 1, f"train.{name}", getattr(self, name), "1 or more")
        for name in ("learning_rate", "start_division", "end_division", "grad_clip", "checkpoint_minutes"):
            require(getattr(self, name) > 0, f"train.{name}", getattr(self, name), "a number above 0")
        require(0 < self.warm_share < 1, "train.warm_share", self.warm_share, "a share between 0 and 1")
        require(self.workers >= 0, "train.workers", self.workers, "0 or more")
        require(all(0 < m < 1 for m in self.momentum), "train.momentum", self.momentum, "two numbers between 0 and 1")


@dataclass(frozen=True)
class Recipe:
    """A detector, what it is fed, and how.

    Args:
        name: of the recipe.
        detector: the network.
        data: its food.
        train: the schedule.

    Raises:
        SchemaError: SCH005 on coarse labels that the detector cannot meet.
    """

    name: str
    detector: DetectorConfig
    data: DataConfig
    train: TrainConfig

    def __post_init__(self) -> None:
        if self.data.coarse.kind == "centers" and not self.takes_centers:
            raise SchemaError(
                "SCH005",
                f"recipe {self.name}: data.coarse.kind is 'centers', which have no points, and anchors that match by "
                "overlap and second stages meet clusters by their points: they would be background",
                "set detector.head.match=centers (anchors) and detector.roi=null, or choose another data.coarse.kind",
            )

    @property
    def takes_centers(self) -> bool:
        """Whether it can be trained on centres without points."""
        return self.detector.roi is None and self.detector.head.takes_centers
