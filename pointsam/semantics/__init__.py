"""Sources of 2D classes: which class is where in an image.

Models are imported on demand, so that importing this package is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pointsam.base.config import require_kind
from pointsam.base.hub import ModelOrigin
from pointsam.base.remote import FileSource
from pointsam.semantics.base import LabelNames, SemanticModel, SemanticsContext, SemanticsPlugin
from pointsam.semantics.described import plugin_named
from pointsam.semantics.mapping import built_in_for, default_mapping, load_mapping, stated_mapping
from pointsam.semantics.places import ImageName

if TYPE_CHECKING:
    from pointsam.taxonomy import LabelMapping, Taxonomy
    from pointsam.types import CameraView, Frame

__all__ = [
    "SemanticModel",
    "SemanticsContext",
    "SemanticsPlugin",
    "label_names",
    "load_semantics",
    "mapping_of",
    "model_origins",
    "result_files",
    "semantics_plugin",
    "survey_semantics",
]


def semantics_plugin(name: str) -> SemanticsPlugin[object]:
    """The plug-in of a source of classes.

    Raises:
        SchemaError: SCH005 on an unknown name.
        PluginError: PLG001 if it cannot be loaded, PLG002 if several have the name.
    """
    return plugin_named(name)


def load_semantics(
    name: str,
    *,
    mapping: LabelMapping,
    masks_dir: Path | None = None,
    config: object | None = None,
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
    data_root: str = "",
    needs_masks: bool = False,
) -> SemanticModel:
    """Load a source of 2D classes by name.

    Args:
        name: plug-in: "ssd" or "nanodet" (a bundled network), "bundled" (both), "precomputed" (files that another
            network wrote), "oracle" (the ground truth), or one of another package.
        mapping: label names to the run's classes.
        masks_dir: folder of a source that reads files.
        config: options, an object of the plug-in's `config` class (`BundledConfig`, ...); None for its defaults.
        seed: seed of random draws.
        threads: CPU threads of one inference; the result does not depend on it.
        device: torch device, for sources that use one.
        data_root: root of the data set, for sources that find their files by the paths of images.
        needs_masks: whether a source that reads files must give masks, not only boxes.

    Raises:
        SchemaError: SCH005 on an unknown name or options of another class, and what the source itself raises.
        PluginError: PLG001 if the plug-in cannot be loaded, PLG002 if several have the name.
        DatasetError: DAT001 if a source that reads files has no folder.
    """
    plugin = semantics_plugin(name)
    checked = require_kind(plugin.config, config, f"the options of semantics {name}")
    return plugin.load(checked, SemanticsContext(mapping, masks_dir, seed, threads, device, data_root, needs_masks))


def semantics_sha256(name: str, masks_dir: Path | None = None, config: object | None = None) -> str:
    """Hex digest of what determines the detections besides options and images: the weights or the files.

    Raises:
        SchemaError, PluginError, DatasetError: as `load_semantics`.
    """
    plugin = semantics_plugin(name)
    return plugin.fingerprint(require_kind(plugin.config, config, f"the options of semantics {name}"), masks_dir)


def model_origins(name: str, masks_dir: Path | None = None, config: object | None = None) -> tuple[ModelOrigin, ...]:
    """Where the models of a source of classes are from; empty if only their digest is known.

    Raises:
        SchemaError, PluginError, BackendError: as `load_semantics`.
    """
    plugin = semantics_plugin(name)
    if plugin.origins is None:
        return ()
    return plugin.origins(require_kind(plugin.config, config, f"the options of semantics {name}"), masks_dir)


def label_names(name: str, masks_dir: Path | None = None, config: object | None = None) -> LabelNames:
    """Which label names a source of classes has if the user gives no mapping.

    Raises:
        SchemaError, PluginError, DatasetError: as `load_semantics`.
    """
    plugin = semantics_plugin(name)
    if plugin.names is None:
        return plugin.labels
    return built_in_for(
        plugin.names(require_kind(plugin.config, config, f"the options of semantics {name}"), masks_dir)
    )


def mapping_of(
    name: str, taxonomy: Taxonomy, path: Path | None, masks_dir: Path | None = None, config: object | None = None
) -> LabelMapping:
    """The mapping of a run: that of the user's file, else the built-in one for the label names of the source.

    A source that states the classes of its labels itself takes only the classes from the user's file.

    Args:
        name: plug-in of the source.
        taxonomy: the classes without a file.
        path: the user's mapping file, or None.
        masks_dir: what the source reads.
        config: its options, None for the defaults.

    Raises:
        SchemaError: SCH001 or SCH002 if the file, or what the source states, is no mapping to the classes.
            SchemaError, PluginError, DatasetError: as `load_semantics`.
    """
    plugin = semantics_plugin(name)
    stated = None
    if plugin.classes is not None:
        stated = plugin.classes(require_kind(plugin.config, config, f"the options of semantics {name}"), masks_dir)
    if stated is not None:
        target = taxonomy if path is None else load_mapping(path, labels=False).taxonomy
        return stated_mapping(target, stated, str(masks_dir))
    if path is not None:
        return load_mapping(path)
    return default_mapping(taxonomy, label_names(name, masks_dir, config))


def result_files(
    name: str, masks_dir: Path | None, data_root: str
) -> Callable[[Frame, CameraView | None], dict[str, FileSource]]:
    """A function that gives the files that a source of classes reads for a frame, or one view, by camera and suffix.

    Args:
        name: the plug-in.
        masks_dir: folder of a source that reads files.
        data_root: root of the data set.

    Raises:
        DatasetError: as `load_semantics`; the function raises DAT011 if the names of an image cannot be part of a path.
    """
    plugin = semantics_plugin(name)
    if plugin.files is None or masks_dir is None:
        return lambda _frame, _view: {}
    listed = plugin.files(masks_dir)

    def of(frame: Frame, view: CameraView | None) -> dict[str, FileSource]:
        return {
            f"2D result {one.name}{path.suffix}": FileSource(path)
            for one in (frame.cameras if view is None else (view,))
            for path in listed(ImageName.of(frame, one, data_root))
        }

    return of


def survey_semantics(
    name: str, context: SemanticsContext, images: Iterable[ImageName], config: object | None = None
) -> tuple[str, ...]:
    """Check the mapping of a source of classes, and its files against the images of a run, before a model is loaded.

    Args:
        name: the plug-in.
        context: mapping, folder and data root.
        images: the images of the run and of the data set, those of one frame of every scene first; they are taken only
            as far as they are needed.
        config: options, None for the defaults.

    Returns:
        What is suspicious.

    Raises:
        DatasetError: if the files do not fit the images; SchemaError: if the mapping does not fit its labels;
            SchemaError, PluginError: as `load_semantics`.
    """
    plugin = semantics_plugin(name)
    if plugin.survey is None:
        return ()
    checked = require_kind(plugin.config, config, f"the options of semantics {name}")
    return plugin.survey(checked, context, images)
