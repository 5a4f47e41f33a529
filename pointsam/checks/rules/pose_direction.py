"""A vehicle that turns keeps moving along the same axis of its own frame; inverted poses show here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from pointsam.checks.base import Problem, Rule
from pointsam.geometry.se3 import SE3
from pointsam.types import Frame

_MOVED_M = 0.5
_LEAST = 6
"""Steps of at least _MOVED_M that are needed."""
_ALIKE, _UNLIKE = 0.95, 0.85
"""Fraction of the motion along one axis of the vehicle."""


def _along_one_axis(poses: Sequence[SE3]) -> tuple[float, int]:
    """The fraction of the motion that is along one axis of the vehicle, forwards or backwards, and the steps."""
    directions = []
    for before, after in pairwise(poses):
        moved = after.translation_m - before.translation_m
        length = float(np.linalg.norm(moved))
        if length > _MOVED_M:
            directions.append(before.rotation.T @ moved / length)
    if len(directions) < _LEAST:
        return 0.0, len(directions)
    spread = np.array(directions)
    return float(np.linalg.eigvalsh(spread.T @ spread / len(spread))[-1]), len(directions)


def _check(frames: Sequence[Frame]) -> Iterator[Problem]:
    poses = [frame.sweep.world_SE3_ego for frame in frames]
    along, count = _along_one_axis(poses)
    if count < _LEAST or along > _UNLIKE:
        return
    inverse, _ = _along_one_axis([pose.inverse() for pose in poses])
    if inverse > _ALIKE:
        yield Problem(
            frames[0].scene,
            "the direction in which the vehicle moves is not tied to its heading, but it is with the inverse of the "
            "poses: they are probably inverted",
        )


RULE = Rule(
    id="pose-direction",
    severity="error",
    title="The vehicle moves along its own axes.",
    remedy="Write poses that take points of the vehicle to the world (world_SE3_ego), not their inverses.",
    of_scene=_check,
)
