"""Positions are in metres, about a sensor, and not all the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pointsam.checks.base import Probe, Problem, Rule
from pointsam.checks.raw_rows import unit_of
from pointsam.datasets.clouds import StatedPoints
from pointsam.datasets.io import read_points
from pointsam.geometry.ground import level_m

_FAR_M = 500.0
_UNITS = {"_cm": ("centimetres", 100), "_mm": ("millimetres", 1000)}
_ZERO = 0.95
_TALL_M = 100.0
_NEAR_M = 0.5
_FEW, _SAMPLE, _DISTINCT = 100, 5000, 0.02


def _check(probe: Probe) -> Iterator[Problem]:
    for sweep in probe.frame.sweeps:
        xyz = read_points(sweep).astype(np.float64)
        xyz = xyz[np.isfinite(xyz[:, 0])]
        name, count = sweep.source.name, len(xyz)
        reach = np.linalg.norm(xyz, axis=1)
        zero = float((reach == 0).mean())
        unit, returned = unit_of(xyz), xyz[reach > 0]
        sample = returned[:: 1 + len(returned) // _SAMPLE]
        median, most = float(np.median(reach)), float(np.percentile(reach, 99))
        if zero > _ZERO:
            yield Problem(name, f"{zero:.0%} of {count} points are at 0, 0, 0")
        elif len(sample) > _FEW and len(np.unique(sample, axis=0)) < _DISTINCT * len(sample):
            yield Problem(
                name, f"of {len(sample)} points, only {len(np.unique(sample, axis=0))} differ in their position"
            )
        elif unit and most / _UNITS[unit][1] < _FAR_M:
            word, _ = _UNITS[unit]
            stated = isinstance(sweep.source, StatedPoints)
            way = f"state x{unit},y{unit},z{unit} with --columns" if stated else "convert the file to metres"
            yield Problem(name, f"half of the points are beyond {median:.0f} m: these are probably {word}; {way}")
        elif most > _FAR_M:
            yield Problem(name, f"1 % of the points are beyond {most:.3g} m")
        elif np.ptp(np.percentile(level_m(xyz, sweep.ego_SE3_lidar)[:, 2], (5, 95))) > _TALL_M:
            yield Problem(name, "90 % of the points span more than 100 m of height")
        elif most < _NEAR_M:
            yield Problem(name, f"99 % of the points are within {most:.3g} m of the sensor")


RULE = Rule(
    id="cloud-extent",
    severity="error",
    title="Points lie within 500 m of the sensor, in metres, and hardly any at the same place.",
    remedy="State the unit of raw files (--columns x_mm,y_mm,z_mm,intensity), check the number of values per point, "
    "and that the file was downloaded whole.",
    of_frame=_check,
)
