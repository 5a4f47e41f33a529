"""`pointsam-label convert`: write a data set in another layout."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.failures import QUARANTINED
from pipelines.cli.options import READING_OPTIONS, ReadingOptions, frame_list, options_of, reading_of
from pipelines.cli.output import JSON_OPTION, print_bad, remark, show
from pipelines.cli.parameters import PATH
from pointsam.base.remote import DataPath, data_path

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pipelines.conversion.values import Converted

LAYOUTS = ("folder", "kitti", "nuscenes")


@click.command()
@click.argument("data", type=data_path)
@click.argument("dest", type=PATH)
@click.option("--to", "target", type=click.Choice(LAYOUTS), required=True, help="Layout to write.")
@options_of(READING_OPTIONS)
@click.option("--frames", help="Comma-separated frame ids.")
@click.option("--split", help="Split or scene name (train, val, scene-0061).")
@click.option("--camera", metavar="NAME", help="Camera that KITTI's layout gets.  [default: the first of each frame]")
@click.option("--accept-loss", is_flag=True, help="Write although labels of the result can differ.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one per core]")
@JSON_OPTION
def convert(
    dest: Path,
    target: str,
    frames: str | None,
    split: str | None,
    camera: str | None,
    accept_loss: bool,
    workers: int | None,
    json_file: Path | None,
    data: DataPath,
    **options: Unpack[ReadingOptions],
) -> None:
    """Write the data set DATA in another layout, into the new folder DEST.

    What the layout cannot hold is listed. A loss that can change labels stops the command unless --accept-loss is
    given. DEST is complete or absent. See docs/convert.md.
    """
    from pipelines.conversion.convert import convert as write
    from pipelines.conversion.values import Conversion
    from pointsam.base.runtime import cores

    wanted = Conversion(data, target, reading_of(options), frame_list(frames), split, camera, accept_loss)
    made = write(wanted, dest, workers or cores())
    show(made.text(), made.as_dict(), json_file)
    say_losses(made)
    words = shlex.join([str(dest), "--out", "labels", *shlex.split(made.options)])
    remark(f"next: pointsam-label run {words}", json_file)
    if made.left_out:
        print_bad(made.left_out)
        sys.exit(QUARANTINED)


def say_losses(made: Converted) -> None:
    """Print what was lost."""
    for line in made.changing:
        click.echo(f"loss: {line}", err=True)
    for line in made.notes:
        click.echo(f"note: {line}", err=True)
