"""Whether a reader that takes the file nearest in time finds the files that belong to each frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pointsam.base.errors import DatasetError
from pointsam.types import Frame


def require_apart(drive: str, frames: Sequence[Frame], tolerance_us: int) -> None:
    """Refuse frames that times cannot tell apart.

    Args:
        drive: name of the drive.
        frames: its frames.
        tolerance_us: as of `require_own`.

    Raises:
        DatasetError: DAT012 if two frames have one time, or an image is nearer to another frame.
    """
    times, names = [frame.sweep.t_us for frame in frames], [frame.frame_id for frame in frames]
    if len(set(times)) < len(times):
        first = {t_us: k for k, t_us in reversed(list(enumerate(times)))}
        twice = next(frame for k, frame in enumerate(frames) if first[times[k]] < k)
        what = f"two frames of drive {drive} have the time {twice.sweep.t_us} us, one is {twice.frame_id}"
        raise DatasetError("DAT012", what, "leave one of them out (--frames)")
    views = [{view.name: view.t_us for view in frame.cameras} for frame in frames]
    for camera in dict.fromkeys(name for own in views for name in own):
        require_own(camera, names, times, [own.get(camera) for own in views], (), tolerance_us)


def require_own(
    sensor: str,
    frame_ids: Sequence[str],
    t_us: Sequence[int],
    own_us: Sequence[int | None],
    more_us: Sequence[int],
    tolerance_us: int,
) -> None:
    """Refuse frames for which another file of a sensor is nearer in time than their own.

    Args:
        sensor: name of the sensor.
        frame_ids: the frames of a drive.
        t_us: time of each.
        own_us: time of the file of the sensor that belongs to each; None if there is none.
        more_us: times of further files of the sensor.
        tolerance_us: files that are farther away are not taken.

    Raises:
        DatasetError: DAT012 naming the first frame.
    """
    times = np.unique(np.array([*(t for t in own_us if t is not None), *more_us], dtype=np.int64))
    if len(times) == 0:
        return
    wanted = np.array(t_us, dtype=np.int64)
    after = np.searchsorted(times, wanted)
    near = np.clip(np.stack([after - 1, after]), 0, len(times) - 1)
    apart = np.abs(times[near] - wanted)
    found = np.where(apart[1] < apart[0], times[near[1]], times[near[0]])  # of two equally near, the earlier
    within = apart.min(axis=0) <= tolerance_us
    other = np.array([t is None or t != at for t, at in zip(own_us, found.tolist(), strict=True)], dtype=bool)
    bad = np.flatnonzero(within & other)
    if len(bad):
        what = f"frame {frame_ids[bad[0]]}: a file of {sensor} of another time is nearer to it than its own"
        raise DatasetError("DAT012", what, "leave the frame out (--frames), or write another layout")
