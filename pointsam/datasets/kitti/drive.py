"""One drive of KITTI raw: its files, times, poses and tracklets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.base.remote import DataPath, read_bytes
from pointsam.base.words import counted
from pointsam.datasets.base import TableProblem
from pointsam.datasets.io import image_size
from pointsam.datasets.kitti.files import REVOLUTION, sweep_at
from pointsam.datasets.kitti.listing import Listing, frame_number
from pointsam.datasets.kitti.oxts import read_packets
from pointsam.datasets.kitti.raw_calibration import FILES, RawCalibration, read_raw_calibration
from pointsam.datasets.kitti.stamps import NO_STAMP, STAMPS, TURN, Stamps, stamp_of
from pointsam.datasets.kitti.suffixes import IMAGES, SWEEPS, TEXTS
from pointsam.datasets.kitti.tracklets import TrackletBox, read_tracklets
from pointsam.geometry.se3 import SE3
from pointsam.geometry.tracks import velocities
from pointsam.geometry.trajectory import Trajectory
from pointsam.types import CameraView, Sweep

CAMERAS = ("image_02", "image_03")
"""The colour cameras. image_00 and image_01, which are grey, are not read."""
TRACKLETS = "tracklet_labels.xml"
_VELODYNE = "velodyne_points"


@dataclass(frozen=True, eq=False)
class RawDrive:
    """A synchronised and rectified drive.

    Args:
        scene: its name without "_sync".
        folder: its folder.
        columns: names of all values of a point in the LiDAR files.
        sweeps: its LiDAR files.
        cameras: the images of the cameras that have a folder.
        packets: its files of oxts.
    """

    scene: str
    folder: DataPath
    columns: tuple[str, ...]
    sweeps: Listing
    cameras: Mapping[str, Listing]
    packets: Listing

    @staticmethod
    def of(scene: str, folder: DataPath, columns: tuple[str, ...]) -> RawDrive:
        """The drive of a folder."""
        cameras = [name for name in CAMERAS if (folder / name).is_dir()] or CAMERAS[:1]
        return RawDrive(
            scene,
            folder,
            columns,
            Listing(folder / _VELODYNE / "data", SWEEPS),
            {name: Listing(folder / name / "data", IMAGES) for name in cameras},
            Listing(folder / "oxts" / "data", TEXTS),
        )

    @cached_property
    def images(self) -> Mapping[str, Listing]:
        """The images of the cameras that have some; of all cameras if none has."""
        return {name: images for name, images in self.cameras.items() if images.stems} or self.cameras

    @property
    def has_poses(self) -> bool:
        """Whether the poses of the vehicle are known."""
        return bool(self.packets.stems)

    @cached_property
    def calibration(self) -> RawCalibration:
        """The calibration of the day.

        Raises:
            DatasetError, CalibrationError: as `read_raw_calibration`.
        """
        return read_raw_calibration(self.folder.parent, tuple(self.images), self.has_poses)

    def sweep(self, stem: str) -> Sweep:
        """A sweep with its time and pose.

        The LiDAR moved while it turned, and the release does not compensate for that.

        Raises:
            DatasetError: DAT004 if the time stamps are missing, DAT011 on a malformed one, on a name that is no number,
                or if no pose is near in time.
            CalibrationError: as `calibration`.
        """
        t_us, path = self._t_us(_VELODYNE, stem), self.sweeps.path(stem)
        turn = self._stamps.turn(_VELODYNE, frame_number(path, stem), t_us) or REVOLUTION
        return sweep_at(path, self.columns, t_us, self._world_SE3_ego(t_us, stem), turn)

    def views(self, stem: str, sweep: Sweep) -> tuple[CameraView, ...]:
        """The images of a frame, each with its own time and pose.

        Raises:
            DatasetError: DAT004 if an image is missing, DAT005 on one without a readable header or of another size
                than the calibration states; as `sweep`.
            CalibrationError: as `calibration`, and CAL002.
        """
        return tuple(self._view(name, stem, sweep) for name in self.images)

    def _view(self, name: str, stem: str, sweep: Sweep) -> CameraView:
        calibration, image = self.calibration.cameras[name], self.images[name].image(stem)
        stated = self.calibration.sizes_px.get(name)
        height_px, width_px = image_size(image)
        if stated not in (None, (width_px, height_px)):
            assert stated is not None
            raise DatasetError(
                "DAT005",
                f"{image.name}: image of {width_px} x {height_px} px, but {calibration.path} states "
                f"{stated[0]:g} x {stated[1]:g} px",
                "use the rectified images of the synchronised drive (_sync)",
            )
        t_us = self._t_us(name, stem)
        camera = calibration.camera(width_px, height_px)
        ego_SE3_cam = calibration.cam_SE3_lidar(camera).inverse()
        return CameraView(name, image, t_us, camera, ego_SE3_cam, self._world_SE3_ego(t_us, stem))

    def boxes(self, stem: str) -> tuple[TrackletBox, ...] | None:
        """The tracklets of a frame; None without a file.

        Raises:
            DatasetError: as `read_tracklets`.
        """
        if self._tracklets is None:
            return None
        return self._tracklets.get(frame_number(self.sweeps.path(stem), stem), ())

    def velocity(self, stem: str, track: int) -> NDArray[np.float64]:
        """(3,) velocity of an object in the world frame, metres per second; NaN if it has no other frame near."""
        return self._velocities.get((stem, track), np.full(3, np.nan))

    def problems(self) -> Iterator[TableProblem]:
        """Frames that are left out, and packets of oxts that are not used."""
        for name in (name for name in self.cameras if name not in self.images):
            what = "it holds no image: frames of this drive are without the camera"
            yield TableProblem("missing-files", str(self.cameras[name].folder), what)
        for images in self.images.values():
            alone = [stem for stem in images.stems if stem not in self.sweeps]
            if alone:
                what = f"{counted(len(alone), 'image')} without a sweep, first {alone[0]}: no frames"
                yield TableProblem("missing-files", str(images.folder), what)
        yield from self._odd_turns()
        if self.has_poses:
            try:
                _, unused = self._trajectory
            except DatasetError as error:
                unused = [error.message]
            if unused:
                what = f"{counted(len(unused), 'pose')} not used: {unused[0]}"
                yield TableProblem("missing-files", str(self.packets.folder), what)

    def identity(self) -> list[bytes]:
        """What the frames depend on: names of sweeps, calibration, times, oxts. The folder is listed again."""
        names = " ".join(Listing(self.sweeps.folder, SWEEPS).stems).encode()
        files = [self.folder.parent / name for name in FILES]
        files += [self.folder / name / STAMPS for name in (_VELODYNE, *self.images, "oxts")]
        files += [path for name in TURN if (path := self.folder / _VELODYNE / name).is_file()]
        files += [self.packets.path(stem) for stem in self.packets.stems]
        return [names, *(read_bytes(path, "file") if path.is_file() else b"" for path in files)]

    def _t_us(self, sensor: str, stem: str) -> int:
        number = frame_number(self.sweeps.path(stem), stem)
        return stamp_of(self.folder / sensor / STAMPS, self._stamps[f"{sensor}/{STAMPS}"], number)

    def _odd_turns(self) -> Iterator[TableProblem]:
        """Sweeps whose times of start and end are there and are not used."""
        odd = []
        for stem in self.sweeps.stems:
            try:
                number, t_us = frame_number(self.sweeps.path(stem), stem), self._t_us(_VELODYNE, stem)
                odd += [] if self._stamps.turn(_VELODYNE, number, t_us) else [stem]
            except DatasetError:  # reported where the frame is used
                continue
        if odd and any((self.folder / _VELODYNE / name).is_file() for name in TURN):
            what = f"{counted(len(odd), 'sweep')} without a start and an end around their time, first {odd[0]}"
            yield TableProblem("missing-files", str(self.sweeps.folder.parent), f"{what}: a turn of 0.1 s is assumed")

    @cached_property
    def _stamps(self) -> Stamps:
        return Stamps(self.folder)

    def _world_SE3_ego(self, t_us: int, stem: str) -> SE3:
        """The pose of the LiDAR at a time."""
        if not self.has_poses:
            return SE3.identity()
        trajectory, unused = self._trajectory
        world_SE3_imu = trajectory.at(t_us)
        if world_SE3_imu is None:
            why = f": {unused[0]}" if unused else ""
            raise DatasetError(
                "DAT011",
                f"{self.packets.folder}: no pose near the time of frame {stem}{why}",
                "complete the download; without oxts the poses count as unknown",
            )
        lidar_SE3_imu = self.calibration.lidar_SE3_imu
        assert lidar_SE3_imu is not None  # asked for
        return world_SE3_imu @ lidar_SE3_imu.inverse()

    @cached_property
    def _trajectory(self) -> tuple[Trajectory, list[str]]:
        """The poses of the unit over time, and why packets are not among them."""
        numbers = {frame_number(self.packets.path(stem), stem): stem for stem in self.packets.stems}
        found = read_packets({number: self.packets.path(stem) for number, stem in numbers.items()})
        path, stamps = self.folder / "oxts" / STAMPS, self._stamps[f"oxts/{STAMPS}"]
        times, poses, unused = list[int](), list[SE3](), list[str]()
        for number in numbers:
            pose = found[number]
            if isinstance(pose, DatasetError):
                unused.append(pose.message)
            elif number >= len(stamps) or stamps[number] == NO_STAMP:
                unused.append(f"{path} has no time of packet {number}")
            elif times and stamps[number] <= times[-1]:
                unused.append(f"{path}, line {number + 1}: not later than the packets before it")
            else:
                times.append(int(stamps[number]))
                poses.append(pose)
        position_m = np.array([pose.translation_m for pose in poses]).reshape(-1, 3)
        rotation = np.array([pose.rotation for pose in poses]).reshape(-1, 3, 3)
        return Trajectory(np.array(times, dtype=np.int64), position_m, rotation), unused

    @cached_property
    def _tracklets(self) -> Mapping[int, tuple[TrackletBox, ...]] | None:
        path = self.folder / TRACKLETS
        return read_tracklets(path) if path.is_file() else None

    @cached_property
    def _velocities(self) -> dict[tuple[str, int], NDArray[np.float64]]:
        """Velocity by stem and track, of all objects whose frames can be read."""
        keys, times, centers = list[tuple[str, int]](), list[int](), list[NDArray[np.float64]]()
        for stem in self.sweeps.stems:
            try:
                sweep = self.sweep(stem)
            except (DatasetError, CalibrationError):  # reported where the frame is used
                continue
            for box in self.boxes(stem) or ():
                keys.append((stem, box.track))
                times.append(sweep.t_us)
                centers.append((sweep.world_SE3_ego @ box.lidar_SE3_box).translation_m)
        track = np.array([track for _, track in keys], dtype=np.int64)
        found = velocities(np.array(centers).reshape(-1, 3), track, np.array(times, dtype=np.int64))
        return dict(zip(keys, found, strict=True))
