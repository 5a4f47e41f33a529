"""PointSAM: offline auto-labelling of LiDAR from cameras.

The names below are the public interface; each module is imported when its name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pointsam.base.errors import BackendError as BackendError
    from pointsam.base.errors import CalibrationError as CalibrationError
    from pointsam.base.errors import DatasetError as DatasetError
    from pointsam.base.errors import PluginError as PluginError
    from pointsam.base.errors import PointSamError as PointSamError
    from pointsam.base.errors import SchemaError as SchemaError
    from pointsam.base.errors import StoreError as StoreError
    from pointsam.datasets import open_dataset as open_dataset
    from pointsam.datasets.points import read_frame_points as read_frame_points
    from pointsam.evaluate.labels import evaluate_labels as evaluate_labels
    from pointsam.masks import load_segmenter as load_segmenter
    from pointsam.stages.refine import RefineConfig as RefineConfig
    from pointsam.stages.refine import refine as refine
    from pointsam.store.reader import Labels as Labels
    from pointsam.taxonomy import ClassSpec as ClassSpec
    from pointsam.taxonomy import Taxonomy as Taxonomy

__version__ = "0.1.0"

_MODULES = {
    "pointsam.base.errors": (
        "BackendError CalibrationError DatasetError PluginError PointSamError SchemaError StoreError"
    ),
    "pointsam.datasets": "open_dataset",
    "pointsam.datasets.points": "read_frame_points",
    "pointsam.evaluate.labels": "evaluate_labels",
    "pointsam.masks": "load_segmenter",
    "pointsam.stages.refine": "RefineConfig refine",
    "pointsam.store.reader": "Labels",
    "pointsam.taxonomy": "ClassSpec Taxonomy",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next use finds it without a call
    return value


def __dir__() -> list[str]:
    return ["__version__", *_HOME]
