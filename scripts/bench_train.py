"""Training frames per second, the time of a core for a sample and a frame, memory, and a profile of a step.

python scripts/bench_train.py WORLD --recipe synthetic-small --steps 30
python scripts/bench_train.py WORLD --recipe synthetic --device cuda
python scripts/bench_train.py WORLD --recipe nuscenes-centerpoint-pillar --labels OUT --samples 40 --steps 0
python scripts/bench_train.py WORLD --against ../before --rounds 3 --frames 8 --recipe synthetic-small kitti-second

WORLD is any root with boxes; all objects have boxes, or with --labels a tenth of them, and clusters stand for the
others. A class of a recipe that WORLD does not have is replaced by one of its classes of the nearest size. The first
steps are not counted. The time of a sample is that of the process, with one thread: reading, labels, pasting,
augmentation, and its share of the targets of a batch. A predicted frame is the forward pass of an untrained network,
at the recipe's batch size and precision, without reading.

With --against, another checkout of the project is measured in turn with this one, recipe by recipe, so that a busy
machine slows down both; each has its own recipe of a name. The time of a core leaves out the processes that read.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from pipelines.training.budget import objects_of
from pipelines.training.recipe_file import load_recipe
from pointsam.datasets import open_dataset
from pointsam.detect.data.budget import BudgetConfig, sample_budget
from pointsam.detect.data.coarse import CoarseConfig
from pointsam.detect.data.loader import Key, TrainingItems, cut_bank, join_samples
from pointsam.detect.data.paste import PasteBank
from pointsam.detect.data.training_set import TrainingSet
from pointsam.detect.train import Trainer
from pointsam.store.reader import Labels
from pointsam.taxonomy import KITTI, NUSCENES

MEGA = 1e6


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("--recipe", nargs="+", default=["synthetic-small"], help="one recipe or more")
    parser.add_argument("--split", default="train")
    parser.add_argument("--labels", type=Path, help="labels of the world; without them only boxes")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warm", type=int, default=5, help="steps before them that are not counted")
    parser.add_argument("--samples", type=int, default=0, help="samples whose time is measured")
    parser.add_argument("--frames", type=int, default=0, help="frames that are predicted")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--bank", type=Path, help="file that keeps the pasted objects for the next call")
    parser.add_argument("--against", type=Path, help="another checkout of the project, to compare with")
    parser.add_argument("--rounds", type=int, default=3, help="number of measurements of each, with --against")
    parser.add_argument("--short", action="store_true", help="speeds only, as one line of JSON")
    args = parser.parse_args()
    for name in args.recipe:
        if args.against is not None:
            compare(args, name)
        else:
            measure(args, name)


def compare(args, name):
    """Speeds of another checkout and of this one, in turn, for one recipe."""
    trees = {"before": args.against.resolve(), "now": Path(__file__).resolve().parents[1]}
    options = [str(args.world), "--recipe", name, "--split", args.split, "--device", args.device, "--short"]
    for option in ("steps", "warm", "samples", "frames"):
        options += [f"--{option}", str(getattr(args, option))]
    for option in ("labels", "bank"):
        options += [f"--{option}", str(getattr(args, option))] if getattr(args, option) else []
    options += [word for change in args.overrides for word in ("--set", change)]
    found = {"before": [], "now": []}
    for k in range(args.rounds):
        for tree in list(trees)[:: -1 if k % 2 else 1]:
            environment = os.environ | {"PYTHONPATH": str(trees[tree])}
            command = [sys.executable, __file__, *options]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            found[tree].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{name}: median of {args.rounds} (smallest to largest)")
    for what in found["now"][0]:
        values = {tree: [row[what] for row in rows] for tree, rows in found.items() if what in rows[0]}
        texts = [f"{tree} {statistics.median(v):.3f} ({min(v):.3f} to {max(v):.3f})" for tree, v in values.items()]
        if len(values) == 2:
            before, now = (statistics.median(v) for v in values.values())
            texts.append(f"now / before {now / before if before else float('nan'):.3f}")
        print(f"  {what}: {', '.join(texts)}", flush=True)


def measure(args, name):
    """Speeds of this checkout."""
    began = time.perf_counter()
    trainer = make_trainer(args, name)
    speeds = {"million parameters": sum(p.numel() for p in trainer.model.parameters()) / MEGA}
    if args.samples:
        speeds |= sample_ms(trainer, args.samples)
    if args.steps:
        speeds |= frames_per_second(trainer, args.steps, args.warm)
    if args.frames:
        speeds |= prediction_seconds(trainer, args.frames)
    if args.short:
        print(json.dumps(speeds))
        return
    for what, value in speeds.items():
        print(f"{name} on {args.device}: {what} {value:.2f}")
    if trainer.device.type == "cuda":
        print(f"largest memory: {torch.cuda.max_memory_allocated() / 2**30:.2f} GB, {torch.cuda.get_device_name()}")
    else:
        print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")
    if args.steps:
        profiled(trainer)
    print(f"total {time.perf_counter() - began:.0f} s")


def make_trainer(args, name):
    """A trainer whose steps read, augment and paste as those of a run."""
    dataset = open_dataset(args.world)
    recipe = of_classes(load_recipe(name, args.overrides), dataset.taxonomy)
    labels = None if args.labels is None else Labels(args.labels)
    if labels is None:
        recipe = replace(recipe, data=replace(recipe.data, coarse=CoarseConfig("none")))
    share = BudgetConfig(1.0 if labels is None else 0.1)
    budget = sample_budget(objects_of(dataset, args.split, count=True), dataset.taxonomy.names, share)
    if labels is not None:
        done = set(labels.frame_ids())
        budget = replace(budget, frames={name: boxes for name, boxes in budget.frames.items() if name in done})
    names, grid = recipe.detector.class_names, recipe.detector.grid
    data = TrainingSet(dataset, budget, labels, names, grid.range_m, recipe.data)
    bank = None if args.bank is None else PasteBank.load(args.bank)
    data.bank = bank or cut_bank(data, recipe.train.workers)
    if args.bank is not None and bank is None:
        data.bank.save(args.bank)
    return Trainer(recipe, data, dataset.taxonomy, torch.device(args.device))


def of_classes(recipe, taxonomy):
    """The recipe with each class that the data do not have replaced by one that they have, of the nearest size."""
    left = [spec for spec in taxonomy.classes if spec.typical_lwh_m and spec.name not in recipe.detector.class_names]
    sizes = {spec.name: spec.typical_lwh_m for known in (KITTI, NUSCENES) for spec in known.classes}
    chosen = []
    for name in recipe.detector.class_names:
        if name not in taxonomy.names:
            near = min(left, key=lambda spec: abs(math.log(math.prod(spec.typical_lwh_m) / math.prod(sizes[name]))))
            left.remove(near)
            name = near.name
        chosen.append(next(spec for spec in taxonomy.classes if spec.name == name))
    return recipe if {spec.name for spec in chosen} == set(recipe.detector.class_names) else recipe.for_classes(chosen)


def sample_ms(trainer, count):
    """Milliseconds of a core for a sample, at its first reading and later, and for its targets."""
    torch.set_num_threads(1)
    items, order = TrainingItems(trainer.data), trainer.data.order(0)[:count]
    speeds = {}
    for name in ("first", "later"):
        start = time.process_time()
        samples = [items[Key(int(index), 0, position, True)] for position, index in enumerate(order)]
        speeds[f"ms a sample ({name})"] = (time.process_time() - start) / count * 1e3
    size = trainer.recipe.train.batch_size
    batches = [join_samples(samples[k : k + size]) for k in range(0, count - size + 1, size)]
    targets_of = target_function(trainer.model.head)
    if targets_of is not None:
        targets_of(batches[0].batch.labels)
        start = time.process_time()
        for item in batches:
            targets_of(item.batch.labels)
        speeds["ms for its targets"] = (time.process_time() - start) / (len(batches) * size) * 1e3
    return speeds


def target_function(head):
    """A function from the labels of a batch to the targets of a head; None in checkouts that have none for a batch."""
    if not hasattr(head, "map") or (not hasattr(head.map, "groups") and not hasattr(head, "class_ids")):
        return None
    if hasattr(head.map, "groups"):
        from pointsam.detect.assign.center import center_targets

        return lambda labels: center_targets(labels, head.map)
    from pointsam.detect.assign.anchor import anchor_targets

    return lambda labels: anchor_targets(labels, head.map, head.config.match)


def frames_per_second(trainer, steps, warm):
    """Speed of some steps after the first ones; the time of a core leaves out the workers of the loader."""
    reports, start = [], time.process_time()
    for report in trainer.run():
        reports.append(report)
        if len(reports) == warm:
            start = time.process_time()
        if len(reports) == warm + steps:
            break
    counted = reports[warm:]
    seconds = np.array([report.seconds for report in counted])
    waited = np.array([report.data_seconds for report in counted])
    batch = trainer.recipe.train.batch_size
    return {
        f"frames/s, batch {batch}": batch * len(counted) / seconds.sum(),
        "seconds of a step (median)": float(np.median(seconds)),
        "seconds of a core for a step": (time.process_time() - start) / len(counted),
        "part of it waiting for data": waited.sum() / seconds.sum(),
    }


def prediction_seconds(trainer, count):
    """Seconds for a predicted frame, in batches of the recipe's size; the first batch is not counted."""
    items, size = TrainingItems(trainer.data), trainer.recipe.train.batch_size
    model, device, batches = trainer.model.eval(), trainer.device, []
    for start in range(0, count + size, size):
        keys = [Key(k % len(trainer.data.frame_ids), 0, k, False) for k in range(start, start + size)]
        batches.append(join_samples([items[key] for key in keys]).batch.to(device))
    core, wall = [], []
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=trainer.recipe.train.precision == "bf16"):
        for batch in batches:
            if device.type == "cuda":
                torch.cuda.synchronize()
            core.append(time.process_time())
            wall.append(time.perf_counter())
            [len(predictions) for predictions in model(batch)]
    if device.type == "cuda":
        torch.cuda.synchronize()
    frames = size * (len(batches) - 1)
    return {
        "seconds of a core for a predicted frame": (time.process_time() - core[1]) / frames,
        "seconds for a predicted frame": (time.perf_counter() - wall[1]) / frames,
    }


def profiled(trainer):
    """Profile two steps."""
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if trainer.device.type == "cuda" else [])
    steps = trainer.run()
    next(steps)
    with profile(activities=kinds) as prof:
        next(steps)
        next(steps)
    key = "self_cuda_time_total" if trainer.device.type == "cuda" else "self_cpu_time_total"
    print(prof.key_averages().table(sort_by=key, row_limit=12, max_name_column_width=50))


if __name__ == "__main__":
    main()
