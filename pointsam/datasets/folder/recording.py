"""The files of one sensor in one drive, in order of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.words import counted
from pointsam.datasets.folder.calibration import Unit
from pointsam.datasets.folder.stamps import inferred_unit, microseconds
from pointsam.datasets.kitti.listing import Listing

_SAMPLE = 200
"""Names from which a unit is inferred."""


@dataclass(frozen=True, eq=False)
class Recording:
    """The files of one sensor in one drive.

    Args:
        sensor: its name.
        listing: its folder.
        stems: names of its files without suffix, in order of time.
        t_us: (N,) int64 time of each, with the sensor's offset.
        nameless: names that state no time, or no index that has one.
    """

    sensor: str
    listing: Listing
    stems: tuple[str, ...]
    t_us: NDArray[np.int64]
    nameless: tuple[str, ...] = ()
    _place: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_place", {stem: k for k, stem in enumerate(self.stems)})

    def __contains__(self, stem: str) -> bool:
        return stem in self._place

    def __len__(self) -> int:
        return len(self.stems)

    def place(self, stem: str) -> int:
        """Position of a file."""
        return self._place[stem]

    @cached_property
    def period_s(self) -> float:
        """Median time between two files; 0 if it is unknown."""
        return float(np.median(np.diff(self.t_us))) * 1e-6 if len(self.t_us) > 1 else 0.0

    def nearest(self, t_us: int, tolerance_us: int) -> int | None:
        """Position of the file that is nearest to a time; None if none is near enough."""
        later = int(np.searchsorted(self.t_us, t_us))
        near = [k for k in (later - 1, later) if 0 <= k < len(self.t_us)]
        best = min(near, key=lambda k: abs(int(self.t_us[k]) - t_us), default=None)
        return best if best is not None and abs(int(self.t_us[best]) - t_us) <= tolerance_us else None

    def same(self, stem: str) -> int | None:
        """Position of the file of an index: of the same name, or the same number."""
        found = self._place.get(stem)
        return self._numbers.get(_number(stem, -1)) if found is None else found

    @cached_property
    def _numbers(self) -> dict[int, int]:
        return {_number(stem, -2 - k): k for k, stem in enumerate(self.stems)}


def by_stamp(sensor: str, listing: Listing, unit: Unit | None, offset_s: float) -> Recording:
    """Files whose names are times.

    Args:
        sensor: name of the sensor.
        listing: its folder.
        unit: unit of the times; None infers it.
        offset_s: what is added to them.

    Raises:
        DatasetError: DAT011 if no name is a time, or if their unit is neither stated nor follows from their size.
    """
    stems = listing.stems
    unit = unit or inferred_unit(stems[:: 1 + len(stems) // _SAMPLE])
    if unit is None and stems:
        raise DatasetError(
            "DAT011",
            f"{listing.folder}: names such as {stems[0]!r} do not show the unit of their time",
            "state files.unit (s, ms, us or ns), or files.match: index if equal names belong together",
        )
    found = [(microseconds(stem, unit or "s"), stem) for stem in stems]
    timed = sorted((t_us, k, found[k][1]) for k, (t_us, _) in enumerate(found) if t_us is not None)
    if stems and not timed:
        raise DatasetError(
            "DAT011",
            f"{listing.folder}: no name is a time, for example {stems[0]!r}",
            "name files by their time (1697045123020000.png), or state files.match: index",
        )
    times = np.array([t_us for t_us, _, _ in timed], dtype=np.int64) + round(offset_s * 1e6)
    nameless = tuple(stem for t_us, stem in found if t_us is None)
    return Recording(sensor, listing, tuple(stem for _, _, stem in timed), times, nameless)


def by_index(sensor: str, listing: Listing, time_of: Callable[[int, str], int | None], offset_s: float) -> Recording:
    """Files whose names are indices.

    Args:
        sensor: name of the sensor.
        listing: its folder.
        time_of: the time of a file by its position and name, microseconds; None if it is not known.
        offset_s: what is added to the times.
    """
    found = [(time_of(k, stem), stem) for k, stem in enumerate(listing.stems)]
    timed = [(t_us, stem) for t_us, stem in found if t_us is not None]
    times = np.array([t_us for t_us, _ in timed], dtype=np.int64) + round(offset_s * 1e6)
    nameless = tuple(stem for t_us, stem in found if t_us is None)
    return Recording(sensor, listing, tuple(stem for _, stem in timed), times, nameless)


def problems_of(recording: Recording) -> list[str]:
    """What is wrong with the names of the files of a sensor."""
    found = []
    if recording.nameless:
        first, count = recording.nameless[0], len(recording.nameless)
        found.append(f"{counted(count, 'file')} left out: the name states no time, for example {first!r}")
    step = np.diff(recording.t_us)
    timed = bool(recording.t_us.any())
    twice = np.flatnonzero(step == 0) if timed else np.zeros(0, dtype=np.int64)
    if len(twice):
        one, other = recording.stems[twice[0]], recording.stems[twice[0] + 1]
        found.append(f"{counted(len(twice), 'file')} with the time of the file before: {one!r} and {other!r}")
    back = np.flatnonzero(step < 0)
    if len(back):
        first = recording.stems[back[0] + 1]
        found.append(f"{counted(len(back), 'time')} before the one that it follows, first that of {first!r}")
    return found


def _number(stem: str, other: int) -> int:
    return int(stem) if stem.isascii() and stem.isdigit() else other
