"""Time stamps as texts: names of files, and columns of tables of poses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal

from pointsam.datasets.folder.calibration import Unit

US_PER: Mapping[str, Decimal] = {
    "s": Decimal(1_000_000),
    "ms": Decimal(1_000),
    "us": Decimal(1),
    "ns": Decimal("0.001"),
}
"""Microseconds in each unit."""
_NUMBER = re.compile(r"[-+]?\d{1,25}(\.\d{0,25})?([eE][-+]?\d{1,2})?")
_PARTS = re.compile(r"(\d{1,11})[_-](\d{9})")
"""Seconds and nanoseconds, as ROS tools name files."""
_EPOCHS: tuple[tuple[Unit, float, float], ...] = (
    ("s", 1e8, 1e10),
    ("ms", 1e11, 1e13),
    ("us", 1e14, 1e16),
    ("ns", 1e17, 1e19),
)
"""Times since 1970 of the years 1973 to 2286 in each unit."""
_MOST_US = 2**62


def microseconds(text: str, unit: Unit) -> int | None:
    """The time that a text states, to the nearest microsecond; None if it is no number.

    SECONDS_NANOSECONDS (1697045123_020000000) is read as such, whatever the unit.
    """
    parts = _PARTS.fullmatch(text)
    if parts is not None:
        value = Decimal(parts[1]) * US_PER["s"] + Decimal(parts[2]) * US_PER["ns"]
    elif _NUMBER.fullmatch(text):
        value = Decimal(text) * US_PER[unit]
    else:
        return None
    return int(value.to_integral_value(ROUND_HALF_EVEN)) if abs(value) < _MOST_US else None


def inferred_unit(texts: Iterable[str]) -> Unit | None:
    """The unit of stamps that are times since 1970, by their size; None if they are not, or not all in one unit."""
    units = set[Unit | None]()
    for text in texts:
        if _PARTS.fullmatch(text):
            units.add("s")
        elif _NUMBER.fullmatch(text):
            size = abs(float(text))
            units.add(next((unit for unit, low, high in _EPOCHS if low <= size < high), None))
    return units.pop() if len(units) == 1 else None
