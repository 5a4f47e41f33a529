"""The command `mixsup-train suggest`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.failures import QUARANTINED
from pipelines.cli.options import (
    CLASSES_OPTION,
    READING_OPTIONS,
    SPLIT_HELP,
    DataOptions,
    data_of,
    need_torch,
    options_of,
)
from pipelines.cli.output import JSON_OPTION, print_bad, remark, require_apart, show
from pipelines.cli.parameters import PATH
from pointsam.base.remote import data_path

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pipelines.training.suggest import Suggestion


@click.command()
@click.argument("data", type=data_path)
@options_of(READING_OPTIONS)
@click.option("--split", help=f"Frames to look at: {SPLIT_HELP}.  [default: all frames]")
@click.option("--labels", type=PATH, help="Output folder of pointsam-label: clusters to train on, or to look at.")
@options_of((CLASSES_OPTION,))
@click.option(
    "--base",
    default="nuscenes-centerpoint-pillar",
    show_default=True,
    help="Recipe to start from: its network and schedule.",
)
@click.option("--sample", type=click.IntRange(1), default=50, show_default=True, help="Frames whose points are read.")
@click.option(
    "--min-points",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Objects with fewer points do not count for range, heights and anchors.",
)
@click.option("--dest", type=PATH, required=True, help="Recipe to write (.json).")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@JSON_OPTION
def suggest(
    split: str | None,
    labels: Path | None,
    mapping: Path | None,
    base: str,
    sample: int,
    min_points: int,
    dest: Path,
    overwrite: bool,
    json_file: Path | None,
    **options: Unpack[DataOptions],
) -> None:
    """Write a recipe that fits DATA: range, voxels, anchors, intensities, sweeps and classes, each with its reason.

    \b
    mixsup-train suggest DATA --base synthetic-small --dest recipe.json
    """  # noqa: D301 - click needs the backspace character itself
    need_torch()
    from pipelines.training.classes import open_with_labels
    from pipelines.training.recipe_file import document_of, load_recipe
    from pipelines.training.splits import split_frames
    from pipelines.training.suggest import suggest as suggested
    from pipelines.training.survey import survey
    from pointsam.base.files import require_free, write_together
    from pointsam.datasets.mapped import truth_notes
    from pointsam.evaluate.labels import require_some_truth

    require_apart(dest=dest, json=json_file)
    if dest.suffix != ".json":
        raise click.BadParameter(f"{dest}: a recipe is a .json file", param_hint="--dest")
    require_free(dest, overwrite)
    recipe, data = load_recipe(base), data_of(options)
    dataset, clusters = open_with_labels(data, labels, mapping)
    require_some_truth(dataset)
    found = survey(dataset, clusters, split_frames(dataset, split), sample)
    made = suggested(found, recipe, dataset.taxonomy, labels is not None, min_points)
    write_together([(dest, (json.dumps(document_of(made.recipe), indent=1) + "\n").encode())])
    show(_text(made), _document(made), json_file)
    for warning in made.warnings:
        click.echo(f"warning: {warning}", err=True)
    for note in truth_notes(dataset):
        click.echo(f"note: {note}", err=True)
    paths = {"--labels": labels, "--mapping": mapping}
    classes = [word for name, path in paths.items() if path is not None for word in (name, str(path))]
    given = ["--data", str(options["data"]), *data.reading.words(), *classes, "--budget", "BUDGET", "--out", "RUN"]
    remark(f"wrote {dest}\nnext: mixsup-train fit {shlex.join([str(dest), *given])} --dry-run", json_file)
    if found.bad:
        print_bad(found.bad)
        sys.exit(QUARANTINED)


def _text(made: Suggestion) -> str:
    """Field, value and reason of each choice."""
    lines = [f"{choice.field:28} {choice.value}\n{'':28}   {choice.why}" for choice in made.choices]
    return "\n".join(lines)


def _document(made: Suggestion) -> dict[str, object]:
    return {
        "recipe": made.recipe.name,
        "choices": [vars(choice) for choice in made.choices],
        "warnings": list(made.warnings),
    }
