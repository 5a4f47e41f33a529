"""A vehicle moves along its own axes, also where it turns; with inverted poses it does not, or it moves too far."""

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


def _motion(poses: Sequence[SE3]) -> tuple[float, float]:
    """The fraction of the motion that is along one axis of the vehicle, and its length in metres.

    0 and 0 if the vehicle hardly moves.
    """
    steps = []
    for before, after in pairwise(poses):
        moved = before.rotation.T @ (after.translation_m - before.translation_m)
        if np.linalg.norm(moved) > _MOVED_M:
            steps.append(moved)
    if len(steps) < _LEAST:
        return 0.0, 0.0
    length = np.linalg.norm(steps, axis=1)
    directions = np.array(steps) / length[:, None]
    return float(np.linalg.eigvalsh(directions.T @ directions / len(steps))[-1]), float(length.sum())


def _check(frames: Sequence[Frame]) -> Iterator[Problem]:
    poses = [frame.sweep.world_SE3_ego for frame in frames]
    (along, length), (inverse_along, inverse_length) = _motion(poses), _motion([pose.inverse() for pose in poses])
    if inverse_along > _ALIKE and length and (along < _UNLIKE or inverse_length < length / 2):
        yield Problem(
            frames[0].scene,
            f"as the poses are, the vehicle moves {length:.4g} m and {along:.0%} of it along one of its axes; "
            f"with their inverses, {inverse_length:.4g} m and {inverse_along:.0%}: they are probably inverted",
        )


RULE = Rule(
    id="pose-direction",
    severity="warning",
    title="The vehicle moves along its own axes.",
    remedy="Write poses that take points of the vehicle to the world, not their inverses.",
    of_scene=_check,
)
