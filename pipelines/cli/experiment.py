"""The command `mixsup-train experiment`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.failures import QUARANTINED
from pipelines.cli.options import (
    CLASSES_OPTION,
    DIVISION_OPTIONS,
    ROOT_OPTIONS,
    SPLIT_HELP,
    STAGE_OPTION,
    DataOptions,
    data_of,
    need_torch,
    options_of,
    split_of,
)
from pipelines.cli.parameters import PATH
from pointsam.base.remote import DataPath, data_path

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pointsam.store.reader import LabelStage


@click.command()
@click.argument("name")
@click.option("--recipe", default="synthetic-small", show_default=True, help="Recipe of the detector.")
@options_of(ROOT_OPTIONS)
@click.option("--labels", type=PATH, help="Output folder of pointsam-label for the training split.")
@options_of((STAGE_OPTION,))
@options_of((CLASSES_OPTION,))
@click.option("--wrong", type=PATH, multiple=True, help="noise: labels made with a wrong calibration. Repeatable.")
@click.option("--other", type=data_path, metavar="PATH", help="Another root: its validation split is scored as well.")
@click.option("--other-split", default="", help="A further split of --other to score, such as train.")
@click.option("--out", type=PATH, required=True, help="Folder of the runs and the page. Running again continues them.")
@click.option("--seeds", default="0", show_default=True, help="Comma-separated seeds of trainings.")
@click.option("--fraction", type=float, default=0.1, show_default=True, help="Fraction of the boxes.")
@click.option("--cost", type=float, default=0.15, show_default=True, help="cost: cost of all labels; all boxes cost 1.")
@click.option("--train-split", default="train", show_default=True, help=f"Split to train on: {SPLIT_HELP}.")
@click.option("--val-split", default="val", show_default=True, help=f"Split to score: {SPLIT_HELP}.")
@options_of(DIVISION_OPTIONS)
@click.option("--only", default="", help="Comma-separated settings to run, by their position in --dry-run.")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change one field of the recipe.")
@click.option("--dry-run", is_flag=True, help="List the settings and how many seeds of each are done; write nothing.")
def experiment(
    name: str,
    recipe: str,
    fraction: float,
    cost: float,
    labels: Path | None,
    stage: LabelStage | None,
    mapping: Path | None,
    wrong: tuple[Path, ...],
    seeds: str,
    train_split: str,
    val_split: str,
    val_fraction: float | None,
    split_seed: int,
    only: str,
    out: Path,
    other: DataPath | None,
    other_split: str,
    device: str,
    overrides: tuple[str, ...],
    dry_run: bool,
    **options: Unpack[DataOptions],
) -> None:
    """Compare kinds of supervision. Trains one detector on each and writes a table, a figure and a page.

    \b
    supervision  all boxes, some frames (--fraction), some boxes with clusters
    coarse       simulated clusters, three clicks, centres, PointSAM's clusters
    boxes        1 to 100 % of the boxes, with clusters and without
    cost         a fixed cost divided between boxes and clusters
    noise        labels made with wrong calibrations (--wrong)
    assignment   parts of the label assignment removed
    transfer     as supervision, plus all boxes of another world (--other); all are scored in both worlds

    \b
    mixsup-train experiment supervision --data world --labels labels --out runs --seeds 0,1,2
    """  # noqa: D301 - click needs the backspace character itself
    need_torch()
    from pipelines.training.classes import in_classes_of
    from pipelines.training.experiment import ExperimentRequest, hidden, planned, run_experiment
    from pipelines.training.recipe_file import load_recipe
    from pipelines.training.settings import Inputs
    from pointsam.base.tables import text_table

    data = in_classes_of(data_of(options), labels, mapping)
    inputs = Inputs(load_recipe(recipe, overrides, data.classes), fraction, cost, labels, wrong)
    command = shlex.join(["mixsup-train", *sys.argv[1:]])
    train_split, val_split = (
        split_of(split, val_fraction, split_seed, None) or split for split in (train_split, val_split)
    )
    splits, places = (train_split, val_split), _numbers(only)
    request = ExperimentRequest(
        name,
        inputs,
        data,
        out,
        seeds=_numbers(seeds),
        splits=splits,
        device=device,
        only=places,
        other=None if other is None else replace(data_of({"data": other}), classes=data.classes),
        other_split=other_split,
        command=command,
        stage=stage,
    )
    if dry_run:
        click.echo("\n".join([text_table(("", "supervision", "done, seeds"), planned(request)), *hidden(request)]))
        return
    page = run_experiment(request)
    click.echo(page.text)
    click.echo(f"wrote {page.path}")
    for note in page.notes:
        click.echo(note, err=True)
    for what, why in page.left_out.items():
        click.echo(f"left out: {what}: {why}", err=True)
    if page.left_out:
        sys.exit(QUARANTINED)


def _numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts) or len(set(map(int, parts))) < len(parts):
        raise click.BadParameter(f"{text!r}: write different whole numbers from 0, separated by commas")
    return [int(part) for part in parts]
