"""Reads an output folder: one shard of a table in memory, every file checked against its manifest entry."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pointsam.base.document import digest, document_from
from pointsam.base.errors import DatasetError, StoreError
from pointsam.base.remote import DataPath, data_path
from pointsam.store import layout, rows
from pointsam.store.document import (
    DatasetId,
    PlanSummary,
    Shard,
    ShardEntry,
    StageDocument,
    StageEntry,
    StageMetadata,
)
from pointsam.store.schema import METADATA_PREFIX
from pointsam.taxonomy import Taxonomy
from pointsam.types import Cluster, FrameLabels, FrameRow, ImageMasks, Membership, TrackedLabels, TrackRow

LabelStage: TypeAlias = Literal["clusters", "looks", "tracks"]
"""A stage whose tables are labels of points."""

_Document = TypeVar("_Document", bound=StageDocument)
_Part = TypeVar("_Part")


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A table of a shard; the rows of a frame are consecutive."""

    shard: str
    table: pa.Table
    rows_of: Mapping[str, range]


class Labels:
    """An output folder, finished or not. Opening it reads run.json only; everything else is read on demand.

    Args:
        out: the output folder.
        stage: the stage whose labels are read: "clusters", those of the first round, "looks", after second looks, or
            "tracks", after tracking.

    Raises:
        StoreError: OUT004 if it has no run.json.
        SchemaError: SCH003 if its tables have another schema version.
    """

    def __init__(self, out: Path | str, stage: LabelStage = "clusters") -> None:
        self.out = Path(out)
        self.stage = stage
        self._stages = layout.read_run(self.out).stages
        self._plans: dict[str, dict[str, Shard]] = {}
        self._loaded: dict[str, _Loaded] = {}
        self._sources: dict[str, tuple[str, Mapping[str, Mapping[str, str]]]] = {}

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages that were started in the folder, such as "masks" and "clusters"."""
        return tuple(self._stages)

    def document(self, kind: type[_Document]) -> _Document:
        """The document of a stage: everything that it was made with.

        Args:
            kind: class of the stage's document.

        Raises:
            StoreError: OUT004 if the stage was not run here, or run.json is damaged. All methods with a stage raise it.
        """
        values = {k: v for k, v in self._stage(kind.stage).document.items() if k not in ("schema_version", "plan")}
        return self._part(kind.sorted_out(values), kind, kind.stage, "document")

    def dataset(self, stage: str | None = None) -> DatasetId:
        """The data that a stage was made from, by default that of the labels; so for all methods with a stage."""
        stage = stage or self.stage
        return self._part(self._stage(stage).document.get("dataset"), DatasetId, stage, "document.dataset")

    def key(self, stage: str) -> str:
        """Equal keys mean interchangeable tables."""
        return self._stage(stage).key

    def code(self, stage: str) -> Mapping[str, str] | None:
        """Digest of the code and versions of the libraries that made a stage, None if the run did not record them."""
        return self._stage(stage).code

    def sources(self, stage: str, frame_id: str) -> Mapping[str, str]:
        """Digests of the data that a frame was made from (`pointsam.store.sources`); empty in runs of 0.1.0.

        Raises:
            DatasetError, StoreError: as `labels`, but tables are not read.
        """
        shard = self._shard(stage, frame_id)
        name, entry = self._sources.get(stage, ("", {}))
        if name != shard.name:
            entry = self._finished(stage, shard, frame_id).sources or {}
            self._sources[stage] = shard.name, entry
        return entry.get(frame_id, {})

    def content(self, stage: str, frame_ids: Iterable[str]) -> str:
        """Hex digest of the files of the finished shards that hold any of the frames."""
        plan = self._plan(stage)
        shards = dict.fromkeys(plan[frame_id] for frame_id in frame_ids if frame_id in plan)
        entries = {shard.name: self._entry(stage, shard) for shard in shards}
        return digest({name: entry.files for name, entry in entries.items() if entry is not None})

    def remarks(self) -> Mapping[str, Sequence[str]]:
        """What users should know of scenes, by scene, as the stage of the labels found it."""
        return self._stage(self.stage).remarks or {}

    def metadata(self, stage: str) -> StageMetadata:
        """Metadata of the stage's tables."""
        return self._part(self._stage(stage).metadata, StageMetadata, stage, "metadata")

    def data_root(self, stage: str | None = None) -> DataPath | None:
        """Path of the data when the stage ran last, None if the run did not record it."""
        root = self._stage(stage or self.stage).data_root
        return None if root is None else data_path(root)

    def selection(self, stage: str) -> list[tuple[str, str]]:
        """(scene, frame_id) of every frame in the stage's plan, finished or not, in the data set's order."""
        return [(shard.scene, frame_id) for frame_id, shard in self._plan(stage).items()]

    def frame_ids(self, stage: str | None = None) -> list[str]:
        """Frames of the finished shards, in the data set's order."""
        return [frame_id for shard, _ in self._done(stage or self.stage) for frame_id in shard.frame_ids]

    def unfinished(self, stage: str | None = None) -> int:
        """Number of frames in the stage's plan whose shard is not finished."""
        return len(self._plan(stage or self.stage)) - len(self.frame_ids(stage))

    @property
    def taxonomy(self) -> Taxonomy:
        """The classes of the labels.

        Raises:
            StoreError: OUT004 if run.json is damaged.
        """
        return self.metadata("clusters" if "clusters" in self._stages else "masks").taxonomy

    def frames(self) -> list[FrameRow]:
        """The `frames` rows of all finished shards, including quarantined frames."""
        found = []
        for shard, entry in self._done(self.stage):
            loaded = self._load(layout.STAGE_TABLES[self.stage][0], shard, entry)
            found += [rows.read_frame(loaded.table, row, shard.scene) for row in range(loaded.table.num_rows)]
        return found

    def cells(self) -> Iterator[tuple[str, pa.Table]]:
        """Scene and `cells` table of every finished shard of a noise sweep."""
        for shard, entry in self._done("noise"):
            yield shard.scene, self._load("cells", shard, entry).table

    def cluster_sizes(self) -> Iterator[tuple[str, str, int]]:
        """(frame_id, class name, number of points) of all clusters in finished shards, without reading points."""
        for shard, entry in self._done(self.stage):
            table = self._load(layout.STAGE_TABLES[self.stage][2], shard, entry).table
            columns = (table[name].to_pylist() for name in ("frame_id", "class_name", "num_points"))
            yield from zip(*columns, strict=True)

    def labels(self, frame_id: str) -> FrameLabels:
        """All labels of one frame. Those of a quarantined frame are empty; see `.frame.status`.

        Raises:
            DatasetError: DAT010 if the frame is not in the stage's plan.
            StoreError: OUT004 if it is not finished yet, or its file is damaged.
        """
        tables = layout.STAGE_TABLES[self.stage][:3]
        frames, points, clusters = (self._rows(name, self.stage, frame_id) for name in tables)
        scene = self._plan(self.stage)[frame_id].scene
        return FrameLabels(
            rows.read_frame(frames[0], frames[1][0], scene),
            *rows.read_points(points[0], points[1][0]),
            rows.read_clusters(*clusters),
        )

    def clusters(self, frame_id: str) -> tuple[Cluster, ...]:
        """The clusters of one frame, without reading its points; errors as of `labels`."""
        return rows.read_clusters(*self._rows(layout.STAGE_TABLES[self.stage][2], self.stage, frame_id))

    def tracked(self, frame_id: str) -> TrackedLabels:
        """The labels of one frame with their tracks; errors as of `labels`."""
        points, clusters = (self._rows(f"tracked_{name}", "tracks", frame_id) for name in ("points", "clusters"))
        return rows.read_tracked(self.labels(frame_id), points[0], points[1][0], *clusters)

    def frame(self, frame_id: str) -> FrameRow:
        """The `frames` row of one frame, without reading its points; errors as of `labels`."""
        table, members = self._rows(layout.STAGE_TABLES[self.stage][0], self.stage, frame_id)
        return rows.read_frame(table, members[0], self._plan(self.stage)[frame_id].scene)

    def members(self, frame_id: str) -> tuple[Membership, ...]:
        """The tracks of the clusters of one frame, without reading its points; errors as of `labels`."""
        return rows.read_members(*self._rows("tracked_clusters", "tracks", frame_id))

    def tracks(self, scene: str | None = None) -> Iterator[tuple[str, tuple[TrackRow, ...]]]:
        """Name and tracks of every scene, by track_id, as far as their last shards are finished.

        Args:
            scene: the only scene to read, None for all.
        """
        for scene_of, shards in groupby(self._done("tracks"), lambda done: done[0].scene):
            if scene not in (None, scene_of):
                continue
            found = [track for one in shards for track in rows.read_tracks(self._load("tracks", *one).table)]
            yield scene_of, tuple(sorted(found, key=lambda track: track.track_id))

    def masks(self, frame_id: str) -> dict[str, ImageMasks]:
        """Masks of the images of one frame by camera, in the data set's order.

        Raises:
            DatasetError, StoreError: as `labels`.
        """
        return self._masks("masks", frame_id)

    def looks(self, frame_id: str) -> dict[str, ImageMasks]:
        """Masks of second looks of the images of one frame by camera, of those that have some; errors as of `masks`."""
        return self._masks("looks", frame_id)

    def _masks(self, table_name: str, frame_id: str) -> dict[str, ImageMasks]:
        """Masks of a table whose name is that of its stage."""
        table, members = self._rows(table_name, table_name, frame_id)
        images = [rows.read_image_masks(table, row) for row in members]
        return {image.camera: image for image in images}

    def _stage(self, stage: str) -> StageEntry:
        if stage not in self._stages:
            raise StoreError(
                "OUT004",
                f"{self.out} has no {stage}: run.json lists {', '.join(self._stages) or 'nothing'}",
                f"pointsam-label {stage} DATA --out {self.out}",
            )
        return self._stages[stage]

    def _part(self, values: object, kind: type[_Part], stage: str, name: str) -> _Part:
        """A part of a stage's entry in run.json."""
        path = layout.run_path(self.out)
        return document_from(values, kind, lambda why: layout.damaged(path, f"in stages.{stage}.{name}: {why}"))

    def _plan(self, stage: str) -> dict[str, Shard]:
        """The shard of every frame."""
        if stage not in self._plans:
            summary = self._part(self._stage(stage).document.get("plan"), PlanSummary, stage, "document.plan")
            plan = layout.read_plan(self.out, stage)
            if plan is None or digest(plan) != summary.sha256:
                raise StoreError(
                    "OUT004",
                    f"{layout.plan_path(self.out, stage)} is missing or damaged",
                    f"pointsam-label {stage} DATA --out {self.out} with the same options writes it again",
                )
            self._plans[stage] = {frame_id: shard for shard in plan.shards for frame_id in shard.frame_ids}
        return self._plans[stage]

    def _done(self, stage: str) -> Iterator[tuple[Shard, ShardEntry]]:
        for shard in dict.fromkeys(self._plan(stage).values()):
            entry = self._entry(stage, shard)
            if entry is not None:
                yield shard, entry

    def _entry(self, stage: str, shard: Shard) -> ShardEntry | None:
        return layout.entry_if_done(self.out, stage, shard.name, self.key(stage))

    def _rows(self, table: str, stage: str, frame_id: str) -> tuple[pa.Table, range]:
        """The table of the frame's shard, and the frame's rows in it."""
        shard = self._shard(stage, frame_id)
        loaded = self._loaded.get(table)
        if loaded is None or loaded.shard != shard.name:
            loaded = self._load(table, shard, self._finished(stage, shard, frame_id))
        return loaded.table, loaded.rows_of.get(frame_id, range(0))

    def _shard(self, stage: str, frame_id: str) -> Shard:
        """The shard of a frame."""
        shard = self._plan(stage).get(frame_id)
        if shard is None:
            raise DatasetError(
                "DAT010",
                f"{self.out}: frame {frame_id!r} is not in the plan of stage {stage!r}",
                f"make its {stage} first: pointsam-label {stage} DATA --frames {frame_id} --out OTHER",
            )
        return shard

    def _finished(self, stage: str, shard: Shard, frame_id: str) -> ShardEntry:
        """The manifest entry of the shard of a frame, which must be finished."""
        entry = self._entry(stage, shard)
        if entry is None:
            raise StoreError(
                "OUT004",
                f"{self.out}: frame {frame_id!r} has no {stage} yet (shard {shard.name} is not finished)",
                f"finish the run: pointsam-label {stage} DATA --out {self.out} with the same options",
            )
        return entry

    def _load(self, name: str, shard: Shard, entry: ShardEntry) -> _Loaded:
        self._loaded.pop(name, None)  # never hold two shards of a table in memory
        path = layout.table_path(self.out, name, shard.scene, shard.name)
        stated = entry.files.get(path.relative_to(self.out).as_posix())
        content = b"" if stated is None else path.read_bytes()
        if stated is None or hashlib.sha256(content).hexdigest() != stated.sha256:
            raise StoreError(
                "OUT004",
                f"{path} is damaged: its content is not what was written",
                "delete the file and run the same command again: only its shard is made again",
            )
        # A thread of Arrow's pool could free `content` while the interpreter exits, which aborts the process.
        table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False).combine_chunks()
        version = (table.schema.metadata or {}).get(f"{METADATA_PREFIX}schema_version".encode(), b"unknown").decode()
        known = layout.readable_versions(name)
        if version not in known:
            raise layout.other_version(path, version, " and ".join(known))
        rows_of, start = {}, 0
        frame_ids = table["frame_id"].to_pylist() if "frame_id" in table.column_names else []
        for frame_id, count in Counter(frame_ids).items():
            rows_of[frame_id] = range(start, start + count)
            start += count
        loaded = self._loaded[name] = _Loaded(shard.name, table, rows_of)
        return loaded
