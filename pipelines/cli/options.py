"""Options that commands share, and the requests made from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict, TypeVar

import click

from pipelines.cli.networks import segmenter_of, semantics_of
from pipelines.cli.output import JSON_OPTION
from pipelines.cli.parameters import PATH, PluginName
from pointsam.base.remote import DataPath, data_path

if TYPE_CHECKING:
    from pipelines.data import DataSpec, Reading
    from pipelines.labelling.request import Request

_C = TypeVar("_C", bound="Callable[..., object] | click.Command")


_RECIPES = ("default", "paper")  # as in pointsam.stages.recipes, which is slow to import; a test compares them


class Decorator(Protocol):
    """The type of what click.option and click.argument return."""

    def __call__(self, command: _C, /) -> _C:
        """Add a parameter to a command."""


def _names(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    """Comma-separated names; `open_dataset` checks them."""
    return None if text is None else tuple(name.strip() for name in text.split(","))


READING_OPTIONS = (
    click.option(
        "--dataset",
        type=PluginName("datasets"),
        help="Type of the data set.  [default: the run's, or recognised by its files]",
    ),
    click.option(
        "--version", help="Version folder of the tables, if there are several (v1.0-trainval).  [default: the run's]"
    ),
    click.option(
        "--lidar",
        metavar="CHANNEL[,CHANNEL...]",
        help="LiDAR whose points are labelled, or several, in data with several. The first is the reference: "
        "coordinates are in its frame.  [default: the run's, or LIDAR_TOP]",
    ),
    click.option(
        "--columns",
        callback=_names,
        metavar="x,y,z,...",
        help="Values of a point in raw LiDAR files, in their order; _ for one that nothing reads.  "
        "[default: the run's, or those of the layout]",
    ),
)
"""How the data set is read. Every command that takes a data set has them; one that opens a run reads as the run did."""
ENGINE_OPTION = click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where workers run: processes of this machine, or Ray.",
)
ACCEPT_OPTION = click.option(
    "--accept",
    "accepted",
    multiple=True,
    metavar="RULE",
    help="Go on although the data break this rule of pointsam-label check.",
)
TRUTH_MAPPING_OPTION = click.option(
    "--mapping", type=PATH, help="Mapping file whose `truth` is used.  [default: that of the run's file]"
)
CLASSES_OPTION = click.option(
    "--mapping",
    type=PATH,
    help="Mapping file with own classes (docs/mapping.md).  [default: the classes of the labels]",
)
STAGE_OPTION = click.option(
    "--stage",
    type=click.Choice(["clusters", "looks", "tracks"]),
    help="Labels to use: those of the first round, after second looks, or after tracking.  "
    "[default: the last finished stage]",
)
_SOURCE = (
    click.argument("data", type=data_path),
    click.option("--out", type=PATH, required=True, help="Output folder. Running again continues it."),
    *READING_OPTIONS,
)
_RECIPE = (
    click.option(
        "--recipe",
        type=click.Choice(_RECIPES),
        default="default",
        show_default=True,
        help="Configuration to start from (docs/recipes.md).",
    ),
    click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change one field of the recipe."),
)
_EXECUTION = (
    click.option(
        "--workers", type=click.IntRange(1), help="Processes; threads for masks on a GPU.  [default: one per core]"
    ),
    ENGINE_OPTION,
    click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads per worker."),
    click.option("--shard", default="0/1", show_default=True, metavar="I/N", help="Process every N-th shard, from I."),
    click.option("--retry-failed", is_flag=True, help="Redo shards that hold quarantined frames."),
)
DEVICE_OPTION = click.option(
    "--device", default="cpu", show_default=True, help="Device of the networks: cpu, cuda or cuda:1."
)
DATA_OPTIONS = (
    *_SOURCE,
    click.option("--frames", help="Comma-separated frame ids."),
    click.option("--split", help="Split or scene name (train, val, scene-0061)."),
    click.option("--sample", type=click.IntRange(1), help="Use so many of them, evenly spaced.  [default: all]"),
    *_RECIPE,
    click.option("--noise", multiple=True, metavar="NAME=VALUE", help="Perturb the calibration (docs/robustness.md)."),
    click.option("--calibration", type=PATH, help="Correct the calibration by a file of pointsam-label calibrate."),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of the masks; --noise has its own."),
    DEVICE_OPTION,
    *_EXECUTION,
    click.option("--dry-run", is_flag=True, help="Print the number of images, hours and bytes; write nothing."),
    JSON_OPTION,
)
LATER_OPTIONS = (*_SOURCE, *_RECIPE, *_EXECUTION, JSON_OPTION)
"""Options of stages after the clusters, whose frames and calibration are those of the clusters in OUT."""
MASKS_OPTIONS = (
    click.option(
        "--masks",
        "backend",
        type=PluginName("segmenters", "hf:SOURCE"),
        help="Segmenter; SOURCE is a folder or an id of the hub (docs/segmenters.md).  [default: the recipe's]",
    ),
    click.option(
        "--semantics",
        type=PluginName("semantics", "FILE.json", "hf:SOURCE"),
        help="Source of the classes: a 2D network, files, a network of transformers (docs/classes_hf.md), or a file "
        "that describes a network (docs/onnx.md).  [default: the recipe's]",
    ),
    click.option("--masks-dir", type=PATH, help="Folder of 2D results, or a COCO file (docs/precomputed_masks.md)."),
    click.option("--mapping", type=PATH, help="JSON file that maps 2D labels to classes (docs/mapping.md)."),
    ACCEPT_OPTION,
    click.option("--weights", type=PATH, help="Checkpoint of the segmenter, or SOURCE.  [default: the published one]"),
)
ROOT_OPTIONS = (
    click.option("--data", type=data_path, metavar="PATH", required=True, help="Root of the data set."),
    *READING_OPTIONS,
    click.option("--device", default="cpu", show_default=True, help="Device of the networks: cpu, cuda or cuda:1."),
)
"""Options of `mixsup-train`."""
SPLIT_HELP = "a name, drives a,b, or a .txt file that lists frames or drives"
DIVISION_OPTIONS = (
    click.option(
        "--val-fraction",
        type=float,
        metavar="F",
        help="Divide the drives of DATA: the split val is this fraction of them, and train the rest.",
    ),
    click.option("--split-seed", type=int, default=0, show_default=True, help="Seed of --val-fraction."),
)
"""A division of whole drives, which gives any data set the splits train and val."""
CLUSTERS_OPTIONS = (
    click.option("--no-sar", is_flag=True, help="Disable separability-aware refinement."),
    click.option(
        "--probability",
        type=PATH,
        help="File of pointsam-label fit-probability (docs/probability.md).  [default: the one in the package]",
    ),
)


class ReadingOptions(TypedDict, total=False):
    """Values of READING_OPTIONS."""

    dataset: str | None
    version: str | None
    lidar: str | None
    columns: tuple[str, ...] | None


class _Root(ReadingOptions):
    data: DataPath


class DataOptions(_Root, total=False):
    """Values of the options that name a data set and change its calibration."""

    noise: tuple[str, ...]
    calibration: Path | None


class _Run(DataOptions):
    out: Path
    recipe: str
    overrides: tuple[str, ...]
    workers: int | None
    engine: str
    threads: int
    shard: str
    retry_failed: bool
    json_file: Path | None


class RunOptions(_Run, total=False):
    """Values of DATA_OPTIONS, MASKS_OPTIONS and CLUSTERS_OPTIONS; a command may lack the optional ones."""

    frames: str | None
    split: str | None
    sample: int | None
    seed: int
    device: str
    dry_run: bool
    backend: str | None
    semantics: str | None
    masks_dir: Path | None
    mapping: Path | None
    weights: Path | None
    accepted: tuple[str, ...]
    no_sar: bool
    probability: Path | None
    masks_from: Path | None


def frame_list(text: str | None) -> tuple[str, ...]:
    """Comma-separated frame ids; () if the option is not given."""
    frames = tuple(name for name in (text or "").split(",") if name)
    if text is not None and not frames:
        raise click.BadParameter("no frame id; omit the option for all frames", param_hint="--frames")
    return frames


def shard_of(text: str) -> tuple[int, int]:
    """(I, N) of --shard."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and len(text) < 20 and int(index) < int(count)):
        raise click.BadParameter(f"{text!r}: write I/N with 0 <= I < N, for example 0/4", param_hint="--shard")
    return int(index), int(count)


