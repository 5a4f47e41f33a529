"""The commands on PointSAM itself: its error codes and rules, its models and its plug-ins."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.cli.output import JSON_OPTION, show
from pipelines.cli.parameters import PluginName
from pointsam.base.words import did_you_mean


@click.command()
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Explain an error CODE, or a rule of `check`. Without a code, list all codes and rules."""
    from pointsam.base.errors import SchemaError
    from pointsam.base.explanations import explain as text_of
    from pointsam.base.explanations import titles
    from pointsam.checks.rules import RULES

    rules = {rule.id: rule for rule in RULES}
    if code is not None:
        rule = rules.get(code.lower())
        if rule is not None:
            click.echo(f"{rule.id} ({rule.severity}): {rule.title}\n\n{rule.remedy}")
        elif code.upper() in titles():
            click.echo(text_of(code))
        else:
            near = did_you_mean(code, (*titles(), *rules))
            problem = f"there is no error code or rule {code!r}{near}"
            raise SchemaError("SCH005", problem, "pointsam-label explain lists all")
        return
    click.echo("\n".join(f"{known}  {title}" for known, title in titles().items()))
    click.echo("\n" + "\n".join(f"{rule.id}  {rule.title}" for rule in RULES))
    click.echo("next: pointsam-label explain CODE")


@click.group()
def weights() -> None:
    """List, download and verify models."""


@weights.command("ls")
def weights_ls() -> None:
    """List all published checkpoints, their licences, and whether they are on this machine."""
    from pipelines.cli.weights import listing

    for line in listing():
        click.echo(line)
    click.echo("next: pointsam-label weights get NAME")


@weights.command("get")
@click.argument("name", type=PluginName("segmenters"))
def weights_get(name: str) -> None:
    """Download the checkpoint of a segmenter and verify its hash."""
    from pipelines.cli.weights import files_of
    from pointsam.base.progress import progress
    from pointsam.masks.weights import get

    for file in files_of(name):
        with progress(total=file.num_bytes, unit="B", unit_scale=True) as bar:
            path = get(file, bar)
        click.echo(path)
    click.echo(f"next: pointsam-label run DATA --out OUT --masks {name}")


@weights.command("verify")
@click.argument("name", type=PluginName("segmenters"))
def weights_verify(name: str) -> None:
    """Compare a segmenter's checkpoint on this machine with its published hash."""
    from pipelines.cli.weights import files_of
    from pointsam.masks.weights import verify

    for file in files_of(name):
        click.echo(f"{file.name}: sha256 {verify(file)} as published")


@click.command("plugins")
@JSON_OPTION
def list_plugins(json_file: Path | None) -> None:
    """List the plug-ins. Prints the group, name and package of each, and whether it loads."""
    from pipelines.cli.plugins import listing, table

    rows = listing()
    show(table(rows), rows, json_file)
