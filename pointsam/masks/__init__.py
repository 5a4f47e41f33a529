"""Promptable segmenters: image and prompts in, compressed masks out. Each is a plug-in (pointsam.base.plugins)."""

from __future__ import annotations

from pathlib import Path

from pointsam.base import plugins
from pointsam.base.config import require_kind
from pointsam.masks.base import Segmenter, SegmenterContext, SegmenterPlugin
from pointsam.masks.config import SegmentConfig
from pointsam.masks.weights import WeightFile

__all__ = ["SegmentConfig", "Segmenter", "SegmenterPlugin", "load_segmenter", "segmenter_plugin", "weight_files"]


def segmenter_plugin(name: str) -> SegmenterPlugin[object]:
    """The plug-in of a segmenter.

    Raises:
        SchemaError: SCH005 on an unknown name.
        PluginError: PLG001 if it cannot be loaded, PLG002 if there are two.
    """
    return plugins.load("segmenters", name, SegmenterPlugin)


def weight_files(name: str) -> tuple[WeightFile, ...]:
    """Published files of a segmenter; what raises as `segmenter_plugin`."""
    return segmenter_plugin(name).weights


def load_segmenter(
    name: str,
    *,
    weights: Path | None = None,
    device: str = "cpu",
    config: object | None = None,
    threads: int | None = None,
) -> Segmenter:
    """Build a segmenter with its weights, ready to embed.

    Args:
        name: of a plug-in: mobile_sam, sam_vit_b, sam_vit_l, sam_vit_h, or one of another package.
        weights: a file of your own, checked for its architecture only; None takes the published one, which must have
            its published hash.
        device: as torch names it: cpu, cuda, cuda:1.
        config: options, of the plug-in's own class (`SegmentConfig` for ours); None for its defaults.
        threads: CPU threads of torch in this process; None leaves them as they are.

    Raises:
        SchemaError: SCH005 on an unknown name, or a configuration of another class.
        PluginError: PLG001 if the plug-in cannot be loaded, PLG002 if there are two of the name.
        BackendError: BCK001 weights missing, BCK002 not the published file, BCK003 of another architecture, BCK004
            unsafe or damaged, BCK005 package not installed, BCK006 device not available.
    """
    plugin = segmenter_plugin(name)
    checked = require_kind(plugin.config, config, f"the options of segmenter {name}")
    context = SegmenterContext(name, weights, device, threads, plugin.weights_sha256(weights))
    return plugin.load(checked, context)
