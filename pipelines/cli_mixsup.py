"""`mixsup-train`: the command line of the trainer. Imports what it runs only after the arguments are checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from pipelines.arguments import UserErrors
from pointsam import __version__

_PATH = click.Path(path_type=Path)


@click.group(cls=UserErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mixsup-train")
def main() -> None:
    """3D detectors from clusters and a few boxes."""


@main.command()
@click.argument("data", type=_PATH)
@click.option("--out", type=_PATH, required=True, help="The budget file (Parquet); never replaced.")
@click.option("--fraction", type=float, default=0.1, show_default=True, help="Share of objects, frames or cost.")
@click.option(
    "--rule",
    default="object",
    show_default=True,
    help="object, class, stratified (class, range, points), frame, or cost (boxes and clusters of some frames).",
)
@click.option("--box-share", type=float, default=0.1, show_default=True, help="With --rule cost: share of boxes.")
@click.option("--min-points", type=click.IntRange(0), default=1, show_default=True, help="Fewer: no candidate.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--split", help="Split or scene name (train, scene-0061).")
@click.option("--dataset", help="nuscenes or kitti; guessed when left out.")
@click.option("--version", help="Version folder of the tables.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def budget(
    data: Path,
    out: Path,
    fraction: float,
    rule: Any,
    box_share: float,
    min_points: int,
    seed: int,
    split: str | None,
    dataset: str | None,
    version: str | None,
    as_json: bool,
) -> None:
    """Draw which objects of DATA carry boxes, write it to a file, and say what it would cost to annotate.

    \b
    mixsup-train budget /data/nuscenes --split train --fraction 0.1 --out budget.parquet
    """  # noqa: D301 - click looks for the character, not for a backslash and a letter
    from pipelines.budget import draw_budget, summary
    from pointsam.datasets import open_dataset
    from pointsam.detect.budget import BudgetConfig

    config = BudgetConfig(fraction=fraction, rule=rule, box_share=box_share, min_points=min_points, seed=seed)
    drawn = draw_budget(open_dataset(data, dataset, version=version), split, config, out)
    click.echo(json.dumps(dict(drawn.description), indent=1) if as_json else summary(drawn))
    click.echo(f"wrote {out}", err=as_json)


if __name__ == "__main__":
    main()
