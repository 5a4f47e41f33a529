"""Clouds of one sensor have the same columns in all drives."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.checks.base import Probe, Problem, Rule, Survey


class _Columns(Survey):
    def __init__(self) -> None:
        self._found: dict[str, dict[tuple[str, ...], str]] = {}

    def open(self, probe: Probe) -> None:
        for sweep in probe.frame.sweeps:
            columns = tuple(sorted(sweep.source.columns))
            self._found.setdefault(sweep.sensor, {}).setdefault(columns, sweep.source.name)

    def problems(self) -> Iterator[Problem]:
        for sensor, found in self._found.items():
            if len(found) > 1:
                kinds = "; ".join(f"{', '.join(columns)} in {name}" for columns, name in list(found.items())[:3])
                yield Problem(sensor, f"its clouds have {len(found)} sets of columns: {kinds}")


RULE = Rule(
    id="cloud-layout",
    severity="warning",
    title="Clouds of one LiDAR have the same columns.",
    remedy="Export all drives with the same columns: where a column is missing, it counts as 0, and a detector learns "
    "from what only some drives have.",
    survey=_Columns,
)
