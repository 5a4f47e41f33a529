"""`pointsam-label synth`: a synthetic nuScenes root as a resumable batch job."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines.engine import ordered_map
from pipelines.progress import progress
from pipelines.worker import peak_mb
from pointsam import __version__
from pointsam.datasets.nuscenes_splits import split_scenes
from pointsam.draws import generator
from pointsam.errors import SchemaError
from pointsam.store.manifest import Run, Shard, plan_shards
from pointsam.synth.rig import SWEEP_US, SWEEPS_PER_KEY

STAGE = "synth"
SHARD_FRAMES = 5
"""Key frames a shard: what a kill can cost."""

ROWS = "synth"
"""Folder of what each shard recorded for the tables."""

PRESETS: Mapping[str, Mapping[str, float]] = {
    "mixed": {"day": 0.45, "overcast": 0.24, "rain": 0.19, "night": 0.12},
    "day": {"day": 1.0},
    "overcast": {"overcast": 1.0},
    "night": {"night": 1.0},
    "rain": {"rain": 1.0},
    "still": {"day": 1.0},
}
"""Weathers with their shares; `mixed` has nuScenes' share of rain and night, in `still` nothing moves."""

_NOON_US = 1_577_880_000_000_000
_FIRST_DAY = datetime.date(2020, 1, 1)
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class SynthConfig:
    """What a root holds; equal values give equal bytes.

    Args:
        scenes: number of scenes, up to 750: every fifth, from the first on, is one of nuScenes' val split.
        frames: key frames a scene, half a second apart; nuScenes has 40.
        seed: of everything.
        preset: a key of PRESETS.
        scale: of the images; 1 is 1600 x 900 pixels.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    scenes: int = 1
    frames: int = 40
    seed: int = 0
    preset: str = "mixed"
    scale: float = 0.5

    def __post_init__(self) -> None:
        for name, fits, domain in (
            ("scenes", 1 <= self.scenes <= 750, "1 to 750, the scenes that nuScenes has names for in these shares"),
            ("frames", 1 <= self.frames <= 400, "1 to 400"),
            ("preset", self.preset in PRESETS, ", ".join(PRESETS)),
            ("scale", 0.1 <= self.scale <= 2, "0.1 to 2"),
        ):
            if not fits:
                raise SchemaError("SCH005", f"synth {name} = {getattr(self, name)}", f"choose {domain}")

    @property
    def scene_names(self) -> tuple[str, ...]:
        """NuScenes' own names, so that every tool finds the scenes in its splits."""
        names = {split: iter(sorted(split_scenes(split))) for split in ("train", "val")}
        return tuple(next(names["val" if i % 5 == 0 else "train"]) for i in range(self.scenes))

    @property
    def splits(self) -> dict[str, list[str]]:
        """Split -> scene names."""
        names = self.scene_names
        return {"train": [n for i, n in enumerate(names) if i % 5], "val": list(names[::5])}


@dataclass(frozen=True)
class SynthSummary:
    """What one call did.

    Args:
        out: the root.
        frames: key frames made by this call.
        frames_left: key frames that other `--shard` calls still have to make; the tables are written when none is.
        wall_seconds: of this call.
        peak_mb: resident memory of the largest worker.
        megabytes: written by this call.
    """

    out: Path
    frames: int
    frames_left: int
    wall_seconds: float
    peak_mb: float
    megabytes: float

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {**asdict(self), "out": str(self.out)}

    def text(self) -> str:
        """For the terminal."""
        if self.frames == 0:
            done = f"{self.out}: nothing left to do"
        else:
            done = (
                f"{self.out}: {self.frames} key frames in {self.wall_seconds:.1f} s "
                f"({self.frames / self.wall_seconds:.2f} a second), {self.megabytes:.0f} MB, "
                f"largest worker {self.peak_mb:.0f} MB"
            )
        left = f"\n{self.frames_left} key frames are left to other --shard calls; the last writes the tables"
        return done + (left if self.frames_left else "")


def synthesize(
    config: SynthConfig,
    out: Path,
    *,
    workers: int = 1,
    engine: str = "local",
    shard: tuple[int, int] = (0, 1),
) -> SynthSummary:
    """Make a root, or go on with one.

    Args:
        config: what it holds.
        out: the root.
        workers: processes.
        engine: "local" or "ray".
        shard: (i, n) makes every n-th shard from i.

    Raises:
        StoreError: OUT001 if the folder holds a root made otherwise, OUT002, OUT003 if it cannot be written.
        BackendError: BCK005 if open3d is not installed.
    """
    from pointsam.synth.raycast import open3d

    open3d()  # says at once what is missing, not in every worker
    begin = time.perf_counter()
    document = {"tool_version": __version__, "config": asdict(config)}
    metadata = {
        "config": document,
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
            run.commit_files(part, files, failed=0, stats={"peak_mb": peak})
            written += sum(len(content) for _, content in files)
    left = sum(len(part.frame_ids) for part in run.pending())
    if left == 0:
        _write_tables(config, run)
    return SynthSummary(out, len(tasks), left, time.perf_counter() - begin, peak, written / 1e6)


def _rows_path(out: Path, shard: Shard) -> Path:
    return out / ROWS / f"{shard.name}.json"


def _write_tables(config: SynthConfig, run: Run) -> None:
    from pointsam.synth.rig import cameras
    from pointsam.synth.tables import SceneRecord, write_tables

    parts: dict[str, list[Shard]] = {}
    for shard in run.shards:
        parts.setdefault(shard.scene, []).append(shard)

    def scenes() -> Iterator[SceneRecord]:
        for i, name in enumerate(config.scene_names):
            rows: list[Mapping[str, Any]] = []
            for shard in parts[name]:
                rows += json.loads(_rows_path(run.out, shard).read_bytes())
            day = _FIRST_DAY + datetime.timedelta(days=i)
            yield SceneRecord(
                name, _logfile(config, i), rows[0]["description"], day.isoformat(), rows[0]["map_file"], rows
            )

    write_tables(run.out, cameras(config.scale), scenes(), config.splits)


def _logfile(config: SynthConfig, scene: int) -> str:
    return f"synth-{config.preset}-{config.seed}-{scene:04d}"


def _start(config: SynthConfig) -> None:
    """Say what this process makes; a scene is built with its first frame and kept until the next scene's."""
    global _film
    _film = lru_cache(maxsize=1)(lambda scene: _build(config, scene))


def _build(config: SynthConfig, scene: int) -> Any:
    from pointsam.synth.frame import Film
    from pointsam.synth.rig import cameras
    from pointsam.synth.world import build

    rng = generator(config.seed, config.preset, str(scene), "world")
    weathers: Sequence[str] = tuple(PRESETS[config.preset])
    weather = str(rng.choice(weathers, p=tuple(PRESETS[config.preset].values())))
    duration_s = (config.frames - 1) * SWEEPS_PER_KEY * SWEEP_US * 1e-6
    world = build(rng, weather, duration_s, still=config.preset == "still")  # type: ignore[arg-type]
    name, logfile = config.scene_names[scene], _logfile(config, scene)
    return Film(world, cameras(config.scale), name, logfile, _NOON_US + scene * _DAY_US, config.seed)


def _record(frame_id: str) -> tuple[dict[str, bytes], dict[str, Any], float]:
    scene, _, frame = frame_id.partition("/")
    film = _film(int(scene))
    files, row = film.record(int(frame))
    if frame == "0":
        row.update(description=film.world.description, map_file=f"maps/{film.logfile}.png")
        files[row["map_file"]] = film.map_png()
    return files, row, peak_mb()


_film: Any
