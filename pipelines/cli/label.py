"""`pointsam-label`: the command line. Imports what it runs only after the arguments are checked."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.about import explain, list_plugins, weights
from pipelines.cli.convert import convert
from pipelines.cli.failures import BROKEN_RULE, QUARANTINED, UserErrors
from pipelines.cli.init import init
from pipelines.cli.networks import try_2d
from pipelines.cli.options import (
    ACCEPT_OPTION,
    CLUSTERS_OPTIONS,
    DATA_OPTIONS,
    DEVICE_OPTION,
    LATER_OPTIONS,
    MASKS_OPTIONS,
    READING_OPTIONS,
    STAGE_OPTION,
    TRUTH_MAPPING_OPTION,
    DataOptions,
    ReadingOptions,
    RunOptions,
    data_of,
    frame_list,
    options_of,
    reading_of,
    request_of,
    without_help,
)
from pipelines.cli.output import JSON_OPTION, STDOUT, remark, require_apart, show
from pipelines.cli.parameters import PATH, PluginName
from pipelines.cli.probability import fit_probability
from pipelines.cli.queue import queue
from pipelines.cli.robustness import calibrate, noise
from pipelines.cli.world import demo, synth
from pointsam import __version__
from pointsam.base.remote import DataPath, data_path
from pointsam.base.words import counted

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pipelines.labelling.jobs import Summary
    from pipelines.labelling.request import Request
    from pointsam.store.reader import LabelStage


@click.group(cls=UserErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="pointsam-label")
def main() -> None:
    """Label LiDAR points from camera images: SAM masks are lifted, refined and written as clusters in Parquet.

    \b
    pointsam-label run /data/nuscenes --out out --split val
    pointsam-label inspect out FRAME --png frame.png
    pointsam-label eval out /data/nuscenes
    """  # noqa: D301 - click needs the backspace character itself


@main.command()
@click.argument("data", type=data_path)
@options_of(READING_OPTIONS)
@click.option("--frames", help="Comma-separated frame ids.")
@click.option("--split", help="Split or scene name (train, val, scene-0061).")
@click.option(
    "--sample", type=click.IntRange(1), default=20, show_default=True, help="Open the files of so many frames."
)
@click.option("--all", "every", is_flag=True, help="Open the files of every frame.")
@options_of((ACCEPT_OPTION,))
@JSON_OPTION
def check(
    frames: str | None,
    split: str | None,
    sample: int,
    every: bool,
    accepted: tuple[str, ...],
    json_file: Path | None,
    **options: Unpack[DataOptions],
) -> None:
    """Check a data set for mistakes before it is labelled. DATA is not changed.

    Times, poses and calibrations of all frames are checked, and the sensor files of an even sample of them. Exit
    status 4: a rule is broken, or none of the opened frames can be read.
    """
    from pipelines.labelling.check import run_check
    from pipelines.labelling.request import Selection

    data = data_of(options)
    found = run_check(
        data,
        Selection(frame_list(frames), split),
        None if every else sample,
        accepted,
    )
    show(found.text(), found.as_dict(), json_file)
    if found.broken or not found.usable:
        sys.exit(BROKEN_RULE)
    which = [] if split is None else ["--split", split]
    which += [] if frames is None else ["--frames", frames]
    which += [word for rule in accepted for word in ("--accept", rule)]
    words = [str(data.root), "--out", "OUT", *data.reading.words(), *which]
    remark(f"next: pointsam-label run {shlex.join(words)}", json_file)


@main.command()
@options_of(DATA_OPTIONS, MASKS_OPTIONS, CLUSTERS_OPTIONS)
def run(**options: Unpack[RunOptions]) -> None:
    """Run all stages: masks, clusters, then tracks of the scenes whose frames are all there.

    Second looks come before tracks with --set looks.enabled=true (docs/looks.md).
    """
    request = request_of(options)
    if options["dry_run"]:
        more = ("looks",) if request.config.looks.enabled else ()
        _plan(request, ("masks", "clusters", *more), options["json_file"])
        return
    from pipelines.labelling.jobs import run_clusters, run_masks
    from pipelines.labelling.looks import run_looks
    from pipelines.labelling.tracks import run_tracks

    summaries = [run_masks(request), run_clusters(request)]
    # Scenes have frames in several shards: the call that finds all of them looks again and tracks them.
    whole = replace(request, execution=replace(request.execution, shard=(0, 1)))
    if request.config.looks.enabled:
        summaries.append(run_looks(whole))
    if request.config.tracks.enabled:
        summaries.append(run_tracks(replace(whole, probability=None)))
    _close(request, summaries, options["json_file"])


@main.command()
@options_of(DATA_OPTIONS, MASKS_OPTIONS)
def masks(**options: Unpack[RunOptions]) -> None:
    """Run the 2D stage only. It writes the detections and candidate masks of every image."""
    for stage in ("clusters", "looks", "tracks"):
        _refuse_idle(options["overrides"], stage, f"it has an effect on {stage} only: give it to that command")
    request = request_of(options)
    if options["dry_run"]:
        _plan(request, ("masks",), options["json_file"])
        return
    from pipelines.labelling.jobs import run_masks

    _close(request, [run_masks(request)], options["json_file"])


@without_help("device")
@main.command()
@options_of(DATA_OPTIONS, CLUSTERS_OPTIONS)
@click.option("--masks-from", type=PATH, help="Folder of the masks to use.  [default: OUT]")
def clusters(**options: Unpack[RunOptions]) -> None:
    """Run the 3D stage only. It makes clusters from stored masks; no network runs."""
    _refuse_idle(options["overrides"], "masks", "the masks already exist: give it to run or masks, with a new --out")
    for stage in ("looks", "tracks"):
        _refuse_idle(options["overrides"], stage, f"it has an effect on {stage} only: give it to that command")
    request = request_of(options)
    if options["dry_run"]:
        _plan(request, ("clusters",), options["json_file"])
        return
    from pipelines.labelling.jobs import run_clusters

    _close(request, [run_clusters(request)], options["json_file"])


@main.command()
@options_of(LATER_OPTIONS, (DEVICE_OPTION,))
@click.option("--masks-dir", type=PATH, help="Folder of 2D results, as for the masks.")
@click.option("--weights", type=PATH, help="Checkpoint of the segmenter, as for the masks.")
@click.option("--masks-from", type=PATH, help="Folder of the masks that the clusters were made from.  [default: OUT]")
@click.option("--probability", type=PATH, help="File of fit-probability, as for the clusters.")
def looks(**options: Unpack[RunOptions]) -> None:
    """Run second looks only. LiDAR components and tracks say where the models of the masks are asked again.

    Objects that no mask of the first round found are added. The labels of the first round in OUT stay.
    """
    for stage in ("masks", "clusters"):
        _refuse_idle(options["overrides"], stage, "the clusters already exist: give it to run, with a new --out")
    request = request_of(options)
    wanted = request.config.looks
    if not (wanted.components.enabled or wanted.tracks.enabled):
        raise click.UsageError(
            f"the recipe {options['recipe']} has no second looks; add --set looks.components.enabled=true or --set "
            "looks.tracks.enabled=true, or use --recipe default"
        )
    request = replace(request, config=replace(request.config, looks=replace(wanted, enabled=True)))
    from pipelines.labelling.looks import run_looks

    _close(request, [run_looks(request)], options["json_file"])


@main.command()
@options_of(LATER_OPTIONS)
@click.option(
    "--probability",
    type=PATH,
    help="File of pointsam-label fit-probability --stage tracks (docs/probability.md).  [default: the package's]",
)
def tracks(**options: Unpack[RunOptions]) -> None:
    """Run the stage over time only. It follows the clusters of OUT through each scene; no network runs.

    Classes are voted over tracks, misses are recovered, and flickers are dropped. The single-frame labels stay.
    """
    from pipelines.labelling.tracks import run_tracks

    for stage in ("masks", "clusters", "looks"):
        _refuse_idle(options["overrides"], stage, "the clusters already exist: give it to run, with a new --out")
    request = replace(request_of({**options, "probability": None}), probability=options["probability"])
    if not request.config.tracks.enabled:
        raise click.UsageError(
            f"the recipe {options['recipe']} has no tracks; add --set tracks.enabled=true and the rules to use, or use "
            "--recipe default"
        )
    _close(request, [run_tracks(request)], options["json_file"])


@main.command()
@click.argument("out", type=PATH)
@click.argument("frame", required=False)
@click.option("--track", metavar="SCENE:ID", help="Show an object through time in place of a frame.")
@click.option("--png", type=PATH, help="Draw the cameras and a bird's-eye view, or crops and a path, to this file.")
@click.option("--data", type=data_path, metavar="PATH", help="Data set root, if it has moved since the run.")
@click.option("--masks-from", type=PATH, help="Folder of the masks that the clusters were made from.  [default: OUT]")
@options_of((STAGE_OPTION,), READING_OPTIONS)
@JSON_OPTION
def inspect(
    out: Path,
    frame: str | None,
    track: str | None,
    png: Path | None,
    data: DataPath | None,
    masks_from: Path | None,
    stage: LabelStage | None,
    json_file: Path | None,
    **options: Unpack[ReadingOptions],
) -> None:
    """Show how each cluster of a frame was made. FRAME is an id or a position in the run, from 0.

    With --track, show one object through its scene: how it was found in each frame, and how its class was voted.
    """
    from pipelines.review.inspect import draw_labels, frame_summary, inspect_track

    require_apart(png=png, json=json_file)
    if (frame is None) == (track is None):
        raise click.UsageError("give FRAME, or --track SCENE:ID")
    if track is not None:
        if stage == "clusters":
            raise click.UsageError("single-frame labels have no tracks: leave out --stage clusters")
        found = inspect_track(out, track, png, data, reading_of(options))
        show(found.text(), found.as_dict(), json_file)
        if png is not None:
            remark(f"drew {png}", json_file)
        return
    assert frame is not None
    document = frame_summary(out, frame, stage)
    show(document.text(), document.as_dict(), json_file)
    if png is not None:
        draw_labels(out, document.frame_id, png, data, masks_from, reading_of(options), stage)
        remark(f"drew {png}", json_file)


@main.command("eval")
@click.argument("out", type=PATH)
@click.argument("data", type=data_path)
@JSON_OPTION
@click.option("--markdown", type=PATH, help="Also write the tables to this file.")
@click.option("--parquet", type=PATH, help="Also write one row per object and cluster to this file.")
@click.option("--against", type=PATH, help="A second output folder to compare with.")
@click.option("--self-check", is_flag=True, help="Give the figures that need no ground truth, too.")
@click.option(
    "--masks-from", type=PATH, help="Folder of the masks of labels that were made from those of another folder."
)
@click.option(
    "--truth",
    metavar="SOURCE",
    help="Ground truth to use, such as panoptic, lidarseg, semantickitti or boxes.  [default: the best in DATA]",
)
@options_of((STAGE_OPTION,), READING_OPTIONS, (TRUTH_MAPPING_OPTION,))
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def evaluate(
    out: Path,
    data: DataPath,
    json_file: Path | None,
    markdown: Path | None,
    parquet: Path | None,
    against: Path | None,
    self_check: bool,
    masks_from: Path | None,
    truth: str | None,
    stage: LabelStage | None,
    mapping: Path | None,
    overwrite: bool,
    **options: Unpack[ReadingOptions],
) -> None:
    """Score labels against ground truth. OUT holds the labels, DATA the ground truth.

    Prints panoptic, class-agnostic and semantic quality, also by range, number of points, visibility and camera, and
    the quality of tracks. Without ground truth it prints what labels show of their own errors; with --against, whether
    they got worse.
    """
    from pipelines.review.evaluate import run_eval
    from pointsam.base.files import require_free

    require_apart(markdown=markdown, parquet=parquet, json=json_file)
    if json_file not in (None, STDOUT):
        require_free(json_file, overwrite)
    reading = reading_of(options)
    found = run_eval(
        out, data, markdown, parquet, against, truth, overwrite, reading, mapping, stage, self_check, masks_from
    )
    show(found.text, found.figures, json_file)
    remark(f"next: {found.next_command}", json_file)
    if not found.whole:
        sys.exit(QUARANTINED)


@main.command()
@click.argument("out", type=PATH)
@click.argument("data", type=data_path, required=False)
@click.option("--dest", type=PATH, required=True, help="Folder of the page.")
@click.option("--masks-from", type=PATH, help="Folder of the masks that the clusters were made from.  [default: OUT]")
@click.option("--frames", help="Comma-separated ids of the frames to show.  [default: worst, best, some between]")
@click.option(
    "--queue", "queued", is_flag=True, help="Show the frames that pointsam-label queue lists first, with its reasons."
)
@click.option("--show", "count", type=click.IntRange(1), default=12, show_default=True, help="Show so many frames.")
@options_of((STAGE_OPTION,), READING_OPTIONS, (TRUTH_MAPPING_OPTION,))
@click.option("--overwrite", is_flag=True, help="Replace an existing page; other folders are never replaced.")
def report(
    out: Path,
    data: DataPath | None,
    dest: Path,
    masks_from: Path | None,
    frames: str | None,
    queued: bool,
    count: int,
    stage: LabelStage | None,
    mapping: Path | None,
    overwrite: bool,
    **options: Unpack[ReadingOptions],
) -> None:
    """Write a page about the labels of OUT. It shows metrics, charts, the worst and best frames, and a 3D view."""
    from pipelines.review.report import write_report

    if queued and frames is not None:
        raise click.BadParameter("give either the frames or --queue, which chooses them", param_hint="--frames")
    reading, chosen = reading_of(options), frame_list(frames)
    page = write_report(out, dest, data, masks_from, count, overwrite, chosen, reading, mapping, stage, queued)
    for note in page.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"wrote {page.path}\nnext: open it in a browser; no server is needed")
    if not page.whole:
        sys.exit(QUARANTINED)


@main.command()
@click.argument("out", type=PATH)
@click.argument("data", type=data_path)
@click.option("--to", "form", type=PluginName("exporters"), required=True, help="Format.")
@click.option("--dest", type=PATH, required=True, help="Folder to write to.")
@options_of((STAGE_OPTION,), READING_OPTIONS)
@click.option("--eval-set", "split", help="Split that the files are for.  [default: that of the labels]")
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="OWN=NAME",
    help="Name of an own class in the format; OWN=background leaves its objects out. Repeatable.",
)
@click.option("--masks-from", type=PATH, help="Folder of the masks that the clusters were made from.  [default: OUT]")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def export(
    out: Path,
    data: DataPath,
    form: str,
    dest: Path,
    stage: LabelStage | None,
    split: str | None,
    classes: tuple[str, ...],
    masks_from: Path | None,
    overwrite: bool,
    **options: Unpack[ReadingOptions],
) -> None:
    """Write labels in another tool's format. See docs/exports.md."""
    from pipelines.review.export import export as write
    from pipelines.review.export import format_of

    names, reading = dict(_pair(text) for text in classes), reading_of(options)
    written = write(out, data, dest, form, reading, split, masks_from, overwrite, names, stage)
    note = format_of(form).note
    click.echo(f"wrote {counted(written.frames, 'frame')} of split {written.split!r} to {dest} ({form})")
    for text in (*written.notes, *([note] if note else [])):
        click.echo(f"note: {text}")


