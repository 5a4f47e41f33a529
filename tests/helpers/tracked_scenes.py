"""Scenes of labelled and true objects that last, with everything that goes wrong in tracking."""

import numpy as np

from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, PointLabels, PointTruth

NUM_CLASSES = len(NUSCENES.classes)


def random_scene(rng, frames=8, classes=range(NUM_CLASSES), objects=25):
    """Frames of (labels by track, ground truth by object).

    Objects come and go, and change their size. Labels shift borders, lose objects, confuse classes, and swap, cut
    and join tracks. Some frames have no objects, no labels, or no points that are not void.
    """
    class_of = rng.choice(list(classes), objects)
    track_of, pred_class = np.arange(objects), class_of.copy()
    wrong = rng.random(objects) < 0.15
    pred_class[wrong] = rng.choice(list(classes), wrong.sum())
    size = rng.choice([2, 14, 15, 16, 30, 80], objects)
    first = rng.integers(0, max(frames // 2, 1), objects)
    last = first + rng.integers(0, frames, objects)
    out = []
    for frame in range(frames):
        if rng.random() < 0.4:
            one, other = rng.integers(0, objects, 2)
            track_of[[one, other]] = track_of[[other, one]]
        cut = rng.random(objects) < 0.1
        track_of[cut] = track_of.max() + 1 + np.arange(cut.sum())
        if rng.random() < 0.2:
            track_of[rng.integers(0, objects)] = track_of[rng.integers(0, objects)]
        reclassed = rng.random(objects) < 0.05
        pred_class[reclassed] = rng.choice(list(classes), reclassed.sum())
        here = np.flatnonzero((first <= frame) & (frame <= last))
        if rng.random() < 0.1:
            here = here[:0]
        points = np.maximum(size[here] + rng.integers(-3, 4, len(here)), 1)
        owner = np.concatenate([[NO_INSTANCE] * 40, np.repeat(here, points)]).astype(np.int64)
        moved = np.roll(owner, int(rng.integers(-4, 5)))
        lost = np.isin(moved, here[rng.random(len(here)) < 0.2]) | (rng.random() < 0.05)
        true = _labels(owner, class_of, np.arange(objects))
        pred = _labels(np.where(lost, NO_INSTANCE, moved), pred_class, track_of)
        void = rng.random(len(owner)) < rng.choice([0.0, 0.05, 0.4, 1.0], p=[0.3, 0.5, 0.15, 0.05])
        out.append((pred, PointTruth(true, void, "panoptic")))
    return out


def _labels(owner, class_of, number_of):
    background = owner == NO_INSTANCE
    return PointLabels(
        np.where(background, NO_INSTANCE, number_of[owner]).astype(np.int32),
        np.where(background, BACKGROUND, class_of[owner]).astype(np.uint8),
    )
