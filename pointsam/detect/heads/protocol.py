"""What the detector, the trainer and the commands ask of a head.

A new head is two files: `heads/x.py` with its configuration and its network, and `assign/x.py` with its targets. Two
lines make it known: one in `heads/union.py`, one in `recipes.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from pointsam.detect.heads.base import Losses
from pointsam.detect.labels import SampleLabels
from pointsam.detect.nets.grid import MapShape
from pointsam.detect.predictions import Predictions

Output = TypeVar("Output")
"""What the network of a head gives; only the head itself looks into it."""


class Head(Protocol[Output]):
    """The network of a head: a `torch.nn.Module` from a feature map to boxes."""

    def __call__(self, x: Tensor, /) -> Output:
        """Outputs of a feature map (S,C,H,W)."""

    def loss(self, output: Output, labels: Sequence[SampleLabels], /) -> Losses:
        """Weighted terms; `labels` are those of the S samples."""

    def predict(self, output: Output, /) -> list[Predictions]:
        """Boxes of each sample, the best first."""

    def propose(self, output: Output, /) -> list[Predictions]:
        """Boxes of each sample for a second stage: more of them, however low their score."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """What is trained; every `torch.nn.Module` has it."""


class HeadConfig(Protocol):
    """The configuration of a head: a frozen dataclass, part of a recipe and of its JSON form."""

    @property
    def kind(self) -> str:
        """Tells the heads of the union apart; a `Literal` field with a default."""

    @property
    def description(self) -> str:
        """One word, for `mixsup-train recipes`."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """All classes that it detects, each once."""

    @property
    def takes_centers(self) -> bool:
        """Whether it can be trained on centres without points."""

    def ablations(self) -> Mapping[str, HeadConfig]:
        """Copies with one piece of the assignment taken away, by name, for `mixsup-train experiment assignment`."""

    def build(self, channels: int, place: MapShape, class_ids: Mapping[str, int]) -> Head[Any]:
        """The network.

        Args:
            channels: of the feature map.
            place: the feature map.
            class_ids: of the class names.
        """
