"""Both bundled networks: the boxes of the SSD and of NanoDet, joined by weighted box fusion.

The two networks err differently, so an object that both find is real more often than its scores say. Their scores are
not comparable: the softmax of the SSD is high for many false boxes, the sigmoid of NanoDet is low for true ones. A
logistic curve for each network (Platt, 1999) maps a score to the probability that the box is a true one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar

from pointsam.base.ranges import require
from pointsam.semantics.base import SemanticsPlugin
from pointsam.semantics.coco import COCO_NAMES
from pointsam.semantics.joined import JoinedSemantics, Member, known_classes
from pointsam.semantics.nanodet import NANODET, NanodetConfig
from pointsam.semantics.ssd import SSD, SsdConfig
from pointsam.taxonomy import LabelMapping

_SSD_CURVE, _NANODET_CURVE = (1.4, -1.2), (3.5, 0.0)
"""Slope and offset of the logit of the probability against that of the score; `scripts/bench_networks.py` fits them."""


@dataclass(frozen=True)
class FusedSsdConfig(SsdConfig):
    """Options of the SSD before fusion: a lower threshold than that of the network alone, and tiles."""

    score_threshold: float = 0.2
    tile_px: int = 500

    section: ClassVar[str] = "bundled.ssd"


@dataclass(frozen=True)
class FusedNanodetConfig(NanodetConfig):
    """Options of NanoDet before fusion: a lower threshold than that of the network alone."""

    score_threshold: float = 0.25

    section: ClassVar[str] = "bundled.nanodet"


@dataclass(frozen=True)
class BundledConfig:
    """Options of both networks and of the fusion.

    Args:
        ssd: the SSD.
        nanodet: NanoDet.
        nanodet_weight: weight of NanoDet in the fusion; that of the SSD is 1.
        fusion_iou: boxes of a class with a higher IoU are one object.
        score_threshold: keep fused boxes with a higher score.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    ssd: FusedSsdConfig = FusedSsdConfig()
    nanodet: FusedNanodetConfig = FusedNanodetConfig()
    nanodet_weight: float = 2.0
    fusion_iou: float = 0.5
    score_threshold: float = 0.2

    def __post_init__(self) -> None:
        require(0 < self.nanodet_weight <= 1e3, "bundled.nanodet_weight", self.nanodet_weight, "a value in (0, 1000]")
        require(0 <= self.fusion_iou < 1, "bundled.fusion_iou", self.fusion_iou, "a value in [0, 1)")
        require(0 <= self.score_threshold < 1, "bundled.score_threshold", self.score_threshold, "a value in [0, 1)")


def bundled_semantics(mapping: LabelMapping, config: BundledConfig, threads: int = 1) -> JoinedSemantics:
    """Both networks, on the CPU.

    Args:
        mapping: COCO label names to the run's classes.
        config: options.
        threads: CPU threads of one inference; the result does not depend on it.

    Raises:
        BackendError, SchemaError: as `CarriedNetwork.load`.
    """
    known = known_classes(mapping, list(COCO_NAMES.values()))
    members = (
        Member(SSD.load(mapping, config.ssd, threads), 1.0, _SSD_CURVE, known),
        Member(NANODET.load(mapping, config.nanodet, threads), config.nanodet_weight, _NANODET_CURVE, known),
    )
    return JoinedSemantics("bundled", digest(), members, mapping.taxonomy, config.fusion_iou, config.score_threshold)


def digest() -> str:
    """Hex digest of both networks' weights."""
    return hashlib.sha256((SSD.sha256 + NANODET.sha256).encode()).hexdigest()


PLUGIN = SemanticsPlugin(
    BundledConfig,
    lambda config, context: bundled_semantics(context.mapping, config, context.threads),
    lambda _config, _masks_dir: digest(),
    labels="coco",
    takes_folder=False,
    survey=lambda _config, context, _images: NANODET.survey(context.mapping),
)
