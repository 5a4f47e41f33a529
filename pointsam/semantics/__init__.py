"""Sources of 2D classes: which class is where in an image.

Models are imported on demand, so that importing this package is cheap.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pointsam.base import plugins
from pointsam.base.config import require_kind
from pointsam.semantics.base import SemanticModel, SemanticsContext, SemanticsPlugin

if TYPE_CHECKING:
    from pointsam.taxonomy import LabelMapping

__all__ = ["SemanticModel", "SemanticsContext", "SemanticsPlugin", "load_semantics", "semantics_plugin"]


def semantics_plugin(name: str) -> SemanticsPlugin[object]:
    """The plug-in of a source of classes.

    Raises:
        SchemaError: SCH005 on an unknown name.
        PluginError: PLG001 if it cannot be loaded, PLG002 if several have the name.
    """
    return plugins.load("semantics", name, SemanticsPlugin)


def load_semantics(
    name: str,
    *,
    mapping: LabelMapping,
    masks_dir: Path | None = None,
    config: object | None = None,
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
) -> SemanticModel:
    """Load a source of 2D classes by name.

    Args:
        name: plug-in: "ssd" (the bundled detector), "precomputed" (files that another network wrote), "oracle" (the
            ground truth), or one of another package.
        mapping: label names to the run's classes.
        masks_dir: folder of a source that reads files.
        config: options, an object of the plug-in's `config` class (`SsdConfig`, `OracleConfig`); None for its defaults.
        seed: seed of random draws.
        threads: CPU threads of one inference; the result does not depend on it.
        device: torch device, for sources that use one.

    Raises:
        SchemaError: SCH005 on an unknown name or options of another class, and what the source itself raises.
        PluginError: PLG001 if the plug-in cannot be loaded, PLG002 if several have the name.
        DatasetError: DAT001 if a source that reads files has no folder.
    """
    plugin = semantics_plugin(name)
    checked = require_kind(plugin.config, config, f"the options of semantics {name}")
    return plugin.load(checked, SemanticsContext(mapping, masks_dir, seed, threads, device))


def semantics_sha256(name: str, masks_dir: Path | None = None, config: object | None = None) -> str:
    """Hex digest of what determines the detections besides options and images: the weights or the files.

    Raises:
        SchemaError, PluginError, DatasetError: as `load_semantics`.
    """
    plugin = semantics_plugin(name)
    return plugin.fingerprint(require_kind(plugin.config, config, f"the options of semantics {name}"), masks_dir)
