"""The command `pointsam-label queue`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.options import READING_OPTIONS, STAGE_OPTION, ReadingOptions, options_of, reading_of
from pipelines.cli.output import JSON_OPTION, STDOUT, remark, require_apart, show
from pipelines.cli.parameters import PATH
from pointsam.base.remote import DataPath, data_path

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pointsam.store.reader import LabelStage


@click.command()
@click.argument("out", type=PATH)
@click.argument("data", type=data_path, required=False)
@click.option("--csv", "csv_file", type=PATH, help="Also write one row per entry to this file.")
@click.option("--most", type=click.IntRange(1), help="List so many entries and frames.  [default: all]")
@options_of((STAGE_OPTION,), READING_OPTIONS)
@JSON_OPTION
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def queue(
    out: Path,
    data: DataPath | None,
    csv_file: Path | None,
    most: int | None,
    stage: LabelStage | None,
    json_file: Path | None,
    overwrite: bool,
    **options: Unpack[ReadingOptions],
) -> None:
    """List the frames and clusters of OUT that are probably wrong, the likeliest first, with the reasons.

    No ground truth is used. The first 20 are printed; --csv and --json have all, or the first --most, for other tools.
    """
    from pipelines.review.queue import run_queue
    from pointsam.base.files import require_free

    require_apart(csv=csv_file, json=json_file)
    if json_file not in (None, STDOUT):
        require_free(json_file, overwrite)
    found = run_queue(out, data, csv_file, most, overwrite, reading_of(options), stage)
    show(found.text(), found.as_dict(), json_file)
    remark(f"next: {found.next_command}", json_file)
