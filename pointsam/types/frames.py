"""Sensors: sweeps, cameras, the key frames that hold them, and the points of a frame.

Sweeps and cameras have a *source* of points or pixels: a file, a row group of a table, a blob in memory. Stages never
see where data are stored. `pointsam.datasets.io` reads sources and defines those for files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from types import MappingProxyType
from typing import BinaryIO, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.geometry.camera import Camera
from pointsam.geometry.revolution import Revolution
from pointsam.geometry.se3 import SE3
from pointsam.types.validation import check_row, check_shapes


class PointSource(Protocol):
    """The source of the points of one sweep."""

    @property
    def name(self) -> str:
        """Name in error messages, for example the path of the file."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the available columns: "x", "y" and "z" in metres; optionally "intensity", "ring" and others.

        "time_s" is the time at which each point was measured, in seconds from the sweep's `t_us`.
        """

    def read(self, columns: Sequence[str]) -> NDArray[np.float32]:
        """(N,len(columns)) values in the order of the points. Labels have the same order.

        Args:
            columns: some of the source's columns.

        Raises:
            OSError: if the data cannot be read; the reader turns it into DAT004.
            DatasetError: on damaged data. The reader refuses empty sweeps. Rows of which x, y or z is not finite have
                no position: they are not used, and their label is none.
        """


class ImageSource(Protocol):
    """The source of one encoded image."""

    @property
    def name(self) -> str:
        """Name in error messages, for example the path of the file."""

    @property
    def file_name(self) -> str:
        """File name without folders, such as 000001.png; unique among the images of a camera.

        Precomputed masks and ground truth in images are found by its stem, entries of COCO files by the full name.
        """

    def open(self) -> BinaryIO:
        """A seekable stream of the encoded image (JPEG, PNG, ...), which the caller closes.

        Raises:
            OSError: if it cannot be opened; the reader turns it into DAT004.
        """


@dataclass(frozen=True, eq=False)
class Sweep:
    """One LiDAR revolution.

    Args:
        source: source of the points, in the sensor's frame.
        t_us: time stamp, microseconds.
        ego_SE3_lidar: mounting of the sensor.
        world_SE3_ego: pose of the vehicle at `t_us`.
        ring_gap_rad: angle between neighbouring rings as the data set states it, 0 where unknown. A source with the
            column "ring" shows it (`pointsam.geometry.rings`).
        sensor: name of the sensor.
        motion_compensated: whether ego motion is already compensated, so that all points are in the sensor's frame at
            `t_us`. If not, and points have times, each point is in the sensor's frame at its own time, and reading
            compensates it (`pointsam.datasets.points`). Without times, this has no effect.
        num_rings: number of rings of the stated sensor, 0 where unknown.
        revolution: the turn of the LiDAR, from which the times of points follow if the source has no "time_s"; None if
            it is not known.
    """

    source: PointSource
    t_us: int
    ego_SE3_lidar: SE3
    world_SE3_ego: SE3
    ring_gap_rad: float = 0.0
    sensor: str = "lidar"
    motion_compensated: bool = True
    num_rings: int = 0
    revolution: Revolution | None = None

    @property
    def implies_times(self) -> bool:
        """Whether times of points follow from the turn of the LiDAR, because the source does not give them."""
        return self.revolution is not None and "time_s" not in self.source.columns

    @property
    def needs_compensation(self) -> bool:
        """Whether its points must be moved to `t_us`; `pointsam.geometry.motion.is_moved` tells whether they are."""
        return not self.motion_compensated and (self.implies_times or "time_s" in self.source.columns)


@dataclass(frozen=True)
class RollingShutter:
    """The times at which the rows (or columns) of an image were exposed.

    Args:
        first_s: time of the first row, seconds from the `t_us` of the view.
        last_s: time of the last row, likewise; smaller than `first_s` if the sensor reads upwards. Times between are
            linear.
        axis: "rows", or "columns" for a sensor that reads columns from left (first) to right (last).
    """

    first_s: float
    last_s: float
    axis: Literal["rows", "columns"] = "rows"

    def time_s(self, uv_px: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
        """(N,) exposure time of (N,2) pixels, seconds from `t_us`; pixels outside the image count as its border."""
        at, count = (uv_px[:, 1], camera.height_px) if self.axis == "rows" else (uv_px[:, 0], camera.width_px)
        fraction: NDArray[np.float64] = np.clip(at / max(count - 1, 1), 0.0, 1.0)
        return self.first_s + fraction * (self.last_s - self.first_s)

    def as_bytes(self) -> bytes:
        """The bytes that enter the digest of a calibration."""
        return np.array([self.first_s, self.last_s], dtype="<f8").tobytes() + self.axis.encode()


@dataclass(frozen=True, eq=False)
class CameraView:
    """One exposure of one camera.

    Args:
        name: name of the camera, unique in a frame (CAM_FRONT, image_2).
        source: source of the image.
        t_us: exposure time, microseconds.
        camera: matrix, lens and size of the image.
        ego_SE3_cam: mounting of the camera.
        world_SE3_ego: pose of the vehicle at `t_us`; the LiDAR has another time stamp and pose.
        shutter: exposure times of the rows; None if the whole image was exposed at `t_us` (or close enough).
    """

    name: str
    source: ImageSource
    t_us: int
    camera: Camera
    ego_SE3_cam: SE3
    world_SE3_ego: SE3
    shutter: RollingShutter | None = None

    @property
    def stem(self) -> str:
        """File name of the image without suffix; files that belong to the image have the same stem."""
        return PurePath(self.source.file_name).stem


@dataclass(frozen=True, eq=False)
class Frame:
    """One key frame: the sweeps to label, the neighbours of the first, and the cameras.

    Args:
        frame_id: id, unique in the data set.
        scene: the drive that the frame belongs to.
        sweeps: one or more. The first is the reference sweep: all coordinates of the frame are in its LiDAR frame at
            its time. Labels are in the order of the first sweep's points, then the second's, and so on.
        neighbours: sweeps of the reference sensor by offset (-1 = one revolution before). At the ends of a recording,
            the last available sweep is used instead (docs/method.md A.2). Neighbours supply prompts and ego motion.
        cameras: cameras in the data set's fixed order.

    Raises:
        SchemaError: SCH003 without a sweep.
    """

    frame_id: str
    scene: str
    sweeps: tuple[Sweep, ...]
    neighbours: Mapping[int, Sweep]
    cameras: tuple[CameraView, ...]

    def __post_init__(self) -> None:
        check_row(len(self.sweeps) > 0, f"frame {self.frame_id} has no sweep")
        object.__setattr__(self, "neighbours", MappingProxyType(dict(self.neighbours)))

    @property
    def sweep(self) -> Sweep:
        """The reference sweep."""
        return self.sweeps[0]


@dataclass(frozen=True, eq=False)
class FramePoints:
    """The points of all sweeps of a frame, in the order of labels.

    Args:
        xyz_lidar_m: (N,3) float32 metres, in the frame of the reference sweep's LiDAR at its time; NaN for rows without
            a position.
        sweep_index: (N,) uint8 index into the sweeps of the frame.
        time_s: (N,) float64 time of measurement in seconds from the reference sweep's `t_us`, NaN where unknown.
        intensity: (N,) float32 as the sensor gives it; None if it was not read.
        ring: (N,) float32 number of the ring, -1 where unknown; None if it was not read.

    Raises:
        SchemaError: SCH003 on arrays of different lengths.
    """

    xyz_lidar_m: NDArray[np.float32]
    sweep_index: NDArray[np.uint8]
    time_s: NDArray[np.float64]
    intensity: NDArray[np.float32] | None = None
    ring: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        n = len(self.xyz_lidar_m)
        check_shapes(self, xyz_lidar_m=(self.xyz_lidar_m, (n, 3)))
        check_shapes(self, sweep_index=(self.sweep_index, (n,)), time_s=(self.time_s, (n,)))
        for name, values in (("intensity", self.intensity), ("ring", self.ring)):
            if values is not None:
                check_shapes(self, **{name: (values, (n,))})

    @staticmethod
    def of(xyz_lidar_m: NDArray[np.float32]) -> FramePoints:
        """The (N,3) points of a frame with one sweep, without times."""
        n = len(xyz_lidar_m)
        return FramePoints(xyz_lidar_m, np.zeros(n, dtype=np.uint8), np.full(n, np.nan))

    def __len__(self) -> int:
        return len(self.xyz_lidar_m)

    @property
    def present(self) -> NDArray[np.bool_]:
        """(N,) whether each row has a position; organised clouds have rows without one, where nothing returned."""
        present: NDArray[np.bool_] = np.isfinite(self.xyz_lidar_m).all(axis=1)
        return present

    def keep(self, kept: NDArray[np.bool_]) -> FramePoints:
        """The selected points."""
        return replace(
            self,
            xyz_lidar_m=self.xyz_lidar_m[kept],
            sweep_index=self.sweep_index[kept],
            time_s=self.time_s[kept],
            intensity=None if self.intensity is None else self.intensity[kept],
            ring=None if self.ring is None else self.ring[kept],
        )

    def rows(self) -> NDArray[np.float32]:
        """(N,4) float32 x, y, z, intensity.

        Raises:
            SchemaError: SCH003 if the intensity was not read.
        """
        if self.intensity is None:
            raise SchemaError("SCH003", "points without intensity", "read them with intensity=True")
        return np.column_stack([self.xyz_lidar_m, self.intensity])
