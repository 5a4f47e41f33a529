"""Data with times have poses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pointsam.checks.base import Problem, Rule, Survey
from pointsam.geometry.se3 import SE3
from pointsam.types import Frame

_LEAST = 5
"""Frames below which equal poses say nothing."""


class _Poses(Survey):
    def __init__(self) -> None:
        self._frames = self._identities = 0
        self._timed = False

    def see(self, frame: Frame) -> None:
        pose = frame.sweep.world_SE3_ego
        self._frames += 1
        self._timed |= frame.sweep.t_us != 0
        self._identities += _is_identity(pose)

    def problems(self) -> Iterator[Problem]:
        if self._timed and self._frames >= _LEAST and self._identities == self._frames:
            yield Problem("poses", f"the pose of the vehicle is the identity in all {self._frames} frames")


def _is_identity(pose: SE3) -> bool:
    return not pose.translation_m.any() and bool(np.array_equal(pose.rotation, np.eye(3)))


RULE = Rule(
    id="identity-poses",
    severity="warning",
    title="The poses of the vehicle are more than a placeholder.",
    remedy="Nothing, if the vehicle never moves. Otherwise write its poses (oxts/SEQUENCE.txt of KITTI tracking): "
    "without them, past sweeps and images are not moved to the time of the sweep, and labels of moving scenes are "
    "shifted.",
    survey=_Poses,
)
