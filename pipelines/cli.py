"""`pointsam-label`: the command line. Imports what it runs only after the arguments are checked."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.arguments import QUARANTINED, UserErrors, frame_list, shard_of
from pipelines.cli_world import demo, synth
from pointsam import __version__

if TYPE_CHECKING:
    from pipelines.jobs import Summary
    from pipelines.request import Request

_PATH = click.Path(path_type=Path)

_DATA_OPTIONS = (
    click.argument("data", type=_PATH),
    click.option("--out", type=_PATH, required=True, help="Output folder; running again continues it."),
    click.option("--dataset", help="nuscenes, kitti or semantickitti; guessed from the folder when left out."),
    click.option("--version", help="Version folder of the tables, where there are several (v1.0-trainval)."),
    click.option("--frames", help="Comma-separated frame ids."),
    click.option("--split", help="Split or scene name (train, val, scene-0061)."),
    click.option("--recipe", type=click.Choice(["default", "paper"]), default="default", show_default=True),
    click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change one field of the recipe."),
    click.option("--noise", multiple=True, metavar="NAME=VALUE", help="Perturb the calibration (docs/robustness.md)."),
    click.option("--seed", type=int, default=0, show_default=True),
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1."),
    click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core, for masks on a GPU 1]"),
    click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True),
    click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads a worker."),
    click.option("--shard", default="0/1", show_default=True, metavar="I/N", help="Every N-th shard from I."),
    click.option("--retry-failed", is_flag=True, help="Redo shards that hold quarantined frames."),
    click.option("--dry-run", is_flag=True, help="Say how many images, hours and bytes; write nothing."),
    click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
)
_MASKS_OPTIONS = (
    click.option("--masks", "backend", help="mobile_sam, sam_vit_b, sam_vit_l or sam_vit_h."),
    click.option("--semantics", help="ssd, precomputed or oracle."),
    click.option("--masks-dir", type=_PATH, help="Folder of precomputed or true masks (docs/precomputed_masks.md)."),
    click.option("--mapping", type=_PATH, help="JSON file that takes 2D labels to classes (docs/mapping.md)."),
    click.option("--weights", type=_PATH, help="Checkpoint of the segmenter; a known one is found by name."),
)
_FORMATS = (
    "nuscenes-panoptic",
    "nuscenes-lidarseg",
    "nuscenes-boxes",
    "semantickitti",
    "kitti",
    "openpcdet",
    "mmdet3d",
    "coco",
    "ply",
    "pcd",
    "rerun",
)  # those of pipelines.export, which is slow to import: a test holds them together
_TRUTHS = ("panoptic", "lidarseg", "semantickitti", "boxes")
_CLUSTERS_OPTIONS = (click.option("--no-sar", is_flag=True, help="Leave out separability-aware refinement."),)


def _options(*groups: tuple[Callable[[Any], Any], ...]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


@click.group(cls=UserErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="pointsam-label")
def main() -> None:
    """Label LiDAR from cameras: SAM masks, lifted, refined and written as Parquet clusters.

    \b
    pointsam-label run /data/nuscenes --out out --split val
    pointsam-label inspect out FRAME --png frame.png
    pointsam-label eval out /data/nuscenes
    """  # noqa: D301 - click looks for the character, not for a backslash and a letter


@main.command()
@_options(_DATA_OPTIONS, _MASKS_OPTIONS, _CLUSTERS_OPTIONS)
def run(**options: Any) -> None:
    """Masks, then clusters: the whole job."""
    request = _request(options)
    if options["dry_run"]:
        _plan(request, ("masks", "clusters"), options["as_json"])
        return
    from pipelines.jobs import run_clusters, run_masks

    _close(request, [run_masks(request), run_clusters(request)], options["as_json"])


@main.command()
@_options(_DATA_OPTIONS, _MASKS_OPTIONS)
def masks(**options: Any) -> None:
    """Only the 2D stage: detections and candidate masks of every image."""
    request = _request(options)
    if options["dry_run"]:
        _plan(request, ("masks",), options["as_json"])
        return
    from pipelines.jobs import run_masks

    _close(request, [run_masks(request)], options["as_json"])


@main.command()
@_options(_DATA_OPTIONS, _CLUSTERS_OPTIONS)
@click.option("--masks-from", type=_PATH, help="Folder whose masks to use.  [default: OUT]")
def clusters(**options: Any) -> None:
    """Only the 3D stage: clusters from stored masks, without touching a network."""
    request = _request(options)
    if options["dry_run"]:
        _plan(request, ("clusters",), options["as_json"])
        return
    from pipelines.jobs import run_clusters

    _close(request, [run_clusters(request)], options["as_json"])


@main.command()
@click.argument("out", type=_PATH)
@click.argument("frame")
@click.option("--png", type=_PATH, help="Draw the cameras and a bird's-eye view.")
@click.option("--data", type=_PATH, help="Data set root, if it has moved since the run.")
@click.option("--masks-from", type=_PATH, help="Folder whose masks the clusters were made of.  [default: OUT]")
@click.option("--json", "as_json", is_flag=True, help="Print the clusters as JSON.")
def inspect(out: Path, frame: str, png: Path | None, data: Path | None, masks_from: Path | None, as_json: bool) -> None:
    """Tell the story of every cluster of FRAME (an id, or its position in the run)."""
    from pipelines.inspect import draw, story

    document = story(out, frame)
    click.echo(json.dumps(document.as_dict(), indent=1) if as_json else document.text())
    if png is not None:
        draw(out, document.frame_id, png, data, masks_from)
        click.echo(f"drew {png}", err=as_json)


@main.command("eval")
@click.argument("out", type=_PATH)
@click.argument("data", type=_PATH)
@click.option("--json", "json_file", type=_PATH, help="Also write the figures here.")
@click.option("--markdown", type=_PATH, help="Also write the tables here.")
@click.option("--parquet", type=_PATH, help="Also write one row an object and a cluster here.")
@click.option("--against", type=_PATH, help="A second output folder, shown beside.")
@click.option("--truth", type=click.Choice(_TRUTHS), help="What to compare with.  [default: the best in DATA]")
@click.option("--dataset", help="nuscenes, kitti or semantickitti; guessed when left out.")
@click.option("--version", help="Version folder of the tables.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
def evaluate(out: Path, data: Path, dataset: str | None, version: str | None, **options: Any) -> None:
    """Judge the labels of OUT by the truth in DATA: panoptic, class-agnostic and semantic quality, by bins."""
    from pipelines.evaluate import run_eval
    from pointsam.datasets import open_dataset

    click.echo(run_eval(out, open_dataset(data, dataset, version=version), **options))
    click.echo(f"next: pointsam-label inspect {shlex.quote(str(out))} 0 --png frame.png")


@main.command()
@click.argument("out", type=_PATH)
@click.argument("data", type=_PATH, required=False)
@click.option("--dest", type=_PATH, required=True, help="Folder of the page.")
@click.option("--masks-from", type=_PATH, help="Folder whose masks the clusters were made of.  [default: OUT]")
@click.option("--frames", "count", type=click.IntRange(1), default=12, show_default=True, help="Frames to show.")
@click.option("--overwrite", is_flag=True, help="Replace the folder if it is there.")
def report(out: Path, data: Path | None, dest: Path, masks_from: Path | None, count: int, overwrite: bool) -> None:
    """A page on the labels of OUT: figures, curves, the worst and best frames, and a 3D view. Opens from a file."""
    from pipelines.report import write_report

    page = write_report(out, dest, data, masks_from, count, overwrite)
    click.echo(f"wrote {page}\nnext: open it in a browser; no server is needed")


@main.command()
@click.argument("out", type=_PATH)
@click.argument("data", type=_PATH)
@click.option("--to", "form", type=click.Choice(_FORMATS), required=True)
@click.option("--dest", type=_PATH, required=True, help="Folder to write to.")
@click.option("--version", help="Version folder of the tables.")
@click.option("--eval-set", "split", default="val", show_default=True, help="Split that the files are meant for.")
@click.option("--masks-from", type=_PATH, help="Folder whose masks the clusters were made of.  [default: OUT]")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
def export(out: Path, data: Path, form: str, dest: Path, **options: Any) -> None:
    """Labels in another tool's format (docs/exports.md)."""
    from pipelines.export import FORMATS
    from pipelines.export import export as write

    count = write(out, data, dest, form, **options)
    click.echo(f"wrote {count} frames to {dest} ({form})")
    if FORMATS[form].note:
        click.echo(f"note: {FORMATS[form].note}")


