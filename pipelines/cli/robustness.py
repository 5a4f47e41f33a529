"""The commands about calibration errors: `pointsam-label noise` and `pointsam-label calibrate`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from pipelines.cli.failures import QUARANTINED
from pipelines.cli.options import (
    DATA_OPTIONS,
    MASKS_OPTIONS,
    READING_OPTIONS,
    DataOptions,
    RunOptions,
    data_of,
    options_of,
    request_of,
)
from pipelines.cli.output import remark, show
from pipelines.cli.parameters import PATH, RenamedOption
from pointsam.base.remote import data_path

if TYPE_CHECKING:
    from typing_extensions import Unpack

_KINDS = (
    "published",
    "rotation",
    "pitch",
    "yaw",
    "roll",
    "translation",
    "time",
    "focal",
    "center",
    "pose",
    "heading",
    "dropped",
)  # as in pipelines.robustness.cells, which is slow to import; a test compares them


class _NoiseOptions(RunOptions):
    remask: bool
    kinds: tuple[str, ...]
    levels: tuple[str, ...]
    seeds: int


@click.command()
@options_of(DATA_OPTIONS, MASKS_OPTIONS)
@click.option("--masks-from", type=PATH, help="Output folder of a labelling run: its masks are used.")
@click.option("--remask", is_flag=True, help="Make new masks in every cell, prompted through its calibration.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(_KINDS),
    help="Kind of error. Repeatable.  [default: rotation, translation]",
)
@click.option("--levels", multiple=True, metavar="KIND=A,B,C", help="Sizes to use in place of a kind's own.")
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="Draws per size; time is not random."
)
def noise(**options: Unpack[_NoiseOptions]) -> None:
    """Measure the effect of calibration errors. Labels DATA with known errors, with and without SAR, and scores it.

    \b
    pointsam-label run WORLD --out labels --split val
    pointsam-label noise WORLD --out sweep --masks-from labels --kind rotation --kind time
    """  # noqa: D301 - click needs the backspace character itself
    from dataclasses import replace

    from pipelines.robustness.cells import cells_of
    from pipelines.robustness.page import write_sweep
    from pipelines.robustness.sweep import frames_of, run_noise
    from pointsam.calibration.perturb import CLEAN

    remask, json_file = options["remask"], options["json_file"]
    if remask == (options["masks_from"] is not None):
        raise click.BadParameter("give either --masks-from or --remask", param_hint="--masks-from")
    if options["calibration"] is not None:
        raise click.BadParameter("it cannot be combined with a sweep of calibration errors", param_hint="--calibration")
    if not remask:
        _refuse_masks_options(options["overrides"])
    request = request_of(options)
    kinds = options["kinds"] or ("rotation", "translation")
    cells = cells_of(kinds, _levels(options["levels"]), options["seeds"], request.data.noise)
    request = replace(request, data=replace(request.data, noise=CLEAN))
    if options["dry_run"]:
        frames, names = len(frames_of(request, cells, remask)), [cell.name for cell in cells]
        listed = f"{frames} frames, {len(cells)} cells, each with and without SAR: {', '.join(names)}"
        show(listed, {"frames": frames, "cells": names}, json_file)
        return
    if request.config.looks.enabled:
        remark("note: a sweep counts clusters of the first round; second looks and tracks are off", json_file)
    summary = run_noise(request, cells, remask)
    for frame_id, why in summary.failures.items():
        click.echo(f"frame {frame_id}: {why}", err=True)
    left = summary.shards_left
    if left:
        text = f"{left} shards are left; when all are done, run again without --shard to draw the curves"
    else:
        text = write_sweep(request.out, shlex.join(["pointsam-label", *sys.argv[1:]]))
        text += f"\nnext: read {shlex.quote(str(request.out / 'noise.md'))}"
    about = {"out": str(request.out), "cells": len(cells), "shards_left": left, "failures": summary.failures}
    show(text, about, json_file)
    if summary.failures:
        sys.exit(QUARANTINED)


@click.command()
@click.argument("data", type=data_path)
@click.option("--masks-from", type=PATH, required=True, help="Output folder of a labelling run: its masks are used.")
@click.option("--dest", "--out", "dest", cls=RenamedOption, type=PATH, required=True, help="JSON file to write.")
@options_of(READING_OPTIONS)
@click.option(
    "--sample", "most", type=click.IntRange(2), default=100, show_default=True, help="Frames per rig, evenly spaced."
)
@click.option(
    "--noise",
    multiple=True,
    metavar="NAME=VALUE",
    help="Perturb the calibration first, as a test.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def calibrate(masks_from: Path, dest: Path, most: int, overwrite: bool, **options: Unpack[DataOptions]) -> None:
    """Find calibration errors of cameras. Compares masks and LiDAR points of the same objects in DATA.

    \b
    pointsam-label masks /data/mine --out labels
    pointsam-label calibrate /data/mine --masks-from labels --dest calibration.json
    pointsam-label clusters /data/mine --out labels --calibration calibration.json
    """  # noqa: D301 - click needs the backspace character itself
    from pipelines.robustness.calibrate import calibrate as find
    from pointsam.stages.recipes import default

    data = data_of(options)
    text, changes = find(data, masks_from, default().clusters, dest, most, overwrite)
    click.echo(text)
    click.echo("note: masks of the first round were compared; second looks are not used")
    if not changes:
        return
    given = [str(options["data"]), "--out", "OUT", "--masks-from", str(masks_from), "--calibration", str(dest)]
    given += data.reading.words() + [word for value in options["noise"] for word in ("--noise", value)]
    click.echo(f"next: pointsam-label clusters {shlex.join(given)}")


def _refuse_masks_options(overrides: tuple[str, ...]) -> None:
    """Reject options of the masks if --remask is not given: the masks already exist."""
    names = {
        "backend": "--masks",
        "semantics": "--semantics",
        "masks_dir": "--masks-dir",
        "mapping": "--mapping",
        "weights": "--weights",
        "seed": "--seed",
    }
    source = click.get_current_context().get_parameter_source
    given = [option for name, option in names.items() if source(name) is not ParameterSource.DEFAULT]
    given += [f"--set {override}" for override in overrides if override.strip().startswith("masks.")]
    if given:
        hint = (
            "the errors have their own seed: --noise seed=1" if given == ["--seed"] else "these options need --remask"
        )
        raise click.BadParameter(f"the masks of --masks-from already exist; {hint}", param_hint=", ".join(given))


def _levels(texts: tuple[str, ...]) -> dict[str, list[float]]:
    found = dict[str, list[float]]()
    for text in texts:
        kind, _, numbers = text.partition("=")
        if kind in found:
            raise click.BadParameter(f"{kind} is given twice; write all its sizes in one option", param_hint="--levels")
        try:
            found[kind] = [float(number) for number in numbers.split(",")]
        except ValueError:
            raise click.BadParameter(f"{text!r}: write KIND=0.1,0.5", param_hint="--levels") from None
    return found
