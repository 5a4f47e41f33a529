"""JSON files that stand for a source of classes: which plug-in reads one, and the files that it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pointsam.base.document import parse_json
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.base.paths import path_under

_BY_FIELD: Mapping[str, str] = MappingProxyType({"prompts": "hf", "sources": "fusion", "torchvision": "torchvision"})
"""Plug-in by a field that only its files have."""


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