@main.group()
def weights() -> None:
    """The models: list, fetch, verify."""


@weights.command("ls")
def weights_ls() -> None:
    """Every known checkpoint, its licence, and whether it is here."""
    from pointsam.masks.weights import WEIGHTS, local_path

    for name, known in WEIGHTS.items():
        here = local_path(name)
        state, origin = "here" if here.exists() else "not here", known.url or "(in the package)"
        click.echo(f"{name:12} {known.num_bytes / 1e6:7.0f} MB  {known.licence:11} {state:9} {origin}")
    click.echo("next: pointsam-label weights get NAME")


@weights.command("get")
@click.argument("name")
def weights_get(name: str) -> None:
    """Download a checkpoint and check its hash."""
    from pipelines.progress import progress
    from pointsam.masks.weights import get, weight_file

    with progress(total=weight_file(name).num_bytes, unit="B", unit_scale=True) as bar:

        def advance(done: int, _total: int) -> None:
            bar.update(done - bar.n)

        path = get(name, advance)
    click.echo(f"{path}\nnext: pointsam-label run DATA --out OUT --masks {name}")


@weights.command("verify")
@click.argument("name")
def weights_verify(name: str) -> None:
    """Compare a checkpoint that is here with its published hash."""
    from pointsam.masks.weights import verify

    click.echo(f"{name}: sha256 {verify(name)} as published")


