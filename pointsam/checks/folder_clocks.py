"""How the files of a folder belong together, and whether its sensors have one clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath
from pointsam.checks.folder_stated import Match, Stated
from pointsam.datasets.folder import PARTS
from pointsam.datasets.folder.calibration import Unit
from pointsam.datasets.folder.drive import TIMES
from pointsam.datasets.folder.recording import by_stamp
from pointsam.datasets.folder.stamps import inferred_unit
from pointsam.datasets.kitti.listing import Listing
from pointsam.datasets.kitti.suffixes import IMAGES, SWEEPS

_SAMPLE = 200
_ALIKE = 0.5
_SAME_US = 50_000


def times_of(
    folder: DataPath, cameras: Sequence[str], lidars: Sequence[str], stated: Stated | None
) -> tuple[Match, Unit | None, str]:
    """How files belong together, the unit of their times, and why."""
    reference = Listing(folder / PARTS[1] / lidars[0], SWEEPS).stems
    images = Listing(folder / PARTS[0] / cameras[0], IMAGES).stems
    listed = TIMES if (folder / TIMES).is_file() else None
    unit = inferred_unit(reference[:: 1 + len(reference) // _SAMPLE])
    if stated is not None:
        return stated.match, stated.unit or unit, stated.times(listed)
    if unit is not None:
        return "stamp", unit, f"names such as {reference[0]} are times since 1970 in {unit}, by their size"
    shared = len({*reference} & {*images})
    if shared > _ALIKE * min(len(reference), len(images)):
        known = f"{listed} has their times" if listed else "their times are not known (files.period_s or times.txt)"
        return "index", None, f"{shared} names of {lidars[0]} and {cameras[0]} are equal, so they are indices; {known}"
    example = f"{reference[0] if reference else '-'} of {lidars[0]} and {images[0] if images else '-'} of {cameras[0]}"
    return "stamp", None, f"names such as {example} differ, so they should be times, but their unit is not known"


def clocks_of(
    folder: DataPath,
    cameras: Sequence[str],
    lidars: Sequence[str],
    unit: Unit | None,
    stated: Stated | None,
) -> Iterator[str]:
    """How far the files of each sensor are from the sweeps of the first LiDAR."""
    offset_s = {} if stated is None else stated.offset_s
    try:
        first = lidars[0]
        key = by_stamp(first, Listing(folder / PARTS[1] / first, SWEEPS), unit, offset_s.get((PARTS[1], first), 0.0))
        for part, suffixes, names in (
            (PARTS[1], SWEEPS, lidars[1:]),
            (PARTS[0], IMAGES, cameras),
        ):
            for name in names:
                other = by_stamp(name, Listing(folder / part / name, suffixes), unit, offset_s.get((part, name), 0.0))
                near = [other.nearest(int(t_us), 1 << 62) for t_us in key.t_us]
                apart = [int(other.t_us[k] - t_us) for k, t_us in zip(near, key.t_us, strict=True) if k is not None]
                if not apart:
                    continue
                middle = float(np.median(apart)) * 1e-6
                word = "clocks may differ" if abs(middle) * 1e6 > _SAME_US else "same clock"
                rate = f"{1 / other.period_s:.1f} Hz" if other.period_s else "no rate"
                yield f"{part}/{name}: {rate}, its files are {middle:+.3g} s from the sweeps (median): {word}"
    except DatasetError as error:
        yield error.message
