"""The commands that need no data: `pointsam-label synth` and `pointsam-label demo`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from pipelines.cli.options import PATH, shard_of


@click.command()
@click.argument("dest", type=PATH)
@click.option(
    "--scenes", type=int, default=1, show_default=True, help="Scenes; two of up to ten, then a fifth, are val."
)
@click.option("--frames", type=int, default=40, show_default=True, help="Key frames a scene, at 2 Hz.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--preset", default="mixed", show_default=True, help="mixed, day, overcast, night, rain, or still: nothing moves."
)
@click.option("--scale", type=float, default=0.5, show_default=True, help="Size of the images; 1 is the cameras' own.")
@click.option("--rig", default="nuscenes", show_default=True, help="nuscenes: 6 cameras, 32 beams; kitti: 1 and 64.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--shard", default="0/1", show_default=True, metavar="I/N", help="Every N-th shard from I.")
@click.option("--dry-run", is_flag=True, help="Say how many frames, hours and bytes; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def synth(
    dest: Path,
    scenes: int,
    frames: int,
    seed: int,
    preset: str,
    scale: float,
    rig: str,
    workers: int | None,
    engine: str,
    shard: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Render a made-up world as a nuScenes root in DEST, with truth for every point and pixel.

    Running it again continues. Equal options give equal bytes.

    \b
    pointsam-label synth world --scenes 10
    pointsam-label run world --out labels --split val --semantics oracle
    """  # noqa: D301 - click looks for the character, not for a backslash and a letter
    from pipelines.world.config import SynthConfig
    from pipelines.world.render import plan_synth, synthesize
    from pointsam.base.runtime import cores

    config = SynthConfig(scenes=scenes, frames=frames, seed=seed, preset=preset, scale=scale, rig=rig)
    if dry_run:
        plan = plan_synth(config, workers or cores())
        click.echo(json.dumps(plan.as_dict(), indent=1) if as_json else plan.text())
        return
    made = synthesize(config, dest, workers=workers or cores(), engine=engine, shard=shard_of(shard))
    click.echo(json.dumps(made.as_dict(), indent=1) if as_json else made.text())
    if made.frames_left == 0:
        where = shlex.quote(str(dest))
        click.echo(f"next: pointsam-label run {where} --out labels --split val --semantics oracle", err=as_json)


@click.command()
@click.option("--out", type=PATH, default=Path("demo"), show_default=True, help="Folder to make.")
@click.option("--frames", type=click.IntRange(1, 40), default=3, show_default=True, help="Key frames of the world.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
def demo(out: Path, frames: int, workers: int | None) -> None:
    """Render a small world, label it with the embedded models, score it, and write a page of pictures."""
    from pipelines.world.demo import run_demo
    from pointsam.base.runtime import cores

    page = run_demo(out, frames, workers or cores())
    click.echo(f"open {page}\nnext: pointsam-label run YOUR_DATA --out labels")
