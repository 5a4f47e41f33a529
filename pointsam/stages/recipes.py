"""The two recipes, and changing them by name.

A recipe is a complete configuration. `paper` is the published method to the last default; `default` is ours: every
difference is a field that can be switched back with `--set`, and docs/recipes.md lists what each one gains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Literal

from pointsam.base.config import assign, parse, require_finite
from pointsam.base.document import json_object
from pointsam.base.errors import SchemaError
from pointsam.masks import segmenter_plugin
from pointsam.semantics import semantics_plugin
from pointsam.semantics.riders import RiderConfig
from pointsam.stages.lift import LiftConfig
from pointsam.stages.merge import MergeConfig
from pointsam.stages.paint import PaintConfig
from pointsam.stages.prompt import PromptConfig
from pointsam.stages.refine import RefineConfig
from pointsam.stages.trim import TrimConfig

_RECORDED_SEMANTICS, _RECORDED_SEGMENTER = ("ssd", "oracle"), "mobile_sam"
"""Back ends whose options every run records, in use or not, as version 0.1.0 did: the keys of its runs hold."""


@dataclass(frozen=True)
class MasksConfig:
    """The 2D stage: what is where in each image.

    Args:
        backend: promptable segmenter, a plug-in.
        semantics: source of classes, a plug-in.
        prompts: what SAM is asked: LiDAR points (the paper), boxes of the 2D detections, or both.
        semantic_overlap: who wins a pixel of the class map where detections overlap: "score", the higher score, or
            "published", the higher class and inside a class the lower score (method.md A.1).
        seed: of every random choice, together with frame, camera and stage.
        riders: whether riders join what they ride.
        prompt: which points SAM is asked about.
        options: fields of the back ends by section (`masks.SECTION` of a document); what is left out has its default.
            The plug-in's own class checks them, when the document is written and when the back end is loaded; a stored
            document opens without its plug-ins.
    """

    backend: str = "mobile_sam"
    semantics: str = "ssd"
    prompts: Literal["points", "boxes", "both"] = "points"
    semantic_overlap: Literal["score", "published"] = "published"
    seed: int = 0
    riders: RiderConfig = RiderConfig()
    prompt: PromptConfig = PromptConfig()
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, document: Mapping[str, object], where: str) -> MasksConfig:
        """From what `as_dict` gave, maybe on another machine.

        Raises:
            SchemaError: SCH005 naming `where` and the field.
        """
        parsed: MasksConfig = parse(cls, cls.sorted_out(document), where, "masks.")
        return parsed

    @staticmethod
    def sorted_out(document: Mapping[str, object]) -> dict[str, object]:
        """What `as_dict` gave as fields of the class: the sections of options move into `options`."""
        own = {name: value for name, value in document.items() if name in _own_fields()}
        return {**own, "options": {name: value for name, value in document.items() if name not in own}}

    def as_dict(self, where: str = "the recipe") -> dict[str, object]:
        """JSON values: the options of the back ends in use, complete and checked, stand beside the other fields.

        Raises:
            SchemaError: SCH005 on an unknown back end, or options that do not fit it, naming `where` and the field.
            PluginError: PLG001 or PLG002 on a back end that cannot be loaded.
        """
        document = asdict(self)
        del document["options"]
        for section, kind in self._sections().items():
            checked = json_object(self._parsed(kind, section, where))
            if checked:
                document[section] = checked
        return document

    def segmenter_options(self) -> object:
        """Options of the segmenter, of its plug-in's own class; what raises as `as_dict`."""
        plugin = segmenter_plugin(self.backend)
        return self._parsed(plugin.config, plugin.section or self.backend, "the recipe")

    def semantics_options(self) -> object:
        """Options of the source of classes, of its plug-in's own class; what raises as `as_dict`."""
        return self._parsed(semantics_plugin(self.semantics).config, self.semantics, "the recipe")

    def _parsed(self, kind: type[object], section: str, where: str) -> object:
        return parse(kind, self.options.get(section, {}), where, f"masks.{section}.")

    def _sections(self) -> dict[str, type[object]]:
        """Class of each section of options."""
        found: dict[str, type[object]] = {}
        for section, kind in self._kinds():
            if section in _own_fields() or found.get(section, kind) is not kind:
                raise SchemaError(
                    "SCH005",
                    f"back ends {self.backend} and {self.semantics}: options masks.{section} are taken already",
                    "let one of the plug-ins name another section for its options (docs/plugins.md)",
                )
            found[section] = kind
        return found

    def _kinds(self) -> Iterator[tuple[str, type[object]]]:
        for name in (*_RECORDED_SEMANTICS, self.semantics):
            yield name, semantics_plugin(name).config
        for name in (_RECORDED_SEGMENTER, self.backend):
            plugin = segmenter_plugin(name)
            yield plugin.section or name, plugin.config


def _own_fields() -> set[str]:
    return {one.name for one in fields(MasksConfig)} - {"options"}


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

    def as_dict(self, where: str = "the recipe") -> dict[str, object]:
        """JSON values; what raises as `MasksConfig.as_dict`."""
        return {"recipe": self.recipe, "masks": self.masks.as_dict(where), "clusters": asdict(self.clusters)}


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
            riders=RiderConfig(enabled=True),
            options={"ssd": {"tile_px": 400, "score_threshold": 0.4}},
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


_BACK_ENDS = ("masks.backend", "masks.semantics")


def with_overrides(config: LabelConfig, assignments: Sequence[str]) -> LabelConfig:
    """A copy with fields changed by dotted name.

    Args:
        config: the recipe to start from.
        assignments: `clusters.refine.range_coef=0.05`; values are JSON, bare words are strings.

    Raises:
        SchemaError: SCH005 on an unknown field, or a value of the wrong kind or out of range.
    """
    where = "--set " + " ".join(assignments)
    # The back ends decide which options there are, so their names are assigned first.
    names: dict[str, object] = {"backend": config.masks.backend, "semantics": config.masks.semantics}
    assign({"masks": names}, [one for one in assignments if one.partition("=")[0].strip() in _BACK_ENDS])
    chosen = replace(config.masks, backend=str(names["backend"]), semantics=str(names["semantics"]))
    masks, clusters = chosen.as_dict(where), asdict(config.clusters)
    assign({"masks": masks, "clusters": clusters}, assignments)
    changed = LabelConfig(
        config.recipe,
        MasksConfig.from_dict(masks, where),
        parse(ClustersConfig, clusters, where, "clusters."),
    )
    require_finite(changed.as_dict(where), assignments)
    return changed
