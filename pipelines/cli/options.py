"""Options that commands share, and what they ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.arguments import PluginName, frame_list, shard_of

if TYPE_CHECKING:
    from pipelines.labelling.request import Request

PATH = click.Path(path_type=Path)

DATA_OPTIONS = (
    click.argument("data", type=PATH),
    click.option("--out", type=PATH, required=True, help="Output folder; running again continues it."),
    click.option("--dataset", type=PluginName("datasets"), help="Recognised by the folder when left out."),
    click.option("--version", help="Version folder of the tables, where there are several (v1.0-trainval)."),
    click.option("--frames", help="Comma-separated frame ids."),
    click.option("--split", help="Split or scene name (train, val, scene-0061)."),
    click.option("--sample", type=click.IntRange(1), help="So many of these frames, spread evenly.  [default: all]"),
    click.option("--recipe", type=click.Choice(["default", "paper"]), default="default", show_default=True),
    click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change one field of the recipe."),
    click.option("--noise", multiple=True, metavar="NAME=VALUE", help="Perturb the calibration (docs/robustness.md)."),
    click.option("--calibration", type=PATH, help="Mend the calibration by a file of pointsam-label calibrate."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the masks; --noise has its own (seed=1)."),
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1."),
    click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core, for masks on a GPU 1]"),
    click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True),
    click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads a worker."),
    click.option("--shard", default="0/1", show_default=True, metavar="I/N", help="Every N-th shard from I."),
    click.option("--retry-failed", is_flag=True, help="Redo shards that hold quarantined frames."),
    click.option("--dry-run", is_flag=True, help="Say how many images, hours and bytes; write nothing."),
    click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
)
MASKS_OPTIONS = (
    click.option("--masks", "backend", type=PluginName("segmenters"), help="Segmenter."),
    click.option("--semantics", type=PluginName("semantics"), help="Source of classes."),
    click.option("--masks-dir", type=PATH, help="Folder of precomputed or true masks (docs/precomputed_masks.md)."),
    click.option("--mapping", type=PATH, help="JSON file that takes 2D labels to classes (docs/mapping.md)."),
    click.option("--weights", type=PATH, help="Checkpoint of the segmenter; a known one is found by name."),
)
ROOT_OPTIONS = (
    click.option("--data", type=PATH, required=True, help="The data set's root."),
    click.option("--dataset", type=PluginName("datasets"), help="Recognised by the folder when left out."),
    click.option("--version", help="Version folder of the tables."),
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1."),
)
"""Of `mixsup-train`."""
CLUSTERS_OPTIONS = (click.option("--no-sar", is_flag=True, help="Leave out separability-aware refinement."),)


def options_of(*groups: tuple[Callable[[Any], Any], ...]) -> Callable[[Any], Any]:
    """A decorator that gives a command the options of some groups."""

    def decorate(command: Any) -> Any:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


def need_torch() -> None:
    """Refuse to train without the packages for it.

    Raises:
        BackendError: BCK005.
    """
    from pointsam.base.runtime import require_packages

    require_packages("detect", "torch", "safetensors", "tensorboard")


def request_of(options: dict[str, Any]) -> Request:
    """What the options of a command ask for.

    Raises:
        SchemaError: SCH005 on a field that is none.
    """
    from dataclasses import replace

    from pipelines.labelling.request import Request
    from pipelines.robustness.cells import noise_of
    from pointsam.stages.recipes import RECIPES, with_overrides

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
        sample=options["sample"],
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
        calibration=options["calibration"],
    )
