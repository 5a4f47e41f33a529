"""The command `pointsam-label fit-probability`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.options import READING_OPTIONS, TRUTH_MAPPING_OPTION, ReadingOptions, options_of, reading_of
from pipelines.cli.output import JSON_OPTION, STDOUT, remark, require_apart, show
from pipelines.cli.parameters import PATH
from pointsam.base.remote import DataPath, data_path

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pointsam.store.reader import LabelStage


@click.command("fit-probability")
@click.argument("out", type=PATH)
@click.argument("data", type=data_path)
@click.option("--dest", type=PATH, required=True, help="JSON file to write.")
@click.option(
    "--stage",
    type=click.Choice(["clusters", "tracks"]),
    default="clusters",
    show_default=True,
    help="Labels that the probability is for: those of each frame alone, or those after tracking.",
)
@click.option("--split", help="Split or scene of the frames to use.  [default: all frames of the labels]")
@options_of(READING_OPTIONS, (TRUTH_MAPPING_OPTION,))
@JSON_OPTION
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def fit_probability(
    out: Path,
    data: DataPath,
    dest: Path,
    stage: LabelStage,
    split: str | None,
    mapping: Path | None,
    json_file: Path | None,
    overwrite: bool,
    **options: Unpack[ReadingOptions],
) -> None:
    """Fit the probability of clusters to labels with ground truth. OUT holds the labels, DATA the ground truth.

    Do this for 2D networks whose scores mean something else than those of the bundled ones. Then make the clusters
    again, with the options of the first time; the command that does it is printed at the end.

    \b
    pointsam-label run /data/mine --out labels --split val --semantics precomputed --masks-dir results
    pointsam-label fit-probability labels /data/mine --dest probability.json
    pointsam-label clusters /data/mine --out new --masks-from labels --probability probability.json
    """  # noqa: D301 - click needs the backspace character itself
    from pipelines.review.fit_probability import run_fit_probability
    from pointsam.base.files import require_free

    require_apart(dest=dest, json=json_file)
    if json_file not in (None, STDOUT):
        require_free(json_file, overwrite)
    found = run_fit_probability(out, data, dest, split, overwrite, reading_of(options), mapping, stage)
    show(found.text(), found.as_dict(), json_file)
    remark(f"next: pointsam-label {shlex.join(found.again)}", json_file)
