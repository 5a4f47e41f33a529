"""Scenes are recorded without a break."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pointsam.checks.base import Problem, Rule
from pointsam.types import Frame

_TIMES_USUAL = 20.0
_LEAST_S = 5.0


def _check(frames: Sequence[Frame]) -> Iterator[Problem]:
    step = np.diff(np.array([frame.sweep.t_us for frame in frames], dtype=np.float64)) * 1e-6
    if len(step) < 2:
        return
    usual = float(np.percentile(step, 25, method="lower"))
    for i in np.flatnonzero(step > max(_TIMES_USUAL * usual, _LEAST_S)):
        yield Problem(
            frames[i + 1].frame_id,
            f"{step[i]:.3g} s after the frame before it in {frames[i].scene}; {usual:.3g} s is usual",
        )


RULE = Rule(
    id="time-gaps",
    severity="warning",
    title="No frame of a scene comes 20 times later than usual after the frame before it.",
    remedy="Nothing, if the recording paused. Otherwise look for missing frames, or for two drives under one name.",
    of_scene=_check,
)
