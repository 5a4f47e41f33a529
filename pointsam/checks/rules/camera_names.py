"""Cameras look where their names say."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from pointsam.checks.base import Probe, Problem, Rule
from pointsam.checks.rules.mounting import problem_of

_WORDS = {"front": (1, 0), "forward": (1, 0), "back": (-1, 0), "rear": (-1, 0), "left": (0, 1), "right": (0, -1)}
"""Directions in the axes of the vehicle, x forward and y left."""
_FARTHEST_DEG = 100.0


def named_direction(name: str) -> tuple[float, float] | None:
    """The direction that the name of a camera states: the sum of its words; None without one."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word in _WORDS]
    x, y = (sum(_WORDS[word][axis] for word in words) for axis in (0, 1))
    return (x, y) if x or y else None


def _check(probe: Probe) -> Iterator[Problem]:
    for view in probe.frame.cameras:
        direction = named_direction(view.name)
        if direction is None or problem_of(view.ego_SE3_cam) is not None:
            continue
        ahead = view.ego_SE3_cam.rotation[:2, 2]
        if np.linalg.norm(ahead) < 0.5:  # it looks up or down
            continue
        apart = math.atan2(ahead[1], ahead[0]) - math.atan2(direction[1], direction[0])
        degrees = abs(math.degrees(math.remainder(apart, 2 * math.pi)))
        if degrees > _FARTHEST_DEG:
            yaw = math.degrees(math.atan2(ahead[1], ahead[0]))
            yield Problem(
                view.name,
                f"by its mounting it looks {yaw:+.0f} degrees from forward (left is +90), {degrees:.0f} degrees from "
                "where its name says",
            )


RULE = Rule(
    id="camera-names",
    severity="warning",
    title="Cameras look where their names say (front, left, right, back).",
    remedy="Nothing, if the name means something else. Otherwise two cameras are exchanged in the calibration, or the "
    "axes of the vehicle are not x forward, y left, z up.",
    of_frame=_check,
)
