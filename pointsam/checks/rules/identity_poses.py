"""Data with times have poses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pointsam.base.words import counted
from pointsam.checks.base import Problem, Rule, Survey
from pointsam.types import Frame

_LEAST = 5
"""Frames below which equal poses say nothing."""


class _Poses(Survey):
    def __init__(self) -> None:
        self._frames, self._identities = Counter[str](), Counter[str]()
        self._timed = False

    def see(self, frame: Frame) -> None:
        self._frames[frame.scene] += 1
        self._timed |= frame.sweep.t_us != 0
        self._identities[frame.scene] += frame.sweep.world_SE3_ego.is_identity

    def problems(self) -> Iterator[Problem]:
        total = self._frames.total()
        if not self._timed or total < _LEAST:
            return
        if self._identities.total() == total:
            yield Problem("poses", f"the pose of the vehicle is the identity in all {total} frames")
            return
        still = [scene for scene, count in self._frames.items() if _LEAST <= count == self._identities[scene]]
        if still:
            what = f"in all frames of {counted(len(still), 'scene')}, for example {still[0]!r}; others have poses"
            yield Problem("poses", f"the pose of the vehicle is the identity {what}")


RULE = Rule(
    id="identity-poses",
    severity="warning",
    title="The poses of the vehicle are more than a placeholder.",
    remedy="Nothing, if the vehicle never moves. Otherwise write its poses (oxts/SEQUENCE.txt of KITTI tracking): "
    "without them, past sweeps and images are not moved to the time of the sweep, and labels of moving scenes are "
    "shifted.",
    survey=_Poses,
)
