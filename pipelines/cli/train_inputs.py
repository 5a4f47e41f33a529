"""Commands of `mixsup-train` for what a training starts from: budgets and recipes."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.failures import QUARANTINED
from pipelines.cli.options import (
    DIVISION_OPTIONS,
    READING_OPTIONS,
    SPLIT_HELP,
    DataOptions,
    data_of,
    need_torch,
    options_of,
    split_of,
)
from pipelines.cli.output import JSON_OPTION, print_bad, remark, require_apart, show
from pipelines.cli.parameters import PATH, RenamedOption
from pointsam.base.remote import data_path

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pointsam.detect.data.budget import BudgetRule


@click.command()
@click.argument("data", type=data_path)
@click.option(
    "--dest",
    "--out",
    "dest",
    cls=RenamedOption,
    type=PATH,
    required=True,
    help="Budget file to write (Parquet). It must not exist.",
)
@click.option("--fraction", type=float, default=0.1, show_default=True, help="Fraction of the objects, frames or cost.")
@click.option(
    "--rule",
    default="object",
    show_default=True,
    help="object, class, stratified (class, range and points), frame, or cost (boxes and clusters of some frames).",
)
@click.option(
    "--box-share",
    type=float,
    default=0.1,
    show_default=True,
    help="With --rule cost: fraction of the labels that are boxes.",
)
@click.option(
    "--min-points",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Objects with fewer points are not candidates.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draw.")
@click.option("--split", help=f"Split to draw from: {SPLIT_HELP}.  [default: all frames, or train with --val-fraction]")
@options_of(DIVISION_OPTIONS)
@options_of(READING_OPTIONS)
@click.option("--mapping", type=PATH, help="Mapping file with own classes (docs/mapping.md): that of the labels.")
@JSON_OPTION
def budget(
    dest: Path,
    fraction: float,
    rule: BudgetRule,
    box_share: float,
    min_points: int,
    seed: int,
    split: str | None,
    val_fraction: float | None,
    split_seed: int,
    mapping: Path | None,
    json_file: Path | None,
    **options: Unpack[DataOptions],
) -> None:
    """Choose the objects that get boxes. Draws them from DATA, writes a file, and prints the cost of annotation.

    \b
    mixsup-train budget /data/nuscenes --split train --fraction 0.1 --dest budget.parquet
    """  # noqa: D301 - click needs the backspace character itself
    from pipelines.training.budget import draw_budget, summary, validated_too
    from pipelines.training.classes import in_classes_of
    from pipelines.training.splits import split_notes
    from pointsam.base.document import json_object
    from pointsam.datasets.mapped import truth_notes
    from pointsam.datasets.unknown_classes import unknown_text
    from pointsam.detect.data.budget import BudgetConfig
    from pointsam.evaluate.labels import require_some_truth

    require_apart(dest=dest, json=json_file)
    config = BudgetConfig(fraction=fraction, rule=rule, box_share=box_share, min_points=min_points, seed=seed)
    data = data_of(options)
    dataset = in_classes_of(data, None, mapping).open()
    split = split_of(split, val_fraction, split_seed, "train")
    require_some_truth(dataset)
    drawn = draw_budget(dataset, split, config, dest)
    show(summary(drawn), json_object(drawn.description), json_file)
    for note in (*truth_notes(dataset), *split_notes(dataset, split)):
        click.echo(note, err=True)
    remark(f"wrote {dest}", json_file)
    if split is None:
        click.echo(validated_too(dataset, drawn), err=True, nl=False)
    unknown = unknown_text(dataset, list(drawn.frames))
    if unknown:
        click.echo(f"note: {unknown}: they are void and no candidates", err=True)
    own = [] if mapping is None else ["--mapping", str(mapping)]
    given = ["--data", str(options["data"]), *data.reading.words(), "--labels", "OUT", *own, "--budget", str(dest)]
    remark(f"next: mixsup-train fit RECIPE {shlex.join(given)} --out RUN", json_file)
    if drawn.description.left_out:
        print_bad(drawn.description.left_out)
        sys.exit(QUARANTINED)


@click.command()
@click.argument("name", required=False)
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change one field.")
@click.option("--mapping", type=PATH, help="Mapping file with own classes: the recipe for them.")
def recipes(name: str | None, overrides: tuple[str, ...], mapping: Path | None) -> None:
    """List recipes, or print one as JSON. Change the JSON and pass it to `fit` as a file."""
    need_torch()
    from pipelines.training.recipe_file import document_of, load_recipe
    from pointsam.detect.recipes import RECIPES
    from pointsam.semantics.mapping import load_mapping

    if name is not None:
        classes = None if mapping is None else load_mapping(mapping).taxonomy
        click.echo(json.dumps(document_of(load_recipe(name, overrides, classes)), indent=1))
        return
    for known, build in RECIPES.items():
        detector = build().detector
        x, y, z = detector.grid.shape
        stages = ", two stages" if detector.roi is not None else ""
        click.echo(f"{known:36} {detector.encoder.kind} {x} x {y} x {z}, {detector.head.kind}{stages}")
