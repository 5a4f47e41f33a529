"""Check trainer and segmenter on a GPU and measure them, without a network; the parts end after 225 seconds.

    scripts/gpu_check.sh [--world ROOT] [--report gpu.md] [--parts losses,speed]

Compared with a CPU: losses, gradients and predictions of the same weights. Compared with themselves: two runs with the
same seed, and a run that is killed twice with one that is not. If spconv-triton is installed: detector.sparse=triton
with torch. Measured: speed of a step and of loading, and memory, by recipe and batch. Masks of the bundled segmenter
are compared with those of a CPU, and timed by precision and batch.

Without --world, a small synthetic world is made, for which open3d is needed; on another machine, `pointsam-label synth
ROOT --scenes 4 --key-frames 6 --scale 0.1` makes it. The report is written after each part. Exit status: 0, or 1 if a
check fails, 2 if nothing could be checked, 130 after Ctrl-C. `--device cpu` compares the CPU with itself on a tiny
scale: it checks this script only.
"""

import argparse
import csv
import gc
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from bench_train import frames_per_second
from gpu_masks import masks
from gpu_setup import HALF_M, HERE, PILLARS, TWO_STAGE, VOXELS, Setup

from pipelines.training.recipe_file import document_of
from pointsam.base.errors import BackendError, PointSamError
from pointsam.base.runtime import peak_mb
from pointsam.detect.data.budget_file import write_budget
from pointsam.detect.infer import InferConfig, detect_frames
from pointsam.detect.nets.sparse import require_sparse

LIMITS = {"fp32": (1e-4, 0.02, 0.5), "bf16": (0.1, 0.3, np.inf)}
"""Largest relative differences of loss, gradient's norm and update of the weights, in a step from the same weights.
Weights that differ by 1e-7 cause up to 4e-6, 2e-3 and 0.1 in fp32, and 0.02, 0.06 and 1 in bf16 (on a CPU)."""
AGREE = 0.99
"""Least share of boxes that agree."""


def together(ours, theirs, steps):
    """Largest relative differences of loss, gradient's norm and update, where each step starts from the same weights.

    Trained apart, two networks soon differ: each step multiplies what rounding began with.
    """
    found, start = [], weights(ours)
    for one, other in itertools.islice(zip(ours.run(), theirs.run(), strict=False), steps):
        end, update = weights(ours), weights(theirs) - start
        values = ((one.losses["loss"], other.losses["loss"]), (one.grad_norm, other.grad_norm))
        apart = float((update - (end - start)).norm() / (end - start).norm())
        found.append([*(abs(a - b) / abs(a) for a, b in values), apart])
        theirs.model.load_state_dict(ours.model.state_dict())
        start = end
    return np.max(found, axis=0)


def weights(trainer):
    """All weights in a vector."""
    return torch.cat([value.detach().flatten().cpu() for value in trainer.model.parameters()])


def judged(check, what, apart, precision):
    """Compare the result of `together` with the limits; returns the cells of a row."""
    cells = [f"{value:.1e}" for value in apart]
    check.report.verdict(f"{what}, {precision}", (apart < LIMITS[precision]).all(), f"{cells[0]} apart")
    return cells


def losses(check):
    """Steps on a CPU and on the device, in single precision without TF32."""
    note = f"Largest relative differences in {check.steps} steps; each starts from the weights of the CPU."
    rows = check.report.table("Losses on a CPU and on the device", ("recipe", "loss", "gradient", "update"), note)
    for name in HALF_M:
        recipe = check.recipe(name)
        check.trained[name] = check.trainer(recipe, "cpu")
        apart = together(check.trained[name], check.trainer(recipe), check.steps)
        rows.append((name, *judged(check, f"losses of {name}", apart, "fp32")))


