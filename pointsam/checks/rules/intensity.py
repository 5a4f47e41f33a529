"""Intensities are finite and not negative; integral ring numbers in their place mean shifted columns."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.checks.base import Probe, Problem, Rule

_MOST = 65535.0


def _check(probe: Probe) -> Iterator[Problem]:
    for sweep in probe.frame.sweeps:
        if "intensity" not in sweep.source.columns:
            continue
        values = probe.column(sweep, "intensity")
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > _MOST:
            yield Problem(sweep.source.name, f"intensities from {low:.4g} to {high:.4g}")


RULE = Rule(
    id="intensity-range",
    severity="warning",
    title="Intensities are between 0 and 65535.",
    remedy="Check the order of the columns. Labels do not depend on intensities; detectors do.",
    of_frame=_check,
)
