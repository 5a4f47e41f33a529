"""Time stamps of KITTI raw: a line for each number of a frame, empty where the sensor gave nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath
from pointsam.base.words import counted
from pointsam.datasets.kitti.files import text_lines
from pointsam.geometry.revolution import Revolution

STAMPS, TURN = "timestamps.txt", ("timestamps_start.txt", "timestamps_end.txt")
"""Files of the folder of a sensor: its times, and those at which the turns of the LiDAR start and end."""
_LONGEST_TURN_US = 200_000
NO_STAMP = -1
_NS_PER_US = 1000
_FORM = "write local times with nanoseconds, one a line: 2011-09-26 13:02:25.594360375"


def read_stamps(path: DataPath) -> NDArray[np.int64]:
    """(N,) microseconds since 1970 by number of the frame, NO_STAMP for an empty line.

    The recorders' clocks show local time; it is not converted, because only differences matter.

    Raises:
        DatasetError: DAT004 if the file is missing, DAT011 naming the line that is no time.
    """
    lines = text_lines(path, "file of time stamps")
    while lines and not lines[-1]:
        lines.pop()
    stamps = np.full(len(lines), NO_STAMP, dtype=np.int64)
    for number, line in enumerate(lines):
        if line:
            stamps[number] = _microseconds(path, number + 1, line)
    return stamps


class Stamps(dict[str, NDArray[np.int64]]):
    """Time stamps by path of the file below a drive ("oxts/timestamps.txt"), each read at first use."""

    def __init__(self, folder: DataPath) -> None:
        self._folder = folder

    def __missing__(self, file: str) -> NDArray[np.int64]:
        self[file] = read_stamps(self._folder / file)
        return self[file]

    def turn(self, sensor: str, number: int, t_us: int) -> Revolution | None:
        """The turn of a sweep by its times of start and end.

        Args:
            sensor: folder of the LiDAR.
            number: number of the frame.
            t_us: time stamp of the sweep.

        Returns:
            None if a time is missing, if they are not around the time stamp, or if they are more than 0.2 s apart.

        Raises:
            DatasetError: DAT011 as `read_stamps`.
        """
        files = [f"{sensor}/{name}" for name in TURN]
        if not all(file in self or (self._folder / file).is_file() for file in files):
            return None
        found = [self[file] for file in files]
        if any(number >= len(stamps) or stamps[number] == NO_STAMP for stamps in found):
            return None
        first_us, last_us = (int(stamps[number]) - t_us for stamps in found)
        if not (first_us <= 0 <= last_us and last_us - first_us <= _LONGEST_TURN_US):
            return None
        return Revolution(first_us * 1e-6, last_us * 1e-6)


def stamp_of(path: DataPath, stamps: NDArray[np.int64], number: int) -> int:
    """The time stamp of a frame.

    Raises:
        DatasetError: DAT011 if the file has none for it.
    """
    if number >= len(stamps) or stamps[number] == NO_STAMP:
        what = f"{path} has {counted(len(stamps), 'line')}, none for frame {number}"
        if number < len(stamps):
            what = f"{path}, line {number + 1} is empty, but there is a file of frame {number}"
        raise DatasetError("DAT011", what, "complete the download; line N + 1 is the time of the file with number N")
    return int(stamps[number])


def _microseconds(path: DataPath, line: int, text: str) -> int:
    try:
        stamp = np.datetime64(text, "ns") if text[:1].isdigit() and ":" in text else np.datetime64("NaT")
    except ValueError:
        stamp = np.datetime64("NaT")
    value = int(stamp.astype(np.int64))
    if np.isnat(stamp) or value < 0:
        raise DatasetError("DAT011", f"{path}, line {line}: {text[:40]!r} is no time", _FORM)
    return (value + _NS_PER_US // 2) // _NS_PER_US
