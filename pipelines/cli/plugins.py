"""The list of `pointsam-label plugins`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from pointsam.base.errors import PointSamError
from pointsam.base.plugins import GROUPS, Group, find, plugins
from pointsam.base.tables import text_table
from pointsam.datasets import DatasetPlugin
from pointsam.export.base import Format
from pointsam.masks import SegmenterPlugin
from pointsam.semantics import SemanticsPlugin

KINDS: Mapping[Group, type[object]] = {
    "datasets": DatasetPlugin,
    "segmenters": SegmenterPlugin,
    "semantics": SemanticsPlugin,
    "exporters": Format,
}
"""The class of the objects of each group."""


class PluginRow(TypedDict):
    """A plug-in; `error` is that of loading it, "" if it loads."""

    group: str
    name: str
    distribution: str
    version: str
    error: str


def listing() -> list[PluginRow]:
    """One row per plug-in of all groups."""
    return [
        {
            "group": plugin.group,
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "error": _error(group, plugin.name),
        }
        for group in GROUPS
        for plugin in plugins(group)
    ]


def table(rows: Sequence[PluginRow]) -> str:
    """The rows as a table for the terminal, with the errors below it."""
    entries = [
        (row["group"], row["name"], row["distribution"], row["version"], "no" if row["error"] else "yes")
        for row in rows
    ]
    listed = text_table(("group", "name", "from", "version", "loads"), entries)
    errors = dict.fromkeys(row["error"] for row in rows if row["error"])
    return "\n".join([listed, *(f"error {error}" for error in errors)])


def _error(group: Group, name: str) -> str:
    try:
        find(group, name).load(KINDS[group])
    except PointSamError as error:
        return str(error)
    return ""
