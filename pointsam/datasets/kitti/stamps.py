"""Time stamps of KITTI raw: a line for each number of a frame, empty where the sensor gave nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath
from pointsam.base.words import counted
from pointsam.datasets.kitti.files import text_lines

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
