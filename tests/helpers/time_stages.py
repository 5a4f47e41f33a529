"""A world in which a frame is missed, and runs of the stages over time."""

from __future__ import annotations

import pytest
from helpers.commands import label, tables
from helpers.masks import write_masks
from helpers.segmenters import Scissors
from helpers.training import make_world

from pipelines.labelling import jobs, looks, tracks

SCENES = ("scene-0061", "scene-0103")
LOOKED = ("looked_frames", "looked_points", "looked_clusters", "looks")
TRACKED = ("tracked_frames", "tracked_points", "tracked_clusters", "tracks")


def missed_world(folder):
    """A data set of two scenes of five frames with eight moving objects each, its masks, and a frame without any."""
    dataset = make_world(folder / "root", scenes=SCENES, samples=5)
    write_masks(dataset, folder / "masks")
    missed = dataset.frame_ids(None)[1]
    forget_masks(dataset, folder / "masks", missed)
    return dataset, folder / "masks", missed


def forget_masks(dataset, masks, frame_id):
    """Empty the 2D results of a frame."""
    for view in dataset.frame(frame_id).cameras:
        (masks / view.name / f"{view.stem}.json").write_text("[]")


def known(masks):
    """Options for 2D results of a folder."""
    return ("--semantics", "precomputed", "--masks-dir", masks, "--workers", 1)


def shorten(patch, frames=2):
    """Give shards so many frames."""
    for module in (jobs, looks, tracks):
        patch.setattr(module, "SHARD_FRAMES", frames)


def finished_run(world, out, *more):
    """What a run printed. Its masks are cut out with scissors, and its shards have two frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())
        shorten(patch)
        done = label("run", world[0].root, "--out", out, *known(world[1]), *more)
    assert done.exit_code == 0, done.output
    return done.output


def tables_of(out, names):
    """Files of some tables of a folder, by path."""
    return {path: data for path, data in tables(out).items() if path.parts[0] in names}
