"""PCD files state no other pose of the sensor than the calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pointsam.base.words import counted
from pointsam.checks.base import Probe, Problem, Rule, Survey
from pointsam.datasets.clouds import HeadedPoints


class _Viewpoints(Survey):
    def __init__(self) -> None:
        self._files = Counter[str]()
        self._first: dict[str, str] = {}

    def open(self, probe: Probe) -> None:
        for sweep in probe.frame.sweeps:
            source = sweep.source
            if isinstance(source, HeadedPoints) and source.viewpoint:
                self._files[sweep.sensor] += 1
                self._first.setdefault(sweep.sensor, f"{source.name} has {source.viewpoint:.120}")

    def problems(self) -> Iterator[Problem]:
        for sensor, count in self._files.items():
            yield Problem(
                sensor, f"{counted(count, 'file')} with a VIEWPOINT, which is not used: {self._first[sensor]}"
            )


RULE = Rule(
    id="cloud-viewpoint",
    severity="warning",
    title="PCD files state no pose of the sensor (VIEWPOINT) besides the calibration.",
    remedy="Nothing, if the points are in the axes of the sensor: they are read as they stand. If they are in the "
    "frame in which VIEWPOINT places the sensor, move them back to the sensor (by its inverse), or let the mounting of "
    "the LiDAR state that frame.",
    survey=_Viewpoints,
)
