"""KITTI 3D object detection: single frames, one LiDAR, the left colour camera (camera 2).

Layout: training/ and testing/ with velodyne/, image_2/, calib/ and, in training/, label_2/; optionally
ImageSets/<split>.txt, and planes/ with the road plane of each frame, as users of OpenPCDet share them. Ids of frames
are their numbers in training/ ("000123"), and "testing_000123" in testing/.
The ego frame is the LiDAR frame; frames have no time and no pose. Their sweeps are cut from raw drives and are not
compensated for ego motion. Without poses it stays in them. Data that `pointsam-label convert` wrote state it in
frames.csv if it is removed from a sweep.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath, data_path, is_folder, read_bytes
from pointsam.datasets.base import TableProblem
from pointsam.datasets.kitti.files import (
    COLUMNS,
    REVOLUTION,
    Calibration,
    read_calibration,
    read_plane,
    sweep_at,
    text_lines,
)
from pointsam.datasets.kitti.labels import LabelRow, read_labels
from pointsam.datasets.kitti.listing import Listing, composed, require_names, split_names, unread_sweeps
from pointsam.datasets.kitti.suffixes import IMAGES, SWEEPS, TEXTS
from pointsam.datasets.kitti.truth import LabelledByRows, boxes_of
from pointsam.geometry.se3 import SE3
from pointsam.types import Boxes, Frame, Sweep

FOLDERS = ("training", "testing")
CAMERA = "image_2"
FRAMES, NAME, COMPENSATED = "frames.csv", "name", ("compensated", "yes")
"""The table of `pointsam-label convert`: its column of names of frames of training/, and the column and value of sweeps
without ego motion. Other readers of KITTI do not know it."""

_TESTING_PREFIX = "testing_"


class Kitti(LabelledByRows):
    """A KITTI object folder.

    Args:
        root: the folder that holds training/, testing/ or both.
        columns: names of all values of a point in the LiDAR files; None for KITTI's x, y, z, intensity.

    Raises:
        DatasetError: DAT001 if the root is missing, DAT002 if it has neither training/velodyne nor testing/velodyne.
    """

    name = "kitti"

    def __init__(self, root: DataPath, columns: tuple[str, ...] | None = None) -> None:
        self.root, self._columns = data_path(root), columns or COLUMNS
        self._listed: dict[str, _Files] = {}
        if not is_folder(self.root):
            raise DatasetError("DAT001", f"{self.root}: no such folder", "check the path")
        if not any((self.root / folder / "velodyne").is_dir() for folder in FOLDERS):
            raise DatasetError(
                "DAT002",
                f"{self.root}: not a KITTI object folder, neither training/velodyne nor testing/velodyne is there",
                "give the folder that holds training/ (with velodyne, image_2, calib, label_2)",
            )

    def frame_ids(self, split: str | None = None) -> list[str]:
        """Frames of a folder or split, sorted.

        Args:
            split: None or "training", "testing", or the name of a file ImageSets/<split>.txt. Its numbers are frames
                of testing/ for the split "test", else of training/.

        Raises:
            DatasetError: DAT010 on an unknown split, DAT009 if there are no frames, DAT011 on a file whose name cannot
                be an id.
        """
        folder = "testing" if split in ("test", "testing") else "training"
        sweeps = self._files(folder).sweeps
        if split is None or split in FOLDERS:
            require_names(sweeps)
            names, source = list(sweeps.stems), f"{sweeps.folder}: zero frames{sweeps.instead()}"
        else:
            lists = Listing(self.root / "ImageSets", TEXTS)
            if split not in lists:
                known = ", ".join((*FOLDERS, *lists.stems))
                what = f"{self.root}: no split {split!r}, {lists.path(split)} is missing"
                raise DatasetError("DAT010", what, f"use one of: {known}")
            names, source = split_names(lists.path(split), sweeps.stems), f"{lists.path(split)}: zero frames"
        if not names:
            hint = f"check that the sweeps were unpacked here ({', '.join(SWEEPS)}), or choose another split"
            raise DatasetError("DAT009", source, hint)
        prefix = _TESTING_PREFIX if folder == "testing" else ""
        return [prefix + name for name in names]

    def frame(self, frame_id: str) -> Frame:
        """One frame; reads the header of the image, and nothing of the LiDAR file.

        Raises:
            DatasetError: DAT010 on an unknown id, DAT004 if the image or calibration is missing, DAT005 if the image
                has no readable header.
            MissingFolderError: DAT001 if there are no images or no calibrations at all.
            CalibrationError: CAL001, CAL002, CAL003, naming file and key.
        """
        (files, stem), cloud = self._place(frame_id), self.cloud(frame_id)
        files.images.require("images of camera 2")
        view = self._calibration(frame_id).view(CAMERA, files.images.image(stem), cloud.sweep)
        return replace(cloud, cameras=(view,))

    def cloud(self, frame_id: str) -> Frame:
        """The frame without its camera; needs neither image nor calibration.

        Raises:
            DatasetError: DAT010 on an unknown id.
        """
        files, stem = self._place(frame_id)
        scene = self.scene(frame_id)
        turn = None if scene == FOLDERS[0] and stem in self._compensated else REVOLUTION
        sweep = sweep_at(files.sweeps.path(stem), self._columns, 0, SE3.identity(), turn)
        return Frame(frame_id, scene, (sweep,), neighbours={}, cameras=())

    def scene(self, frame_id: str) -> str:
        """The folder, training or testing: KITTI does not state which frames belong to one drive."""
        return "testing" if frame_id.startswith(_TESTING_PREFIX) else "training"

    def boxes(self, frame_id: str) -> Boxes | None:
        """Ground-truth boxes in the LiDAR frame; types without a class are void, DontCare has no box.

        Raises:
            DatasetError: DAT010 on an unknown id, DAT004 on a missing calibration, DAT011 naming file and line of a
                malformed label.
            MissingFolderError: DAT001 if there are no calibrations at all.
            CalibrationError: CAL001, CAL003, naming file and key.
        """
        rows = self.label_rows(frame_id)
        if rows is None:
            return None
        return boxes_of(rows, self._calibration(frame_id), [f"{frame_id}/{row.line}" for row in rows], self._classes)

    def rect_SE3_lidar(self, frame_id: str) -> SE3:
        """From the LiDAR frame to the frame of labels, the rectified frame of camera 0.

        Raises:
            DatasetError, CalibrationError: as `boxes`.
        """
        return self._calibration(frame_id).rect_SE3_lidar

    def label_rows(self, frame_id: str) -> tuple[LabelRow, ...] | None:
        """The rows of the label file of a frame; None if it has none.

        Raises:
            DatasetError: as `boxes`.
        """
        files, stem = self._place(frame_id)
        path = files.labels.path(stem)
        return read_labels(path) if path.is_file() else None

    def road_z_m(self, frame_id: str, xyz_lidar_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) z of the road where the camera's vertical axis through each of (N,3) points meets it.

        Raises:
            DatasetError: DAT004 if planes/ has no file of the frame, DAT011 if it holds no plane; as `boxes`.
            CalibrationError: as `boxes`.
        """
        files, stem = self._place(frame_id)
        a, b, c, d = read_plane(files.planes.path(stem))
        rect_SE3_lidar = self._calibration(frame_id).rect_SE3_lidar
        rect = rect_SE3_lidar.apply(xyz_lidar_m)
        rect[:, 1] = -(d + a * rect[:, 0] + c * rect[:, 2]) / b
        road_z_m: NDArray[np.float64] = rect_SE3_lidar.inverse().apply(rect)[:, 2]
        return road_z_m

    def velocities_mps(self, frame_id: str) -> None:
        """None: there are no sequences of frames."""

    def table_problems(self) -> Iterator[TableProblem]:
        """Sweeps of kinds that are not read."""
        return unread_sweeps((files.sweeps, files.images) for files in map(self._files, FOLDERS))

    def past_sweeps(self, frame_id: str, count: int) -> list[Sweep]:
        """Empty: there are no sequences of frames."""
        return []

    def fingerprint(self) -> str:
        """Hex digest over the names of all LiDAR files and the contents of all calibration files.

        Sizes and images are not part of it: a truncated file can then be replaced within the run that quarantined it.
        """
        digest = hashlib.sha256()
        for folder in FOLDERS:
            files = _Files.of(self.root / folder)
            for stem in files.sweeps.stems:
                there = stem in files.calibrations
                calibration = read_bytes(files.calibrations.path(stem), "calibration file") if there else b""
                digest.update(f"{folder}/{stem} {len(calibration)}\n".encode() + calibration)
        return digest.hexdigest()

    @cached_property
    def _compensated(self) -> frozenset[str]:
        """Frames of training/ whose sweeps have no ego motion left, as frames.csv states."""
        path = self.root / FRAMES
        rows = csv.DictReader(text_lines(path, "table of frames")) if path.is_file() else ()
        column, yes = COMPENSATED
        return frozenset(row[NAME] for row in rows if row.get(column) == yes and row.get(NAME))

    def _files(self, folder: str) -> _Files:
        if folder not in self._listed:
            self._listed[folder] = _Files.of(self.root / folder)
        return self._listed[folder]

    def _calibration(self, frame_id: str) -> Calibration:
        files, stem = self._place(frame_id)
        files.calibrations.require("calibration files")
        return read_calibration(files.calibrations.path(stem))

    def _place(self, frame_id: str) -> tuple[_Files, str]:
        """The files of the folder of a frame, and its stem."""
        files, stem = self._files(self.scene(frame_id)), composed(frame_id.removeprefix(_TESTING_PREFIX))
        # A frame that lacks only its LiDAR file is damaged, not unknown: reading the points reports it.
        if stem not in files.sweeps and stem not in files.calibrations:
            raise DatasetError(
                "DAT010",
                f"{self.root}: no frame {frame_id!r}, {files.sweeps.folder} has no file of it",
                "frame ids are numbers as in the file names (000123), testing_000123 for those of testing/",
            )
        return files, stem


class _Files(NamedTuple):
    """The files of training/ or testing/."""

    sweeps: Listing
    images: Listing
    calibrations: Listing
    labels: Listing
    planes: Listing

    @classmethod
    def of(cls, folder: DataPath) -> _Files:
        return cls(
            Listing(folder / "velodyne", SWEEPS),
            Listing(folder / CAMERA, IMAGES),
            Listing(folder / "calib", TEXTS),
            Listing(folder / "label_2", TEXTS),
            Listing(folder / "planes", TEXTS),
        )