def options_of(*groups: tuple[Decorator, ...]) -> Decorator:
    """A decorator that gives a command the options of some groups."""

    def decorate(command: _C, /) -> _C:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


def without_help(name: str) -> Decorator:
    """A decorator that leaves an option without effect out of the help of a command; it is still accepted."""

    def decorate(command: _C, /) -> _C:
        assert isinstance(command, click.Command)
        (option,) = (one for one in command.params if one.name == name)
        assert isinstance(option, click.Option)
        option.hidden = True
        return command

    return decorate


def need_torch() -> None:
    """Raise if the packages for training are not installed.

    Raises:
        BackendError: BCK005.
    """
    from pointsam.base.runtime import require_packages

    require_packages("detect", "torch", "safetensors", "tensorboard")


def split_of(split: str | None, val_fraction: float | None, split_seed: int, default: str | None) -> str | None:
    """The split that a command's options name.

    Args:
        split: value of its option; None if it was not given.
        val_fraction: value of --val-fraction; None if it was not given.
        split_seed: value of --split-seed.
        default: the split, "train" or "val", where a division is given and `split` is not; None for all frames.

    Raises:
        SchemaError: SCH005 on a fraction that is none.
    """
    from pipelines.training.splits import SIDES, by_fraction

    if val_fraction is None:
        return split
    name = default if split is None else split
    if name is not None and name not in SIDES:
        raise click.BadParameter(f"with --val-fraction, the splits are train and val, not {name!r}")
    return None if name is None else by_fraction(name, val_fraction, split_seed)


