"""Plug-ins: data sets, segmenters, sources of classes and export formats of any installed package, ours included.

A package registers a plug-in in its pyproject.toml (docs/plugins.md):

    [project.entry-points."pointsam.datasets"]
    yard = "my_package.yard:DATASET"

Names are read from the metadata of the installed packages. A plug-in is imported only when it is used, so a broken one
does not affect the others.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, TypeVar, get_args

from pointsam.base.errors import PluginError, PointSamError, SchemaError

Group = Literal["datasets", "segmenters", "semantics", "exporters"]
GROUPS: tuple[Group, ...] = get_args(Group)

_WHAT: dict[Group, str] = {
    "datasets": "data set",
    "segmenters": "segmenter",
    "semantics": "source of semantics",
    "exporters": "export format",
}
NONE_INSTALLED = "no package offers any, not even pointsam: install it again (pip install -e . in a checkout)"
"""Hint for an empty group: this package is not installed, or its metadata are older than its plug-ins."""

T = TypeVar("T")


@dataclass(frozen=True)
class Plugin:
    """One entry point, not imported yet.

    Args:
        group: kind of plug-in.
        name: name that the user types.
        distribution: package that registers it.
        version: version of that package.
        entry: its entry point.
    """

    group: Group
    name: str
    distribution: str
    version: str
    entry: EntryPoint

    @property
    def title(self) -> str:
        """Kind, name, package and entry point, for messages."""
        return f"{_WHAT[self.group]} {self.name!r} of {self.distribution} {self.version} ({self.entry.value})"

    def load(self, kind: type[T]) -> T:
        """Import it.

        Args:
            kind: the class of objects of its group.

        Raises:
            PluginError: PLG001 if it cannot be imported or is of another class.
        """
        try:
            loaded = self.entry.load()
        except (Exception, SystemExit) as error:  # a third-party module may raise anything
            raise PluginError(
                "PLG001",
                f"{self.title} cannot be loaded: {type(error).__name__}: {error}",
                f"update or remove it: pip install --upgrade {self.distribution}, or pip uninstall {self.distribution}",
            ) from error
        if not isinstance(loaded, kind):
            raise PluginError(
                "PLG001",
                f"{self.title} cannot be loaded: it is a {type(loaded).__name__}, not a {kind.__name__}",
                f"its entry point must name a {kind.__module__}.{kind.__name__} (docs/plugins.md)",
            )
        return loaded


def plugins(group: Group) -> tuple[Plugin, ...]:
    """All plug-ins of a group, sorted by name and distribution; a name may occur more than once."""
    return tuple(plugin for plugin in _scan(tuple(sys.path)) if plugin.group == group)


def names(group: Group) -> tuple[str, ...]:
    """Names of the plug-ins of a group, sorted."""
    return tuple(sorted({plugin.name for plugin in plugins(group)}))


def find(group: Group, name: str) -> Plugin:
    """The plug-in of a name.

    Raises:
        SchemaError: SCH005 if there is none; the hint lists the known names.
        PluginError: PLG002 if several distributions register the name.
    """
    found = [plugin for plugin in plugins(group) if plugin.name == name]
    if not found:
        known = names(group)
        raise SchemaError(
            "SCH005",
            f"there is no {_WHAT[group]} named {name!r}",
            f"use one of: {', '.join(known)} (pointsam-label plugins lists them)" if known else NONE_INSTALLED,
        )
    if len(found) > 1:
        raise PluginError(
            "PLG002",
            f"{len(found)} packages offer a {_WHAT[group]} named {name!r}: "
            + ", ".join(f"{plugin.distribution} {plugin.version}" for plugin in found),
            "uninstall all but one of them",
        )
    return found[0]


def load(group: Group, name: str, kind: type[T]) -> T:
    """The object of a plug-in.

    Args:
        group: group of the plug-in.
        name: name of the plug-in.
        kind: the class of objects of the group.

    Raises:
        SchemaError, PluginError: as `find` and `Plugin.load`.
    """
    return find(group, name).load(kind)


@contextmanager
def failures_of(plugin: Plugin, where: str, *passed: type[Exception]) -> Iterator[None]:
    """Turn an exception of a plug-in into PLG003, with its traceback on stderr; errors of this library pass.

    Args:
        plugin: the plug-in that runs.
        where: what it works on, such as "frame 'a'".
        passed: other exceptions that pass.

    Raises:
        PluginError: PLG003 naming the plug-in, `where` and the exception.
    """
    try:
        yield
    except (Exception, SystemExit) as error:  # a third-party module may raise anything
        if isinstance(error, (PointSamError, *passed)):
            raise
        traceback.print_exc(file=sys.stderr)
        raise PluginError(
            "PLG003",
            f"{plugin.title} failed at {where}: {type(error).__name__}: {error}",
            f"report the traceback above to the authors of {plugin.distribution}, or update that package",
        ) from None


@lru_cache(maxsize=8)
def _scan(path: tuple[str, ...]) -> tuple[Plugin, ...]:
    """All plug-ins on a search path. A distribution hides later ones of the same name."""
    found = []
    entries = entry_points()
    for group in GROUPS:
        of_group = []
        for entry in entries.select(group=f"pointsam.{group}"):
            assert entry.dist is not None  # entry points of installed packages have one
            of_group.append(Plugin(group, entry.name, entry.dist.name, entry.dist.version, entry))
        found += sorted(of_group, key=lambda plugin: (plugin.name, plugin.distribution))
    return tuple(found)
