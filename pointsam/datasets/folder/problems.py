"""What is wrong with the times of a drive: clocks that differ, and times that are missing, double or unordered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.base.words import counted
from pointsam.datasets.base import TableProblem
from pointsam.datasets.folder.drive import CLOUDS_IN, IMAGES_IN, KEY_FRAMES, Drive
from pointsam.datasets.folder.recording import Recording, problems_of

STAMPS, CLOCKS, BOXES, FILES = "file-times", "clocks", "ground-truth", "missing-files"
"""Ids of rules."""
_FEW, _MANY = 0.5, 0.8
_HOLE = 2.5
"""Steps that are so many times the usual one leave out a file."""


def problems_of_drives(drives: Iterable[Drive]) -> Iterator[TableProblem]:
    """The problems of all drives; what cannot be read is reported where it is used."""
    for drive in drives:
        try:
            yield from _passed_over(drive)
            yield from _of_drive(drive)
        except (DatasetError, CalibrationError) as error:
            yield TableProblem(STAMPS, str(drive.folder), f"[{error.code}] {error.message}")
        with suppress(DatasetError, CalibrationError):  # the rule ground-truth reports it for a frame
            yield from _of_boxes(drive)


def _passed_over(drive: Drive) -> Iterator[TableProblem]:
    """Files that look as if they were read, and are not."""
    for folder in drive.unlisted():
        what = f"it is not read: {drive.calibration.path} does not name {folder.name!r}"
        yield TableProblem(FILES, str(folder), what)
    for path in drive.further_poses:
        yield TableProblem(FILES, str(path), f"it is not read: {drive.poses_file} is (poses.file)")
    kinds = drive.boxes.kinds
    if len(kinds) > 1:
        what = f"{' and '.join(kinds[1:])} are not read: the boxes are those of {kinds[0]}"
        yield TableProblem(FILES, str(drive.folder), what)
    for name in drive.calibration.cameras:
        listing = drive.recording(IMAGES_IN, name).listing
        doubles = listing.doubles()
        if doubles:
            other, kept = doubles[0]
            what = f"{counted(len(doubles), 'image')} not read: the name is that of another, as {other} and {kept}"
            yield TableProblem(FILES, str(listing.folder), what)


def _of_boxes(drive: Drive) -> Iterator[TableProblem]:
    """Boxes that no frame would have."""
    lost, count, what = drive.boxes.without_sweep()
    if lost:
        yield TableProblem(
            BOXES,
            str(drive.folder),
            f"{len(lost)} of {counted(count, what)} of boxes belong to no sweep of {drive.lidars[0]}, for example "
            f"{lost[0]}: their names or stamps are not those of sweeps (boxes.unit)",
        )


def _of_drive(drive: Drive) -> Iterator[TableProblem]:
    sensors = [
        *((CLOUDS_IN, f"lidars.{name}", name) for name in drive.lidars),
        *((IMAGES_IN, f"cameras.{name}", name) for name in drive.calibration.cameras),
    ]
    for kind, _, name in sensors:
        recording = drive.recording(kind, name)
        where = str(recording.listing.folder)
        if not len(recording):
            yield TableProblem(STAMPS, where, f"no file is there{recording.listing.instead()}")
        for what in (*problems_of(recording), *_holes(recording)):
            yield TableProblem(STAMPS, where, what)
    for what in drive.pose_problems:
        yield TableProblem(STAMPS, str(drive.poses_file), what)
    if drive.calibration.files.match == "stamp":
        for kind, field, name in sensors[1:]:
            yield from _clock(drive, drive.recording(kind, name), field)
    yield from _clock_of_poses(drive)


def _holes(recording: Recording) -> Iterator[str]:
    """Gaps between the files of a sensor."""
    step = np.diff(recording.t_us) * 1e-6
    usual = float(np.percentile(step, 25, method="lower")) if len(step) > 1 else 0.0
    holes = np.flatnonzero(step > _HOLE * usual) if usual > 0 else np.zeros(0, dtype=np.int64)
    if len(holes):
        worst = int(holes[np.argmax(step[holes])])
        yield (
            f"{counted(len(holes), 'gap')} in its times, the longest of {step[worst]:.3g} s after "
            f"{recording.stems[worst]!r}; {usual:.3g} s is usual"
        )


def _clock(drive: Drive, other: Recording, field: str) -> Iterator[TableProblem]:
    """A sensor that few frames have a file of: it has another clock, or it is slower, began late or has a hole."""
    key, tolerance_us = _frame_times(drive), round(drive.calibration.files.tolerance_s * 1e6)
    if not len(key) or not len(other):
        return
    near = _fitting(key, other.t_us, tolerance_us)
    if near >= _FEW:
        return
    what = f"{near:.0%} of {counted(len(key), 'frame')} have a file of {other.sensor} within {tolerance_us * 1e-6:g} s"
    shift, sweeps_us = int(key[0] - other.t_us[0]), drive.reference.t_us
    if _fitting(other.t_us, sweeps_us, tolerance_us) < _FEW:
        shifted_us = other.t_us + shift
        shifted, back = _fitting(key, shifted_us, tolerance_us), _fitting(shifted_us, sweeps_us, tolerance_us)
        if max(shifted, back) >= _MANY:
            what += (
                f"; {shifted:.0%} would if its times were {shift * 1e-6:+.6g} s later: its clock is probably another "
                f"one ({field}.time_offset_s)"
            )
            yield TableProblem(CLOCKS, str(other.listing.folder), what)
            return
    what += f"; {KEY_FRAMES} can list the frames that have one, if it is slower than the reference LiDAR"
    yield TableProblem(STAMPS, str(other.listing.folder), what)


def _clock_of_poses(drive: Drive) -> Iterator[TableProblem]:
    if drive.poses is None or not len(drive.reference):
        return
    key, known = _frame_times(drive), drive.poses.path.t_us
    inside = float(((key >= known[0]) & (key <= known[-1])).mean())
    if inside < _FEW:
        shift = (int(key[0]) - int(known[0])) * 1e-6
        yield TableProblem(
            CLOCKS,
            str(drive.poses_file),
            f"poses are from {known[0] * 1e-6:.6f} to {known[-1] * 1e-6:.6f} s, frames from {key[0] * 1e-6:.6f} to "
            f"{key[-1] * 1e-6:.6f} s: {inside:.0%} of them have a pose. The first would be at the first frame with "
            f"poses.time_offset_s {shift:+.6g}",
        )


def _frame_times(drive: Drive) -> NDArray[np.int64]:
    """(N,) time of each key frame."""
    times: NDArray[np.int64] = drive.reference.t_us[[drive.reference.place(stem) for stem in drive.frames]]
    return times


def _fitting(key_us: NDArray[np.int64], other_us: NDArray[np.int64], tolerance_us: int) -> float:
    """Fraction of times that another time is near."""
    at = np.clip(np.searchsorted(other_us, key_us), 1, max(len(other_us) - 1, 1))
    ends = np.stack([other_us[np.minimum(at - 1, len(other_us) - 1)], other_us[np.minimum(at, len(other_us) - 1)]])
    return float((np.abs(ends - key_us).min(axis=0) <= tolerance_us).mean())
