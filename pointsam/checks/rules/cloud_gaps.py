"""Most rows of a sweep have a position."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pointsam.checks.base import Probe, Problem, Rule
from pointsam.datasets.io import read_points

_FEW = 0.05


def _check(probe: Probe) -> Iterator[Problem]:
    for sweep in probe.frame.sweeps:
        present = np.isfinite(read_points(sweep)[:, 0])
        if present.mean() < _FEW:
            yield Problem(sweep.source.name, f"only {present.sum()} of {len(present)} rows have a position")


RULE = Rule(
    id="cloud-gaps",
    severity="warning",
    title="At least one row in 20 of a sweep has a position: x, y and z are finite.",
    remedy="Nothing, if the sensor looks into the open sky. Otherwise export the clouds again.",
    of_frame=_check,
)
