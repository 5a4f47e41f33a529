"""Promptable segmenters: from an image and prompts to compressed masks. Each is a plug-in (docs/plugins.md)."""

from __future__ import annotations

from pathlib import Path, PurePath

from pointsam.base import plugins
from pointsam.base.config import require_kind
from pointsam.base.errors import SchemaError
from pointsam.masks.base import Segmenter, SegmenterContext, SegmenterPlugin
from pointsam.masks.config import SegmentConfig
from pointsam.masks.weights import WeightFile

__all__ = ["SegmentConfig", "Segmenter", "SegmenterPlugin", "load_segmenter", "segmenter_plugin", "weight_files"]


def segmenter_plugin(name: str) -> SegmenterPlugin[object]:
    """The plug-in of a segmenter.

    Raises:
        SchemaError: SCH005 on an unknown name. For one that looks like a model, the hint says how that is given.
        PluginError: PLG001 if it cannot be loaded, PLG002 if several have the name.
    """
    way = _way_to(name)
    if way and name not in plugins.names("segmenters"):
        raise SchemaError("SCH005", f"there is no segmenter named {name!r}", way)
    return plugins.load("segmenters", name, SegmenterPlugin)


def _way_to(name: str) -> str:
    """How a model is given; "" if the name looks like none."""
    if PurePath(name).suffix.lower() in (".pt", ".pth", ".safetensors"):
        return f"give the network too: --masks sam_vit_h --weights {name} (docs/segmenters.md)"
    if "/" in name:
        return f"for a network of transformers, give hf:{name} (docs/segmenters.md)"
    return ""


def weight_files(name: str) -> tuple[WeightFile, ...]:
    """Published weight files of a segmenter.

    Raises:
        SchemaError, PluginError: as `segmenter_plugin`.
    """
    return segmenter_plugin(name).weights


def load_segmenter(
    name: str,
    *,
    weights: Path | None = None,
    device: str = "cpu",
    config: object | None = None,
    threads: int | None = None,
) -> Segmenter:
    """Build a segmenter and load its weights.

    Args:
        name: plug-in: mobile_sam, mobile_sam_reference, sam_vit_b, sam_vit_l, sam_vit_h, hf, or one of another package.
        weights: the user's weight file, of which only the architecture is checked; None for the published file, whose
            hash is checked.
        device: torch device: cpu, cuda, cuda:1.
        config: options, an object of the plug-in's `config` class (`SegmentConfig` for ours); None for its defaults.
        threads: CPU threads of torch in this process; None leaves torch's setting.

    Raises:
        SchemaError: SCH005 on an unknown name, or options of another class.
        PluginError: PLG001 if the plug-in cannot be loaded, PLG002 if several have the name.
        BackendError: BCK001 if the weights are missing, BCK002 if they are not the published file, BCK003 if they are
            of another architecture, BCK004 if they are unsafe or damaged, BCK005 if a package is not installed, BCK006
            if the device is not available.
    """
    plugin = segmenter_plugin(name)
    checked = require_kind(plugin.config, config, f"the options of segmenter {name}")
    context = SegmenterContext(name, weights, device, threads, plugin.weights_sha256(weights))
    return plugin.load(checked, context)
