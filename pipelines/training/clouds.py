"""Some frames of a data set, read whole: whether they can be read, and whether their points fit the detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import PointSamError
from pointsam.base.words import counted
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset
from pointsam.detect.data.cloud import in_view, read_cloud
from pointsam.detect.data.map_frame import MapFrame
from pointsam.detect.data.sample import PointsConfig

T = TypeVar("T")
_LOOKED = 12
"""Frames that are read whole."""
_FEW = 0.2
"""Fraction of the points in the map below which something is wrong with the map or the points."""
_SCALE = "set it to the sensor's largest value"


@dataclass(frozen=True, eq=False)
class Cloud:
    """What a frame shows.

    Args:
        xyz: (K,3) points of the key sweeps, map frame, metres.
        intensity: (K,) their intensities, 0 to 1.
    """

    xyz: NDArray[np.float32]
    intensity: NDArray[np.float32]

    @staticmethod
    def of(points: NDArray[np.float32]) -> Cloud:
        """The cloud of (K,5) points as `read_cloud` gives them."""
        return Cloud(points[:, :3], points[:, 3])


def read_some(frame_ids: Sequence[str], read: Callable[[int], T]) -> tuple[list[T], dict[str, str]]:
    """Read some frames, evenly spaced.

    Args:
        frame_ids: the frames.
        read: reads the frame of an index.

    Returns:
        what was read, and why others could not be read, by frame id.
    """
    found, bad = list[T](), dict[str, str]()
    for index in np.unique(np.linspace(0, len(frame_ids) - 1, _LOOKED).astype(np.int64)).tolist() if frame_ids else ():
        try:
            found.append(read(index))
        except PointSamError as error:
            if not error.of_frame:
                raise
            bad[frame_ids[index]] = str(error)
    return found, bad


def read_key(dataset: Dataset, frame_id: str, config: PointsConfig) -> Cloud:
    """The key sweeps of a frame, read with its past sweeps.

    Raises:
        DatasetError, CalibrationError: as `read_cloud`.
    """
    frame = dataset.frame(frame_id) if config.in_view_only else read_cloud_frame(dataset, frame_id)
    points, num_key = read_cloud(dataset, frame, config)
    key = points[:num_key]
    kept = key[in_view(key, frame)] if config.in_view_only else key
    return Cloud.of(MapFrame.of(frame).points(kept))


def odd_points(clouds: Sequence[Cloud], range_m: Sequence[float], config: PointsConfig) -> list[str]:
    """Findings of points outside of the map, and of intensities of another scale.

    Args:
        clouds: some frames.
        range_m: range of the detector's grid, x0, y0, z0, x1, y1, z1.
        config: how they were read.
    """
    found = (_points(clouds, range_m), _intensity(clouds, config.intensity_full))
    shown = counted(len(clouds), "frame")
    return [f"of {shown} that were read, {text}" for text in found if text]


def _points(clouds: Sequence[Cloud], range_m: Sequence[float]) -> str:
    xyz = np.concatenate([cloud.xyz for cloud in clouds])
    xyz = xyz[np.isfinite(xyz[:, 0])]
    inside = ((xyz >= range_m[:3]) & (xyz < range_m[3:])).all(axis=1)
    if not len(xyz) or inside.mean() >= _FEW:
        return "" if len(xyz) else "no camera sees a point: check the calibration, or data.points.in_view_only"
    low, high = np.percentile(xyz, (5, 95), axis=0)
    extent = ", ".join(f"{axis} {a:.1f} to {b:.1f}" for axis, a, b in zip("xyz", low, high, strict=True))
    return (
        f"{inside.mean():.0%} of the points are inside of detector.grid.range_m {list(range_m)} (nine tenths of them: "
        f"{extent}); check the range, the unit, and the height of the LiDAR above ground"
    )


def _intensity(clouds: Sequence[Cloud], full: float) -> str:
    values = np.concatenate([cloud.intensity for cloud in clouds])
    highest = float(values.max(initial=0)) * full
    if highest == 0:  # a sensor without intensity
        return ""
    clipped = float((values >= 1).mean())
    if clipped > 0.5:
        return f"{clipped:.0%} of the intensities are at or above data.points.intensity_full, {full:g}; {_SCALE}"
    if full > 1 and highest < 1.01:
        return f"no intensity is above {highest:.3g}, and data.points.intensity_full is {full:g}; {_SCALE}"
    return ""