def _pair(text: str) -> tuple[str, str]:
    own, equals, name = text.partition("=")
    if not (own and equals and name):
        raise click.BadParameter(f"{text!r}: write OWN=NAME, such as worker=pedestrian", param_hint="--class")
    return own, name


for command in (
    *(init, convert, synth, demo, explain, weights, list_plugins),
    *(fit_probability, queue, noise, calibrate, try_2d),
):
    main.add_command(command)


def _refuse_idle(overrides: tuple[str, ...], stage: str, why: str) -> None:
    """Reject fields of a stage that the command does not run."""
    given = [f"--set {override}" for override in overrides if override.strip().startswith(f"{stage}.")]
    if given:
        raise click.BadParameter(why, param_hint=", ".join(given))


def _plan(request: Request, stages: tuple[str, ...], json_file: Path | None) -> None:
    from pipelines.labelling.plan import plan

    estimate = plan(request, stages)
    show(estimate.text(), estimate.as_dict(), json_file)
    if not estimate.measured:
        sys.exit(QUARANTINED)


def _close(request: Request, summaries: list[Summary], json_file: Path | None) -> None:
    """Print the summary and the next command; exit with status 3 if frames are quarantined."""
    from pipelines.labelling.closing import closing

    document = closing(request, summaries)
    show(document.text(), document.as_dict(), json_file)
    if document.failures:
        sys.exit(QUARANTINED)


if __name__ == "__main__":
    from pipelines.cli.start import label

    label()
