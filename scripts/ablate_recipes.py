"""Measure the effect of each switch of the default recipe: every variant on the same frames, one row each.

    python scripts/ablate_recipes.py ROOT [ROOT ...] --work DIR [--variants FILE]

Variants are the two recipes with and without SAR, and the default recipe with one switch set to its published value.
FILE may hold others: JSON {name: [recipe, "name=value", ...]}. Masks are made once for each setting of the 2D stage and
kept in DIR, so that a second call only repeats what changed. Numbers of a few frames are indicative only.
"""

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path

from pipelines.data import DataSpec
from pipelines.labelling.jobs import run_clusters, run_masks
from pipelines.labelling.request import Execution, Request
from pointsam.base.tables import text_table
from pointsam.evaluate.labels import evaluate_labels
from pointsam.stages.recipes import RECIPES, with_overrides


def variants():
    """Name -> (recipe, overrides)."""
    off = "clusters.refine.enabled=false"
    listed = {"paper": ["paper"], "paper without SAR": ["paper", off]}
    listed |= {"default": ["default"], "default without SAR": ["default", off]}
    paper, default = (flat(RECIPES[name]().as_dict()) for name in ("paper", "default"))
    for name in sorted(k for k in paper if default[k] != paper[k] and k != "recipe"):
        published = f"{name}={json.dumps(paper[name])}"
        in_use = ["masks.semantics=ssd"] if name.startswith("masks.ssd.") else []
        listed[", ".join([*in_use, published])] = ["default", *in_use, published]
    return listed


def flat(document, prefix=""):
    """Dotted name -> value."""
    out = {}
    for key, value in document.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return out


def score(root, work, recipe, overrides, workers):
    """Evaluation report of one variant on one root."""
    config = with_overrides(RECIPES[recipe](), overrides)
    config = replace(config, recipe="ablation")

    def folder(stage):
        key = json.dumps([str(root), stage], sort_keys=True)
        return work / hashlib.sha256(key.encode()).hexdigest()[:16]

    masks_out, out = folder(config.masks.as_dict()), folder(config.as_dict())
    request = Request(DataSpec(root), out=masks_out, config=config, execution=Execution(workers=workers))
    run_masks(request)
    run_clusters(replace(request, out=out, masks_from=masks_out))
    return evaluate_labels(out, request.data.open())


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--variants", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    listed = json.loads(args.variants.read_text(encoding="utf-8")) if args.variants else variants()
    for root in args.roots:
        rows = []
        for name, (recipe, *overrides) in listed.items():
            report = score(root, args.work, recipe, overrides, args.workers)
            quality, objects = report.quality.panoptic, report.quality.agnostic
            counts = [sum(getattr(c, kind) for c in quality.classes) for kind in ("tp", "fp", "fn")]
            whole = objects.overall
            points = (objects.point_precision, objects.point_recall)
            rows.append((name, quality.pq, quality.sq, quality.rq, *counts, whole.mean_iou, whole.recall, *points))
        header = ("variant", "PQ", "SQ", "RQ", "TP", "FP", "FN", "IoU", "recall", "point prec", "point rec")
        print(f"\n{root.name}: {quality.num_frames} frames")
        print(text_table(header, rows))


if __name__ == "__main__":
    main()
