"""Reads damaged files of every kind: only errors with a code may come out (make fuzz).

    python -m fuzz.fuzz --examples 200000

Prints the inputs and faults by kind. Each fault is named by its kind and number, which repeat it:
--only KIND --first NUMBER --count 1.
"""

import argparse
import math
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

from fuzz.mutate import mutated
from fuzz.targets import NEEDS_TORCH, TARGETS, made
from pointsam.base.errors import PointSamError

HANG_S = 20
MEMORY = 6 << 30
SHOWN = 5
"""Faults of a kind that are shown; a fault is known by its exception and the last lines of its traceback."""


class HangError(BaseException):
    """A file that takes too long to read; no reader may catch it."""


def _alarm(*_):
    raise HangError


def damage(kind, target, number):
    """The file and the damaged content of an input."""
    path = target.files[number % len(target.files)]
    other = target.files[(number * 7 + 3) % len(target.files)]
    return path, mutated(_ORIGINAL[path], f"{kind} {number}", _ORIGINAL[other])


_ORIGINAL = {}


def fault_of(target, path, content):
    """The exception that reading a damaged file raises and should not, else None."""
    path.write_bytes(content)
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        target.read()
    except PointSamError:
        return None
    except (Exception, HangError) as error:
        return error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        path.write_bytes(_ORIGINAL[path])
    return None


def fuzz(kind, folder, first, count, report=print, progress=None):
    """Counts of inputs and faults of a kind; each new fault is reported once."""
    target, known, faults = made(kind, folder), Counter(), 0
    _ORIGINAL.update({path: path.read_bytes() for path in target.files})
    for number in range(first, first + count):
        path, content = damage(kind, target, number)
        if progress is not None:
            progress.write_text(f"{kind} {number}")  # what a crash of the interpreter was at
        error = fault_of(target, path, content)
        if error is None:
            continue
        faults += 1
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/pointsam/" in frame.filename or "/pipelines/" in frame.filename]
        place = f"{ours[-1].filename.rpartition('/')[2]}:{ours[-1].lineno}" if ours else "?"
        known[f"{type(error).__name__} {place}"] += 1
        if known[f"{type(error).__name__} {place}"] == 1 and len(known) <= SHOWN * 10:
            report(f"  {kind} {number}: {path.name}: {type(error).__name__} at {place}: {str(error)[:200]!r}")
    return count, faults, known


def shares(kinds, examples):
    """Inputs of each kind; kinds whose files are read slowly get fewer."""
    weights = {kind: _SHARES.get(kind, 1.0) for kind in kinds}
    whole = sum(weights.values())
    return {kind: math.ceil(examples * weight / whole) for kind, weight in weights.items()}


_SHARES = {
    **{"nuScenes tables": 0.3, "nuScenes splits": 0.3, "run folders": 0.2, "stores": 0.3},
    **{"SemanticKITTI": 3, "masks": 2, "KITTI text": 4, "clouds": 8, "images": 4, "mappings": 4, "calibrations": 2},
    **{"overrides": 0.5, "recipes": 0.5, "budgets": 1.5, "weights": 0.7, "checkpoints": 0.5, "training runs": 0.7},
    **{"documents of runs": 1, "label packs": 3, "KITTI tracking": 0.3, "COCO sets": 2},
}


def limits():
    """Ends a reader that hangs, and one that takes all memory; nothing waits for the disk."""
    signal.signal(signal.SIGALRM, _alarm)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    warnings.simplefilter("ignore")
    os.fsync = lambda _: None


def main():
    """Fuzzes; exit status 1 if anything came out that has no code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=200_000)
    parser.add_argument("--only", choices=TARGETS, action="append")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int)
    given = parser.parse_args()
    limits()
    memory = Path("/dev/shm")
    work = Path(tempfile.mkdtemp(prefix="pointsam-fuzz-", dir=memory if memory.is_dir() else None))
    os.environ["POINTSAM_CACHE"] = str(work / "cache")
    kinds = given.only or [kind for kind in TARGETS if kind not in NEEDS_TORCH or _has_torch()]
    rows, start = [], time.perf_counter()
    try:
        for kind, count in shares(kinds, given.examples).items():
            begin = time.perf_counter()
            done, faults, known = fuzz(
                kind, work / "files", given.first, given.count or count, lambda text: print(text, flush=True)
            )
            rows.append((kind, done, faults, len(known), time.perf_counter() - begin))
            print(f"{kind:20} {done:8} inputs {faults:6} faults {rows[-1][4]:7.0f} s", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"\n{'kind':20} {'inputs':>8} {'faults':>7} {'different':>9} {'seconds':>8}")
    for kind, done, faults, different, seconds in rows:
        print(f"{kind:20} {done:8} {faults:7} {different:9} {seconds:8.0f}")
    total, wrong = sum(row[1] for row in rows), sum(row[2] for row in rows)
    print(f"{'all':20} {total:8} {wrong:7} {sum(row[3] for row in rows):9} {time.perf_counter() - start:8.0f}")
    sys.exit(bool(wrong))


def _has_torch():
    try:
        import safetensors  # noqa: F401
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    main()
