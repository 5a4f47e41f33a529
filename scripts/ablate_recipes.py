"""Measure the effect of each switch of the default recipe: every variant on the same frames, with bootstrap bands.

    python scripts/ablate_recipes.py ROOT [ROOT ...] --work DIR [--variants FILE]
    python scripts/ablate_recipes.py WORLD --work DIR --semantics oracle --variants FILE --split val --sample 50
    python scripts/ablate_recipes.py WORLD --work DIR --semantics oracle --variants FILE --stages

Variants are the two recipes with and without SAR, and the default recipe with one switch set to its published value.
FILE may hold others: JSON {name: [recipe, "name=value", ...]}. All are compared with the first one. Figures and bands
are those of `pointsam.evaluate.paired`; a unit of the bootstrap is a scene, or --block consecutive frames of one.

Labels are those of single frames. With --stages, second looks and tracks follow where the variant has them, and fields
of both are switches too.

Masks are made once for each setting of the 2D stage and kept in DIR, so that a second call only repeats what changed:
settings, frames, or code of the stages after it. --masks-from takes those of a finished run instead; given several
times, each variant takes those of its settings.
Numbers of a few frames are indicative only.
"""

import argparse
import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.data import DataSpec
from pipelines.documents import MasksDocument
from pipelines.labelling.jobs import run_clusters, run_masks
from pipelines.labelling.looks import run_looks
from pipelines.labelling.request import Execution, Request, Selection
from pipelines.labelling.tracks import run_tracks
from pipelines.opened import last_stage
from pointsam.base.code import source_digest
from pointsam.base.tables import Table, format_value
from pointsam.base.words import counted
from pointsam.evaluate.labels import evaluate_labels
from pointsam.evaluate.paired import DRAWS, FIGURES, compare, frame_counts, units_of
from pointsam.semantics import semantics_plugin
from pointsam.stages.recipes import RECIPES, with_overrides
from pointsam.store.reader import Labels

_STAGES = ("calibration", "geometry", "stages", "taxonomy.py", "types")
"""Parts of `pointsam` that make labels from masks."""
_LATER = ("looks", "tracks")
"""Parts of the configuration of the stages after single frames."""


@dataclass(frozen=True)
class Scored:
    """The labels of one variant.

    Args:
        frames: counts of each frame, by frame_id.
        ranges, classes: names of the bins and classes of the counts.
        semantics: where the classes of its masks are from.
        truth: source of the ground truth.
    """

    frames: dict
    ranges: tuple
    classes: tuple
    semantics: str
    truth: str


def variants(stages):
    """Name -> (recipe, overrides), with the fields of later stages or without."""
    off = "clusters.refine.enabled=false"
    listed = {"paper": ["paper"], "paper without SAR": ["paper", off]}
    listed |= {"default": ["default"], "default without SAR": ["default", off]}
    paper, default = (flat(RECIPES[name]().as_dict()) for name in ("paper", "default"))
    differ = (name for name in paper if default[name] != paper[name] and name != "recipe")
    for name in sorted(name for name in differ if stages or name.partition(".")[0] not in _LATER):
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


def score(root, recipe, overrides, args):
    """The labels of one variant on one root, made if need be, and scored."""
    config = with_overrides(RECIPES[recipe](), overrides)
    config = replace(config, recipe="ablation")
    chosen = Selection(tuple(args.frames), args.split, args.sample)

    def folder(*made_from):
        key = json.dumps([str(root.absolute()), asdict(chosen), *made_from], sort_keys=True)
        return args.work / hashlib.sha256(key.encode()).hexdigest()[:16]

    masks_out = finished(config.masks, args.masks_from) if args.masks_from else folder(config.masks.as_dict())
    made_from = (str(masks_out), source_digest("pointsam", _STAGES))
    single = {name: values for name, values in config.as_dict().items() if name not in _LATER}
    out = folder(single, *made_from)
    execution = Execution(workers=args.workers)
    request = Request(DataSpec(root), out=masks_out, config=config, selection=chosen, execution=execution)
    if not args.masks_from:
        run_masks(request)
    made = Labels(masks_out).document(MasksDocument).config
    request = replace(request, out=out, masks_from=masks_out)
    run_clusters(request)
    if args.stages and (config.looks.enabled or config.tracks.enabled):
        request = replace(request, out=folder(config.as_dict(), *made_from))
        if not request.out.exists():
            shutil.copytree(out, request.out)
        if config.looks.enabled:
            run_looks(request)
        if config.tracks.enabled:
            run_tracks(request)
    verdicts = []
    labels = Labels(request.out, last_stage(Labels(request.out)))
    report = evaluate_labels(labels, request.data.open(), on_verdict=verdicts.append)
    frames = {one.frame_id: frame_counts(one) for one in verdicts}
    return Scored(frames, verdicts[0].bins["range"], verdicts[0].class_names, semantics_of(made), report.truth)


def finished(masks, outs):
    """That of some output folders which has masks of these settings."""
    for out in outs:
        if Labels(out).document(MasksDocument).config.as_dict() == masks.as_dict():
            return out
    raise SystemExit(f"none of {[str(out) for out in outs]} has masks of these settings: {masks.as_dict()}")


