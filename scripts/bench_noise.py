"""Time and memory of a sweep over calibration errors, against labelling the same frames once per cell.

    python scripts/bench_noise.py ROOT --work DIR [--frames 40] [--workers 2] [--split train]

The sweep has 60 cells, each with and without SAR: rotation, translation, time, the published error, missing cameras.
The same frames are labelled once by `run`, and once from the same masks by `clusters`, which a sweep by hand would
repeat. Times include the start of processes; memory is that of the largest process.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

KINDS = ("rotation", "translation", "time", "published", "dropped")
CELLS = 60


def measured(*args):
    """Run pointsam-label, print its cost, return wall seconds."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "pipelines.cli.label", *map(str, args)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)  # includes its children
    wall = time.perf_counter() - start
    if status:
        sys.exit(f"{args[0]} failed")
    cpu, peak_mb = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    print(f"{args[0]:<9} {wall:7.0f} s wall, {cpu:7.0f} s CPU, largest process {peak_mb:5.0f} MB", flush=True)
    return wall


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--split", default="train")
    args = parser.parse_args()
    if args.work.exists():
        sys.exit(f"{args.work} exists: finished work would not be timed, choose another --work")
    labels = args.work / "labels"
    chosen = ("--split", args.split, "--sample", args.frames, "--workers", args.workers)
    kinds = [part for kind in KINDS for part in ("--kind", kind)]
    one = measured("run", args.root, "--out", labels, "--semantics", "oracle", *chosen)
    again = measured("clusters", args.root, "--out", args.work / "again", "--masks-from", labels, *chosen)
    sweep = measured("noise", args.root, "--out", args.work / "sweep", "--masks-from", labels, *kinds, *chosen)
    print(
        f"{CELLS} cells, {args.frames} frames: {sweep:.0f} s; {CELLS} times run: {CELLS * one / sweep:.1f} times that;"
    )
    print(f"{2 * CELLS} times clusters, with and without SAR: {2 * CELLS * again / sweep:.1f} times")


if __name__ == "__main__":
    main()
