"""`pointsam-label init`: the first command for data of one's own rig."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.failures import BROKEN_RULE
from pipelines.cli.output import JSON_OPTION, remark, require_apart, show
from pipelines.cli.parameters import PATH
from pointsam.base.remote import DataPath, data_path

if TYPE_CHECKING:
    from pipelines.labelling.init_folder import InitReport


@click.command()
@click.argument("data", type=data_path)
@click.option("--png", type=PATH, help="Draw the points of a frame over its images, to this file.")
@click.option("--frame", help="Frame to draw.  [default: the middle one]")
@click.option("--lidar", help="LiDARs to read, with commas between them.  [default: all]")
@click.option("--overwrite", is_flag=True, help="Replace the picture; without --png, the calibration by a draft.")
@JSON_OPTION
def init(
    data: DataPath,
    png: Path | None,
    frame: str | None,
    lidar: str | None,
    overwrite: bool,
    json_file: Path | None,
) -> None:
    """Look at a plain folder (docs/folder.md), and draft its calibration file.

    DATA holds images/CAMERA and clouds/LIDAR, or folders that do. The first call writes calibration.yaml, with TODO
    where you must complete it. Once it is complete, calls check the folder, with the exit status of `check`, and draw
    points over images.

    \b
    pointsam-label init DATA
    pointsam-label init DATA --png points.png
    """  # noqa: D301 - click needs the backspace character itself
    from pipelines.data import DataSpec, Reading
    from pipelines.labelling.init_folder import init_folder

    require_apart(png=png, json=json_file)
    report: InitReport = init_folder(DataSpec(data, Reading("folder", lidar=lidar)), png, frame, overwrite)
    show(report.text(), report.as_dict(), json_file)
    remark(f"next: {report.next_command}", json_file)
    if report.checked is not None and (report.checked.broken or not report.checked.usable):
        sys.exit(BROKEN_RULE)
