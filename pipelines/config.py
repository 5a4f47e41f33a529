"""The two recipes, and changing them by name.

A recipe is a complete configuration. `paper` is the published method to the last default; `default` is ours: every
difference is a field that can be switched back with `--set`, and docs/recipes.md lists what each one gains.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pointsam.calibration.perturb import CLEAN, Noise
from pointsam.errors import SchemaError
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
from pointsam.store.document import canonical_json


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


def assign(document: dict[str, Any], assignments: Sequence[str], option: str = "--set") -> None:
    """Change fields of a configuration's `asdict` form, in place; `option` is what the user wrote them after.

    Raises:
        SchemaError: SCH005 on an unknown field.
    """
    for assignment in assignments:
        path, separator, text = assignment.partition("=")
        *parents, leaf = path.strip().split(".")
        node: Any = document
        for name in parents:
            node = node.get(name) if isinstance(node, dict) else None
        if not separator or not isinstance(node, dict) or leaf not in node or isinstance(node[leaf], dict):
            known = ", ".join(sorted(_leaves(document)))
            raise SchemaError(
                "SCH005", f"{option} {assignment!r} names no field", f"write NAME=VALUE with one of: {known}"
            )
        node[leaf] = _value(text.strip())


def noise_of(assignments: Sequence[str]) -> Noise:
    """A calibration error from `rotation_deg=0.5` and the like.

    Raises:
        SchemaError: SCH005 on an unknown field, or a value of the wrong kind or out of range.
    """
    document = asdict(CLEAN)
    assign(document, assignments, "--noise")
    noise: Noise = parse(Noise, document, "--noise " + " ".join(assignments))
    return noise


def require_finite(document: Mapping[str, Any], assignments: Sequence[str]) -> None:
    """Refuse NaN and infinity, which JSON has no word for.

    Raises:
        SchemaError: SCH005 naming the assignments.
    """
    try:
        canonical_json(document)
    except ValueError:
        raise SchemaError(
            "SCH005", f"--set {' '.join(assignments)}: NaN or infinity", "no field takes such a value"
        ) from None


def parse(kind: type[Any], document: Mapping[str, Any], where: str) -> Any:
    """A configuration dataclass from its `asdict` form, every value checked.

    Raises:
        SchemaError: SCH005 naming `where` and the field.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise SchemaError(
            "SCH005", f"{where}: {field}: {first['msg']}, got {first['input']!r}", "see docs/recipes.md for every field"
        ) from None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _leaves(document: Mapping[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in document.items():
        names += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return names
