"""Which plug-in reads a file that --semantics, or a fusion, names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pointsam.base.document import parse_json

_BY_FIELD: Mapping[str, str] = MappingProxyType({"sources": "fusion", "prompts": "hf"})
"""Plug-in by a field that only its files have."""


def reader_of(path: Path) -> str:
    """The plug-in that reads a JSON file: "fusion" lists networks, "hf" has prompts, and "onnx" describes a model.

    It is "onnx" too for a file that cannot be read; the plug-in says why.
    """
    try:
        values = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return "onnx"
    fields = values if isinstance(values, Mapping) else {}
    return next((name for field, name in _BY_FIELD.items() if field in fields), "onnx")
