"""Training frames per second, memory, fraction of time spent waiting for data, and a profile of a step.

python scripts/bench_train.py WORLD --recipe synthetic-small --steps 30
python scripts/bench_train.py WORLD --recipe synthetic --device cuda

WORLD is any root with boxes; all objects have boxes. The first steps are not counted.
"""

import argparse
import resource
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
from pointsam.detect.data.loader import cut_bank
from pointsam.detect.data.training_set import TrainingSet
from pointsam.detect.train import Trainer

WARM = 5


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("--recipe", default="synthetic-small")
    parser.add_argument("--split", default="train")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    args = parser.parse_args()
    trainer = make_trainer(args)
    reports, began = [], time.perf_counter()
    for report in trainer.run():
        reports.append(report)
        if len(reports) == WARM + args.steps:
            break
    counted = reports[WARM:]
    seconds = np.array([report.seconds for report in counted])
    waited = np.array([report.data_seconds for report in counted])
    batch = trainer.recipe.train.batch_size
    print(f"{args.recipe} on {args.device}: {batch * len(counted) / seconds.sum():.2f} frames/s, batch {batch}")
    print(f"waiting for data: {waited.sum() / seconds.sum():.1%} of a step of {np.median(seconds):.3f} s (median)")
    if trainer.device.type == "cuda":
        print(f"largest memory: {torch.cuda.max_memory_allocated() / 2**30:.2f} GB, {torch.cuda.get_device_name()}")
    else:
        print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")
    print(f"parameters: {sum(p.numel() for p in trainer.model.parameters()) / 1e6:.2f} million")
    profiled(trainer)
    print(f"total {time.perf_counter() - began:.0f} s")


def make_trainer(args):
    """A trainer whose steps read, augment and paste as those of a run."""
    dataset = open_dataset(args.world)
    recipe = load_recipe(args.recipe, args.overrides)
    recipe = replace(recipe, data=replace(recipe.data, coarse=CoarseConfig("none")))
    budget = sample_budget(objects_of(dataset, args.split, count=True), dataset.taxonomy.names, BudgetConfig(1.0))
    names, grid = recipe.detector.class_names, recipe.detector.grid
    data = TrainingSet(dataset, budget, None, names, grid.range_m, recipe.data)
    data.bank = cut_bank(data, recipe.train.workers)
    return Trainer(recipe, data, dataset.taxonomy, torch.device(args.device))


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
