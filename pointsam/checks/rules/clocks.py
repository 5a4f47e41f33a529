"""Sensors and poses have the times of one clock."""

from __future__ import annotations

from pointsam.checks.base import Rule, in_tables

_ID = "clocks"

RULE = Rule(
    id=_ID,
    severity="error",
    title="The times of all sensors and poses are of one clock.",
    remedy="State the difference of the clocks in the calibration file (time_offset_s is added to the stamps), or "
    "correct the unit of the stamps. An offset below the tolerance of matching is not seen in stamps; look at the "
    "points in the images.",
    of_dataset=in_tables(_ID),
)