def predictions(check):
    """Boxes of the networks that the CPU trained, on a CPU and on the device."""
    note = "Agree: a box of the same class whose values differ by less than 0.01 (metres, radians) and score by 0.001."
    if not check.trained:
        losses(check)
    rows = check.report.table("Predictions on a CPU and on the device", ("recipe", "CPU", "device", "agree"), note)
    frames = check.dataset.frame_ids()[:4]
    for name, trainer in check.trained.items():
        config, found = InferConfig(trainer.recipe.data.points, 2), []
        for device in ("cpu", check.device):
            every = detect_frames(trainer.model.to(device), check.dataset, frames, config)
            found.append([np.column_stack([one.boxes, one.score * 10, one.class_id]) for one in every])
        pairs = [abs(a[:, None] - b).max(-1, initial=0) for a, b in zip(*found, strict=True)]
        same = np.concatenate([apart.min(axis, initial=1) for apart in pairs for axis in (0, 1)]) < 0.01
        rows.append((name, *(sum(map(len, part)) for part in found), f"{same.mean():.4f}"))
        check.report.verdict(
            f"predictions of {name}", same.size and same.mean() >= AGREE, f"{same.sum()} of {same.size} boxes"
        )


def repeats(check):
    """Two runs with the same seed, with torch's deterministic algorithms and without."""
    header, note = ("recipe", "deterministic", "equal", "ms a step"), "A step: without waiting for data."
    rows, named = check.report.table("Two runs with the same seed, bf16", header, note), set()
    for name, deterministic in itertools.product(HALF_M, (True, False)):
        recipe = check.recipe(name, precision="bf16")
        recipe = replace(recipe, train=replace(recipe.train, deterministic=deterministic))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            same, ms = repeated(check, recipe)
        named |= {str(one.message).partition(" ")[0] for one in told if "deterministic" in str(one.message)}
        rows.append((name, "on" if deterministic else "off", "yes" if same else "no", f"{ms:.1f}"))
        if deterministic:
            check.report.verdict(f"two runs of {name} are equal", same)
    check.report.table("Operators without a deterministic algorithm", ("operator",)).extend(
        [name] for name in sorted(named)
    )


