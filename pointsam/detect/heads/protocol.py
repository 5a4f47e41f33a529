"""The interface of a head to the detector, the trainer and the commands.

A new head is two files: `heads/x.py` with its configuration and its network, and `assign/x.py` with its targets. Two
lines register it: one in `heads/union.py` and one in `recipes.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from torch import Tensor, nn

from pointsam.detect.heads.base import Losses
from pointsam.detect.labels import BatchLabels
from pointsam.detect.nets.grid import MapShape
from pointsam.detect.predictions import BatchPredictions, Predictions
from pointsam.taxonomy import ClassSpec

Output = TypeVar("Output")
"""The output of a head's network; only the head itself reads its content."""


class Head(Protocol[Output]):
    """The network of a head: a `torch.nn.Module` from a feature map to boxes."""

    def __call__(self, x: Tensor, /) -> Output:
        """The output for a feature map (S,C,H,W)."""

    def loss(self, output: Output, labels: BatchLabels, /) -> Losses:
        """Weighted loss terms; `labels` holds the labels of the S samples."""

    def predict(self, output: Output, /) -> list[Predictions]:
        """Predictions of each sample, by descending score."""

    def propose(self, output: Output, /) -> BatchPredictions:
        """Proposals of each sample for a second stage, without a score threshold."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Trainable parameters; every `torch.nn.Module` has this method."""


AnyHead: TypeAlias = Head[Any]
"""A head whose type of output the caller does not know; it passes the output back to the same head."""


class HeadConfig(Protocol):
    """The configuration of a head: a frozen dataclass, part of a recipe and of its JSON form."""

    @property
    def kind(self) -> str:
        """Distinguishes the heads of the union; a `Literal` field with a default."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that it detects, each once."""

    @property
    def takes_centers(self) -> bool:
        """Whether it can be trained on centres without points."""

    @property
    def score_threshold(self) -> float:
        """Predictions of a lower score are dropped; a field of its own, 0 to 1."""

    def without(self, names: Collection[str], /) -> HeadConfig:
        """The head without some of its classes; at least one is left."""

    def for_classes(self, classes: Sequence[ClassSpec], /) -> HeadConfig:
        """The head for other classes. Classes that it has keep what is stated of them.

        Raises:
            SchemaError: SCH005 on a class that lacks a trait which the head needs.
        """

    def ablations(self) -> Mapping[str, HeadConfig]:
        """Copies without one part of the assignment, by name, for `mixsup-train experiment assignment`."""

    def build(self, channels: int, map_shape: MapShape, class_ids: Mapping[str, int]) -> AnyHead:
        """The network.

        Args:
            channels: number of channels of the feature map.
            map_shape: geometry of the feature map.
            class_ids: class_id by class name.
        """
