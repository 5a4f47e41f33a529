"""Exit statuses of the commands, and how errors and interruptions are printed."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import Any

import click

from pointsam.base import interrupts
from pointsam.base.errors import BrokenRuleError, DatasetError, OutOfMemoryError, PointSamError, StoreError
from pointsam.base.terminal import visible_streams

BAD_INPUT = 2
QUARANTINED = 3
BROKEN_RULE = 4
"""Exit statuses besides 0: a wrong input, some frames are quarantined, the data break a rule."""

_SHARDS = "finished shards stay; the same command continues: run it again"
_AFTER_INTERRUPT = {
    **dict.fromkeys(("run", "masks", "clusters", "noise", "synth", "demo"), _SHARDS),
    "fit": "checkpoints of earlier calls stay; run the same command again",
    "experiment": "finished trainings and checkpoints stay; the same command continues: run it again",
    "export": "the files written so far are whole; the same command continues: run it again",
    "report": "no page was written, and an earlier one is unchanged; run the same command again",
}
"""What is left of each command after Ctrl-C. Others write little, at their end."""


class UserErrors(click.Group):
    """Prints a `PointSamError` as one message and exits with status 2, or 4 if the data break a rule.

    Text from data reaches the terminal without control characters, and Ctrl-C says how to go on.
    """

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program."""
        with visible_streams():
            try:
                return super().main(*args, **options)
            except (OSError, MemoryError, RecursionError) as error:  # not EPIPE, which click ends quietly
                _drop_unprintable()
                click.echo(f"error {_as_coded(error)}", err=True)
                sys.exit(BAD_INPUT)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name."""
        name, command, rest = super().resolve_command(ctx, args)
        interrupts.advise(_AFTER_INTERRUPT.get(name or "", interrupts.AGAIN))
        return name, command, rest

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except PointSamError as error:
            click.echo(f"error {error}\n  more: pointsam-label explain {error.code}", err=True)
            ctx.exit(BROKEN_RULE if isinstance(error, BrokenRuleError) else BAD_INPUT)


def _as_coded(error: OSError | MemoryError | RecursionError) -> PointSamError:
    """An error of the operating system that no other code knows, such as that of a full disk behind `> FILE`."""
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StoreError("OUT002", f"{place}disk full", "free some space, then run the same command again")
        return StoreError("OUT003", f"{place}{error.strerror or error}", "check the path and its permissions")
    if isinstance(error, MemoryError):
        return OutOfMemoryError("BCK007", f"memory ran out: {error}", "use a machine with more, or fewer --workers")
    return DatasetError("DAT011", "a file is nested too deeply", "write it with fewer levels")


def _drop_unprintable() -> None:
    """Drop what standard output cannot take; Python would try again at its end, and print a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
