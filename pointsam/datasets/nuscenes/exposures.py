"""Rows of the index as values: sweeps, camera views, poses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from pointsam.base.errors import CalibrationError, RotationError
from pointsam.base.paths import data_file, require_name
from pointsam.base.remote import DataPath
from pointsam.datasets.clouds import StatedPoints
from pointsam.datasets.io import ImageFile, point_source
from pointsam.datasets.nuscenes.index import Index
from pointsam.datasets.nuscenes.lenses import shutter_of, with_lens
from pointsam.datasets.nuscenes.versions import table_path
from pointsam.geometry.camera import COEFFICIENTS, Camera
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, RollingShutter, Sweep

COLUMNS = ("x", "y", "z", "intensity", "ring")
"""Values of a point in LiDAR files."""

_NUM_RINGS = 32
_RING_GAP_RAD = math.radians(41.33 / 31)
"""Of the HDL-32E, nuScenes' LiDAR. Points of other sensors show another gap, or none (`pointsam.geometry.rings`)."""


class Exposures:
    """Sweeps and camera views of an index.

    Args:
        root: of the data set.
        folder: the version folder, for messages.
        index: index of that folder.
        columns: values of a point in LiDAR files.
    """

    def __init__(self, root: DataPath, folder: DataPath, index: Index, columns: tuple[str, ...]) -> None:
        self._root, self._folder, self._index, self._columns = root, folder, index, columns
        self._camera, self._mounting = cache(self._read_camera), cache(self._read_mounting)

    def sweep(self, row: int) -> Sweep:
        """A row of `sweeps`.

        Raises:
            CalibrationError: CAL001 or CAL003 on an impossible pose or mounting, naming table, token and field.
            DatasetError: as `file`.
        """
        path, t_us, mounting, pose = self._exposure("sweeps", row)
        calibration = int(self._index.numbers("sweeps", "calibration")[row])
        channel = self._index.strings("calibrations", "channel")[calibration].as_py()
        source = point_source(path, self._columns)
        # Files with a header state their columns themselves. Without numbers of rings, nothing shows another sensor.
        gap_rad = _RING_GAP_RAD if isinstance(source, StatedPoints) and "ring" in source.columns else 0.0
        return Sweep(source, t_us, mounting, pose, gap_rad, channel, num_rings=_NUM_RINGS)

    def camera(self, row: int) -> CameraView:
        """A row of `images`.

        Raises:
            CalibrationError: as `sweep`, and CAL002 on an impossible camera matrix, lens or row time.
            DatasetError: as `file`, and DAT011 on a channel that cannot name a file.
        """
        path, t_us, mounting, pose = self._exposure("images", row)
        calibration = int(self._index.numbers("images", "calibration")[row])
        width, height = (int(self._index.numbers("images", name)[row]) for name in ("width_px", "height_px"))
        try:
            channel, camera, shutter = self._camera(calibration, width, height)
        except CalibrationError as error:
            raise CalibrationError(error.code, f"{error.message} (image {path.name})", error.hint) from error
        return CameraView(channel, ImageFile(path), t_us, camera, mounting, pose, shutter)

    def _read_camera(self, calibration: int, width: int, height: int) -> tuple[str, Camera, RollingShutter | None]:
        """Channel, camera and row times of a row of `calibrations`."""
        channel, distortion, lens, readout = (
            self._index.strings("calibrations", name)[calibration].as_py()
            for name in ("channel", "distortion", "lens", "readout")
        )
        where = f"{table_path(self._folder, 'sensor')}: field 'channel'"
        require_name(channel, where, "name the channel with letters, digits and _")
        with self._naming("camera_intrinsic", calibration, channel):
            intrinsic = self._index.numbers("calibrations", "intrinsic")[calibration]
            camera = Camera(intrinsic.reshape(3, 3), width, height)
        with self._naming(
            "camera_lens" if lens not in COEFFICIENTS and lens else "camera_distortion", calibration, channel
        ):
            camera = with_lens(camera, distortion, lens)
        with self._naming("camera_readout_s", calibration, channel):
            return channel, camera, shutter_of(readout)

    @contextmanager
    def _naming(self, field: str, calibration: int, channel: str) -> Iterator[None]:
        """Names the row and the field of errors of a row of `calibrations`."""
        try:
            yield
        except CalibrationError as error:
            token = self._index.strings("calibrations", "token")[calibration].as_py()
            where = f"{table_path(self._folder, 'calibrated_sensor')}: row {token!r}, field {field!r} of {channel}"
            raise CalibrationError(error.code, f"{where}: {error.message}", error.hint) from error

    def file(self, name: str, table: str) -> DataPath:
        """The path of a file that a table names.

        Raises:
            DatasetError: DAT011 on a name that leaves the root.
        """
        return data_file(self._root, name, f"{table_path(self._folder, table)}: field 'filename' names the file")

    def pose(self, group: str, table: str, row: int) -> SE3:
        """The transform of a row of a group.

        Args:
            group: group of the index: calibrations, poses or boxes.
            table: table that the group is read from, for messages.
            row: row number in the group.

        Raises:
            CalibrationError: CAL001 or CAL003 naming table, token and field.
        """
        try:
            return SE3.from_quaternion(
                self._index.numbers(group, "rotation")[row], self._index.numbers(group, "translation")[row]
            )
        except CalibrationError as error:
            token = self._index.strings(group, "token")[int(row)].as_py()
            field = "rotation" if isinstance(error, RotationError) else "translation"
            where = f"{table_path(self._folder, table)}: row {token!r}, field {field!r}"
            raise CalibrationError(error.code, f"{where}: {error.message}", error.hint) from error

    def _read_mounting(self, calibration: int) -> SE3:
        return self.pose("calibrations", "calibrated_sensor", calibration)

    def _exposure(self, group: str, row: int) -> tuple[DataPath, int, SE3, SE3]:
        """Path, time, ego_SE3_sensor and world_SE3_ego of one row of sample_data."""
        return (
            self.file(self._index.strings(group, "file")[row].as_py(), "sample_data"),
            int(self._index.numbers(group, "t_us")[row]),
            self._mounting(int(self._index.numbers(group, "calibration")[row])),
            self.pose("poses", "ego_pose", self._index.numbers(group, "pose")[row]),
        )
