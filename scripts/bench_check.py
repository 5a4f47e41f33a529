"""Time and memory of `pointsam-label check` on a trainval-sized nuScenes.

Writes synthetic tables of the size of v1.0-trainval and hard links to ten images and ten sweeps in place of its sensor
files (about 3 GB and 240,000 names), then runs the command twice: the first call builds the index of the tables.

    python scripts/bench_check.py                # full size: 34,149 samples
    python scripts/bench_check.py --scale 0.1    # a tenth of the scenes
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_nuscenes_index import VERSION, write_tables
from PIL import Image

from pointsam.datasets.nuscenes.tables import read_rows

COPIES = 10


class Named(NamedTuple):
    """The fields of sample_data.json that are needed; a row has two or more."""

    token: str
    filename: str


def sweep(rng):
    """A ground plane and walls 30 m away, as a LiDAR of 32 rings 1.8 m above ground sees them."""
    azimuth = np.repeat(np.linspace(-np.pi, np.pi, 1084, endpoint=False), 32)
    ring = np.tile(np.arange(32), 1084)
    down = np.radians(ring - 24.0)
    reach = np.minimum(np.where(down < 0, -1.8 / np.minimum(down, -1e-3), 30.0), 30.0)
    reach += 0.02 * rng.standard_normal(len(reach))
    xyz = [reach * np.cos(azimuth), reach * np.sin(azimuth), reach * np.tan(down)]
    return np.column_stack([*xyz, rng.integers(0, 255, len(reach)), ring]).astype("<f4")


def link_files(root, seed):
    """Hard links for all key frames of the tables; returns their number."""
    rng = np.random.default_rng(seed)
    store = root / "store"
    store.mkdir()
    for k in range(COPIES):
        sweep(rng).tofile(store / f"{k}.bin")
        Image.fromarray(rng.integers(0, 255, (900, 1600, 3), dtype=np.uint8)).save(store / f"{k}.jpg")
    names = (row.filename for row in read_rows(root / VERSION, "sample_data", Named))
    keys = [name for name in names if name.startswith(("samples/LIDAR", "samples/CAM"))]
    for folder in {Path(name).parent for name in keys}:
        (root / folder).mkdir(parents=True)
    for k, name in enumerate(keys):
        os.link(store / f"{k % COPIES}{Path(name).suffix}", root / name)
    return len(keys)


def cpu_seconds():
    """CPU time of the calls so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(root):
    """Seconds and peak resident MB of one call, and its last lines."""
    before, used = time.perf_counter(), cpu_seconds()
    command = [sys.executable, "-m", "pipelines.cli.label", "check", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - before
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    spent = f"{seconds:.1f} s ({cpu_seconds() - used:.1f} s of CPU), at most {peak_mb:.0f} MB so far"
    return f"{spent}, exit {done.returncode}: {done.stdout.strip()[-400:]}"


def main():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the scenes of v1.0-trainval")
    parser.add_argument("--dest", type=Path, help="parent of the temporary folder")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.dest) as folder:
        root = Path(folder) / "root"
        os.environ["POINTSAM_CACHE"] = str(Path(folder) / "cache")
        print(f"rows: {write_tables(root, args.scale, args.seed)}")
        print(f"links: {link_files(root, args.seed)}")
        for call in ("first call", "second call"):
            print(f"{call}: {measure(root)}")


if __name__ == "__main__":
    main()
