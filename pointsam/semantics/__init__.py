"""What class is where in an image.

The model classes load on demand, so that naming this package costs nothing.
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
        PluginError: PLG001 if it cannot be loaded, PLG002 if there are two.
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
    """A source of 2D classes by name.

    Args:
        name: of a plug-in: "ssd", the bundled detector, "precomputed", files that another network wrote, "oracle", the
            truth, or one of another package.
        mapping: label names to the run's classes.
        masks_dir: the files of a source that reads some.
        config: options, of the plug-in's own class (`SsdConfig`, `OracleConfig`); None for its defaults.
        seed: of random draws.
        threads: CPU threads of one inference; the result does not depend on it.
        device: as torch names it, for sources that use one.

    Raises:
        SchemaError: SCH005 on an unknown name or a configuration of another class; else what the model's class raises.
        PluginError: PLG001 if the plug-in cannot be loaded, PLG002 if there are two of the name.
        DatasetError: DAT001 if a source that reads files has no folder.
    """
    plugin = semantics_plugin(name)
    checked = require_kind(plugin.config, config, f"the options of semantics {name}")
    return plugin.load(checked, SemanticsContext(mapping, masks_dir, seed, threads, device))


def semantics_sha256(name: str, masks_dir: Path | None = None, config: object | None = None) -> str:
    """Hex digest of what decides the detections besides configuration and images: weights, or the files.

    Raises:
        SchemaError, PluginError, DatasetError: as `load_semantics`.
    """
    plugin = semantics_plugin(name)
    return plugin.fingerprint(require_kind(plugin.config, config, f"the options of semantics {name}"), masks_dir)
