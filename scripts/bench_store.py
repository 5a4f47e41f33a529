"""Bytes per sweep, rows and points per second, and memory of the store, on random sweeps of nuScenes' size.

    python scripts/bench_store.py [SWEEPS]

Objects are boxes in the view of a spinning 32-beam scanner, so that labels have the run lengths of real files.
Compression levels of Parquet are compared with numpy files of the same points, as the published tool writes them.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pointsam.store.document import ShardStats
from pointsam.store.manifest import Run, plan_shards
from pointsam.store.reader import Labels
from pointsam.store.schema import clusters_table, frames_table, masks_table, points_table
from pointsam.store.writer import ZSTD_LEVEL, table_bytes
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, Cluster, Detections, FrameLabels, FrameRow, ImageMasks, Masks, PointLabels

BEAMS, AZIMUTHS, OBJECTS, SHARD_FRAMES = 32, 1085, 30, 20
METADATA = {
    "config": {},
    "taxonomy": {},
    "weights_sha256": "",
    "calibration_perturbation": "none",
    "tool_version": "bench",
}


def sweep(seed):
    """Labels of one frame: objects cover rectangles of the scan, without a tenth of their points."""
    rng = np.random.default_rng(seed)
    ids = np.full((AZIMUTHS, BEAMS), NO_INSTANCE, np.int32)
    for k in range(OBJECTS):
        a, b = rng.integers(0, AZIMUTHS - 60), rng.integers(4, BEAMS - 8)
        patch = ids[a : a + rng.integers(3, 60), b : b + rng.integers(2, 8)]
        patch[rng.random(patch.shape) < 0.9] = k
    ids = ids.ravel()
    kinds = rng.integers(0, 10, OBJECTS)
    classes = np.where(ids == NO_INSTANCE, BACKGROUND, kinds[ids]).astype(np.uint8)
    xyz = rng.normal(size=(OBJECTS, 2, 3)).astype(np.float32).astype(np.float64)
    clusters = tuple(
        Cluster(
            k,
            int(kinds[k]),
            f"class_{kinds[k]}",
            int((ids == k).sum()),
            tuple(20 * xyz[k, 0]),
            tuple(np.abs(xyz[k, 1])),
            *np.abs(rng.normal(size=2)),
            ("CAM_FRONT",),
            (int(rng.integers(0, 90)),),
            *rng.random(3),
            3,
            rng.random(),
            20,
            *rng.random(2),
        )
        for k in range(OBJECTS)
    )
    views = np.repeat(rng.integers(0, 3, AZIMUTHS // 35), 35 * BEAMS).astype(np.uint8)
    frame = FrameRow(f"{seed:032x}", "scene", seed * 500_000, ids.size, OBJECTS, calibration_hash=f"{seed:016x}")
    return FrameLabels(
        frame,
        PointLabels(ids, classes),
        views,
        (ids != -1).astype(np.uint8),
        (ids != -1) & (rng.random(ids.size) < 0.2),
        clusters,
    )


def image(seed, camera):
    """Masks of one image: 90 candidates of 300 random bytes (incompressible, so an upper bound)."""
    rng = np.random.default_rng(seed)
    scores = rng.random((2, 90), dtype=np.float32)
    masks = Masks(900, 1600, tuple(rng.bytes(300) for _ in range(90)), *scores, np.full(90, -1, np.int32))
    found = Detections(rng.random((12, 4), dtype=np.float32), np.zeros(12, np.uint8), rng.random(12, dtype=np.float32))
    prompts = rng.integers(0, 900, (256, 2)).astype(np.int32)
    return ImageMasks(f"{seed:032x}", camera, "ok", "", "", masks, found, prompts)


def label_tables(rows):
    """The three tables of the second stage."""
    return {
        "frames": frames_table([row.frame for row in rows], METADATA),
        "points": points_table(rows, METADATA),
        "clusters": clusters_table(rows, METADATA),
    }


def timed(work):
    """Result and seconds of a call."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def print_levels(rows):
    """Size and speed of each compression level, and of the published layout."""
    tables, points = label_tables(rows), sum(len(row.labels) for row in rows)
    print(f"{'zstd level':<16}{'points B/sweep':>16}{'clusters B/sweep':>18}{'points/s':>14}")
    for level in (1, 3, ZSTD_LEVEL, 15):
        data, seconds = timed(lambda level=level: table_bytes("points", tables["points"], level))
        clusters = len(table_bytes("clusters", tables["clusters"], level))
        mark = " *" if level == ZSTD_LEVEL else ""
        print(
            f"{level}{mark:<15}{len(data) / len(rows):>16,.0f}{clusters / len(rows):>18,.0f}{points / seconds:>14,.0f}"
        )
    print(f"{'uint16 pairs':<16}{4 * points / len(rows):>16,.0f}   (the published layout, uncompressed)")


def run_stage(out, stage, shards, tables_of):
    """Write all shards; print rate and size."""
    run = Run.open(out, stage, {}, shards, METADATA)
    spent = {"build": 0.0, "commit": 0.0}
    for shard in run.pending():
        tables, seconds = timed(lambda shard=shard: tables_of(shard))
        spent["build"] += seconds
        spent["commit"] += timed(lambda shard=shard, tables=tables: run.commit(shard, tables, ShardStats()))[1]
    frames = sum(len(shard.frame_ids) for shard in shards)
    size = sum(path.stat().st_size for path in Path(out).glob("*/scene=*/*.parquet"))
    rate = frames / (spent["build"] + spent["commit"])
    print(
        f"{stage}: {size / frames:,.0f} B/sweep, {rate:,.0f} sweeps/s written (tables {spent['build']:.2f} s, ", end=""
    )
    print(f"bytes, sync and rename {spent['commit']:.2f} s); pending() {timed(run.pending)[1] * 1e3:.1f} ms")


def main(sweeps):
    """Measure and print."""
    rows = {row.frame.frame_id: row for row in (sweep(k) for k in range(sweeps))}
    print_levels(list(rows.values())[:SHARD_FRAMES])
    shards = plan_shards([("scene", frame_id) for frame_id in rows], SHARD_FRAMES)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        run_stage(out / "c", "clusters", shards, lambda shard: label_tables([rows[f] for f in shard.frame_ids]))
        images = {f: [image(int(f, 16), f"CAM_{k}") for k in range(6)] for f in shards[0].frame_ids}
        run_stage(
            out / "m",
            "masks",
            shards[:1],
            lambda shard: {"masks": masks_table([i for f in shard.frame_ids for i in images[f]], METADATA)},
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        labels, opening = timed(lambda: Labels(out / "c"))
        _, first = timed(lambda: labels.labels(next(iter(rows))))
        _, everything = timed(lambda: [len(labels.labels(frame_id).clusters) for frame_id in rows])
        grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"read: open {opening * 1e3:.1f} ms, first frame {first * 1e3:.1f} ms, ", end="")
        print(f"all {sweeps / everything:,.0f} sweeps/s, peak memory grows by {grown_mb:.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
