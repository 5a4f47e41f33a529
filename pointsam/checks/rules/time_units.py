"""Times are in microseconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pointsam.checks.base import Problem, Rule
from pointsam.types import Frame

_EPOCHS = ((1e8, 1e10, "seconds"), (1e11, 1e13, "milliseconds"), (1e17, 1e19, "nanoseconds"))
"""Times since 1970 in other units. In microseconds, the years 1990 to 2100 are from 6e14 to 4e15."""
_SHORTEST_US, _LONGEST_US = 5_000.0, 90e6
"""LiDARs turn at most 100 times a second; in nanoseconds, frames at 10 Hz are 100 s apart."""


def _check(frames: Sequence[Frame]) -> Iterator[Problem]:
    times = np.array([frame.sweep.t_us for frame in frames], dtype=np.float64)
    if len(times) == 0 or not times.any():  # a data set without times
        return
    first, step = frames[0], float(np.median(np.abs(np.diff(times)))) if len(times) > 1 else None
    unit = next((unit for low, high, unit in _EPOCHS if low < times.min() and times.max() < high), None)
    too_short = step is not None and step < _SHORTEST_US
    if unit is not None and (step is None or too_short or step > _LONGEST_US):
        yield Problem(first.scene, f"the time of frame {first.frame_id} is {first.sweep.t_us}: {unit} since 1970")
    elif step is not None and too_short and step > 0:
        yield Problem(
            first.scene, f"frames are {step:.4g} microseconds apart: the times are probably milliseconds or seconds"
        )
    elif step is not None and step > _LONGEST_US:
        yield Problem(first.scene, f"frames are {step * 1e-6:.4g} s apart: the times are probably nanoseconds")


RULE = Rule(
    id="time-units",
    severity="error",
    title="Times are in microseconds: frames of a scene are between 5 ms and 90 s apart.",
    remedy="Write all time stamps in microseconds.",
    of_scene=_check,
)
