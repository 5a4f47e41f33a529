"""A plain folder as a data set: one or several drives of any rig."""

from __future__ import annotations

import copy
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.base.remote import DataPath, data_path, is_folder
from pointsam.base.words import counted, did_you_mean
from pointsam.datasets.base import TableProblem
from pointsam.datasets.folder import drives_in, left_out, names_passed_over
from pointsam.datasets.folder.calibration import NAMES, Calibration, find_calibration, read_calibration
from pointsam.datasets.folder.drive import Drive
from pointsam.datasets.folder.problems import problems_of_drives
from pointsam.datasets.folder.truth import CLASSES, box_frame_of, boxes_of, truth_classes, velocities_in, velocities_of
from pointsam.datasets.kitti.listing import Listing, composed, frame_parts, require_names, split_names
from pointsam.datasets.nuscenes.splits import own_splits
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.boxes import truth_from_boxes
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import NUSCENES
from pointsam.types import Boxes, Frame, PointTruth, Sweep

_ALONE = "drive"
"""Name of the scene of a root that is a drive itself."""


class Folder:
    """A plain folder.

    Args:
        root: folder of one drive, or of drives.
        columns: values of a point in files that do not state them; None for those of the calibration.
        lidar: names of the LiDARs to read with commas between them, the reference first; None for all of the
            calibration.

    Attributes:
        lidar: as given.

    Raises:
        DatasetError: DAT001 if the root is missing, DAT002 without a drive or calibration, DAT010 on an unknown LiDAR,
            DAT011 on two drives of one name, DAT012 on several calibrations of one drive.
        CalibrationError: as `read_calibration`.
    """

    name = "folder"
    taxonomy = NUSCENES
    _classes = CLASSES
    visibility_levels: tuple[str, ...] = ()

    def __init__(self, root: DataPath, columns: tuple[str, ...] | None = None, lidar: str | None = None) -> None:
        self.root = data_path(root)
        if not is_folder(self.root):
            raise DatasetError("DAT001", f"{self.root}: no such folder", "check the path")
        names = drives_in(self.root)
        if not names:
            raise DatasetError(
                "DAT002", f"{self.root}: no images/CAMERA and clouds/LIDAR", "see docs/folder.md for the layout"
            )
        self.lidar = lidar
        self._drives: dict[str, Drive] = {}
        self._known: dict[str, Mapping[tuple[str, str], NDArray[np.float64]]] = {}
        shared = find_calibration(self.root)
        read = None if shared is None else read_calibration(shared)
        for name in names:
            folder = self.root / name if name else self.root
            own = find_calibration(folder) if name else None
            calibration = read_calibration(own) if own is not None else read
            if calibration is None:
                raise DatasetError(
                    "DAT002",
                    f"{folder}: no calibration file ({', '.join(NAMES)})",
                    f"pointsam-label init {self.root} writes one to be completed",
                )
            lidars = _chosen(calibration, lidar)
            scene = composed(name or _ALONE)
            if scene in self._drives:
                raise DatasetError("DAT011", f"{self.root}: two drives have the name {scene!r}", "rename one of them")
            self._drives[scene] = Drive(scene, folder, calibration, lidars, columns)

    @property
    def drives(self) -> Mapping[str, Drive]:
        """The drives by name."""
        return self._drives

    def frame_ids(self, split: str | None = None) -> list[str]:
        """Frames of drives, in order of time within each.

        Args:
            split: None for all; the name of a drive; a key of splits.json ({split: [drives]}), or the name of a file
                ImageSets/<split>.txt, which lists drives or frames.

        Raises:
            DatasetError: DAT010 on an unknown split, or one that lists an unknown drive, DAT009 if there are no frames,
                DAT011 on names of files that cannot be ids or state no time.
        """
        splits, lists = own_splits(self.root / "splits.json"), Listing(self.root / "ImageSets", (".txt",))
        if split is None:
            frames = [frame_id for scene in self._drives for frame_id in self._frames(scene)]
        elif split in splits:
            wanted = self._of_split(split, splits[split])
            frames = [frame_id for scene in self._drives if scene in wanted for frame_id in self._frames(scene)]
        elif split in lists:
            frames = self._listed(lists.path(split))
        elif split in self._drives:
            frames = self._frames(split)
        else:
            known = (*splits, *lists.stems, *self._drives)
            raise DatasetError("DAT010", f"{self.root}: no split or drive {split!r}", f"use one of: {', '.join(known)}")
        if not frames:
            where = f"{self.root}, split {split!r}" if split else f"{self.root}"
            first = next(iter(self._drives.values()))
            raise DatasetError(
                "DAT009",
                f"{where}: zero frames; they are the files of the reference LiDAR, clouds/{first.lidars[0]}",
                "name another LiDAR first in the calibration file, or choose another split",
            )
        return frames

    def frame(self, frame_id: str) -> Frame:
        """Sources, times and calibration of a frame; reads no points and no pixels.

        Raises:
            DatasetError: DAT010 on an unknown id, DAT011 if there is no image or no sweep of another LiDAR near enough,
                or on a malformed file of times or poses.
            CalibrationError: CAL003 if the vehicle has no pose at the time of a sensor, CAL001 on a pose that is none.
        """
        drive, stem = self._place(frame_id)
        return replace(self.cloud(frame_id), cameras=drive.views(stem))

    def cloud(self, frame_id: str) -> Frame:
        """The frame without its cameras; needs no image.

        Raises:
            DatasetError, CalibrationError: as `frame`.
        """
        drive, stem = self._place(frame_id)
        neighbours = {}
        if drive.poses is not None:
            place, last = drive.reference.place(stem), len(drive.reference) - 1
            near = {-1: max(place - 1, 0), 1: min(place + 1, last)}
            # One without a pose counts as missing, as beyond the ends of the drive: it is a frame's own fault only.
            neighbours = {
                offset: drive.posed_sweep(drive.lidars[0], other) or drive.sweep(drive.lidars[0], place)
                for offset, other in near.items()
            }
        return Frame(frame_id, drive.scene, drive.sweeps(stem), neighbours, cameras=())

    def scene(self, frame_id: str) -> str:
        """The drive of the frame."""
        return self._place(frame_id)[0].scene

    def boxes(self, frame_id: str) -> Boxes | None:
        """Ground-truth boxes in the frame of the reference LiDAR; None if the frame has no file of them.

        The token of a box is FRAME/OBJECT, or FRAME/line-N of one without a track.

        Raises:
            DatasetError: DAT010 on an unknown id, DAT011 naming file, box and field.
            CalibrationError: as `frame`.
        """
        drive, stem = self._place(frame_id)
        return boxes_of(drive, stem, frame_id, self._classes)

    def box_frame(self, frame_id: str) -> tuple[str, SE3] | None:
        """Name of the frame that the boxes are stated in, and lidar_SE3_frame; None without boxes, or if frames differ.

        Raises:
            DatasetError, CalibrationError: as `boxes`.
        """
        drive, stem = self._place(frame_id)
        return box_frame_of(drive, stem)

    def visibility(self, frame_id: str) -> NDArray[np.int8] | None:
        """None: boxes have no levels of visibility."""
        return None

    def velocities_mps(self, frame_id: str) -> NDArray[np.float64] | None:
        """(M,2) of the boxes, from the positions of their tracks in the frames before and after; None without poses.

        Raises:
            DatasetError, CalibrationError: as `boxes`.
        """
        drive, stem = self._place(frame_id)
        if drive.poses is None or not drive.boxes.exist:
            return None
        return velocities_of(drive, stem, self._velocities(drive))

    def past_sweeps(self, frame_id: str, count: int) -> list[Sweep]:
        """Up to `count` sweeps of each LiDAR before its sweep of the frame, each latest first; none without poses.

        Sweeps at whose time the vehicle has no pose are left out.

        Raises:
            DatasetError, CalibrationError: as `frame`.
        """
        drive, stem = self._place(frame_id)
        if drive.poses is None:
            return []
        found = []
        for lidar in drive.lidars:
            first = lidar == drive.lidars[0]
            place = drive.reference.place(stem) if first else drive.match("clouds", lidar, stem)
            if place is not None:
                past = (drive.posed_sweep(lidar, other) for other in range(place - 1, max(place - 1 - count, -1), -1))
                found += [sweep for sweep in past if sweep is not None]
        return found

    def point_truth(self, frame_id: str, source: str | None = None) -> PointTruth | None:
        """Ground truth from boxes, the only source.

        Raises:
            DatasetError: as `frame`, `boxes` and `read_frame_points`.
            CalibrationError: as `frame`.
        """
        if source not in (None, "boxes") or (boxes := self.boxes(frame_id)) is None:
            return None
        return truth_from_boxes(read_frame_points(self.cloud(frame_id)).xyz_lidar_m, boxes)

    @property
    def known_classes(self) -> tuple[str, ...]:
        """Names of boxes that have a class."""
        return tuple(self._classes.classes)

    def unknown_classes(self, frame_ids: Sequence[str]) -> Counter[str]:
        """Number of boxes of each name without a class. Frames whose boxes cannot be read have none."""
        counts = Counter[str]()
        for frame_id in frame_ids:
            drive, stem = self._place(frame_id)
            try:
                rows = drive.boxes.rows(stem) or []
            except (DatasetError, CalibrationError):  # the rule ground-truth reports it
                continue
            counts.update(row.name for row in rows if not self._classes.lists(row.name))
        return counts

    def with_categories(self, names: Sequence[str]) -> Folder:
        """The data set with some names of boxes as classes of their own, after the ten."""
        other = copy.copy(self)
        other._classes = truth_classes(names)
        other.taxonomy = other._classes.taxonomy
        return other

    def tracks(self, frame_id: str) -> tuple[str | None, ...] | None:
        """Track of each of the boxes; None for one that states none, or one that others of the frame state too.

        Raises:
            DatasetError, CalibrationError: as `boxes`.
        """
        drive, stem = self._place(frame_id)
        rows = drive.boxes.rows(stem)
        if rows is None:
            return None
        count = Counter(row.track for row in rows)
        return tuple(row.track if count[row.track] == 1 else None for row in rows)

    def table_problems(self) -> Iterator[TableProblem]:
        """Folders that are no drives, clocks that differ, times that are missing or double, boxes without a sweep."""
        passed = names_passed_over(self.root)
        if passed:
            what = f"{counted(passed, 'name')} passed over: they are too many to look for drives in them"
            yield TableProblem("missing-files", str(self.root), what)
        for name, why in left_out(self.root):
            yield TableProblem("missing-files", str(self.root / name), f"the folder is left out: {why}")
        yield from problems_of_drives(self._drives.values())

    def fingerprint(self) -> str:
        """Hex digest over the names of all files, and the contents of calibrations, times and poses."""
        digest = hashlib.sha256()
        for scene, drive in self._drives.items():
            for content in drive.identity():
                digest.update(f"{scene} {len(content)}\n".encode() + content)
        return digest.hexdigest()

    def _frames(self, scene: str) -> list[str]:
        drive = self._drives[scene]
        require_names(drive.reference.listing)
        return [self._id(scene, stem) for stem in drive.frames]

    def _id(self, scene: str, stem: str) -> str:
        return stem if self._alone else f"{scene}_{stem}"

    @cached_property
    def _alone(self) -> bool:
        """Whether the root is a drive itself, so that names of its sweeps are ids."""
        return [drive.folder for drive in self._drives.values()] == [self.root]

    def _of_split(self, split: str, names: Sequence[str]) -> set[str]:
        """Drives that splits.json lists."""
        wanted = {composed(name) for name in names}
        unknown = sorted(wanted - set(self._drives))
        if unknown:
            what = f"{self.root / 'splits.json'}: {split} lists {unknown[0]!r}, and {self.root} has no such drive"
            raise DatasetError("DAT010", what, f"drives are: {', '.join(self._drives)}")
        return wanted

    def _listed(self, path: DataPath) -> list[str]:
        """Frames of a list of drives and frames."""
        frames = {frame_id: scene for scene in self._drives for frame_id in self._frames(scene)}
        wanted = set(split_names(path, {*self._drives, *frames}))
        unknown = sorted(name for name in wanted if name not in self._drives and name not in frames)
        if unknown:
            what = f"{path} lists {unknown[0]!r}, and {self.root} has no such drive or frame"
            raise DatasetError("DAT010", what, f"drives are: {', '.join(self._drives)}")
        return [frame_id for frame_id, scene in frames.items() if frame_id in wanted or scene in wanted]

    def _place(self, frame_id: str) -> tuple[Drive, str]:
        name = composed(frame_id)
        if self._alone:
            drive = self._drives[_ALONE]
            if name in drive.reference:
                return drive, name
        else:
            for scene, stem in frame_parts(name, self._drives):
                if stem in self._drives[scene].reference:
                    return self._drives[scene], stem
        way = "ids are names of the files of the reference LiDAR" + ("" if self._alone else ", after the drive and _")
        raise DatasetError("DAT010", f"{self.root}: no frame {frame_id!r}", way)

    def _velocities(self, drive: Drive) -> Mapping[tuple[str, str], NDArray[np.float64]]:
        if drive.scene not in self._known:
            self._known[drive.scene] = velocities_in(drive)
        return self._known[drive.scene]


def _chosen(calibration: Calibration, lidar: str | None) -> tuple[str, ...]:
    """Names of the LiDARs to read.

    Raises:
        DatasetError: DAT010 on one that the calibration does not have, or that is named twice.
    """
    known = tuple(calibration.lidars)
    if lidar is None:
        return known
    names = tuple(name.strip() for name in lidar.split(","))
    for name in names:
        if name not in known or names.count(name) > 1:
            problem = (
                f"no LiDAR {name!r}{did_you_mean(name, known)}" if name not in known else f"{name!r} is there twice"
            )
            raise DatasetError("DAT010", f"{calibration.path}: {problem}", f"use some of: {', '.join(known)}")
    return names
