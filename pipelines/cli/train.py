"""`mixsup-train`: the command line of the trainer. Imports what it runs only after the arguments are checked."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.experiment import experiment
from pipelines.cli.failures import QUARANTINED, UserErrors
from pipelines.cli.options import (
    CLASSES_OPTION,
    READING_OPTIONS,
    ROOT_OPTIONS,
    DataOptions,
    data_of,
    need_torch,
    options_of,
)
from pipelines.cli.output import JSON_OPTION, STDOUT, remark, require_apart, show
from pipelines.cli.parameters import PATH, RenamedOption
from pointsam import __version__
from pointsam.base.remote import data_path
from pointsam.base.words import counted

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pointsam.detect.data.budget import BudgetRule


_SHOWN = 20
"""Frames that are named where many were left out."""


@click.group(cls=UserErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mixsup-train")
def main() -> None:
    """Train 3D detectors on clusters and a few boxes."""


@main.command()
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
@click.option("--split", help="Split or scene name (train, scene-0061).")
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
    mapping: Path | None,
    json_file: Path | None,
    **options: Unpack[DataOptions],
) -> None:
    """Choose the objects that get boxes. Draws them from DATA, writes a file, and prints the cost of annotation.

    \b
    mixsup-train budget /data/nuscenes --split train --fraction 0.1 --dest budget.parquet
    """  # noqa: D301 - click needs the backspace character itself
    from pipelines.training.budget import draw_budget, summary
    from pipelines.training.classes import in_classes_of
    from pointsam.base.document import json_object
    from pointsam.datasets.mapped import truth_notes
    from pointsam.datasets.unknown_classes import unknown_text
    from pointsam.detect.data.budget import BudgetConfig
    from pointsam.evaluate.labels import require_some_truth

    require_apart(dest=dest, json=json_file)
    config = BudgetConfig(fraction=fraction, rule=rule, box_share=box_share, min_points=min_points, seed=seed)
    data = data_of(options)
    dataset = in_classes_of(data, None, mapping).open()
    require_some_truth(dataset)
    drawn = draw_budget(dataset, split, config, dest)
    show(summary(drawn), json_object(drawn.description), json_file)
    for note in truth_notes(dataset):
        click.echo(note, err=True)
    remark(f"wrote {dest}", json_file)
    unknown = unknown_text(dataset, list(drawn.frames))
    if unknown:
        click.echo(f"note: {unknown}: they are void and no candidates", err=True)
    given = ["--data", str(options["data"]), *data.reading.words(), "--labels", "OUT", "--budget", str(dest)]
    remark(f"next: mixsup-train fit RECIPE {shlex.join(given)} --out RUN", json_file)
    if drawn.description.left_out:
        _print_bad(drawn.description.left_out)
        sys.exit(QUARANTINED)


@main.command()
@click.argument("recipe")
@options_of(ROOT_OPTIONS)
@click.option("--budget", type=PATH, required=True, help="File of `mixsup-train budget`: the objects that have boxes.")
@click.option("--labels", type=PATH, help="Output folder of pointsam-label.")
@click.option("--out", type=PATH, required=True, help="Folder of the run. Running again continues it.")
@click.option("--val", default="val", show_default=True, help="Split to validate on; '' for none.")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change one field of the recipe.")
@click.option("--seed", type=int, help="Seed of the weights and of all random draws.")
@options_of((CLASSES_OPTION,))
@click.option("--allow-noise", is_flag=True, help="Accept labels that were made with a perturbed calibration.")
@click.option("--dry-run", is_flag=True, help="Print what the detector would be trained on; write nothing.")
@JSON_OPTION
def fit(
    recipe: str,
    budget: Path,
    labels: Path | None,
    mapping: Path | None,
    out: Path,
    val: str,
    overrides: tuple[str, ...],
    seed: int | None,
    allow_noise: bool,
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
    from pipelines.training.run_folder import FitRequest

    changes = overrides if seed is None else (*overrides, f"train.seed={seed}")
    data = in_classes_of(data_of(options), labels, mapping)
    request = FitRequest(
        load_recipe(recipe, changes, data.classes), data, budget, out, labels, val or None, device, allow_noise
    )
    if dry_run:
        click.echo(f"{training_plan(request)}\nnext: the same command without --dry-run")
        return
    fitted = run_fit(request)
    if not fitted.first:
        return
    if fitted.score is not None:
        show(fitted.score.text(), fitted.score.as_dict(), json_file)
    _print_bad(fitted.bad)
    if fitted.quarantined:
        have = "frame has" if fitted.quarantined == 1 else "frames have"
        click.echo(f"{fitted.quarantined} {have} no labels: quarantined by the labelling run", err=True)
    steps = counted(fitted.steps, "step")
    scored = [str(out), "--data", str(data.root), *data.reading.words(), "--split", val or "SPLIT"]
    remark(f"{out}: {steps} in {fitted.seconds:.0f} s\nnext: mixsup-train eval {shlex.join(scored)}", json_file)
    if fitted.bad or fitted.quarantined or (fitted.score is not None and fitted.score.bad):
        sys.exit(QUARANTINED)


@main.command("eval")
@click.argument("run", type=PATH)
@options_of(ROOT_OPTIONS)
@click.option("--split", default="val", show_default=True, help="Split to predict and score.")
@click.option("--workers", type=click.IntRange(0), default=1, show_default=True, help="Processes that load data.")
@JSON_OPTION
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def evaluate(
    run: Path,
    split: str,
    device: str,
    workers: int,
    json_file: Path | None,
    overwrite: bool,
    **options: Unpack[DataOptions],
) -> None:
    """Predict a split and score it. Uses the best checkpoint of RUN."""
    need_torch()
    from pipelines.training.predict import data_of_run, evaluate_run
    from pipelines.training.run_folder import read_as_fitted
    from pointsam.base.files import require_free
    from pointsam.base.runtime import require_device

    require_device(device)
    if json_file not in (None, STDOUT):
        require_free(json_file, overwrite)
    dataset = data_of_run(run, read_as_fitted(run, data_of(options)))
    score = evaluate_run(run, dataset, split, device, workers)
    show(score.text(), score.as_dict(), json_file)
    if score.bad:
        _print_bad(score.bad)
        sys.exit(QUARANTINED)


@main.command()
@click.argument("run", type=PATH)
@options_of(ROOT_OPTIONS)
@click.option("--split", help="Split or scene name.  [default: all frames]")
@click.option("--dest", type=PATH, required=True, help="Folder for the predictions.")
@click.option("--workers", type=click.IntRange(0), default=1, show_default=True, help="Processes that load data.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@JSON_OPTION
def predict(
    run: Path,
    split: str | None,
    dest: Path,
    device: str,
    workers: int,
    overwrite: bool,
    json_file: Path | None,
    **options: Unpack[DataOptions],
) -> None:
    """Write predictions of RUN's best checkpoint. Writes a Parquet table and, for nuScenes, results as JSON."""
    need_torch()
    from pipelines.training.predict import data_of_run
    from pipelines.training.predict import predict as run_predict
    from pipelines.training.run_folder import read_as_fitted
    from pointsam.base.runtime import require_device

    require_device(device)
    dataset = data_of_run(run, read_as_fitted(run, data_of(options)))
    made = run_predict(run, dataset, split, dest, device, workers, overwrite)
    summary = f"{counted(made['boxes'], 'box')} in {counted(made['frames'], 'frame')}: {', '.join(made['files'])}"
    show(summary, made, json_file)
    if made["bad"]:
        _print_bad(made["bad"])
        sys.exit(QUARANTINED)


@main.command()
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


def _print_bad(bad: Mapping[str, str]) -> None:
    for frame_id, why in list(bad.items())[:_SHOWN]:
        click.echo(f"frame {frame_id} was left out: {why}", err=True)
    if len(bad) > _SHOWN:
        click.echo(f"and {len(bad) - _SHOWN} more frames were left out", err=True)


main.add_command(experiment)

if __name__ == "__main__":
    from pipelines.cli.start import train

    train()
