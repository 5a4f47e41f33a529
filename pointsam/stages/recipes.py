"""The two recipes, and changing them by name.

A recipe is a complete configuration. `paper` is the published method to the last default; `default` is ours: every
difference is a field that can be switched back with `--set`, and docs/recipes.md lists what each one gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from pointsam.base.config import assign, parse, require_finite
from pointsam.masks.config import SegmentConfig
from pointsam.semantics.oracle import OracleConfig
from pointsam.semantics.riders import RiderConfig
from pointsam.semantics.ssd import SsdConfig
from pointsam.stages.lift import LiftConfig
from pointsam.stages.merge import MergeConfig
from pointsam.stages.paint import PaintConfig
from pointsam.stages.prompt import PromptConfig
from pointsam.stages.refine import RefineConfig
from pointsam.stages.trim import TrimConfig


@dataclass(frozen=True)
class MasksConfig:
    """The 2D stage: what is where in each image.

    Args:
        backend: promptable segmenter, see `pointsam-label weights ls`.
        semantics: source of classes, "ssd", "precomputed" or "oracle".
        prompts: what SAM is asked: LiDAR points (the paper), boxes of the 2D detections, or both.
        semantic_overlap: who wins a pixel of the class map where detections overlap: "score", the higher score, or
            "published", the higher class and inside a class the lower score (method.md A.1).
        seed: of every random choice, together with frame, camera and stage.
    """

    backend: str = "mobile_sam"
    semantics: str = "ssd"
    prompts: Literal["points", "boxes", "both"] = "points"
    semantic_overlap: Literal["score", "published"] = "published"
    seed: int = 0
    ssd: SsdConfig = SsdConfig()
    oracle: OracleConfig = OracleConfig()
    riders: RiderConfig = RiderConfig()
    prompt: PromptConfig = PromptConfig()
    segment: SegmentConfig = SegmentConfig()


@dataclass(frozen=True)
class ClustersConfig:
    """The 3D stage: masks to clusters."""

    paint: PaintConfig = PaintConfig()
    lift: LiftConfig = LiftConfig()
    refine: RefineConfig = RefineConfig()
    merge: MergeConfig = MergeConfig()
    trim: TrimConfig = TrimConfig()


@dataclass(frozen=True)
class LabelConfig:
    """Everything that decides a label, apart from the data and the weights."""

    recipe: str
    masks: MasksConfig
    clusters: ClustersConfig


def paper() -> LabelConfig:
    """The published method (method.md A.0), with the bundled models in place of ViT-H and the nuImages network."""
    return LabelConfig("paper", MasksConfig(), ClustersConfig())


def default() -> LabelConfig:
    """Ours; docs/recipes.md says why, and what each difference gains on real frames."""
    base = paper()
    return LabelConfig(
        "default",
        replace(
            base.masks,
            prompts="boxes",
            semantic_overlap="score",
            ssd=replace(base.masks.ssd, tile_px=400, score_threshold=0.4),
            riders=RiderConfig(enabled=True),
        ),
        replace(
            base.clusters,
            paint=replace(base.clusters.paint, order="score"),
            refine=replace(base.clusters.refine, same_image_veto=True, rings=3.5),
            merge=replace(base.clusters.merge, rule="order_free"),
            lift=replace(base.clusters.lift, occlusion=True),
            trim=TrimConfig(enabled=True),
        ),
    )


RECIPES = {"default": default, "paper": paper}


def with_overrides(config: LabelConfig, assignments: Sequence[str]) -> LabelConfig:
    """A copy with fields changed by dotted name.

    Args:
        config: the recipe to start from.
        assignments: `clusters.refine.range_coef=0.05`; values are JSON, bare words are strings.

    Raises:
        SchemaError: SCH005 on an unknown field, or a value of the wrong kind or out of range.
    """
    document = {"masks": asdict(config.masks), "clusters": asdict(config.clusters)}  # a recipe keeps its name
    assign(document, assignments)
    changed: LabelConfig = parse(LabelConfig, {"recipe": config.recipe, **document}, "--set " + " ".join(assignments))
    require_finite(asdict(changed), assignments)
    return changed
