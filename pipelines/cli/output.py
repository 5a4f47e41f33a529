"""What commands print: text for people, or JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from pipelines.cli.parameters import LocalPath

STDOUT = Path("-")
_SHOWN = 20
"""Frames that are named where many were left out."""
JSON_OPTION = click.option(
    "--json",
    "json_file",
    type=LocalPath(path_type=Path, dir_okay=False, allow_dash=True),
    is_flag=False,
    flag_value=str(STDOUT),
    metavar="FILE",
    help="Also write the results as JSON to FILE; - prints them in place of the text.",
)
"""The option of every command that has results for programs."""


def require_apart(**paths: Path | None) -> None:
    """Refuse one file for two results, of which the later would replace the earlier.

    Args:
        paths: the files by name of their option, None where it is not given.

    Raises:
        click.BadParameter: naming both options.
    """
    taken: dict[Path, str] = {}
    for option, path in paths.items():
        first = "" if path is None or path == STDOUT else taken.setdefault(path.resolve(), option)
        if first and first != option:
            raise click.BadParameter(f"{path} is the file of --{first} too", param_hint=f"--{option}")


def show(text: str, document: object, json_file: Path | None) -> None:
    """Print the results of a command, and write them as JSON if the user asked for it.

    Args:
        text: the results for people.
        document: the results as JSON values.
        json_file: value of --json. An existing file is replaced.

    Raises:
        StoreError: OUT002 or OUT003 if the file cannot be written.
    """
    content = "" if json_file is None else json.dumps(document, indent=1, allow_nan=False)
    if json_file == STDOUT:
        click.echo(content)
        return
    click.echo(text)
    if json_file is not None:
        from pointsam.base.files import write_together

        write_together([(json_file, f"{content}\n".encode())])


def remark(text: str, json_file: Path | None) -> None:
    """Print what is not a result, such as the next command: to stderr if stdout has JSON."""
    click.echo(text, err=json_file == STDOUT)


def print_bad(bad: Mapping[str, str]) -> None:
    """Name frames that were left out, on stderr.

    Args:
        bad: frame_id -> why it was left out.
    """
    for frame_id, why in list(bad.items())[:_SHOWN]:
        click.echo(f"frame {frame_id} was left out: {why}", err=True)
    if len(bad) > _SHOWN:
        click.echo(f"and {len(bad) - _SHOWN} more frames were left out", err=True)
