"""The commands that need no data: `pointsam-label synth` and `pointsam-label demo`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from pipelines.cli.convert import LAYOUTS, say_losses
from pipelines.cli.options import ENGINE_OPTION, shard_of
from pipelines.cli.output import JSON_OPTION, remark, show
from pipelines.cli.parameters import PATH, RenamedOption


@click.command()
@click.argument("dest", type=PATH)
@click.option(
    "--scenes",
    type=int,
    default=1,
    show_default=True,
    help="Scenes; two of up to ten, a fifth of more, are val.",
)
@click.option(
    "--key-frames",
    "--frames",
    "frames",
    cls=RenamedOption,
    type=int,
    default=40,
    show_default=True,
    help="Key frames per scene, at 2 Hz.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the world.")
@click.option(
    "--preset", default="mixed", show_default=True, help="mixed, day, overcast, night, rain, or still (nothing moves)."
)
@click.option("--scale", type=float, default=0.5, show_default=True, help="Image size; 1 is that of the real cameras.")
@click.option(
    "--rig",
    default="nuscenes",
    show_default=True,
    help="nuscenes (6 cameras, 32 beams), kitti (1 camera, 64 beams), or nuscenes with a change: lens (distorted), "
    "rolling (shutter), two-lidars, tilted or inverted (LiDAR), beams-128.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one per core]")
@click.option(
    "--format",
    "form",
    type=click.Choice(LAYOUTS),
    default="nuscenes",
    show_default=True,
    help="Layout of DEST (docs/convert.md).",
)
@ENGINE_OPTION
@click.option("--shard", default="0/1", show_default=True, metavar="I/N", help="Process every N-th shard, from I.")
@click.option("--dry-run", is_flag=True, help="Print the number of frames, hours and bytes; write nothing.")
@JSON_OPTION
def synth(
    dest: Path,
    scenes: int,
    frames: int,
    seed: int,
    preset: str,
    scale: float,
    rig: str,
    workers: int | None,
    form: str,
    engine: str,
    shard: str,
    dry_run: bool,
    json_file: Path | None,
) -> None:
    """Render a synthetic world. DEST gets ground truth for every point and pixel.

    Running it again continues it. Equal options give equal bytes.

    \b
    pointsam-label synth world --scenes 10
    pointsam-label run world --out labels --split val --semantics oracle
    """  # noqa: D301 - click needs the backspace character itself
    from pipelines.world.config import SynthConfig
    from pipelines.world.formats import synthesize_as
    from pipelines.world.render import plan_synth
    from pointsam.base.runtime import cores

    config = SynthConfig(scenes=scenes, frames=frames, seed=seed, preset=preset, scale=scale, rig=rig)
    if dry_run:
        plan = plan_synth(config, workers or cores())
        show(plan.text(), plan.as_dict(), json_file)
        return
    made, converted = synthesize_as(config, dest, form, workers or cores(), engine, shard_of(shard))
    show(made.text(), made.as_dict(), json_file)
    if converted is not None:
        say_losses(converted)
    if made.frames_left == 0:
        where = shlex.quote(str(dest))
        remark(f"next: pointsam-label run {where} --out labels --split val --semantics oracle", json_file)


@click.command()
@click.option("--out", type=PATH, default=Path("demo"), show_default=True, help="Output folder.")
@click.option(
    "--key-frames",
    "--frames",
    "frames",
    cls=RenamedOption,
    type=click.IntRange(1, 40),
    default=3,
    show_default=True,
    help="Number of key frames.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one per core]")
def demo(out: Path, frames: int, workers: int | None) -> None:
    """Render, label and score a small world. Uses the models in the package and writes a page of pictures."""
    from pipelines.world.demo import run_demo
    from pointsam.base.runtime import cores

    page = run_demo(out, frames, workers or cores())
    click.echo(f"open {page}\nnext: pointsam-label run YOUR_DATA --out labels")
