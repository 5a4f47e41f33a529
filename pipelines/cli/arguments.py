"""What the command lines share: how errors are told, and options that click has no type for."""

from __future__ import annotations

from typing import Any

import click

from pointsam.base.errors import PointSamError
from pointsam.base.plugins import Group, names

BAD_INPUT = 2
QUARANTINED = 3


class UserErrors(click.Group):
    """Turns errors made for users into one message and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """As click, but for those errors."""
        try:
            return super().invoke(ctx)
        except PointSamError as error:
            click.echo(f"error {error}", err=True)
            ctx.exit(BAD_INPUT)


class PluginName(click.types.StringParamType):
    """Name of a plug-in; help lists the installed ones, and loading refuses others."""

    name = "name"

    def __init__(self, group: Group) -> None:
        self._group: Group = group

    def get_metavar(self, *_: object, **__: object) -> str:
        """The names, as click shows choices; read from the packages' metadata when help is asked for."""
        return f"[{'|'.join(names(self._group))}]"


def frame_list(text: str | None) -> tuple[str, ...]:
    """Comma-separated frame ids, () for none given."""
    frames = tuple(name for name in (text or "").split(",") if name)
    if text is not None and not frames:
        raise click.BadParameter("no frame id; leave it out for all frames", param_hint="--frames")
    return frames


def shard_of(text: str) -> tuple[int, int]:
    """The I/N of --shard."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise click.BadParameter(f"{text!r}: write I/N with 0 <= I < N, for example 0/4", param_hint="--shard")
    return int(index), int(count)
