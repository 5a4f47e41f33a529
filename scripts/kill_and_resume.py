"""Kill `pointsam-label run` with SIGKILL at random moments, run it again, and compare every table's bytes.

    python scripts/kill_and_resume.py ROOT --trials 10 --workers 2 [-- OPTIONS OF run ...]

Also compares 1, 2 and 4 workers. Exits with 1 if any byte differs.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = (sys.executable, "-m", "pipelines.cli", "run")


def digests(out):
    """Every table's bytes, by path."""
    tables = sorted(out.glob("*/scene=*/*.parquet"))
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in tables}


def start(root, out, workers, options):
    """The command, in a process group of its own."""
    command = (*COMMAND, str(root), "--out", str(out), "--workers", str(workers), *options)
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def finish(root, out, workers, options):
    """Run to the end; returns the seconds it took."""
    begin = time.perf_counter()
    process = start(root, out, workers, options)
    _, error = process.communicate()
    if process.returncode:
        sys.exit(f"run failed with {process.returncode}: {error.decode()}")
    return time.perf_counter() - begin


def main():
    """Parse, kill, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("options", nargs="*")
    args = parser.parse_args()
    moments = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        seconds = finish(args.root, whole, args.workers, args.options)
        expected = digests(whole)
        print(f"uninterrupted, {args.workers} workers: {seconds:.1f} s, {len(expected)} tables", flush=True)
        different = 0
        for trial in range(args.trials):
            out = Path(folder) / f"killed{trial}"
            process = start(args.root, out, args.workers, args.options)
            moment = moments.uniform(0, seconds)
            time.sleep(moment)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            left = len(digests(out))
            finish(args.root, out, args.workers, args.options)
            same = digests(out) == expected
            different += not same
            print(
                f"killed after {moment:5.1f} s with {left} tables there: {'same' if same else 'DIFFERENT'}", flush=True
            )
        for workers in {1, 2, 4} - {args.workers}:
            out = Path(folder) / f"workers{workers}"
            seconds = finish(args.root, out, workers, args.options)
            same = digests(out) == expected
            different += not same
            print(f"{workers} workers: {seconds:.1f} s: {'same' if same else 'DIFFERENT'}", flush=True)
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
