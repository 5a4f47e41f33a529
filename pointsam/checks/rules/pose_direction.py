"""A vehicle moves along its own axes, also where it turns; with inverted poses it does not, or it moves too far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pointsam.checks.base import Problem, Rule
from pointsam.geometry.se3 import SE3
from pointsam.types import Frame

_MOVED_M = 0.5
_LEAST = 6
"""Steps of at least _MOVED_M that are needed."""
_ALIKE, _UNLIKE = 0.95, 0.85
"""Fraction of the motion in one direction of the vehicle."""
_ON_AXIS = 0.98
"""Cosine of the largest angle to an axis of the vehicle, 11 degrees."""
_FASTEST_MPS, _LONGEST_M = 60.0, 30.0
"""Speed that no vehicle has, and mean step that none has where times are not known.

Far from the origin, inverted poses turn each turn of the vehicle into a long way, which may be along one of its axes.
On a circle around the origin, right poses make a longer way than their inverses too, but not a fast one.
"""


class _Motion(NamedTuple):
    """Steps of a vehicle in its own frame.

    Args:
        along: fraction of the motion that is in one direction of the vehicle; 0 if it hardly moves.
        on_axis: whether this direction is one of its axes.
        length_m: their length.
    """

    along: float
    on_axis: bool
    length_m: float


def _motion(poses: Sequence[SE3]) -> _Motion:
    steps = []
    for before, after in pairwise(poses):
        moved = before.rotation.T @ (after.translation_m - before.translation_m)
        if np.linalg.norm(moved) > _MOVED_M:
            steps.append(moved)
    if len(steps) < _LEAST:
        return _Motion(0.0, False, 0.0)
    length = np.linalg.norm(steps, axis=1)
    directions = np.array(steps) / length[:, None]
    share, axes = np.linalg.eigh(directions.T @ directions / len(steps))
    return _Motion(float(share[-1]), bool(np.abs(axes[:, -1]).max() > _ON_AXIS), float(length.sum()))


def _check(frames: Sequence[Frame]) -> Iterator[Problem]:
    if not frames:
        return
    poses = [frame.sweep.world_SE3_ego for frame in frames]
    own, inverse = _motion(poses), _motion([pose.inverse() for pose in poses])
    seconds = (frames[-1].sweep.t_us - frames[0].sweep.t_us) * 1e-6
    too_far = own.length_m > (_FASTEST_MPS * seconds if seconds > 0 else _LONGEST_M * len(frames))
    unlike = own.along < _UNLIKE or not own.on_axis or (too_far and inverse.length_m < own.length_m / 2)
    if own.length_m and inverse.along > _ALIKE and inverse.on_axis and unlike:
        yield Problem(
            frames[0].scene,
            f"as the poses are, the vehicle moves {own.length_m:.4g} m, {own.along:.0%} of it in one direction; with "
            f"their inverses, {inverse.length_m:.4g} m, {inverse.along:.0%} of it along one of its axes: they are "
            "probably inverted",
        )


RULE = Rule(
    id="pose-direction",
    severity="warning",
    title="The vehicle moves along its own axes.",
    remedy="Write poses that take points of the vehicle to the world, not their inverses.",
    of_scene=_check,
)
