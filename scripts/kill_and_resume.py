"""Kill the parent of `pointsam-label run` with SIGKILL at random times, run it again, and compare all tables.

    python scripts/kill_and_resume.py ROOT --trials 10 --workers 2 [OPTIONS OF run ...]

Only kills of a running command count, and its workers must exit by themselves. Also compares 1, 2 and 4 workers. Exits
with status 1 if any byte differs.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = (sys.executable, "-m", "pipelines.cli.label", "run")
WORKERS_END_S = 60
DRAWS = 100


def digests(out):
    """Path -> hash of every table."""
    tables = sorted(out.glob("*/scene=*/*.parquet"))
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in tables}


def shards_done(out):
    """Number of finished shards of both stages."""
    return len(list(out.glob("manifest/*/*.json")))


def start(root, out, workers, options):
    """Start the command in its own process group."""
    command = (*COMMAND, str(root), "--out", str(out), "--workers", str(workers), *options)
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def finish(root, out, workers, options):
    """Run to the end; return the seconds."""
    begin = time.perf_counter()
    process = start(root, out, workers, options)
    _, error = process.communicate()
    if process.returncode:
        sys.exit(f"run failed with {process.returncode}: {error.decode()}")
    return time.perf_counter() - begin


def killed(process, moment):
    """Kill the parent after a delay and wait for its workers; False if it had ended before."""
    try:
        _, error = process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        process.kill()
        try:
            _, error = process.communicate(timeout=WORKERS_END_S)  # the workers hold the other end of the pipe
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            sys.exit(f"workers still ran {WORKERS_END_S} s after their parent was killed")
    if process.returncode not in (0, -signal.SIGKILL):
        sys.exit(f"run failed with {process.returncode}: {error.decode()}")
    return process.returncode != 0


def interrupt(args, out, moments, seconds):
    """Start the command and kill it at a random time; repeat until it was still running. Returns the time."""
    for _ in range(DRAWS):
        moment = moments.uniform(0, seconds)
        if killed(start(args.root, out, args.workers, args.options), moment):
            return moment
        shutil.rmtree(out)
    raise SystemExit(f"the command ended before each of {DRAWS} moments")


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args, args.options = parser.parse_known_args()
    moments = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        seconds = finish(args.root, whole, args.workers, args.options)
        expected = digests(whole)
        if not expected:
            sys.exit("the run wrote no table to compare")
        print(f"uninterrupted, {args.workers} workers: {seconds:.1f} s, {len(expected)} tables", flush=True)
        different = 0
        for trial in range(args.trials):
            out = Path(folder) / f"killed{trial}"
            moment = interrupt(args, out, moments, seconds)
            done, left = shards_done(out), len(digests(out))
            finish(args.root, out, args.workers, args.options)
            same = digests(out) == expected
            different += not same
            verdict = "same" if same else "DIFFERENT"
            print(f"killed after {moment:5.1f} s, {done} shards done, {left} tables: {verdict}", flush=True)
        for workers in {1, 2, 4} - {args.workers}:
            out = Path(folder) / f"workers{workers}"
            seconds = finish(args.root, out, workers, args.options)
            same = digests(out) == expected
            different += not same
            print(f"{workers} workers: {seconds:.1f} s: {'same' if same else 'DIFFERENT'}", flush=True)
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
