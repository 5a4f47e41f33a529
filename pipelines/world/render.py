"""`pointsam-label synth`: a synthetic nuScenes root as a resumable batch job."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pipelines.engine import ordered_map
from pipelines.world.config import PRESETS, SynthConfig
from pointsam import __version__
from pointsam.base.document import json_object, read_document
from pointsam.base.errors import BackendError, StoreError
from pointsam.base.open3d_loader import load_open3d
from pointsam.base.progress import progress
from pointsam.base.runtime import peak_mb
from pointsam.base.seeding import generator
from pointsam.base.words import duration
from pointsam.store import layout
from pointsam.store.document import Shard, ShardStats, StageDocument
from pointsam.store.manifest import Run, plan_shards
from pointsam.synth.sensors import SWEEP_US, SWEEPS_PER_KEY

if TYPE_CHECKING:
    from pointsam.synth.frame import Film
    from pointsam.synth.recorded import RecordedFrame

STAGE = "synth"
SHARD_FRAMES = 5
"""Key frames of a shard: as many are lost if the process is killed."""

ROWS = "synth"
"""Folder with the rows that each shard recorded for the tables."""

_NOON_US = 1_577_880_000_000_000
_FIRST_DAY = datetime.date(2020, 1, 1)
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class SynthDocument(StageDocument):
    """The configuration of a root."""

    stage: ClassVar[str] = STAGE

    config: SynthConfig


@dataclass(frozen=True)
class SynthSummary:
    """The result of one call.

    Args:
        out: the root.
        frames: number of key frames rendered by this call.
        frames_left: number of key frames left to other `--shard` calls; the call after which none is left writes the
            tables.
        wall_seconds: duration of this call.
        peak_mb: resident memory of the largest worker.
        megabytes: size of the files written by this call.
    """

    out: Path
    frames: int
    frames_left: int
    wall_seconds: float
    peak_mb: float
    megabytes: float

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return {**asdict(self), "out": str(self.out)}

    def text(self) -> str:
        """For the terminal."""
        if self.frames == 0:
            done = f"{self.out}: nothing left to do"
        else:
            done = (
                f"{self.out}: {self.frames} key frames in {self.wall_seconds:.1f} s "
                f"({self.frames / self.wall_seconds:.2f} per second), {self.megabytes:.0f} MB, "
                f"largest worker {self.peak_mb:.0f} MB"
            )
        left = f"\n{self.frames_left} key frames are left to other --shard calls; the last call writes the tables"
        return done + (left if self.frames_left else "")


@dataclass(frozen=True)
class SynthPlan:
    """Expected duration and size of a root, measured on the first key frames of one scene.

    Args:
        frames: number of key frames.
        hours: duration with these workers.
        megabytes: size of the root.
        workers: number of processes.
    """

    frames: int
    hours: float
    megabytes: float
    workers: int

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return asdict(self)

    def text(self) -> str:
        """For the terminal."""
        return (
            f"{self.frames} key frames: about {duration(self.hours * 3600)} with {self.workers} workers and "
            f"{self.megabytes:.0f} MB of disk (measured on one scene; nothing was written)\n"
            "next: the same command without --dry-run"
        )


def plan_synth(config: SynthConfig, workers: int) -> SynthPlan:
    """Build the scene halfway through, record two of its key frames, and extrapolate; nothing is written."""
    begin = time.perf_counter()
    scene = film(config, config.scenes // 2)
    first, _ = scene.record(0)  # prepares what all frames share
    ready = time.perf_counter()
    frame = min(1, config.frames - 1)
    files, _ = scene.record(frame)
    each = time.perf_counter() - ready
    frames = config.scenes * config.frames
    # Every worker builds every scene, because the frames of a scene are distributed over the workers.
    seconds = config.scenes * (ready - begin) + (frames - config.scenes) * each / workers
    first_bytes, next_bytes = (sum(map(len, made.values())) for made in (first, files))
    total = config.scenes * first_bytes + (frames - config.scenes) * next_bytes
    return SynthPlan(frames, seconds / 3600, total / 1e6, workers)


def synthesize(
    config: SynthConfig,
    out: Path,
    *,
    workers: int = 1,
    engine: str = "local",
    shard: tuple[int, int] = (0, 1),
) -> SynthSummary:
    """Render a root, or resume one.

    Args:
        config: its content.
        out: the root.
        workers: number of processes.
        engine: "local" or "ray".
        shard: (i, n) renders every n-th shard from i.

    Raises:
        StoreError: OUT001 if the folder holds a root made with another configuration, or a real data set; OUT002,
            OUT003 if it cannot be written; OUT004 if a file of an earlier call is damaged.
        BackendError: BCK005 if open3d is not installed.
    """
    load_open3d()  # a missing package is reported once, not by every worker
    _refuse_foreign(config, out)
    begin = time.perf_counter()
    document = SynthDocument(__version__, config)
    metadata = {
        "config": json_object(document),
        "taxonomy": {},
        "weights_sha256": {},
        "calibration_perturbation": "none",
        "tool_version": __version__,
    }
    frames = [(name, f"{i}/{k}") for i, name in enumerate(config.scene_names) for k in range(config.frames)]
    run = Run.open(out, STAGE, document, plan_shards(frames, SHARD_FRAMES), metadata)
    pending = run.pending(shard)
    tasks = [frame_id for part in pending for frame_id in part.frame_ids]
    peak, written = 0.0, 0
    results = ordered_map(_record, tasks, workers, _start, (config,), engine)
    with closing(results), progress(total=len(tasks), desc=STAGE, unit="frame") as bar:
        for part in pending:
            files: list[tuple[Path, bytes]] = []
            rows = []
            for _ in part.frame_ids:
                made, row, memory = next(results)
                files += [(out / name, content) for name, content in made.items()]
                rows.append(row)
                peak = max(peak, memory)
                bar.update()
            files.append((_rows_path(out, part), json.dumps(rows).encode()))
            run.commit_files(part, files, failed=0, stats=ShardStats(peak_mb=peak))
            written += sum(len(content) for _, content in files)
    left = sum(len(part.frame_ids) for part in run.pending())
    if left == 0:
        _write_tables(config, run)
    return SynthSummary(out, len(tasks), left, time.perf_counter() - begin, peak, written / 1e6)


def _refuse_foreign(config: SynthConfig, out: Path) -> None:
    """Refuse to write into a data set that was not made by this command."""
    there = [name for name in (config.version, "samples", "sweeps", "maps") if (out / name).exists()]
    if there and layout.read_plan(out, STAGE) is None:
        raise StoreError(
            "OUT001",
            f"{out} holds {', '.join(there)} of a data set that pointsam did not make",
            "give an empty or a new folder",
        )


def _rows_path(out: Path, shard: Shard) -> Path:
    return out / ROWS / f"{shard.name}.json"


def _read_rows(path: Path) -> list[RecordedFrame]:
    from pointsam.synth.recorded import RecordedFrame

    return read_document(path, list[RecordedFrame], lambda why: layout.damaged(path, why))


def _write_tables(config: SynthConfig, run: Run) -> None:
    from pointsam.synth.rig import rig
    from pointsam.synth.tables import SceneRecord, write_tables

    parts: dict[str, list[Shard]] = {}
    for shard in run.shards:
        parts.setdefault(shard.scene, []).append(shard)

    def scenes() -> Iterator[SceneRecord]:
        for i, name in enumerate(config.scene_names):
            rows: list[RecordedFrame] = []
            for shard in parts[name]:
                rows += _read_rows(_rows_path(run.out, shard))
            day = _FIRST_DAY + datetime.timedelta(days=i)
            yield SceneRecord(
                name, _logfile(config, i), rows[0]["description"], day.isoformat(), rows[0]["map_file"], rows
            )

    write_tables(run.out / config.version, rig(config.rig, config.scale), scenes(), config.splits)


def _logfile(config: SynthConfig, scene: int) -> str:
    return f"synth-{config.preset}-{config.seed}-{scene:04d}"


def _start(config: SynthConfig) -> None:
    """Prepare this process for the scenes of a root."""
    global _films
    _films = _Films(config)


class _Films:
    """Builds scenes on demand and keeps only the current one, because a scene needs much memory."""

    def __init__(self, config: SynthConfig) -> None:
        self._config = config
        self._scene = -1
        self._film: Film | None = None

    def __call__(self, scene: int) -> Film:
        if self._film is None or scene != self._scene:
            self._film = None
            self._scene, self._film = scene, film(self._config, scene)
        return self._film


def film(config: SynthConfig, scene: int) -> Film:
    """A built scene of a root, whose frames can be recorded."""
    from pointsam.synth.frame import Film
    from pointsam.synth.rig import rig
    from pointsam.synth.world import build

    rng = generator(config.seed, config.preset, str(scene), "world")
    weathers: Sequence[str] = tuple(PRESETS[config.preset])
    weather = str(rng.choice(weathers, p=tuple(PRESETS[config.preset].values())))
    duration_s = (config.frames - 1) * SWEEPS_PER_KEY * SWEEP_US * 1e-6
    world = build(rng, weather, duration_s, still=config.preset == "still")  # type: ignore[arg-type]
    name, logfile = config.scene_names[scene], _logfile(config, scene)
    sensors, start_us = rig(config.rig, config.scale), _NOON_US + scene * _DAY_US
    return Film(world, sensors, config.version, name, logfile, start_us, config.seed)


def _record(frame_id: str) -> tuple[dict[str, bytes], RecordedFrame, float]:
    number, _, frame = frame_id.partition("/")
    try:
        scene = _films(int(number))
        files, row = scene.record(int(frame))
    except (RuntimeError, MemoryError) as raised:  # raised by Embree and by a lack of memory
        raise BackendError(
            "BCK008",
            f"{type(raised).__name__} at scene {number}, frame {frame}: {raised}",
            "run the same command again, with fewer --workers if memory is short: finished shards are kept",
        ) from raised
    if frame == "0":
        row["description"], row["map_file"] = scene.world.description, f"maps/{scene.logfile}.png"
        files[row["map_file"]] = scene.map_png()
    return files, row, peak_mb()


_films: _Films
