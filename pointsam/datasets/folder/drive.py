"""One drive of a folder: its sensors, times, poses and boxes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.base.remote import DataPath, names_in, read_bytes
from pointsam.datasets.folder.box_files import BoxFiles
from pointsam.datasets.folder.calibration import Calibration
from pointsam.datasets.folder.poses import NAMES, read_poses, trajectory
from pointsam.datasets.folder.recording import Recording, by_index, by_stamp
from pointsam.datasets.folder.stamps import inferred_unit, microseconds
from pointsam.datasets.folder.trajectory import PoseFile
from pointsam.datasets.io import ImageFile, point_source
from pointsam.datasets.kitti.files import text_lines
from pointsam.datasets.kitti.listing import Listing, composed, split_names
from pointsam.datasets.kitti.suffixes import IMAGES, SWEEPS
from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, RollingShutter, Sweep

_RUN = re.compile(r"[^0-9]*([0-9]{1,11})[^0-9]*")
IMAGES_IN, CLOUDS_IN, TIMES, KEY_FRAMES = "images", "clouds", "times.txt", "key_frames.txt"
_SUFFIXES = {IMAGES_IN: IMAGES, CLOUDS_IN: SWEEPS}


class Drive:
    """A drive.

    Args:
        scene: its name.
        folder: the folder with images/ and clouds/.
        calibration: its calibration.
        lidars: names of the LiDARs to read, the reference first.
        columns: values of a point in files that do not state them; None for those of the calibration.
    """

    def __init__(
        self,
        scene: str,
        folder: DataPath,
        calibration: Calibration,
        lidars: Sequence[str],
        columns: tuple[str, ...] | None = None,
    ) -> None:
        self.scene, self.folder, self.calibration, self.lidars = scene, folder, calibration, tuple(lidars)
        self._columns = columns
        self._recordings: dict[tuple[str, str], Recording] = {}
        self._cameras: dict[str, Camera] = {}

    @property
    def reference(self) -> Recording:
        """The sweeps of the reference LiDAR.

        Raises:
            DatasetError: as `recording`.
        """
        return self.recording(CLOUDS_IN, self.lidars[0])

    def recording(self, kind: str, name: str) -> Recording:
        """The files of a sensor.

        Args:
            kind: IMAGES_IN or CLOUDS_IN.
            name: name of the sensor.

        Raises:
            DatasetError: DAT004 if its folder cannot be read, DAT011 if its names or times.txt state no times.
        """
        if (kind, name) not in self._recordings:
            listing = self._listing(kind, name)
            entries = self.calibration.cameras if kind == IMAGES_IN else self.calibration.lidars
            files, offset_s = self.calibration.files, entries[name].time_offset_s
            if files.match == "stamp":
                found = by_stamp(name, listing, files.unit, offset_s)
            else:
                found = by_index(name, listing, self._time_of_index, offset_s if self.has_times else 0.0)
            self._recordings[kind, name] = found
        return self._recordings[kind, name]

    @cached_property
    def has_times(self) -> bool:
        """Whether the times of its files are known."""
        files = self.calibration.files
        return files.match == "stamp" or files.period_s is not None or self._listed_times is not None

    @cached_property
    def frames(self) -> tuple[str, ...]:
        """Names of the sweeps of the reference LiDAR that are key frames: those of key_frames.txt, or all.

        Raises:
            DatasetError: as `recording`, and DAT010 on a key frame without a sweep.
        """
        stems, path = self.reference.stems, self.folder / KEY_FRAMES
        if not path.is_file():
            return stems
        wanted = split_names(path, set(stems))
        unknown = [name for name in wanted if name not in self.reference]
        if unknown:
            what = f"{path}: {unknown[0]!r} is no sweep of {self.lidars[0]}"
            raise DatasetError("DAT010", what, "list names of its files without suffix")
        listed = set(wanted)
        return tuple(stem for stem in stems if stem in listed)

    def sweep(self, lidar: str, place: int) -> Sweep:
        """A sweep of a LiDAR by its position in the recording.

        Raises:
            CalibrationError: CAL003 if the vehicle has no pose at its time.
            DatasetError: as `poses`.
        """
        recording, entry = self.recording(CLOUDS_IN, lidar), self.calibration.lidars[lidar]
        t_us = int(recording.t_us[place])
        return Sweep(
            point_source(recording.listing.path(recording.stems[place]), self._columns or entry.columns),
            t_us,
            self.calibration.tree.pose(entry.frame or lidar, f"lidars.{lidar}"),
            self.pose(t_us),
            math.radians(entry.ring_gap_deg),
            lidar,
            entry.motion_compensated,
        )

    def posed_sweep(self, lidar: str, place: int) -> Sweep | None:
        """As `sweep`; None if the vehicle has no pose at its time."""
        try:
            return self.sweep(lidar, place)
        except CalibrationError:
            return None

    def sweeps(self, stem: str) -> tuple[Sweep, ...]:
        """The sweeps of a frame, that of the reference LiDAR first.

        Raises:
            DatasetError: DAT011 if a LiDAR has none near enough.
            CalibrationError: as `sweep`.
        """
        first = self.sweep(self.lidars[0], self.reference.place(stem))
        others = []
        for lidar in self.lidars[1:]:
            place = self.match(CLOUDS_IN, lidar, stem)
            if place is None:
                raise DatasetError(
                    "DAT011",
                    f"{self.folder}: frame {stem!r} has no sweep of {lidar} {self._within()}",
                    "leave this LiDAR out of --lidar, state files.tolerance_s, or leave the frame out",
                )
            others.append(self.sweep(lidar, place))
        return (first, *others)

    def views(self, stem: str) -> tuple[CameraView, ...]:
        """The images of a frame; cameras without one near enough are left out.

        Raises:
            DatasetError: DAT011 if no camera has one.
            CalibrationError: as `sweep`.
        """
        found = [(name, self.match(IMAGES_IN, name, stem)) for name in self.calibration.cameras]
        views = tuple(self._view(name, place) for name, place in found if place is not None)
        if not self.calibration.cameras:
            raise DatasetError("DAT011", f"{self.calibration.path}: it names no camera", "add one to `cameras`")
        if not views:
            raise DatasetError(
                "DAT011",
                f"{self.folder}: frame {stem!r} has no image {self._within()}",
                "restore the images, state files.tolerance_s or time_offset_s, or leave the frame out",
            )
        return views

    def match(self, kind: str, name: str, stem: str) -> int | None:
        """Position of the file of a sensor that belongs to a sweep of the reference LiDAR; None if there is none."""
        recording, files = self.recording(kind, name), self.calibration.files
        if files.match == "index":
            return recording.same(stem)
        t_us = int(self.reference.t_us[self.reference.place(stem)])
        return recording.nearest(t_us, round(files.tolerance_s * 1e6))

    def pose(self, t_us: int) -> SE3:
        """world_SE3_vehicle at a time; the identity without poses."""
        return SE3.identity() if self.poses is None else self.poses.at(t_us)

    @property
    def poses(self) -> PoseFile | None:
        """The poses of the vehicle; None if there is no file of them.

        Raises:
            DatasetError: DAT004 or DAT011 if the file cannot be read, or if times are not known.
            CalibrationError: CAL001 or CAL003 naming the line of a rotation that is none.
        """
        return None if self._read_poses is None else self._read_poses[0]

    @property
    def pose_problems(self) -> list[str]:
        """What is wrong with the stamps of the poses."""
        return [] if self._read_poses is None else self._read_poses[1]

    @cached_property
    def poses_file(self) -> DataPath | None:
        """The file of poses; None if there is none."""
        stated = self.calibration.poses.file
        names = NAMES if stated is None else (stated,)
        return next((self.folder / name for name in names if (self.folder / name).is_file()), None)

    @cached_property
    def further_poses(self) -> tuple[DataPath, ...]:
        """Files of poses that are not read, because there is another one and the calibration names none."""
        if self.calibration.poses.file is not None:
            return ()
        others = (self.folder / name for name in NAMES)
        return tuple(path for path in others if path != self.poses_file and path.is_file())

    def unlisted(self) -> list[DataPath]:
        """Folders of images and clouds that the calibration does not name."""
        known = {IMAGES_IN: set(map(composed, self.calibration.cameras))}
        known[CLOUDS_IN] = set(map(composed, self.calibration.lidars))
        return [
            self.folder / kind / name
            for kind, names in known.items()
            for name in self._names[kind]
            if composed(name) not in names and not name.startswith(".")
            if Listing(self.folder / kind / name, _SUFFIXES[kind]).stems
        ]

    @cached_property
    def boxes(self) -> BoxFiles:
        """The boxes."""
        return BoxFiles(self.folder, self.calibration, self.reference)

    def identity(self) -> list[bytes]:
        """What the frames depend on: names of files, the calibration, times, poses."""
        kinds = [
            *((CLOUDS_IN, name) for name in self.lidars),
            *((IMAGES_IN, name) for name in self.calibration.cameras),
        ]
        names = ["\0".join(self._listing(kind, name).stems) for kind, name in kinds]
        files = [self.folder / TIMES, self.folder / KEY_FRAMES, self.poses_file]
        shifted = {name: one.P for name, one in self.calibration.cameras.items() if one.P is not None}
        return [
            repr((kinds, self.calibration)).encode(),
            *([repr(shifted).encode()] if shifted else []),  # repr leaves it out, as it was before cameras had it
            *(text.encode() for text in names),
            *(read_bytes(path, "file") if path is not None and path.is_file() else b"" for path in files),
        ]

    @cached_property
    def _read_poses(self) -> tuple[PoseFile, list[str]] | None:
        if self.poses_file is None:
            return None
        if not self.has_times:
            raise DatasetError(
                "DAT011",
                f"{self.poses_file}: the files are matched by index, and their times are not known",
                f"state files.period_s, or write {TIMES} with the time of each index in seconds, or remove the poses",
            )
        entry = self.calibration.poses
        table = read_poses(self.poses_file, entry.format)
        frame = SE3.identity() if entry.frame is None else self.calibration.tree.pose(entry.frame, "poses.frame")
        return trajectory(table, entry, frame, self._row_times() if table.form == "kitti" else None)

    def _row_times(self) -> NDArray[np.int64]:
        """Time of each line of a file without stamps: of times.txt, else of the sweeps of the reference LiDAR."""
        return self.reference.t_us if self._listed_times is None else self._listed_times

    @cached_property
    def _listed_times(self) -> NDArray[np.int64] | None:
        """(N,) time of each line of times.txt, seconds unless a unit is stated; None without the file."""
        path = self.folder / TIMES
        if not path.is_file():
            return None
        texts = [text for text in text_lines(path, "times") if text and not text.startswith("#")]
        unit = self.calibration.files.unit or inferred_unit(texts) or "s"
        found = [microseconds(text, unit) for text in texts]
        bad = next((k for k, t_us in enumerate(found) if t_us is None), None)
        if bad is not None:
            raise DatasetError("DAT011", f"{path}: {texts[bad]!r} is no time", "write one time a line")
        return np.array(found, dtype=np.int64)

    def _time_of_index(self, place: int, stem: str) -> int | None:
        """Time of a file by its position in its folder and its name; 0 if times are not known."""
        number = _index(stem)
        listed, period_s = self._listed_times, self.calibration.files.period_s
        if listed is not None:
            at = number
            if len(listed) == len(self._reference_stems):
                at = self._reference_stems.get(stem, None if number is None else self._reference_numbers.get(number))
            return int(listed[at]) if at is not None and at < len(listed) else None
        if period_s is None:
            return 0
        at = self._reference_stems.get(stem, place) if number is None else number
        return round(at * period_s * 1e6)

    @cached_property
    def _reference_stems(self) -> dict[str, int]:
        return {stem: k for k, stem in enumerate(self._listing(CLOUDS_IN, self.lidars[0]).stems)}

    def _listing(self, kind: str, name: str) -> Listing:
        """The folder of a sensor. Its name may be in Unicode's decomposed form, as macOS writes it."""
        there = [one for one in self._names[kind] if composed(one) == composed(name)]
        return Listing(self.folder / kind / (name if name in there or not there else there[0]), _SUFFIXES[kind])

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        return {kind: names_in(self.folder / kind) for kind in _SUFFIXES}

    @cached_property
    def _reference_numbers(self) -> dict[int, int]:
        """Position of a file of the reference LiDAR by the number in its name."""
        found = {_index(stem): k for stem, k in self._reference_stems.items()}
        return {number: k for number, k in found.items() if number is not None}

    def _view(self, name: str, place: int) -> CameraView:
        recording, entry = self.recording(IMAGES_IN, name), self.calibration.cameras[name]
        if name not in self._cameras:
            self._cameras[name] = entry.camera(f"{self.calibration.path}: cameras.{name}")
        t_us = int(recording.t_us[place])
        rolling = entry.readout_s is not None and self.poses is not None  # without poses, no motion is known
        shutter = RollingShutter(*entry.readout_s, entry.readout_axis) if rolling and entry.readout_s else None
        return CameraView(
            name,
            ImageFile(recording.listing.path(recording.stems[place])),
            t_us,
            self._cameras[name],
            self.calibration.vehicle_SE3_cam(name),
            self.pose(t_us),
            shutter,
        )

    def _within(self) -> str:
        files = self.calibration.files
        return "of its name" if files.match == "index" else f"within {files.tolerance_s:g} s (files.tolerance_s)"


def _index(stem: str) -> int | None:
    """The number in a name (10 of scan_10); None if it has none or several."""
    found = _RUN.fullmatch(stem)
    return None if found is None else int(found[1])
