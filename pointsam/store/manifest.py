"""A stage of an output folder: shards that are finished or not, also after a crash.

A shard is finished if and only if its manifest entry can be read, has the run's key, and all its files exist with their
sizes. The entry is written last. So if a process is killed at any moment, a shard is either finished or made again; it
is also made again if its entry is damaged or a file has another size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from pointsam.base.document import differences, digest, document_bytes, json_object, write_document
from pointsam.base.errors import SchemaError, StoreError
from pointsam.base.files import store_errors, write_together
from pointsam.base.locks import claimed, locked
from pointsam.base.remote import DataPath
from pointsam.store import layout
from pointsam.store.document import (
    FileEntry,
    PlanDocument,
    PlanSummary,
    RunFile,
    Shard,
    ShardEntry,
    ShardStats,
    StageEntry,
    by_scene,
)
from pointsam.store.schema import RUN_VERSION, check_metadata
from pointsam.store.writer import table_bytes

_FROM_FILES = " (for precomputed results, this is the content of --masks-dir)"


def plan_shards(frames: Sequence[tuple[str, str]], shard_frames: int) -> tuple[Shard, ...]:
    """Divide (scene, frame_id) pairs into shards of at most `shard_frames` frames, scene by scene in their order.

    Raises:
        SchemaError: SCH005 if `shard_frames` is not positive, a frame is listed twice or a scene has no name.
    """
    different = len({frame_id for _, frame_id in frames})
    if shard_frames < 1 or different != len(frames):
        raise SchemaError(
            "SCH005",
            f"cannot divide {len(frames)} frames ({different} different) into shards of {shard_frames}",
            "list every frame once, and give a shard at least one frame",
        )
    return tuple(
        Shard(f"{layout.encode_scene(scene)}-{k:05d}", scene, tuple(members[start : start + shard_frames]))
        for scene, members in by_scene(frames).items()
        for k, start in enumerate(range(0, len(members), shard_frames))
    )


@dataclass(frozen=True, eq=False)
class Run:
    """One stage of an output folder: its plan, its finished shards, and their writing. Cheap to send to processes.

    Args:
        out: the output folder.
        stage: a key of layout.STAGE_TABLES.
        key: sha256 of document, metadata, plan and schema version; equal keys mean equal tables.
        shards: the plan.
        code: digest of the code and versions of the libraries of this process, None if they do not matter.
        other_code: how they differ from those that made the files so far; empty if they do not.
    """

    out: Path
    stage: str
    key: str
    shards: tuple[Shard, ...]
    code: Mapping[str, str] | None = None
    other_code: tuple[str, ...] = ()

    @staticmethod
    def open(
        out: Path,
        stage: str,
        document: object,
        shards: Sequence[Shard],
        metadata: Mapping[str, object],
        data_root: DataPath | None = None,
        code: Mapping[str, str] | None = None,
        models: Mapping[str, object] | None = None,
        sweep_motion: str | None = None,
    ) -> Run:
        """Start a stage in `out`, or continue it.

        If other code made files of the stage, `require_same_code` refuses to continue it.

        Args:
            out: output folder, created if it does not exist.
            stage: a key of layout.STAGE_TABLES.
            document: everything that determines the tables' content: the stage's `StageDocument`, or JSON values.
            shards: the plan, which is part of the key.
            metadata: metadata of the tables (`schema.check_metadata`), stored for readers.
            data_root: path of the data, stored for readers; it is not part of the key, because data may move.
            code: digest of the code that makes the tables, and versions of the libraries that it uses.
            models: where the models are from, stored for readers as in `StageEntry`.
            sweep_motion: what became of the motion within sweeps, likewise.

        Raises:
            StoreError: OUT001 if the folder holds this stage with another configuration, OUT002 or OUT003 if it cannot
                be written.
            SchemaError: SCH003 if the metadata are not complete.
        """
        check_metadata(metadata)  # fail now, not after the work on the first shard
        plan = PlanDocument(tuple(shards))
        keyed = {**json_object(document), "schema_version": layout.stage_version(stage), "plan": _summary(plan)}
        run = Run(Path(out), stage, digest([keyed, metadata]), plan.shards, code)
        root = None if data_root is None else str(data_root.resolve())
        entry = StageEntry(run.key, json_object(keyed), json_object(metadata), root, code, models, sweep_motion)
        with store_errors(run.out, 0), claimed(run.out):
            return replace(run, other_code=run._register(entry, plan))

    def require_same_code(self) -> None:
        """Refuse to add files to those that other code has made.

        Raises:
            StoreError: OUT001 naming the differences.
        """
        if self.other_code:
            raise StoreError(
                "OUT001",
                "\n    ".join([f"{self.out} holds {self.stage!r} made by other code or libraries:", *self.other_code]),
                "continue with the code and libraries that began the run, or give another --out; what is there can "
                "still be read",
            )

    def done(self) -> set[str]:
        """Names of the finished shards."""
        return set(self.entries())

    def entries(self) -> dict[str, ShardEntry]:
        """The manifest entries of the finished shards, by name."""
        entries = ((shard, self._entry_if_done(shard)) for shard in self.shards)
        return {shard.name: entry for shard, entry in entries if entry is not None}

    def stats(self) -> dict[str, ShardStats]:
        """Times, failures and memory of every finished shard, by name."""
        return {name: entry.stats for name, entry in self.entries().items()}

    def pending(self, shard_of: tuple[int, int] = (0, 1), *, retry_failed: bool = False) -> list[Shard]:
        """Shards that are not finished.

        Args:
            shard_of: (i, n) selects every n-th shard from the i-th, so that n machines share a run without
                communication.
            retry_failed: True also returns finished shards with quarantined frames or images.

        Raises:
            SchemaError: SCH005 unless 0 <= i < n.
        """
        i, n = shard_of
        if not 0 <= i < n:
            raise SchemaError("SCH005", f"shard {i}/{n} does not exist", "count from 0: --shard 0/4 to --shard 3/4")
        entries = ((shard, self._entry_if_done(shard)) for shard in self.shards[i::n])
        return [shard for shard, entry in entries if entry is None or (retry_failed and entry.failed)]

    def commit(
        self,
        shard: Shard,
        tables: Mapping[str, pa.Table],
        stats: ShardStats,
        sources: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Write a shard's tables, then the entry that marks it as finished.

        A shard that is finished without failures is not changed, unless it was made from other sources: the first of
        two processes wins.

        Args:
            shard: a shard of the plan.
            tables: tables by name, exactly those of the stage.
            stats: times, failures and memory.
            sources: frame_id -> digests of its sensor data; None if they were not computed.

        Raises:
            StoreError: OUT001 if another process has started the stage with another configuration, OUT002 if the disk
                is full (temporary files are removed, finished shards stay), OUT003 if the folder cannot be written.
            SchemaError: SCH003 if a table does not have the stage's name or columns.
        """
        self.commit_files(shard, *self.encoded(shard, tables), stats, sources)

    def encoded(self, shard: Shard, tables: Mapping[str, pa.Table]) -> tuple[list[tuple[Path, bytes]], int]:
        """Path and content of the file of each table, and the number of quarantined frames or images in them.

        Args:
            shard: a shard of the plan.
            tables: as for `commit`.

        Raises:
            SchemaError: SCH003 if a table does not have the stage's name or columns.
        """
        names = layout.STAGE_TABLES[self.stage]
        if set(tables) != set(names):
            raise SchemaError(
                "SCH003", f"stage {self.stage!r} got tables {sorted(tables)}", f"commit exactly: {', '.join(names)}"
            )
        paths = [layout.table_path(self.out, name, shard.scene, shard.name) for name in names]
        files = [(path, table_bytes(name, tables[name])) for path, name in zip(paths, names, strict=True)]
        return files, tables[names[0]]["status"].to_pylist().count("failed")

    def commit_files(
        self,
        shard: Shard,
        files: Sequence[tuple[Path, bytes]],
        failed: int,
        stats: ShardStats,
        sources: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """As `commit`, for a stage that writes files of any kind.

        Args:
            shard: a shard of the plan.
            files: path below `out` and content of each file.
            failed: number of quarantined frames or images in the shard.
            stats: as for `commit`.
            sources: as for `commit`.
        """
        files = [*files, self._seal(shard, files, failed, stats, sources)]
        with store_errors(self.out, sum(len(data) for _, data in files)), locked(self.out):
            self._require_registered(layout.read_run(self.out))
            entry = self._entry_if_done(shard)
            if entry is None or entry.failed or entry.sources != sources:
                write_together(files)

    def keep_remarks(self, scene: str, remarks: Sequence[str]) -> None:
        """Replace what run.json says of a scene.

        Args:
            scene: the scene.
            remarks: what users should know of it, nothing if there is nothing.

        Raises:
            StoreError: as `commit`.
        """
        with store_errors(self.out, 0), locked(self.out):
            run = layout.read_run(self.out)
            entry = self._require_registered(run)
            kept = {name: texts for name, texts in (entry.remarks or {}).items() if name != scene}
            kept |= {scene: tuple(remarks)} if remarks else {}
            ordered = {name: tuple(kept[name]) for name in sorted(kept)} or None
            if ordered != entry.remarks:
                changed = replace(entry, remarks=ordered)
                document = replace(run, stages={**run.stages, self.stage: changed})
                write_document(layout.run_path(self.out), document, indent=2)

    def remarks(self) -> Mapping[str, Sequence[str]]:
        """What run.json says of scenes, by scene."""
        return self._require_registered(layout.read_run(self.out)).remarks or {}

    def _require_registered(self, run: RunFile) -> StageEntry:
        """The entry of this run in run.json."""
        entry = run.stages.get(self.stage)
        if entry is None or (entry.key, entry.code) != (self.key, self.code):
            raise StoreError(
                "OUT001",
                f"{self.out}: another process started {self.stage!r} with another configuration or other code during "
                "this run",
                "give each configuration its own --out, then run the same command again",
            )
        return entry

    def _seal(
        self,
        shard: Shard,
        files: Sequence[tuple[Path, bytes]],
        failed: int,
        stats: ShardStats,
        sources: Mapping[str, Mapping[str, str]] | None,
    ) -> tuple[Path, bytes]:
        """Path and content of the manifest entry that marks a shard as finished."""
        described = {
            path.relative_to(self.out).as_posix(): FileEntry(hashlib.sha256(data).hexdigest(), len(data))
            for path, data in files
        }
        entry = ShardEntry(self.key, described, failed, stats, sources)
        content = document_bytes(entry, indent=1, sort_keys=False)
        return layout.entry_path(self.out, self.stage, shard.name), content

    def _entry_if_done(self, shard: Shard) -> ShardEntry | None:
        return layout.entry_if_done(self.out, self.stage, shard.name, self.key)

    def _register(self, entry: StageEntry, plan: PlanDocument) -> tuple[str, ...]:
        """Update run.json and the plan; the caller holds the lock. Returns how the code differs from the registered."""
        path = layout.run_path(self.out)
        run = layout.read_run(self.out) if path.exists() else RunFile(RUN_VERSION, {})
        old = run.stages.get(self.stage)
        changed, other_code = old is None or old.key != self.key, list[str]()
        if changed:
            self._refuse_if_written(old, entry)
        elif old is not None and old.code != self.code and self._is_written():
            other_code = code_differences(old.code, self.code or {})
            entry = replace(entry, code=old.code)
        if not changed and old is not None:
            entry = replace(entry, models=old.models or entry.models, remarks=old.remarks)
        if changed or layout.read_plan(self.out, self.stage) != plan:
            write_document(layout.plan_path(self.out, self.stage), plan)
        if old != entry:
            write_document(path, replace(run, stages={**run.stages, self.stage: entry}), indent=2)
        return tuple(other_code)

    def _is_written(self) -> bool:
        """Whether there are files of the stage, other than the plan."""
        tables = (self.out / name for name in layout.STAGE_TABLES[self.stage])
        return any(any(folder.glob("scene=*/*.parquet")) for folder in tables) or any(
            (self.out / "manifest" / self.stage).glob("*.json")
        )

    def _refuse_if_written(self, old: StageEntry | None, new: StageEntry) -> None:
        """Check that nothing of a stage is written whose configuration changes."""
        names = layout.STAGE_TABLES[self.stage]
        if not self._is_written():
            return
        changes = ["its configuration is not known: run.json does not list it"]
        if old is not None:
            changes = differences(*({**entry.metadata, "config": None, **entry.document} for entry in (old, new)))
            changes = [change + _FROM_FILES * change.startswith("weights_sha256.semantics: ") for change in changes]
        # The files of a stage without tables are anywhere in the folder; those of two runs must not mix.
        kept = (*names, f"manifest/{self.stage}") if names else ("",)
        folders = " ".join(str(self.out / name) for name in kept)
        raise StoreError(
            "OUT001",
            "\n    ".join([f"{self.out} holds {self.stage!r} made with another configuration:", *changes]),
            f"give another --out, go back to the old configuration, or delete what is there: rm -r {folders}",
        )


def code_differences(made: Mapping[str, str] | None, now: Mapping[str, str]) -> list[str]:
    """How the code and the libraries that made files differ from those of this process; empty if they do not."""
    if made is None:
        return ["they were not recorded: the run was made by an older version"]
    return differences(made, now)


def _summary(plan: PlanDocument) -> PlanSummary:
    return PlanSummary(len(plan.shards), sum(len(shard.frame_ids) for shard in plan.shards), digest(plan))
