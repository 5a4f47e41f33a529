"""The two recipes, and changing their fields by name.

A recipe is a complete configuration. `paper` reproduces every published default. `default` is ours: every difference is
a field that `--set` can change back, and docs/recipes.md lists the gain of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from pointsam.base.config import assign, parse, require_finite
from pointsam.base.document import OPTIONAL, json_object
from pointsam.base.errors import SchemaError
from pointsam.base.plugins import names as plugin_names
from pointsam.base.plugins import plugins
from pointsam.masks import segmenter_plugin
from pointsam.semantics import semantics_plugin
from pointsam.semantics.riders import RiderConfig
from pointsam.stages.grow import GrowConfig
from pointsam.stages.lift import LiftConfig
from pointsam.stages.limit import LimitConfig
from pointsam.stages.looks.config import LooksConfig, of_components
from pointsam.stages.merge import MergeConfig
from pointsam.stages.paint import PaintConfig
from pointsam.stages.prompt import PromptConfig
from pointsam.stages.refine import RefineConfig
from pointsam.stages.tracks.config import TracksConfig, all_rules
from pointsam.stages.trim import TrimConfig

_RECORDED_SEMANTICS, _RECORDED_SEGMENTER, _RECORDED_SECTION = ("ssd", "oracle"), "mobile_sam", "segment"
"""Back ends whose options every run records, in use or not. Version 0.1.0 did so, and its runs must keep their keys."""


@dataclass(frozen=True)
class MasksConfig:
    """The 2D stage: classes and masks of each image.

    Args:
        backend: name of the segmenter, a plug-in.
        semantics: name of the source of classes, a plug-in.
        prompts: prompts for SAM: LiDAR points (published), boxes of the 2D detections, or both.
        semantic_overlap: which detection gets a pixel of the class map that several cover: "score", the one with the
            higher score, or "published", the one with the higher class_id.
        seed: seed of every random choice, with frame, camera and stage.
        riders: whether riders are joined with their cycles.
        prompt: which points are prompts.
        options: fields of the back ends by section (`masks.SECTION` of a document); missing fields have their defaults.
            The plug-in's own class checks them when the document is written and when the back end is loaded. A stored
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

    @property
    def needs_masks(self) -> bool:
        """Whether 2D results of files must have masks: LiDAR points are chosen by the class of their pixel."""
        return self.prompts != "boxes"

    @classmethod
    def from_dict(cls, document: Mapping[str, object], where: str) -> MasksConfig:
        """The configuration from the JSON values of `as_dict`.

        Args:
            document: the values.
            where: the file or option that they come from, for errors.

        Raises:
            SchemaError: SCH005 naming `where` and the field.
        """
        values = cls.sorted_out(document)
        for name in values.keys() - _own_fields() - {"options"}:
            raise SchemaError(
                "SCH005", f"{where}: masks.{name} is no field and no section of a back end", "see docs/recipes.md"
            )
        parsed: MasksConfig = parse(cls, values, where, "masks.")
        return parsed

    @staticmethod
    def sorted_out(document: Mapping[str, object]) -> dict[str, object]:
        """The JSON values of `as_dict` as fields of the class: sections of options move into `options`.

        A section that no back end of the document names stays, and is then an unknown field.
        """
        sections = _known_sections(document)
        own = {name: value for name, value in document.items() if name not in sections}
        return {**own, "options": {name: document[name] for name in document if name in sections}}

    def as_dict(self, where: str = "the recipe", complete: bool = False) -> dict[str, object]:
        """JSON values: the fields, then a section for each back end with its options, checked.

        Args:
            where: the file or option that they come from, for errors.
            complete: whether options that are null and then not written (`LEFT_OUT`) are among them.

        Raises:
            SchemaError: SCH005 on an unknown back end, or options that do not fit it, naming `where` and the field.
            PluginError: PLG001 or PLG002 if a back end cannot be loaded.
        """
        document = asdict(self)
        del document["options"]
        for section, kind in self.sections().items():
            checked = json_object(self._parsed(kind, section, where))
            if complete:
                checked = {name: checked.get(name) for name in _field_names(kind)}
            if checked:
                document[section] = checked
        return document

    def segmenter_options(self) -> object:
        """Options of the segmenter, an object of its plug-in's `config` class; errors as of `as_dict`."""
        plugin = segmenter_plugin(self.backend)
        return self._parsed(plugin.config, plugin.section or self.backend, "the recipe")

    def semantics_options(self) -> object:
        """Options of the source of classes, an object of its plug-in's `config` class; errors as of `as_dict`."""
        return self._parsed(semantics_plugin(self.semantics).config, self.semantics, "the recipe")

    def _parsed(self, kind: type[object], section: str, where: str) -> object:
        return parse(kind, self.options.get(section, {}), where, f"masks.{section}.")

    def sections(self) -> dict[str, type[object]]:
        """Class of each section of options."""
        found: dict[str, type[object]] = {}
        for section, kind in self._kinds():
            if section in _own_fields() or found.get(section, kind) is not kind:
                raise SchemaError(
                    "SCH005",
                    f"back ends {self.backend} and {self.semantics}: both use the options masks.{section}",
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


def _field_names(kind: Any) -> list[str]:
    return [one.name for one in fields(kind)]


def _own_fields() -> set[str]:
    return {one.name for one in fields(MasksConfig)} - {"options"}


def _known_sections(document: Mapping[str, object]) -> set[str]:
    """Sections of the back ends that every run records, and of those that the document names.

    A segmenter of another package may have named its section otherwise. It need not be installed, and is not imported.
    """
    backend, semantics = document.get("backend"), document.get("semantics")
    known = {*_RECORDED_SEMANTICS, _RECORDED_SECTION, str(backend), str(semantics)} - _own_fields()
    others = document.keys() - known - _own_fields()
    ours = {plugin.name for plugin in plugins("segmenters") if plugin.entry.value.startswith("pointsam.")}
    return known | others if len(others) == 1 and backend not in document and backend not in ours else known


@dataclass(frozen=True)
class ClustersConfig:
    """The 3D stage: from masks to clusters."""

    paint: PaintConfig = PaintConfig()
    lift: LiftConfig = LiftConfig()
    refine: RefineConfig = RefineConfig()
    merge: MergeConfig = MergeConfig()
    trim: TrimConfig = TrimConfig()
    limit: LimitConfig = field(default=LimitConfig(), metadata=OPTIONAL)
    grow: GrowConfig = field(default=GrowConfig(), metadata=OPTIONAL)


@dataclass(frozen=True)
class LabelConfig:
    """Everything that determines the labels, apart from the data and the weights.

    Args:
        recipe: name of the recipe.
        masks: options of the 2D stage.
        clusters: options of the 3D stage.
        tracks: options of the stage over time.
        looks: options of second looks.
    """

    recipe: str
    masks: MasksConfig
    clusters: ClustersConfig
    tracks: TracksConfig
    looks: LooksConfig

    def as_dict(self, where: str = "the recipe") -> dict[str, object]:
        """JSON values; errors as of `MasksConfig.as_dict`."""
        stages = {"clusters": asdict(self.clusters), "looks": asdict(self.looks), "tracks": asdict(self.tracks)}
        return {"recipe": self.recipe, "masks": self.masks.as_dict(where), **stages}


def paper() -> LabelConfig:
    """The published method (arXiv 2401.16305), with the bundled models in place of ViT-H and the nuImages network."""
    return LabelConfig("paper", MasksConfig(), ClustersConfig(), TracksConfig(), LooksConfig())


def default() -> LabelConfig:
    """Our recipe; docs/recipes.md explains each difference and its gain on real frames."""
    base = paper()
    return LabelConfig(
        "default",
        replace(
            base.masks,
            semantics="bundled",
            prompts="boxes",
            semantic_overlap="score",
            riders=RiderConfig(enabled=True),
            options={"ssd": {"tile_px": 400, "score_threshold": 0.4}},  # of --semantics ssd; bundled has its own
        ),
        replace(
            base.clusters,
            paint=replace(base.clusters.paint, order="score"),
            refine=replace(base.clusters.refine, same_image_veto=True, rings=3.5),
            merge=replace(base.clusters.merge, rule="order_free"),
            lift=replace(base.clusters.lift, occlusion=True),
            trim=TrimConfig(enabled=True),
            limit=LimitConfig(enabled=True),
            grow=GrowConfig(enabled=True),
        ),
        all_rules(),
        of_components(),
    )


RECIPES = {"default": default, "paper": paper}


_BACK_ENDS = ("masks.backend", "masks.semantics")


def _require_in_use(assignments: Sequence[str], config: MasksConfig) -> None:
    """Refuse options of a source of classes that is not in use, also of those that every run records."""
    others = {*_RECORDED_SEMANTICS, *(set(plugin_names("semantics")) - config.sections().keys())} - {config.semantics}
    for assignment in assignments:
        section = assignment.strip().removeprefix("masks.").partition(".")[0]
        if assignment.strip().startswith("masks.") and section in others - _own_fields():
            raise SchemaError(
                "SCH005",
                f"--set {assignment}: the classes come from {config.semantics}, so options of {section} have no effect",
                f"add --semantics {section}, or set an option of masks.{config.semantics}",
            )


def with_overrides(config: LabelConfig, assignments: Sequence[str]) -> LabelConfig:
    """A copy with fields changed by dotted name.

    Args:
        config: the recipe to start from.
        assignments: NAME=VALUE, such as `clusters.refine.range_coef=0.05`; VALUE is JSON, or else a string.

    Raises:
        SchemaError: SCH005 on an unknown field, a value of the wrong kind or out of range, or an option of a source of
            classes that is not in use.
    """
    where = "--set " + " ".join(assignments)
    # The back ends determine which options exist, so their names are assigned first.
    names: dict[str, object] = {"backend": config.masks.backend, "semantics": config.masks.semantics}
    assign({"masks": names}, [one for one in assignments if one.partition("=")[0].strip() in _BACK_ENDS])
    chosen = replace(config.masks, backend=str(names["backend"]), semantics=str(names["semantics"]))
    _require_in_use(assignments, chosen)
    masks, clusters = chosen.as_dict(where, complete=True), asdict(config.clusters)
    looks, tracks = asdict(config.looks), asdict(config.tracks)
    assign({"masks": masks, "clusters": clusters, "looks": looks, "tracks": tracks}, assignments)
    changed = LabelConfig(
        config.recipe,
        MasksConfig.from_dict(masks, where),
        parse(ClustersConfig, clusters, where, "clusters."),
        parse(TracksConfig, tracks, where, "tracks."),
        parse(LooksConfig, looks, where, "looks."),
    )
    require_finite(changed.as_dict(where), assignments)
    return changed