def reading_of(options: ReadingOptions) -> Reading:
    """How a command's options say that the data set is read."""
    from pipelines.data import Reading

    return Reading(options.get("dataset"), options.get("version"), options.get("lidar"), options.get("columns"))


def data_of(options: DataOptions) -> DataSpec:
    """The data set that a command's options name, with its change of the calibration.

    Raises:
        SchemaError: SCH005 on an invalid noise or calibration file, SCH003 on a file of another version, SCH004 on one
            for a calibration with another error.
    """
    from pipelines.data import DataSpec
    from pointsam.calibration.file import read_correction
    from pointsam.calibration.perturb import noise_of

    file, noise = options.get("calibration"), noise_of(options.get("noise", ()))
    return DataSpec(
        root=options["data"],
        reading=reading_of(options),
        noise=noise,
        corrections=None if file is None else read_correction(file, noise),
    )


def request_of(options: RunOptions) -> Request:
    """The request that a command's options describe.

    Raises:
        SchemaError: SCH005 on an unknown field or a file that holds no probability, SCH003 on one of another version.
    """
    from dataclasses import replace

    from pipelines.labelling.request import Execution, Request, Selection
    from pointsam.stages.probability import read_probability
    from pointsam.stages.recipes import RECIPES, with_overrides

    probability = options.get("probability")
    if probability is not None:  # refuse it now, not after hours of masks
        read_probability(probability)
    config = RECIPES[options["recipe"]]()
    masks = config.masks
    backend, weights = segmenter_of(options.get("backend") or masks.backend, options.get("weights"))
    semantics, source = semantics_of(options.get("semantics") or masks.semantics, options.get("masks_dir"))
    masks = replace(
        masks,
        backend=backend,
        semantics=semantics,
        seed=options.get("seed", 0),
    )
    overrides = (*options["overrides"], *(["clusters.refine.enabled=false"] if options.get("no_sar") else []))
    config = with_overrides(replace(config, masks=masks), overrides)
    return Request(
        data=data_of(options),
        out=options["out"],
        config=config,
        selection=Selection(frame_list(options.get("frames")), options.get("split"), options.get("sample")),
        execution=Execution(
            device=options.get("device", "cpu"),
            threads=options["threads"],
            workers=options["workers"],
            engine=options["engine"],
            shard=shard_of(options["shard"]),
            retry_failed=options["retry_failed"],
        ),
        mapping=options.get("mapping"),
        masks_dir=source,
        weights=weights,
        accepted=tuple(sorted(set(options.get("accepted", ())))),
        masks_from=options.get("masks_from"),
        calibration=options.get("calibration"),
        probability=probability,
    )
