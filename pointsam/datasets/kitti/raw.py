"""KITTI raw: drives of one LiDAR and two colour cameras at 10 Hz, synchronised and rectified.

Layout of the release: DATE/calib_cam_to_cam.txt, calib_velo_to_cam.txt and calib_imu_to_velo.txt, and drives
DATE/DATE_drive_0001_sync with velodyne_points, image_02, image_03 and oxts, each with data/0000000000.* and
timestamps.txt; tracklet_labels.xml where there are annotations. The root is the folder of the dates, or that of a date.
Drives that end in _extract are refused: their images are distorted, and their files do not belong together by number.
Optionally ImageSets/<split>.txt lists drives or frames.

Drives are scenes ("2011_09_26_drive_0001"), ids of frames are "2011_09_26_drive_0001_0000000004". Frames are the sweeps
that are there: the release lacks some. The ego frame is the LiDAR frame. Sweep and images have a time stamp each, and
the pose of oxts at that time, interpolated. Sweeps are not compensated for ego motion: times of points follow from
their azimuth, timestamps_start.txt and timestamps_end.txt, and reading removes the motion. Boxes are moved with the
points that they were drawn around. Without oxts all poses are the identity, and frames have neither neighbours nor past
sweeps nor velocities, and the motion stays in the sweeps.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError, MissingFolderError
from pointsam.base.remote import DataPath, data_path, is_folder
from pointsam.base.words import counted
from pointsam.datasets.base import TableProblem
from pointsam.datasets.kitti import drives_of
from pointsam.datasets.kitti.drive import RawDrive
from pointsam.datasets.kitti.files import COLUMNS
from pointsam.datasets.kitti.labels import KINDS
from pointsam.datasets.kitti.listing import Listing, composed, frame_parts, require_names, split_names, unread_sweeps
from pointsam.datasets.kitti.raw_calibration import FILES
from pointsam.datasets.kitti.suffixes import TEXTS
from pointsam.datasets.kitti.tracklets import TrackletBox
from pointsam.datasets.kitti.truth import VISIBILITY, OfTypes, boxes_at_stamp, points_of
from pointsam.types import Boxes, Frame, PointTruth, Sweep


class KittiRaw(OfTypes):
    """A KITTI raw folder.

    Args:
        root: the folder that holds folders of dates, or one of these.
        columns: names of all values of a point in the LiDAR files; None for KITTI's x, y, z, intensity.

    Raises:
        DatasetError: DAT001 if the root is missing, DAT002 if it has no synchronised drive.
    """

    name = "kitti_raw"
    visibility_levels: tuple[str, ...] = VISIBILITY

    def __init__(self, root: DataPath, columns: tuple[str, ...] | None = None) -> None:
        self.root = data_path(root)
        if not is_folder(self.root):
            raise DatasetError("DAT001", f"{self.root}: no such folder", "check the path")
        folders, self._unsynchronised = drives_of(self.root)
        if not folders:
            other = f"; {self._unsynchronised[0].name} is not synchronised" if self._unsynchronised else ""
            raise DatasetError(
                "DAT002",
                f"{self.root}: no drive DATE/DATE_drive_0001_sync with velodyne_points{other}",
                "download the drive as synced+rectified data: the images of _extract are distorted, and their numbers "
                "are not those of the sweeps"
                if other
                else "give the folder that holds DATE/calib_cam_to_cam.txt and DATE/DATE_drive_0001_sync",
            )
        scenes = [(folder.name.removesuffix("_sync"), folder) for folder in folders]
        self._drives = {scene: RawDrive.of(scene, folder, columns or COLUMNS) for scene, folder in scenes}
        if len(self._drives) < len(scenes):
            raise DatasetError("DAT011", f"{self.root}: two drives have the name of one", "remove one of them")

    def frame_ids(self, split: str | None = None) -> list[str]:
        """Frames of drives, in order of time within each.

        Args:
            split: None, a drive ("2011_09_26_drive_0001", with or without _sync), a date ("2011_09_26"), or the name
                of a file ImageSets/<split>.txt, which lists drives or frames.

        Raises:
            DatasetError: DAT010 on an unknown split or drive, DAT009 if there are no frames, DAT011 on a file whose
                name cannot be an id.
        """
        lists = Listing(self.root / "ImageSets", TEXTS)
        if split is None:
            frames = [frame_id for scene in self._drives for frame_id in self._frames(scene)]
        elif split.removesuffix("_sync") in self._drives:
            frames = self._frames(split.removesuffix("_sync"))
        elif split in lists:
            frames = self._listed(lists.path(split))
        else:
            dates = dict.fromkeys(drive.folder.parent.name for drive in self._drives.values())
            of_date = [scene for scene, drive in self._drives.items() if drive.folder.parent.name == split]
            if not of_date:
                known = ", ".join((*lists.stems, *dates, *self._drives))
                raise DatasetError("DAT010", f"{self.root}: no split or drive {split!r}", f"use one of: {known}")
            frames = [frame_id for scene in of_date for frame_id in self._frames(scene)]
        if not frames:
            raise DatasetError(
                "DAT009", f"{self.root}: zero frames in {split or 'all drives'}", "unpack velodyne_points/data"
            )
        return frames

    def frame(self, frame_id: str) -> Frame:
        """One frame; reads the headers of the images, and nothing of the LiDAR file.

        Raises:
            DatasetError: DAT010 on an unknown id, DAT004 if an image, time stamps or a calibration are missing, DAT005
                on an image without a readable header or of another size than stated, DAT011 on malformed time stamps,
                or without a pose near.
            MissingFolderError: DAT001 if no drive has images, or none a calibration.
            CalibrationError: CAL001, CAL002, CAL003, naming file and key.
        """
        drive, stem = self._place(frame_id)
        if not any(images.stems for one in self._drives.values() for images in one.images.values()):
            next(iter(drive.images.values())).require("images of the colour cameras")
        self._require_calibration(drive)
        cloud = self.cloud(frame_id)
        return replace(cloud, cameras=drive.views(stem, cloud.sweep))

    def cloud(self, frame_id: str) -> Frame:
        """The frame without its cameras; needs no image.

        Raises:
            DatasetError, CalibrationError: as `frame`.
        """
        drive, stem = self._place(frame_id)
        near = drive.sweeps.around(stem) if drive.has_poses else {}
        neighbours = {offset: drive.sweep(other) for offset, other in near.items()}
        return Frame(frame_id, drive.scene, (drive.sweep(stem),), neighbours, cameras=())

    def scene(self, frame_id: str) -> str:
        """The drive of the frame."""
        return self._place(frame_id)[0].scene

    def boxes(self, frame_id: str) -> Boxes | None:
        """Ground-truth boxes in the LiDAR frame at the time of the sweep, from tracklets.

        Types without a class are void. The token of a box is FRAME/TRACK, and TRACK the position of its tracklet in
        the file.

        Raises:
            DatasetError: DAT010 on an unknown id, DAT011 on tracklets that are cut off or malformed; as `cloud`.
            CalibrationError: as `cloud`.
        """
        boxes = self._drawn(frame_id)
        return None if boxes is None else boxes_at_stamp(boxes, self.cloud(frame_id))

    def _drawn(self, frame_id: str) -> Boxes | None:
        """The boxes as they were drawn around the points of the file."""
        found = self._tracklets(frame_id)
        if found is None:
            return None
        poses = [box.lidar_SE3_box for box in found]
        size_hwl_m = np.array([box.size_hwl_m for box in found]).reshape(-1, 3)
        return Boxes(
            center_m=np.array([pose.translation_m for pose in poses]).reshape(-1, 3),
            size_lwh_m=size_hwl_m[:, ::-1],
            rotation=np.array([pose.rotation for pose in poses]).reshape(-1, 3, 3),
            class_id=np.array([self._classes.class_id(box.kind) for box in found], dtype=np.uint8),
            token=tuple(f"{frame_id}/{box.track}" for box in found),
        )

    def visibility(self, frame_id: str) -> NDArray[np.int8] | None:
        """(M,) level of each of the boxes, from `occlusion` of its tracklet.

        Raises:
            DatasetError: as `boxes`.
        """
        found = self._tracklets(frame_id)
        return None if found is None else np.array([2 - box.occluded for box in found], dtype=np.int8)

    def velocities_mps(self, frame_id: str) -> NDArray[np.float64] | None:
        """(M,2) of the boxes, from the positions of their tracks in the frames before and after; None without poses.

        Raises:
            DatasetError, CalibrationError: as `frame`.
        """
        drive, stem = self._place(frame_id)
        found = drive.boxes(stem)
        if found is None or not drive.has_poses:
            return None
        world_R_lidar = drive.sweep(stem).world_SE3_ego.rotation
        in_world = np.array([drive.velocity(stem, box.track) for box in found]).reshape(-1, 3)
        return (in_world @ world_R_lidar)[:, :2]

    def tracks(self, frame_id: str) -> tuple[str, ...] | None:
        """Position of the tracklet of each of the boxes in its file.

        Raises:
            DatasetError: as `boxes`.
        """
        found = self._tracklets(frame_id)
        return None if found is None else tuple(str(box.track) for box in found)

    def past_sweeps(self, frame_id: str, count: int) -> list[Sweep]:
        """Up to `count` sweeps before the frame, latest first; none without poses.

        Raises:
            DatasetError, CalibrationError: as `frame`.
        """
        drive, stem = self._place(frame_id)
        return [drive.sweep(other) for other in drive.sweeps.before(stem, count)] if drive.has_poses else []

    def point_truth(self, frame_id: str, source: str | None = None) -> PointTruth | None:
        """Ground truth from boxes, the only source. Points near boxes, and those that image_02 does not see, are void.

        Raises:
            DatasetError, CalibrationError: as `frame`, `boxes` and `pointsam.datasets.io.read_points`.
        """
        boxes = self._drawn(frame_id)
        if boxes is None or source not in (None, "boxes"):
            return None
        return points_of(self.frame(frame_id), boxes, ())

    def unknown_classes(self, frame_ids: Sequence[str]) -> Counter[str]:
        """Number of objects of each type that KITTI does not have. Frames whose tracklets cannot be read have none."""
        counts = Counter[str]()
        for frame_id in frame_ids:
            try:
                found = self._tracklets(frame_id) or ()
            except DatasetError:  # reported where the ground truth is used
                continue
            counts.update(box.kind for box in found if box.kind not in KINDS and not self._classes.lists(box.kind))
        return counts

    def table_problems(self) -> Iterator[TableProblem]:
        """Files that are not read, and frames that are left out."""
        yield from unread_sweeps((drive.sweeps, next(iter(drive.images.values()))) for drive in self._drives.values())
        for drive in self._drives.values():
            yield from drive.problems()
        if self._unsynchronised:
            names = f"{counted(len(self._unsynchronised), 'drive')} left out, first {self._unsynchronised[0].name}"
            what = f"{names}: unsynchronised drives (_extract) have distorted images"
            yield TableProblem("missing-files", str(self.root), what)

    def fingerprint(self) -> str:
        """Hex digest over the names of all LiDAR files and the contents of calibrations, times and oxts."""
        digest = hashlib.sha256()
        for scene, drive in self._drives.items():
            for content in drive.identity():
                digest.update(f"{scene} {len(content)}\n".encode() + content)
        return digest.hexdigest()

    def _tracklets(self, frame_id: str) -> tuple[TrackletBox, ...] | None:
        drive, stem = self._place(frame_id)
        return drive.boxes(stem)

    def _frames(self, scene: str) -> list[str]:
        sweeps = self._drives[scene].sweeps
        require_names(sweeps)
        return [f"{scene}_{stem}" for stem in sweeps.stems]

    def _listed(self, path: DataPath) -> list[str]:
        """Frames of a list of drives and frames."""
        frames = {frame_id for scene in self._drives for frame_id in self._frames(scene)}
        names = {f"{scene}{end}": scene for scene in self._drives for end in ("", "_sync")}
        wanted: set[str] = set()
        for name in split_names(path, {*names, *frames}):
            if name not in names and name not in frames:
                what = f"{path} lists {name!r}, and {self.root} has no such drive or frame"
                raise DatasetError("DAT010", what, f"drives are: {', '.join(self._drives)}")
            wanted |= set(self._frames(names[name])) if name in names else {name}
        return [frame_id for scene in self._drives for frame_id in self._frames(scene) if frame_id in wanted]

    def _require_calibration(self, drive: RawDrive) -> None:
        if not any((one.folder.parent / FILES[0]).is_file() for one in self._drives.values()):
            raise MissingFolderError(
                "DAT001",
                f"{drive.folder.parent / FILES[0]}: no date has calibration files; no frame can be read without them",
                f"unpack {drive.folder.parent.name}_calib.zip into the root",
            )

    def _place(self, frame_id: str) -> tuple[RawDrive, str]:
        for scene, stem in frame_parts(composed(frame_id), self._drives):
            if stem in self._drives[scene].sweeps:
                return self._drives[scene], stem
        raise DatasetError(
            "DAT010",
            f"{self.root}: no frame {frame_id!r}",
            "frame ids are drive and number: 2011_09_26_drive_0001_0000000004",
        )
