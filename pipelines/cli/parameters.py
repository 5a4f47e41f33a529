"""Types of parameters of the command lines."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

import click

from pointsam.base.plugins import Group, names

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(//|/|\\)")


class LocalPath(click.Path):
    """A path of this machine.

    A URL is refused, because it would become a folder of that name, and an empty path, as of an unset variable of a
    shell, because it would be the current folder.
    """

    def convert(self, value: str | PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path."""
        if not str(value).strip():
            self.fail("the path is empty; the current folder is '.'", param, ctx)
        if "\0" in str(value):
            self.fail("the path holds a null character", param, ctx)
        if _URL.match(str(value)):
            self.fail(f"{str(value)!r} is a URL; give a path of this machine, and copy the files yourself", param, ctx)
        return Path(str(super().convert(value, param, ctx)))


PATH = LocalPath(path_type=Path)


class PluginName(click.types.StringParamType):
    """Name of a plug-in. Help lists the installed ones; loading rejects others."""

    name = "name"

    def __init__(self, group: Group, *others: str) -> None:
        self._group: Group = group
        self._others = others

    def get_metavar(self, *_: object, **__: object) -> str:
        """The names in the form of click's choices, read from the metadata of the installed packages."""
        return f"[{'|'.join([*names(self._group), *self._others])}]"


class RenamedOption(click.Option):
    """An option with a former name. Both work; help shows the first."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Its line in the help."""
        names, self.opts = self.opts, self.opts[:1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = names
