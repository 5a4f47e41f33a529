"""Which networks --masks and --semantics name, and the command `pointsam-label try-2d`."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.cli.output import JSON_OPTION, remark, show
from pipelines.cli.parameters import PATH
from pointsam.base.errors import SchemaError


def segmenter_of(name: str, weights: Path | None) -> tuple[str, Path | None]:
    """The plug-in of --masks and its weights; `hf:SOURCE` names both.

    Raises:
        SchemaError: SCH005 on `hf:SOURCE` beside --weights.
    """
    if not name.startswith("hf:"):
        return name, weights
    if weights is not None:
        raise SchemaError("SCH005", f"--masks {name} --weights {weights}: two sources", "leave one of them out")
    return "hf", PATH.convert(name.removeprefix("hf:"), None, None)


def semantics_of(name: str, masks_dir: Path | None) -> tuple[str, Path | None]:
    """The plug-in of --semantics and what it reads; `hf:SOURCE` names both, a file the plug-in that reads it.

    Raises:
        SchemaError: SCH005 on a network beside --masks-dir.
    """
    of_hub = name.startswith("hf:")
    if not of_hub and not name.endswith(".json"):
        return name, masks_dir
    from pointsam.semantics.described import plugin_of_file

    if masks_dir is not None:
        raise SchemaError(
            "SCH005",
            f"--semantics {name} --masks-dir {masks_dir}: a network's classes, or those of its results",
            "leave one of them out",
        )
    path = PATH.convert(name.removeprefix("hf:"), None, None)
    return ("hf" if of_hub else plugin_of_file(path)), path


@click.command("try-2d")
@click.argument("model")
@click.argument("images", type=PATH, nargs=-1, required=True)
@click.option("--dest", type=PATH, required=True, help="Folder for the pictures.")
@click.option("--mapping", type=PATH, help="JSON file that maps the network's labels to classes (docs/mapping.md).")
@click.option("--taxonomy", default="nuscenes", show_default=True, help="Type of data set, without --mapping.")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Option of the network, as for run.")
@click.option("--overwrite", is_flag=True, help="Replace existing pictures.")
@JSON_OPTION
def try_2d(
    model: str,
    images: tuple[Path, ...],
    dest: Path,
    mapping: Path | None,
    taxonomy: str,
    overrides: tuple[str, ...],
    overwrite: bool,
    json_file: Path | None,
) -> None:
    """Draw what a 2D network finds in images, and list its labels with their classes.

    MODEL is a file that describes a network (docs/onnx.md, docs/torchvision.md) or asks one in words, a network of
    transformers as hf:SOURCE (docs/classes_hf.md), or ssd or nanodet. Boxes of labels without a class are grey.

    \b
    pointsam-label try-2d yolox.json front.jpg side.jpg --dest tried
    pointsam-label try-2d yolox.json front.jpg --dest tried --set masks.onnx.tile_px=640
    pointsam-label try-2d hf:PekingU/rtdetr_v2_r50vd front.jpg --dest tried
    """  # noqa: D301 - click needs the backspace character itself
    from dataclasses import replace

    from pipelines.review.try_network import try_network
    from pointsam.base import plugins
    from pointsam.semantics import SemanticsContext, mapping_of
    from pointsam.stages.recipes import RECIPES, with_overrides
    from pointsam.taxonomy import BringsTaxonomy

    name, source = semantics_of(model, None)
    click.echo(f"loading {model}", err=True)  # importing torch and transformers takes a while
    config = RECIPES["default"]()
    config = with_overrides(replace(config, masks=replace(config.masks, semantics=name)), overrides)
    options = config.masks.semantics_options()
    labels = mapping_of(name, plugins.load("datasets", taxonomy, BringsTaxonomy).taxonomy, mapping, source, options)
    tried = try_network(name, options, SemanticsContext(labels, source), images, dest, overwrite)
    show(tried.text(), tried.as_dict(), json_file)
    remark(f"drew {', '.join(map(str, tried.pictures))}", json_file)
