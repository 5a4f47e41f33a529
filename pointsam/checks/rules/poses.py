"""The vehicle moves as a vehicle does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pointsam.checks.base import Problem, Rule
from pointsam.types import Frame

_FASTEST_MPS = 100.0
_JUMP_M = 5.0
_DRIVING_MPS = (1.0, 60.0)


def _check(frames: Sequence[Frame]) -> Iterator[Problem]:
    for before, after in pairwise(frames):
        seconds = (after.sweep.t_us - before.sweep.t_us) * 1e-6
        if seconds <= 0:
            continue
        apart = _distance(after.sweep.world_SE3_ego.translation_m, before.sweep.world_SE3_ego.translation_m)
        if apart > _JUMP_M + _FASTEST_MPS * seconds:
            low, high = _DRIVING_MPS
            cause = ": positions are probably in millimetres" if low < apart / seconds / 1000 < high else ""
            yield Problem(after.frame_id, f"the vehicle jumps {apart:.4g} m in {seconds:.3g} s{cause}")
    for frame in frames:
        for view in frame.cameras:
            apart = _distance(view.world_SE3_ego.translation_m, frame.sweep.world_SE3_ego.translation_m)
            allowed = _JUMP_M + _FASTEST_MPS * abs(view.t_us - frame.sweep.t_us) * 1e-6
            if apart > allowed:
                yield Problem(
                    f"{frame.frame_id} {view.name}",
                    f"the vehicle is {apart:.4g} m away from where the sweep has it",
                )


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(a - b))


RULE = Rule(
    id="poses",
    severity="error",
    title="The vehicle is never faster than 100 m/s.",
    remedy="Correct the pose table: positions are in metres, in one world frame per scene.",
    of_scene=_check,
)
