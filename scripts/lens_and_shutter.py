"""What it costs to ignore the lens and the row times of cameras: PQ of the same masks lifted with and without them.

    python scripts/lens_and_shutter.py WORLD --work DIR [--split val] [--sample 20]

WORLD is any data set with ground truth of points whose cameras state a lens or row times (docs/cameras.md). Masks are
made once, with --semantics oracle if there is ground truth of the images, and kept in DIR; --masks-from takes those of
a finished run instead. Masks of box prompts do not depend on the calibration.
"""

import argparse
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from pipelines.data import DataSpec
from pipelines.labelling.jobs import run_masks
from pipelines.labelling.request import Execution, Request, Selection
from pipelines.stored_masks import StoredMasks
from pointsam.base.runtime import Stopwatch
from pointsam.base.tables import text_table
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.agnostic import AgnosticAccumulator
from pointsam.evaluate.judge import MIN_POINTS_OBJECTS, MIN_POINTS_PANOPTIC
from pointsam.evaluate.panoptic import PanopticAccumulator
from pointsam.geometry.camera import Camera
from pointsam.geometry.projection import project
from pointsam.stages.frame import frame_labels
from pointsam.stages.recipes import RECIPES, with_overrides


def changed(frame, lens, rows):
    """The frame without the lenses, without the row times, or without both."""

    def plain(view):
        camera = Camera(view.camera.K, view.camera.width_px, view.camera.height_px)
        return replace(view, camera=camera if lens else view.camera, shutter=None if rows else view.shutter)

    return replace(frame, cameras=tuple(map(plain, frame.cameras)))


def variants(frame):
    """Name -> (whether lenses are ignored, whether row times are) of what a frame states."""
    lens = any(view.camera.model is not None for view in frame.cameras)
    rows = any(view.shutter is not None for view in frame.cameras)
    named = {"as stated": (False, False)}
    named |= {"lens ignored": (True, False)} if lens else {}
    named |= {"row times ignored": (False, True)} if rows else {}
    return named | ({"both ignored": (True, True)} if lens and rows else {})


def shift_px(stated, frame, xyz):
    """Median and 95 % of the distance between the pixels of points with and without lens and row times."""
    moved = []
    for true, view in zip(stated.cameras, frame.cameras, strict=True):
        seen, other = project(xyz, stated, true), project(xyz, frame, view)
        moved.append(np.linalg.norm(seen.uv_px - other.uv_px, axis=1)[seen.valid & np.isfinite(other.uv_px[:, 0])])
    return np.concatenate(moved)


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for the masks")
    parser.add_argument("--masks-from", type=Path, help="masks of a finished run, in place of new ones")
    parser.add_argument("--split", help="split or scene")
    parser.add_argument("--sample", type=int, help="so many frames, evenly spaced")
    parser.add_argument("--set", action="append", default=[], help="change one field of the default recipe")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()

    config = with_overrides(RECIPES["default"](), ["masks.semantics=oracle", *args.set])
    data, folder = DataSpec(args.world), args.masks_from or args.work / "masks"
    if args.masks_from is None:
        chosen = Selection((), args.split, args.sample)
        run_masks(Request(data, out=folder, config=config, selection=chosen, execution=Execution(workers=args.workers)))
    masks, dataset = StoredMasks(folder), data.open()
    rows = score(masks, dataset, config.clusters)
    print(text_table(("cameras", "frames", "PQ", "SQ", "RQ", "mean IoU", "median shift, px", "95 %"), list(rows)))


def score(masks, dataset, config):
    """A row of the table for each variant."""
    counts = {}
    for _, frame_id in masks.labels.selection("masks"):
        frame, images = dataset.frame(frame_id), masks.images(frame_id)
        points = read_frame_points(frame)
        truth = dataset.point_truth(frame_id).of_points(points.present)
        painted = cache(lambda camera, images=images: masks.painted(images[camera], config))
        for name, ignored in variants(frame).items():
            seen = changed(frame, *ignored)
            found = frame_labels(seen, points, images, painted, masks.taxonomy, config, Stopwatch())
            panoptic, agnostic, shifts = counts.setdefault(
                name,
                (
                    PanopticAccumulator(masks.taxonomy, MIN_POINTS_PANOPTIC),
                    AgnosticAccumulator(masks.taxonomy, MIN_POINTS_OBJECTS),
                    [],
                ),
            )
            panoptic.add(found.labels, truth)
            agnostic.add(found.labels, truth)
            shifts.append(shift_px(frame, seen, points.xyz_lidar_m))
    for name, (panoptic, agnostic, shifts) in counts.items():
        whole, moved = panoptic.result(), np.concatenate(shifts)
        figures = (whole.pq, whole.sq, whole.rq, agnostic.result().overall.mean_iou)
        yield (
            name,
            len(shifts),
            *(f"{value:.3f}" for value in figures),
            *(f"{value:.1f}" for value in np.quantile(moved, (0.5, 0.95))),
        )


if __name__ == "__main__":
    main()
