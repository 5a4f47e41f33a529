"""The command `mixsup-train show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.failures import QUARANTINED
from pipelines.cli.options import (
    CLASSES_OPTION,
    DIVISION_OPTIONS,
    READING_OPTIONS,
    SPLIT_HELP,
    ReadingOptions,
    frame_list,
    need_torch,
    options_of,
    reading_of,
    split_of,
)
from pipelines.cli.output import print_bad
from pipelines.cli.parameters import PATH
from pointsam.base.remote import DataPath, data_path
from pointsam.base.words import counted

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pipelines.training.show import Detections
    from pointsam.datasets.base import Dataset


@click.command()
@click.argument("target", type=data_path, metavar="RUN|DATA")
@click.option("--data", type=data_path, metavar="PATH", help="Root of the data set, if the first argument is a RUN.")
@options_of(READING_OPTIONS)
@click.option("--frames", help="Comma-separated frame ids.")
@click.option(
    "--split", help=f"Split to show: {SPLIT_HELP}.  [default: the frames that RUN was validated on, or all of DATA]"
)
@options_of(DIVISION_OPTIONS)
@click.option("--sample", type=click.IntRange(1), default=5, show_default=True, help="Show so many, evenly spaced.")
@click.option("--labels", type=PATH, help="Output folder of pointsam-label, whose clusters are shown.")
@options_of((CLASSES_OPTION,))
@click.option(
    "--predictions", type=PATH, help="detections.parquet of mixsup-train predict.  [default: RUN predicts the frames]"
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="Detections with a lower score are not shown.",
)
@click.option("--dest", type=PATH, required=True, help="Folder for the pictures and their page.")
@click.option("--rerun", type=PATH, metavar="FILE", help="Also write a recording (.rrd) for the Rerun viewer.")
@click.option("--device", default="cpu", show_default=True, help="Device of the networks: cpu, cuda or cuda:1.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier page and recording.")
def show(
    target: DataPath,
    data: DataPath | None,
    frames: str | None,
    split: str | None,
    val_fraction: float | None,
    split_seed: int,
    sample: int,
    labels: Path | None,
    mapping: Path | None,
    predictions: Path | None,
    min_score: float,
    dest: Path,
    rerun: Path | None,
    device: str,
    overwrite: bool,
    **options: Unpack[ReadingOptions],
) -> None:
    """Draw boxes, clusters and detections from above and in the images, to check them by looking.

    \b
    mixsup-train show DATA --labels OUT --dest look
    mixsup-train show RUN --data DATA --dest found --rerun found.rrd
    """  # noqa: D301 - click needs the backspace character itself
    need_torch()
    from pipelines.data import DataSpec
    from pipelines.training.checkpoints import data_of_run
    from pipelines.training.classes import labels_of, open_with_labels
    from pipelines.training.run_folder import is_run, read_as_fitted
    from pipelines.training.show import ShowRequest, of_file
    from pipelines.training.show import show as draw
    from pipelines.training.splits import chosen_frames, split_frames
    from pipelines.training.taken import frames_to_score
    from pointsam.base.runtime import require_device

    require_device(device)
    run = target if isinstance(target, Path) and is_run(target) else None
    if run is not None and data is None:
        raise click.UsageError(f"{run} is the run of a detector: name its data with --data PATH")
    if run is None and data is not None:
        raise click.UsageError(f"{target} is no run of mixsup-train fit; without a run, give the data alone")
    spec = DataSpec(target if data is None else data, reading_of(options))
    name = split_of(split, val_fraction, split_seed, "val")
    if run is None:
        dataset, clusters = open_with_labels(spec, labels, mapping, allow_noise=True)
        frame_ids = split_frames(dataset, name)
    else:
        dataset = data_of_run(run, read_as_fitted(run, spec))
        clusters = labels_of(labels, dataset)
        frame_ids = split_frames(dataset, None) if frames and name is None else frames_to_score(run, dataset, name)[0]
    frame_ids = chosen_frames(dataset, frame_ids, frame_list(frames), sample)
    detections: Detections | None = None
    notes = list[str]()
    if predictions is not None:
        detections, notes = of_file(predictions, dataset, min_score, frame_ids)
    elif run is not None:
        detections = _detector(run, dataset, device, min_score)
    request = ShowRequest(
        dataset,
        frame_ids,
        dest,
        clusters,
        detections,
        str(predictions or run or ""),
        min_score,
        rerun,
        overwrite,
        tuple(one for one in (labels, run, spec.root) if isinstance(one, Path)),
    )
    for note in notes:
        click.echo(f"warning: {note}", err=True)
    shown = draw(request)
    click.echo("\n".join(shown.captions))
    click.echo(f"wrote {counted(len(shown.captions), 'picture')}: {shown.path}")
    if rerun is not None:
        click.echo(f"wrote {rerun}: rerun {rerun}")
    if shown.bad:
        print_bad(shown.bad)
        sys.exit(QUARANTINED)


def _detector(run: Path, dataset: Dataset, device: str, min_score: float) -> Detections:
    """The detections of a run's best checkpoint."""
    from collections.abc import Sequence
    from functools import partial

    from pipelines.training.checkpoints import load_run
    from pipelines.training.predict import predict_frames
    from pipelines.training.show import of_predictions
    from pointsam.detect.predictions_file import FramePredictions

    detector, recipe = load_run(run, dataset, device, min_score=min_score)
    predict = partial(predict_frames, detector, recipe, dataset, workers=0, bad={}, shows_progress=False)

    def found(frame_ids: Sequence[str]) -> list[FramePredictions]:
        return list(predict(frame_ids))

    return of_predictions(found, dataset, min_score)