def semantics_of(masks):
    """Name of the source of classes, and its options that are not the default ones."""
    options, plain = asdict(masks.semantics_options()), asdict(semantics_plugin(masks.semantics).config())
    changed = [f"{name}={value}" for name, value in options.items() if value != plain[name]]
    return " ".join([masks.semantics, *changed])


def tables(root, scored, args):
    """The tables of one root: all segments, differences, by class and by range."""
    first, dataset = next(iter(scored.values())), DataSpec(root).open()
    frame_ids = [frame_id for frame_id in first.frames if all(frame_id in one.frames for one in scored.values())]
    scenes = [dataset.scene(frame_id) for frame_id in frame_ids]
    unit = units_of(scenes, args.block)
    counts = np.stack([np.stack([one.frames[frame_id] for one in scored.values()]) for frame_id in frame_ids])
    whole = compare(counts.sum(axis=2), unit)
    names = list(scored)
    sources, truths = ({getattr(one, name) for one in scored.values()} for name in ("semantics", "truth"))
    about = [
        f"{root.name}: {counted(len(frame_ids), 'frame')} of {counted(len(set(scenes)), 'scene')}, "
        f"{frame_ids[0]} to {frame_ids[-1]}" + (f", of split {args.split}" if args.split else ""),
        f"semantics: {'; '.join(sorted(sources))}; ground truth: {'; '.join(sorted(truths))}",
        f"bands: 95 % of {DRAWS} draws of {counted(unit[-1] + 1, 'unit')}, each "
        + ("a scene" if args.block is None else f"up to {counted(args.block, 'consecutive frame')} of a scene")
        + ("" if unit[-1] else "; a single unit has no bands (see --block)"),
    ]
    left_out = {frame_id for one in scored.values() for frame_id in one.frames} - set(frame_ids)
    if left_out:
        about.append(f"left out: {counted(len(left_out), 'frame')} that some variants could not label or score")
    own = [f"{name} ({scored[name].semantics})" if len(sources) > 1 else name for name in names]
    rows = [
        (label, band(f[0]), *n, *map(band, f[1:])) for label, n, f in zip(own, whole.counts, whole.figure, strict=True)
    ]
    yield Table("\n".join(about), ("variant", "PQ", "TP", "FP", "FN", *FIGURES[1:]), rows)
    rows = [(name, *map(band, d)) for name, d in list(zip(names, whole.difference, strict=True))[1:]]
    yield Table(f"minus {names[0]}, draw by draw", ("variant", *FIGURES), rows)
    classes = {name: counts[..., k : k + 1].sum(axis=2) for k, name in enumerate(first.classes)}
    yield by_group("class", classes, names, unit)
    yield by_group("range", {name: counts[:, :, k] for k, name in enumerate(first.ranges)}, names, unit)


def by_group(kind, groups, names, unit):
    """A table of every group with objects or clusters; PQ and IoU also minus the first variant."""
    rows = []
    for group, counts in groups.items():
        if not counts.any():
            continue
        found = compare(counts, unit)
        for k, name in enumerate(names):
            pq, iou, *shares = found.figure[k]
            minus = [band(found.difference[k, f]) if k else "" for f in (0, 1)]
            recalls = [format_value(float(share[0])) for share in shares]
            rows.append((f"{group}: {name}", band(pq), minus[0], *found.counts[k], band(iou), minus[1], *recalls))
    differences = (f"{figure} minus {names[0]}" for figure in FIGURES[:2])
    header = (f"{kind}: variant", "PQ", next(differences), "TP", "FP", "FN", "IoU", next(differences), *FIGURES[2:])
    return Table(f"by {kind}", header, rows)


def band(figure):
    """A value with its band."""
    value, low, high = (float(one) for one in figure)
    return format_value(value) if np.isnan(low) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--variants", type=Path)
    parser.add_argument("--stages", action="store_true", help="also make second looks and tracks")
    parser.add_argument("--semantics", help="source of classes of every variant, in place of the recipe's")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a field of every variant")
    parser.add_argument(
        "--masks-from", type=Path, action="append", default=[], help="output folder of a run with masks"
    )
    parser.add_argument("--split", help="frames of this split or scene only")
    parser.add_argument("--frames", nargs="+", default=[], metavar="FRAME_ID")
    parser.add_argument("--sample", type=int, help="this many of the frames, evenly spaced")
    parser.add_argument("--block", type=int, help="frames of a unit of the bootstrap, such as 3 at 10 Hz")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    listed = json.loads(args.variants.read_text(encoding="utf-8")) if args.variants else variants(args.stages)
    common = [f"masks.semantics={args.semantics}"] if args.semantics else []
    for root in args.roots:
        scored = {
            name: score(root, recipe, [*common, *args.set, *overrides], args)
            for name, (recipe, *overrides) in listed.items()
        }
        for table in tables(root, scored, args):
            print("\n" + (table.markdown() if args.markdown else table.text()), flush=True)


if __name__ == "__main__":
    main()
