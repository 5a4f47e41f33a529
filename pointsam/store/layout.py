"""The paths in an output folder, and the reading of its JSON files.

run.json                                    per stage: key, resolved configuration, metadata, data set root
<table>/scene=<scene>/<shard>.parquet       frames, points, clusters, masks; looked_*, looks; tracked_*, tracks; cells
manifest/<stage>.json                       the plan: all shards and their frames
manifest/<stage>/<shard>.json               written last: this shard is finished
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from pointsam.base.document import parse_document, read_document
from pointsam.base.errors import SchemaError, StoreError
from pointsam.base.files import require_file
from pointsam.base.paths import name_problem
from pointsam.store.document import PlanDocument, RunFile, ShardEntry
from pointsam.store.schema import RUN_VERSION, table_version

_T = TypeVar("_T")

STAGE_TABLES: Mapping[str, tuple[str, ...]] = {
    "masks": ("masks",),
    "clusters": ("frames", "points", "clusters"),
    "looks": ("looked_frames", "looked_points", "looked_clusters", "looks"),
    "tracks": ("tracked_frames", "tracked_points", "tracked_clusters", "tracks"),
    "noise": ("cells",),
    "synth": (),
}
"""The tables that each stage writes; the files of `synth` are nuScenes' own tables."""


def run_path(out: Path) -> Path:
    """OUT/run.json."""
    return out / "run.json"


def plan_path(out: Path, stage: str) -> Path:
    """OUT/manifest/<stage>.json."""
    return out / "manifest" / f"{stage}.json"


def entry_path(out: Path, stage: str, shard: str) -> Path:
    """OUT/manifest/<stage>/<shard>.json."""
    return out / "manifest" / stage / f"{shard}.json"


def table_path(out: Path, table: str, scene: str, shard: str) -> Path:
    """OUT/<table>/scene=<scene>/<shard>.parquet."""
    return out / table / f"scene={encode_scene(scene)}" / f"{shard}.parquet"


def encode_scene(scene: str) -> str:
    """A scene as part of a file name: percent-encoded as in hive, without a leading . or _, which would hide the file.

    Raises:
        SchemaError: SCH005 if the name is empty or too long for a folder.
    """
    if not scene:
        raise SchemaError("SCH005", "a frame has an empty scene name", "name the drive that the frame belongs to")
    encoded = quote(scene, safe="")
    encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}" if encoded[0] in "._" else encoded
    problem = name_problem(f"{encoded}-00000.parquet")
    if problem:
        raise SchemaError(
            "SCH005",
            f"the scene name {scene[:80]!r} cannot name a folder: {problem} when percent-encoded",
            "give the drive a shorter name",
        )
    return encoded


def read_run(out: Path) -> RunFile:
    """The content of run.json.

    Raises:
        StoreError: OUT004 if it is missing or damaged.
        SchemaError: SCH003 if it has another schema version.
    """
    path = run_path(out)
    if not path.exists():
        raise StoreError(
            "OUT004",
            f"{path} is missing: nothing was labelled here",
            "give the output folder of pointsam-label run DATA --out OUT",
        )

    def known(values: object) -> object:
        version = values.get("schema_version") if isinstance(values, dict) else None
        if isinstance(version, int) and version != RUN_VERSION:
            raise other_version(path, version, str(RUN_VERSION))
        return values

    return read_document(path, RunFile, lambda why: damaged(path, why), known)


def read_plan(out: Path, stage: str) -> PlanDocument | None:
    """The plan of a stage, None if it is missing or damaged."""
    return _if_whole(plan_path(out, stage), PlanDocument)


def entry_if_done(out: Path, stage: str, shard: str, key: str) -> ShardEntry | None:
    """The manifest entry of a shard if it is finished: readable, with this key, all files of their sizes; else None."""
    entry = _if_whole(entry_path(out, stage, shard), ShardEntry)
    if entry is None or entry.key != key:
        return None
    sizes = ((out / path, file.bytes) for path, file in entry.files.items())
    return entry if all(path.is_file() and path.stat().st_size == size for path, size in sizes) else None


def _if_whole(path: Path, kind: type[_T]) -> _T | None:
    """A document, None if it is missing or damaged: the run then writes it again."""
    try:
        require_file(path)
        return parse_document(path.read_bytes(), kind, lambda why: damaged(path, why))
    except (FileNotFoundError, NotADirectoryError, StoreError):
        return None


def damaged(path: Path, why: str) -> StoreError:
    """OUT004 for a file that a run wrote and that has changed since."""
    return StoreError("OUT004", f"{path} is damaged: {why}", "restore it, or give another --out")


def stage_version(stage: str) -> int:
    """The highest schema version of a stage's tables, which is part of its key."""
    return max((table_version(name) for name in STAGE_TABLES[stage]), default=RUN_VERSION)


def readable_versions(table: str) -> tuple[str, ...]:
    """Schema versions of a table that can be read: its own and the former one."""
    return tuple(str(version) for version in range(RUN_VERSION, table_version(table) + 1))


def other_version(path: Path, version: object, known: str) -> SchemaError:
    """SCH003 for a file with another schema version than those that are known."""
    return SchemaError(
        "SCH003",
        f"{path} has schema version {version}; this version of pointsam reads {known}",
        "make the labels again with another --out, or read them with the version that made them",
    )
