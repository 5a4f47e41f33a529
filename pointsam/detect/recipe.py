"""A recipe: the complete configuration of a detector and its training, apart from data, labels and budget."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pointsam.base.document import OPTIONAL
from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require
from pointsam.detect.data.training_set import DataConfig
from pointsam.detect.detector import DetectorConfig
from pointsam.taxonomy import ClassSpec

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class TrainConfig:
    """The training schedule: AdamW with a one-cycle learning rate (docs/method.md B.10).

    Args:
        epochs: number of passes over the resampled frames.
        batch_size: samples per process and step.
        learning_rate: peak learning rate of the cycle.
        weight_decay: weight decay of all parameters.
        warm_share: fraction of the steps before the peak.
        start_division: the learning rate starts at learning_rate / start_division.
        end_division: the learning rate ends at learning_rate / start_division / end_division.
        momentum: momentum at both ends of the cycle, and at its peak.
        grad_clip: largest norm of the gradient.
        precision: "fp32", or "bf16" for the network (losses stay fp32).
        eval_epochs: number of epochs between validations; the last epoch is always validated.
        checkpoint_minutes: a checkpoint is saved at the end of every epoch and after this many minutes.
        workers: number of processes that load data.
        seed: seed of the weights and of all random draws.
        deterministic: whether CUDA uses torch's deterministic algorithms, so that two runs are the same; slower. On a
            CPU they always are.
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
    precision: Precision = "fp32"
    eval_epochs: int = 5
    checkpoint_minutes: float = 10.0
    workers: int = 4
    seed: int = 0
    deterministic: bool = field(default=True, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "eval_epochs"):
            require(1 <= getattr(self, name) <= 10**6, f"train.{name}", getattr(self, name), "1 to a million")
        for name in ("learning_rate", "start_division", "end_division", "grad_clip", "checkpoint_minutes"):
            require(0 < getattr(self, name) <= 1e9, f"train.{name}", getattr(self, name), "a number above 0, to 1e9")
        require(0 <= self.weight_decay <= 1e9, "train.weight_decay", self.weight_decay, "a number from 0 to 1e9")
        require(0 < self.warm_share < 1, "train.warm_share", self.warm_share, "a fraction between 0 and 1")
        require(0 <= self.workers <= 1024, "train.workers", self.workers, "0 to 1024")
        require(0 <= self.seed < 2**63, "train.seed", self.seed, "0 to 2**63 - 1")
        require(all(0 < m < 1 for m in self.momentum), "train.momentum", self.momentum, "two numbers between 0 and 1")


@dataclass(frozen=True)
class Recipe:
    """A detector, its training data and its schedule.

    Args:
        name: name of the recipe.
        detector: configuration of the network.
        data: configuration of the training data.
        train: training schedule.

    Raises:
        SchemaError: SCH005 on coarse labels that the detector cannot be trained on.
    """

    name: str
    detector: DetectorConfig
    data: DataConfig
    train: TrainConfig

    def __post_init__(self) -> None:
        if self.data.coarse.kind == "centers" and not self.takes_centers:
            raise SchemaError(
                "SCH005",
                f"recipe {self.name}: data.coarse.kind is 'centers', which have no points, but second stages and "
                "anchors that match by overlap assign clusters by their points: every object would be background",
                "set detector.head.match=centers (anchors) and detector.roi=null, or choose another data.coarse.kind",
            )

    def without(self, names: Collection[str]) -> Recipe:
        """The recipe without some of its classes; at least one is left."""
        return replace(self, detector=replace(self.detector, head=self.detector.head.without(names)))

    def for_classes(self, classes: Sequence[ClassSpec]) -> Recipe:
        """The recipe for other classes. New ones are pasted as often as the class that is pasted least.

        Raises:
            SchemaError: SCH005 on a class that lacks a trait which the head needs.
        """
        counts = self.data.paste.counts
        least = min(counts.values(), default=0)
        paste = replace(self.data.paste, counts={spec.name: counts.get(spec.name, least) for spec in classes})
        detector = replace(self.detector, head=self.detector.head.for_classes(classes))
        return replace(self, detector=detector, data=replace(self.data, paste=paste if counts else self.data.paste))

    @property
    def takes_centers(self) -> bool:
        """Whether it can be trained on centres without points."""
        return self.detector.roi is None and self.detector.head.takes_centers
