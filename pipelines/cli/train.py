"""`mixsup-train`: the command line of the trainer. Imports what it runs only after the arguments are checked."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.experiment import experiment
from pipelines.cli.failures import QUARANTINED, UserErrors
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
from pipelines.cli.output import JSON_OPTION, STDOUT, print_bad, remark, show
from pipelines.cli.parameters import PATH
from pipelines.cli.show import show as show_frames
from pipelines.cli.suggest import suggest
from pipelines.cli.train_inputs import budget, recipes
from pointsam import __version__
from pointsam.base.words import counted

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pointsam.store.reader import LabelStage

_MIN_SCORE = click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    help="Drop predictions of a lower score.  [default: detector.head.score_threshold of the recipe]",
)


@click.group(cls=UserErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mixsup-train")
def main() -> None:
    """Train 3D detectors on clusters and a few boxes."""


@main.command()
@click.argument("recipe")
@options_of(ROOT_OPTIONS)
@click.option("--budget", type=PATH, required=True, help="File of `mixsup-train budget`: the objects that have boxes.")
@click.option("--labels", type=PATH, help="Output folder of pointsam-label.")
@options_of((STAGE_OPTION,))
@click.option("--out", type=PATH, required=True, help="Folder of the run. Running again continues it.")
@click.option(
    "--val",
    help=f"Split to validate on: {SPLIT_HELP}; '' for none.  [default: val, or the drives that the budget left out]",
)
@options_of(DIVISION_OPTIONS)
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change one field of the recipe.")
@click.option("--seed", type=int, help="Seed of the weights and of all random draws.")
@options_of((CLASSES_OPTION,))
@click.option("--allow-noise", is_flag=True, help="Accept labels that were made with a perturbed calibration.")
@click.option("--init", type=PATH, help="Start from the weights of a checkpoint or run folder, where they fit.")
@click.option(
    "--changed",
    is_flag=True,
    help="Continue the run in --out although its schedule (train.epochs, train.learning_rate, ...) changed.",
)
@click.option("--dry-run", is_flag=True, help="Print what the detector would be trained on; write nothing.")
@JSON_OPTION
def fit(
    recipe: str,
    budget: Path,
    labels: Path | None,
    stage: LabelStage | None,
    mapping: Path | None,
    out: Path,
    val: str | None,
    val_fraction: float | None,
    split_seed: int,
    overrides: tuple[str, ...],
    seed: int | None,
    allow_noise: bool,
    init: Path | None,
    changed: bool,
    dry_run: bool,
    json_file: Path | None,
    device: str,
    **options: Unpack[DataOptions],
) -> None:
    """Train a detector on boxes and clusters. RECIPE is a name of `mixsup-train recipes` or a .json file.

    \b
    mixsup-train fit synthetic-small --data world --labels out --budget budget.parquet --out run
    torchrun --nproc-per-node 8 -m pipelines.cli.train fit ... --device cuda
    """  # noqa: D301 - click needs the backspace character itself
    need_torch()
    from pipelines.training.classes import in_classes_of
    from pipelines.training.fit import fit as run_fit
    from pipelines.training.fit import training_plan
    from pipelines.training.recipe_file import load_recipe
    from pipelines.training.request import FitRequest, val_split
    from pointsam.base import interrupts

    val = val_split(budget, split_of(val, val_fraction, split_seed, "val"))
    changes = overrides if seed is None else (*overrides, f"train.seed={seed}")
    data = in_classes_of(data_of(options), labels, mapping)
    loaded = load_recipe(recipe, changes, data.classes)
    request = FitRequest(loaded, data, budget, out, labels, val, device, allow_noise, init, changed, stage)
    if dry_run:
        click.echo(f"{training_plan(request)}\nnext: the same command without --dry-run")
        return
    fitted = run_fit(request, interrupts.advise)
    if not fitted.first:
        return
    if fitted.score is not None:
        show(fitted.score.text(), fitted.score.as_dict(), json_file)
    print_bad(fitted.bad)
    if fitted.quarantined:
        have = "frame has" if fitted.quarantined == 1 else "frames have"
        click.echo(f"{fitted.quarantined} {have} no labels: quarantined by the labelling run", err=True)
    steps = counted(fitted.steps, "step")
    given = [] if val else ["--split", "SPLIT"]
    scored = [str(out), "--data", str(data.root), *data.reading.words(), *given]
    remark(f"{out}: {steps} in {fitted.seconds:.0f} s\nnext: mixsup-train eval {shlex.join(scored)}", json_file)
    if fitted.bad or fitted.quarantined or (fitted.score is not None and fitted.score.bad):
        sys.exit(QUARANTINED)


@main.command("eval")
@click.argument("run", type=PATH)
@options_of(ROOT_OPTIONS)
@click.option(
    "--split",
    help=f"Split to predict and score: {SPLIT_HELP}.  [default: the frames that the run was validated on, or val]",
)
@options_of(DIVISION_OPTIONS)
@click.option("--workers", type=click.IntRange(0), default=1, show_default=True, help="Processes that load data.")
@_MIN_SCORE
@JSON_OPTION
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def evaluate(
    run: Path,
    split: str | None,
    val_fraction: float | None,
    split_seed: int,
    device: str,
    workers: int,
    min_score: float | None,
    json_file: Path | None,
    overwrite: bool,
    **options: Unpack[DataOptions],
) -> None:
    """Predict a split and score it. Uses the best checkpoint of RUN."""
    need_torch()
    from pipelines.training.checkpoints import data_of_run
    from pipelines.training.predict import evaluate_run
    from pipelines.training.run_folder import read_as_fitted
    from pipelines.training.taken import frames_to_score
    from pointsam.base.files import require_free
    from pointsam.base.runtime import require_device

    require_device(device)
    if json_file not in (None, STDOUT):
        require_free(json_file, overwrite)
    dataset = data_of_run(run, read_as_fitted(run, data_of(options)))
    frame_ids, notes = frames_to_score(run, dataset, split_of(split, val_fraction, split_seed, "val"))
    score = evaluate_run(run, dataset, frame_ids, device, workers, min_score=min_score)
    score = replace(score, notes=(*score.notes, *notes))
    show(score.text(), score.as_dict(), json_file)
    if score.bad:
        print_bad(score.bad)
        sys.exit(QUARANTINED)


@main.command()
@click.argument("run", type=PATH)
@options_of(ROOT_OPTIONS)
@click.option("--split", help=f"Split to predict: {SPLIT_HELP}.  [default: all frames]")
@options_of(DIVISION_OPTIONS)
@click.option("--dest", type=PATH, required=True, help="Folder for the predictions.")
@click.option("--workers", type=click.IntRange(0), default=1, show_default=True, help="Processes that load data.")
@_MIN_SCORE
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@JSON_OPTION
def predict(
    run: Path,
    split: str | None,
    val_fraction: float | None,
    split_seed: int,
    dest: Path,
    device: str,
    workers: int,
    min_score: float | None,
    overwrite: bool,
    json_file: Path | None,
    **options: Unpack[DataOptions],
) -> None:
    """Write predictions of RUN's best checkpoint. Writes a Parquet table and, for nuScenes, results as JSON."""
    need_torch()
    from pipelines.training.checkpoints import data_of_run
    from pipelines.training.predict import predict as run_predict
    from pipelines.training.run_folder import read_as_fitted
    from pointsam.base.runtime import require_device

    require_device(device)
    dataset = data_of_run(run, read_as_fitted(run, data_of(options)))
    split = split_of(split, val_fraction, split_seed, None)
    made = run_predict(run, dataset, split, dest, device, workers, overwrite, min_score)
    summary = f"{counted(made['boxes'], 'box')} in {counted(made['frames'], 'frame')}: {', '.join(made['files'])}"
    show(summary, made, json_file)
    if made["bad"]:
        print_bad(made["bad"])
        sys.exit(QUARANTINED)


for command in (suggest, show_frames, budget, recipes, experiment):
    main.add_command(command)

if __name__ == "__main__":
    from pipelines.cli.start import train

    train()
