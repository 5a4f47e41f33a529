"""Training frames per second, the time of a core for a sample, memory, and a profile of a step.

python scripts/bench_train.py WORLD --recipe synthetic-small --steps 30
python scripts/bench_train.py WORLD --recipe synthetic --device cuda
python scripts/bench_train.py WORLD --recipe nuscenes-centerpoint-pillar --labels OUT --samples 40 --steps 0
python scripts/bench_train.py WORLD --against ../before --rounds 3

WORLD is any root with boxes; all objects have boxes, or with --labels a tenth of them, and clusters stand for the
others. The first steps are not counted. The time of a sample is that of the process, with one thread: reading, labels,
pasting, augmentation, and its share of the targets of a batch. With --against, the speeds of another checkout of the
project are measured in turn with those of this one, so that a busy machine slows down both.
"""

import argparse
import json
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

WARM = 5


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("--recipe", default="synthetic-small")
    parser.add_argument("--split", default="train")
    parser.add_argument("--labels", type=Path, help="labels of the world; without them only boxes")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--samples", type=int, default=0, help="samples whose time is measured")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--bank", type=Path, help="file that keeps the pasted objects for the next call")
    parser.add_argument("--against", type=Path, help="another checkout of the project, to compare with")
    parser.add_argument("--rounds", type=int, default=3, help="number of measurements of each, with --against")
    parser.add_argument("--short", action="store_true", help="speeds only, as one line of JSON")
    args = parser.parse_args()
    if args.against is not None:
        compare(args)
    else:
        measure(args)


def compare(args):
    """Speeds of this checkout and of another one, in turn."""
    here = Path(__file__).resolve().parents[1]
    options = [word for word in sys.argv[1:] if word not in ("--against", str(args.against))]
    found = {here: [], args.against.resolve(): []}
    for k in range(args.rounds):
        for tree in list(found)[:: 1 if k % 2 else -1]:
            environment = os.environ | {"PYTHONPATH": str(tree)}
            command = [sys.executable, __file__, *options, "--short"]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            found[tree].append(json.loads(done.stdout.splitlines()[-1]))
    for tree, rows in found.items():
        for name in rows[0]:
            values = [row[name] for row in rows]
            spread = f"{min(values):.2f} to {max(values):.2f}"
            print(f"{tree.name}: {name} {statistics.median(values):.2f} (median of {len(values)}, {spread})")


def measure(args):
    """Speeds of this checkout."""
    began, speeds = time.perf_counter(), {}
    trainer = make_trainer(args)
    if args.samples:
        speeds |= sample_ms(trainer, args.samples)
    if args.steps:
        speeds |= frames_per_second(trainer, args)
    if args.short:
        print(json.dumps(speeds))
        return
    for name, value in speeds.items():
        print(f"{args.recipe} on {args.device}: {name} {value:.2f}")
    if trainer.device.type == "cuda":
        print(f"largest memory: {torch.cuda.max_memory_allocated() / 2**30:.2f} GB, {torch.cuda.get_device_name()}")
    else:
        print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")
    print(f"parameters: {sum(p.numel() for p in trainer.model.parameters()) / 1e6:.2f} million")
    if args.steps:
        profiled(trainer)
    print(f"total {time.perf_counter() - began:.0f} s")


def make_trainer(args):
    """A trainer whose steps read, augment and paste as those of a run."""
    dataset, recipe = open_dataset(args.world), load_recipe(args.recipe, args.overrides)
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


def frames_per_second(trainer, args):
    """Speed of the steps after the first ones; the time of a core leaves out the workers of the loader."""
    reports = []
    for report in trainer.run():
        reports.append(report)
        if len(reports) == WARM:
            start = time.process_time()
        if len(reports) == WARM + args.steps:
            break
    counted = reports[WARM:]
    seconds = np.array([report.seconds for report in counted])
    waited = np.array([report.data_seconds for report in counted])
    batch = trainer.recipe.train.batch_size
    return {
        f"frames/s, batch {batch}": batch * len(counted) / seconds.sum(),
        "seconds of a step (median)": float(np.median(seconds)),
        "seconds of a core for a step": (time.process_time() - start) / len(counted),
        "part of it waiting for data": waited.sum() / seconds.sum(),
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
