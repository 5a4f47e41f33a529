"""The cost of tying labels to sensor files: digests of all files of a data set, when they are made and when compared.

    python scripts/bench_sources.py --frames 34149 --images /data/nuscenes/samples/CAM_FRONT --sweeps \
        /data/nuscenes/samples/LIDAR_TOP

Every frame has six images and a sweep: hard links to the given files, or copies of made ones, in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from pointsam.base.document import document_bytes, parse_document
from pointsam.base.errors import StoreError
from pointsam.datasets.io import ImageFile, RawPoints
from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.store.document import ShardEntry, ShardStats
from pointsam.store.sources import digests_of, require_unchanged
from pointsam.types import CameraView, Frame, Sweep

CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")
COLUMNS = ("x", "y", "z", "intensity", "ring")
SHARD_FRAMES = 20


def files_of(folder: Path | None, size: int, place: Path, suffix: str) -> list[Path]:
    """Files to link to: those of a folder, or ten made ones of a size."""
    if folder is not None:
        return sorted(path for path in folder.iterdir() if path.is_file())
    made = [place / f"made-{k}{suffix}" for k in range(10)]
    for k, path in enumerate(made):
        path.write_bytes(np.random.default_rng(k).bytes(size))
    return made


def link(target: Path, path: Path) -> Path:
    """A hard link; a copy on another file system."""
    try:
        os.link(target, path)
    except OSError:
        path.write_bytes(target.read_bytes())
    return path


def frames(count: int, images: list[Path], sweeps: list[Path], place: Path) -> list[Frame]:
    """The frames of a set of hard links."""
    camera = Camera(np.array([[1266.0, 0, 800], [0, 1266, 450], [0, 0, 1]]), 1600, 900)
    still = SE3.identity()
    for name in (*CAMERAS, "LIDAR_TOP"):
        (place / name).mkdir()
    made = []
    for k in range(count):
        sweep = RawPoints(link(sweeps[k % len(sweeps)], place / "LIDAR_TOP" / f"{k:06d}.bin"), COLUMNS)
        views = [
            CameraView(
                name,
                ImageFile(link(images[(k + i) % len(images)], place / name / f"{k:06d}.jpg")),
                0,
                camera,
                still,
                still,
            )
            for i, name in enumerate(CAMERAS)
        ]
        made.append(Frame(f"{k:032x}", "scene", (Sweep(sweep, 0, still, still),), {}, tuple(views)))
    return made


def main() -> None:
    """Print seconds and bytes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=34149)
    parser.add_argument("--images", type=Path, help="folder of images; made ones of 150 kB if it is left out")
    parser.add_argument("--sweeps", type=Path, help="folder of sweeps; made ones of 690 kB if it is left out")
    parser.add_argument("--work", type=Path, help="folder for the links, on the file system of the files")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        place = Path(folder)
        images = files_of(args.images, 150_000, place, ".jpg")
        sweeps = files_of(args.sweeps, 690_000, place, ".bin")
        listed = frames(args.frames, images, sweeps, place)
        begin, cpu = time.perf_counter(), time.process_time()
        digests = {frame.frame_id: digests_of(frame, lambda _: True) for frame in listed}
        made_s, made_cpu_s = time.perf_counter() - begin, time.process_time() - cpu
        size, shards = 0, []
        for start in range(0, len(listed), SHARD_FRAMES):
            part = {frame.frame_id: digests[frame.frame_id] for frame in listed[start : start + SHARD_FRAMES]}
            with_them = document_bytes(ShardEntry("", {}, 0, ShardStats(), part), indent=1, sort_keys=False)
            size += len(with_them) - len(document_bytes(ShardEntry("", {}, 0, ShardStats()), indent=1, sort_keys=False))
            shards.append(with_them)
        begin = time.perf_counter()
        for content in shards:
            parse_document(content, ShardEntry, lambda why: StoreError("OUT004", why, ""))
        read_s = time.perf_counter() - begin
        begin = time.perf_counter()
        for frame in listed:
            require_unchanged(digests[frame.frame_id], frame, "clusters")
        compared_s = time.perf_counter() - begin
    count = len(listed)
    print(f"{count} frames of {len(CAMERAS)} images and a sweep, {7 * count} files")
    print(f"digests: {made_s:.1f} s ({made_cpu_s:.1f} s of a core), {made_s / count * 1e6:.0f} us a frame")
    print(f"in manifests: {size / 1e6:.1f} MB, {size / count:.0f} bytes a frame; read in {read_s:.1f} s")
    print(f"comparison: {compared_s:.1f} s")


if __name__ == "__main__":
    main()
