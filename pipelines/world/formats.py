"""A synthetic world in another layout than nuScenes' tables: rendered beside its place, then converted."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

from pipelines.conversion.convert import convert
from pipelines.conversion.new_root import require_empty
from pipelines.conversion.values import Conversion, Converted
from pipelines.data import Reading
from pipelines.world.config import SynthConfig
from pipelines.world.render import SynthSummary, synthesize
from pointsam.base.document import parse_json
from pointsam.base.errors import StoreError

_MARKER = "synth.json"
"""File of a converted world that says what it is, so that the same command finds nothing left to do."""
_LIDAR = "LIDAR_TOP"


def synthesize_as(
    config: SynthConfig, out: Path, form: str, workers: int, engine: str, shard: tuple[int, int]
) -> tuple[SynthSummary, Converted | None]:
    """Render a world in a layout, or continue to.

    Until all frames are rendered, they are in a hidden folder beside `out`, where every `--shard` call finds them.

    Args:
        config: the world.
        out: its root.
        form: its layout: nuscenes, kitti or folder.
        workers: number of processes.
        engine: as in `synthesize`.
        shard: as in `synthesize`.

    Returns:
        The summary, and the conversion if there was one.

    Raises:
        StoreError, BackendError: as `synthesize` and `convert`; OUT001 if `out` holds another world.
    """
    if form == "nuscenes":
        return synthesize(config, out, workers=workers, engine=engine, shard=shard), None
    stage = out.absolute().with_name(f".{out.absolute().name}.rendering")
    marker = {"format": form, **asdict(config)}
    if (out / _MARKER).is_file():
        if parse_json((out / _MARKER).read_bytes()) != marker:
            raise StoreError("OUT001", f"{out} holds a world made with other options", "give an empty or a new folder")
        shutil.rmtree(stage, ignore_errors=True)
        return SynthSummary(out, 0, 0, 0.0, 0.0, 0.0), None
    require_empty(out, stage)
    made = replace(synthesize(config, stage, workers=workers, engine=engine, shard=shard), out=out)
    if made.frames_left:
        return made, None
    reading = Reading("nuscenes", config.version, _lidars(stage / config.version))
    wanted = Conversion(stage, form, reading, accept_loss=True)
    converted = convert(wanted, out, workers, {_MARKER: json.dumps(marker, indent=1).encode()})
    shutil.rmtree(stage)
    return replace(made, megabytes=converted.megabytes), converted


def _lidars(folder: Path) -> str | None:
    """Channels of all LiDARs of the tables, the usual one first; None if there is only that one."""
    rows = json.loads((folder / "sensor.json").read_bytes())
    found = [row["channel"] for row in rows if row["modality"] == "lidar"]
    return ",".join(sorted(found, key=lambda name: name != _LIDAR)) if len(found) > 1 else None