main.add_command(synth)
main.add_command(demo)


def _request(options: dict[str, Any]) -> Request:
    from dataclasses import replace

    from pipelines.config import RECIPES, noise_of, with_overrides
    from pipelines.request import Request

    config = RECIPES[options["recipe"]]()
    fields = {"backend": options.get("backend"), "semantics": options.get("semantics"), "seed": options["seed"]}
    config = replace(config, masks=replace(config.masks, **{k: v for k, v in fields.items() if v is not None}))
    overrides = (*options["overrides"], *(["clusters.refine.enabled=false"] if options.get("no_sar") else []))
    config = with_overrides(config, overrides)
    return Request(
        data=options["data"],
        out=options["out"],
        config=config,
        dataset=options["dataset"],
        version=options["version"],
        frames=frame_list(options["frames"]),
        split=options["split"],
        mapping=options.get("mapping"),
        masks_dir=options.get("masks_dir"),
        weights=options.get("weights"),
        device=options["device"],
        engine=options["engine"],
        threads=options["threads"],
        workers=options["workers"],
        shard=shard_of(options["shard"]),
        retry_failed=options["retry_failed"],
        masks_from=options.get("masks_from"),
        noise=noise_of(options["noise"]),
    )


def _plan(request: Request, stages: tuple[str, ...], as_json: bool) -> None:
    from pipelines.plan import plan

    estimate = plan(request, stages)
    click.echo(json.dumps(estimate.as_dict(), indent=1) if as_json else estimate.text())


def _close(request: Request, summaries: list[Summary], as_json: bool) -> None:
    """The closing table, the next command, and exit code 3 if frames were set aside."""
    from pipelines.closing import closing

    document = closing(request, summaries)
    click.echo(json.dumps(document.as_dict(), indent=1) if as_json else document.text())
    if document.failures:
        sys.exit(QUARANTINED)


if __name__ == "__main__":
    main()
