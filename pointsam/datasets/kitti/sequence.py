"""One sequence of KITTI tracking: its files, poses and tracks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.base.remote import DataPath, read_bytes
from pointsam.datasets.kitti import folders_in
from pointsam.datasets.kitti.files import REVOLUTION, Calibration, read_calibration, sweep_at
from pointsam.datasets.kitti.labels import LabelRow, SequenceLabels
from pointsam.datasets.kitti.listing import Listing, frame_number, natural
from pointsam.datasets.kitti.oxts import read_poses
from pointsam.datasets.kitti.suffixes import IMAGES, SWEEPS, TEXTS
from pointsam.geometry.se3 import SE3
from pointsam.geometry.tracks import velocities
from pointsam.types import Sweep

PERIOD_US = 100_000
"""The release has no time stamps, and 10 frames per second."""

_IMAGES, _LABELS = ("image_02", "image_2"), ("label_02", "label_2")


@dataclass(frozen=True, eq=False)
class TrackingSequence:
    """A sequence.

    Args:
        scene: its name, unique in the data set.
        name: the name of its folders and files.
        camera: the name of the folder with the images.
        columns: names of all values of a point in the LiDAR files.
        sweeps: its LiDAR files.
        images: its images.
        calibrations: the calibrations of all sequences.
        poses_file: path of its oxts; None if it has none.
        label_file: path of its labels; None if it has none.
    """

    scene: str
    name: str
    camera: str
    columns: tuple[str, ...]
    sweeps: Listing
    images: Listing
    calibrations: Listing
    poses_file: DataPath | None
    label_file: DataPath | None

    @staticmethod
    def all_of(part: DataPath, prefix: str, columns: tuple[str, ...]) -> list[TrackingSequence]:
        """The sequences of training/, testing/ or the root that have sweeps, in natural order.

        Args:
            part: the folder.
            prefix: what the names of scenes begin with.
            columns: names of all values of a point in the LiDAR files.
        """
        camera, label = (next((n for n in names if (part / n).is_dir()), names[0]) for names in (_IMAGES, _LABELS))
        calibrations, poses, labels = (Listing(part / name, TEXTS) for name in ("calib", "oxts", label))
        return [
            TrackingSequence(
                prefix + name,
                name,
                camera,
                columns,
                Listing(part / "velodyne" / name, SWEEPS),
                Listing(part / camera / name, IMAGES),
                calibrations,
                poses.path(name) if name in poses else None,
                labels.path(name) if name in labels else None,
            )
            for name in sorted(folders_in(part / "velodyne"), key=natural)
        ]

    @property
    def has_poses(self) -> bool:
        """Whether the poses of the vehicle are known."""
        return self.poses_file is not None

    @cached_property
    def calibration(self) -> Calibration:
        """The calibration of all frames.

        Raises:
            DatasetError, CalibrationError: as `read_calibration`.
            MissingFolderError: DAT001 if no sequence has a calibration.
        """
        self.calibrations.require("calibration files")
        return read_calibration(self.calibrations.path(self.name), imu=self.has_poses)

    def sweep(self, stem: str) -> Sweep:
        """A sweep with its time and pose; its ego motion is not compensated, because it is cut from a raw drive.

        Raises:
            DatasetError: DAT011 on a malformed line of oxts, or a name that is no number.
            CalibrationError: as `calibration`.
        """
        path = self.sweeps.path(stem)
        number = frame_number(path, stem)
        world_SE3_ego = SE3.identity()
        if self.poses_file is not None:
            lidar_SE3_imu = self.calibration.lidar_SE3_imu
            assert lidar_SE3_imu is not None  # asked for
            world_SE3_ego = self._world_SE3_imu(number) @ lidar_SE3_imu.inverse()
        return sweep_at(path, self.columns, number * PERIOD_US, world_SE3_ego, REVOLUTION)

    def rows(self, stem: str) -> tuple[LabelRow, ...] | None:
        """The rows of a frame in the label file; None without a file.

        Raises:
            DatasetError: DAT004 if the file cannot be read, DAT011 naming the line of a malformed row, or if the name
                of the frame is no number.
        """
        if self._labels is None:
            return None
        return self._labels.rows(frame_number(self.sweeps.path(stem), stem))

    def velocity(self, stem: str, row: LabelRow) -> NDArray[np.float64]:
        """(3,) velocity of an object in the world frame, metres per second; NaN if its track has no other frame near.

        Raises:
            DatasetError, CalibrationError: as `sweep`.
        """
        return self._velocities.get((stem, row.track), np.full(3, np.nan))

    def identity(self) -> list[bytes]:
        """What the frames depend on: names of sweeps, calibration, oxts. The folder is listed again."""
        names = " ".join(Listing(self.sweeps.folder, SWEEPS).stems).encode()
        files = [path for path in (self.calibrations.path(self.name), self.poses_file) if path is not None]
        return [names, *(read_bytes(path, "file") if path.is_file() else b"" for path in files)]

    @cached_property
    def _labels(self) -> SequenceLabels | None:
        return None if self.label_file is None else SequenceLabels(self.label_file)

    @cached_property
    def _poses(self) -> Mapping[int, SE3 | DatasetError]:
        assert self.poses_file is not None  # asked for only if it is there
        return read_poses(self.poses_file)

    def _world_SE3_imu(self, number: int) -> SE3:
        found = self._poses.get(number)
        if found is None:
            what = f"{self.poses_file} has {len(self._poses)} lines, none for frame {number}"
            raise DatasetError("DAT011", what, "complete the download; without oxts the poses count as unknown")
        if isinstance(found, DatasetError):
            raise found
        return found

    @cached_property
    def _velocities(self) -> dict[tuple[str, int], NDArray[np.float64]]:
        """Velocity by stem and track, of all objects with a track whose frames can be read."""
        keys: list[tuple[str, int]] = []
        times: list[int] = []
        centers: list[NDArray[np.float64]] = []
        lidar_SE3_rect = self.calibration.rect_SE3_lidar.inverse()
        for stem in self.sweeps.stems:
            try:
                sweep, rows = self.sweep(stem), self.rows(stem) or ()
            except (DatasetError, CalibrationError):  # reported where the frame is used
                continue
            tracks = [row.track for row in rows]
            for row in rows:
                if row.track >= 0 and not row.is_region and tracks.count(row.track) == 1:
                    keys.append((stem, row.track))
                    times.append(sweep.t_us)
                    centers.append((sweep.world_SE3_ego @ lidar_SE3_rect @ row.rect_SE3_box()).translation_m)
        # Ids of tracks may be of any size, beyond 64 bits.
        index = {track: k for k, track in enumerate(dict.fromkeys(track for _, track in keys))}
        track = np.array([index[track] for _, track in keys], dtype=np.int64)
        found = velocities(np.array(centers).reshape(-1, 3), track, np.array(times, dtype=np.int64))
        return dict(zip(keys, found, strict=True))
