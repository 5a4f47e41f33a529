"""Names and JSON files that stand for a source of classes: which plug-in they mean, and the files that one names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from types import MappingProxyType

from pointsam.base import plugins
from pointsam.base.document import parse_json
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.base.paths import path_under
from pointsam.semantics.base import SemanticsPlugin

_BY_FIELD: Mapping[str, str] = MappingProxyType({"prompts": "hf", "sources": "fusion", "torchvision": "torchvision"})
"""Plug-in by a field that only its files have."""

_WEIGHTS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")


def plugin_named(name: str) -> SemanticsPlugin[object]:
    """The plug-in of a name.

    Raises:
        SchemaError: SCH005 on an unknown name. For one that looks like a model, the hint says how that is given.
        PluginError: PLG001 if it cannot be loaded, PLG002 if several have the name.
    """
    known = plugins.names("semantics")
    if known and name not in known:
        raise SchemaError("SCH005", f"there is no source of semantics named {name!r}", _way_to(name, known))
    return plugins.load("semantics", name, SemanticsPlugin)


def _way_to(name: str, known: Sequence[str]) -> str:
    """What to give in place of an unknown name."""
    suffix = PurePath(name).suffix.lower()
    if suffix == ".onnx":
        described = f'{{"family": "yolov8", "model": "{PurePath(name).name}"}}'
        return f"give a .json file beside it that describes it, such as {described} (docs/onnx.md)"
    if suffix in _WEIGHTS:
        return (
            "weights do not say which network they are of: export it to ONNX and describe that (docs/onnx.md), or "
            "describe a detector of torchvision (docs/torchvision.md), or give a folder that transformers saved "
            "(hf:FOLDER)"
        )
    if "/" in name:
        return f"for a network of transformers, give hf:{name} (docs/classes_hf.md); for another one, its FILE.json"
    return f"give FILE.json (docs/onnx.md), hf:SOURCE, or one of: {', '.join(known)} (pointsam-label plugins)"


def plugin_of_file(path: Path) -> str:
    """Name of the plug-in that reads a file: "onnx" if no other one does, also if it cannot be read."""
    try:
        values = parse_json(path.read_bytes())
    except (OSError, ValueError):
        values = None
    fields = values if isinstance(values, Mapping) else {}
    return next((name for field, name in _BY_FIELD.items() if field in fields), "onnx")


def file_beside(path: Path, name: str, field: str) -> Path:
    """The file that a field names, in the folder of `path` or below it.

    Raises:
        SchemaError: SCH005 naming the file and the field, if the name leaves the folder.
    """
    try:
        return path_under(path.parent, name, f"`{field}` of {path}; keep the files in one folder")
    except DatasetError as error:
        raise SchemaError("SCH005", f"{path}: {field}: {error.message}", error.hint) from error