def repeated(check, recipe):
    """Whether two runs are the same to the last bit, and milliseconds of a step."""
    runs = []
    for _ in range(2):
        trainer = check.trainer(recipe)
        reports = list(itertools.islice(trainer.run(), max(2, check.steps // 2)))
        runs.append(([report.losses for report in reports], weights(trainer)))
    same = runs[0][0] == runs[1][0] and torch.equal(runs[0][1], runs[1][1])
    seconds = [report.seconds - report.data_seconds for report in reports[len(reports) // 4 :]]
    return same, 1e3 * float(np.median(seconds))


def resumes(check):
    """A run that is killed twice, and one that is not."""
    recipe, folder, steps = check.recipe(PILLARS), check.folder, 8 if check.tiny else 120
    data = replace(recipe.data, samples=steps * recipe.train.batch_size)
    train = replace(recipe.train, epochs=1, workers=min(2, recipe.train.workers), checkpoint_minutes=1e-6)
    file, budget = folder / "recipe.json", folder / "budget.parquet"
    file.write_text(json.dumps(document_of(replace(recipe, data=data, train=train))), encoding="utf-8")
    write_budget(budget, check.budget)
    words = ("fit", file, "--data", check.world, "--budget", budget, "--device", check.device, "--val", "", "--out")
    command = [sys.executable, "-m", "pipelines.cli.train", *map(str, words)]

    def killed(out, at=None):
        """Train, and kill the process when so many steps are done; whether it was killed."""
        process = subprocess.Popen([*command, str(out)], cwd=HERE)
        try:
            while at is not None and process.poll() is None and len(rows_of(out)) < at:
                time.sleep(0.005)
            if at is None:
                process.wait()
        finally:
            process.kill()
        if process.wait() not in (0, -signal.SIGKILL):
            raise RuntimeError(f"mixsup-train fit ended with {process.returncode}")
        return process.returncode != 0

    times = sum(killed(folder / "killed", steps * k // 4) for k in (1, 2))
    killed(folder / "killed")
    killed(folder / "whole")
    whole, again = rows_of(folder / "whole"), rows_of(folder / "killed")
    check.report.verdict("a run is killed", times == 2, f"{times} times")
    check.report.verdict("it goes on to the losses of a run that was not", whole == again and len(whole) == steps)


def rows_of(run):
    """What losses.csv of a run holds, without the times."""
    path = run / "losses.csv"
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines()) if path.exists() else ()
    return [{name: value for name, value in row.items() if not name.endswith("seconds")} for row in rows]


def speed(check):
    """Speed and memory of whole recipes, with TF32 as torch has it."""
    torch.backends.cudnn.allow_tf32 = True
    header = ("recipe", "batch", "samples/s", "ms a step", "waiting for data", "memory, GB")
    rows = check.report.table("Speed, bf16", header)
    names = (PILLARS,) if check.tiny else (*HALF_M, "nuscenes-centerpoint-pillar")
    for batch, name in itertools.product((1,) if check.tiny else (4, 8), names):
        gc.collect()
        if check.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        trainer = check.trainer(check.recipe(name, check.tiny, batch, "bf16"))
        found = frames_per_second(trainer, *((2, 1) if check.tiny else (12, 5)))
        samples, step = found[f"frames/s, batch {batch}"], 1e3 * found["seconds of a step (median)"]
        waiting = found["part of it waiting for data"]
        memory = torch.cuda.max_memory_allocated() / 2**30 if check.device == "cuda" else peak_mb() / 1024
        rows.append((name, batch, f"{samples:.1f}", f"{step:.0f}", f"{waiting:.0%}", f"{memory:.1f}"))


def sparse(check):
    """Sparse convolutions by spconv-triton and by torch. Its first call measures many kernels, which takes long."""
    title = "Sparse convolutions by torch and by spconv-triton"
    header = ("recipe", "precision", "loss", "gradient", "update", "ms a step, torch", "triton", "two runs equal")
    try:
        require_sparse("triton", check.device)
    except BackendError as error:
        check.report.table(title, ("not run",)).append([error.message])
        return
    rows = check.report.table(title, header)
    for name, precision in itertools.product([name for name in (VOXELS, TWO_STAGE) if name in HALF_M], LIMITS):
        kinds = [check.recipe(name, precision=precision, sparse=kind) for kind in ("torch", "triton")]
        apart = together(*map(check.trainer, kinds), check.steps)
        cells = judged(check, f"triton and torch, {name}", apart, precision)
        (_, ms), (same, ms_triton) = (repeated(check, recipe) for recipe in kinds)
        rows.append((name, precision, *cells, f"{ms:.1f}", f"{ms_triton:.1f}", "yes" if same else "no"))


PARTS = {part.__name__: part for part in (losses, predictions, resumes, repeats, speed, masks, sparse)}


def checked(name, check, seconds):
    """Run a part; if it fails, or is not done after so many seconds, the report says so."""

    def late(*_):
        raise TimeoutError("no time is left")

    torch.backends.cudnn.allow_tf32 = False
    signal.signal(signal.SIGALRM, late)
    try:
        if seconds <= 0:
            late()
        # It rings again: an error that is raised while Python frees an object is ignored.
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
        PARTS[name](check)
    except TimeoutError as error:
        check.report.verdict(f"{name} can be checked", None, str(error))
    except Exception as error:
        traceback.print_exc()
        check.report.verdict(f"{name} can be checked", False, f"{type(error).__name__}: {error}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    check.report.write()


def main():
    """Run the parts; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=Path, help="a synthetic world; without it, one is made")
    parser.add_argument("--report", type=Path, default=Path("gpu.md"), help="file of the report")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--parts", default=",".join(PARTS), help="what is checked, separated by commas")
    parser.add_argument("--seconds", type=float, default=225, help="when the parts end")
    args = parser.parse_args()
    args.parts = args.parts.split(",")
    if unknown := [name for name in args.parts if name not in PARTS]:
        parser.error(f"no part {', '.join(map(repr, unknown))}: --parts takes {','.join(PARTS)}")
    if args.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device: nothing is checked; --device cpu checks this script only")
        return 2
    end = time.perf_counter() + args.seconds
    with tempfile.TemporaryDirectory() as folder:
        try:
            check = Setup(args, Path(folder))
        except (PointSamError, OSError) as error:
            print(f"nothing is checked: {error}")
            return 2
        try:
            for name in args.parts:
                began = time.perf_counter()
                checked(name, check, end - began)
                print(f"{name} took {time.perf_counter() - began:.0f} s", flush=True)
        except KeyboardInterrupt:
            print(f"stopped; the parts that ended are in {args.report}")
            return 130
        for table in check.report.tables:
            print(f"\n{table.text()}")
    return 1 if check.report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
