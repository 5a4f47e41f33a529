"""KITTI 3D object detection: single frames, one LiDAR, the left colour camera (camera 2).

Layout: training/ and testing/ with velodyne/, image_2/, calib/ and, in training/, label_2/; optionally
ImageSets/<split>.txt. Ids of frames are their numbers in training/ ("000123"), and "testing_000123" in testing/.
The ego frame is the LiDAR frame; frames have no time and no pose.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.paths import name_problem
from pointsam.base.remote import DataPath, data_path
from pointsam.datasets.io import ImageFile, RawPoints, image_size, read_points
from pointsam.datasets.kitti.files import (
    COLUMNS,
    LIDAR,
    Calibration,
    LabelRow,
    numbers_in,
    read_calibration,
    read_labels,
)
from pointsam.geometry.boxes import truth_from_boxes
from pointsam.geometry.projection import Projection, project
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import BACKGROUND, KITTI, LabelMapping
from pointsam.types import NO_INSTANCE, Boxes, CameraView, Frame, PointLabels, PointTruth, Sweep

FOLDERS = ("training", "testing")
CAMERA = "image_2"

_RING_GAP_RAD = math.radians(26.8 / 63)
"""Of the HDL-64E, mean of its two blocks."""

VOID_RING_M = 0.3
"""Boxes of cars end 0.2 to 0.4 m before the near face of the car: points so close to a box are void."""

_TESTING_PREFIX = "testing_"
_CLASSES = LabelMapping(
    KITTI, {"Car": "car", "Truck": "truck", "Tram": "tram", "Pedestrian": "pedestrian", "Cyclist": "cyclist"}
)


class Kitti:
    """A KITTI object folder.

    Args:
        root: the folder that holds training/, testing/ or both.

    Raises:
        DatasetError: DAT001 if the root is missing, DAT002 if it has neither training/velodyne nor testing/velodyne.
    """

    name = "kitti"
    taxonomy = KITTI
    visibility_levels: tuple[str, ...] = ("largely hidden", "partly hidden", "visible")

    def __init__(self, root: DataPath) -> None:
        self.root = data_path(root)
        if not self.root.is_dir():
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
            DatasetError: DAT010 on an unknown split, DAT009 if there are no frames.
        """
        if split is None or split in FOLDERS:
            folder = split or FOLDERS[0]
            source = self.root / folder / "velodyne"
            numbers = numbers_in(source, ".bin")
        else:
            folder = "testing" if split == "test" else "training"
            source = self.root / "ImageSets" / f"{split}.txt"
            if not source.is_file():
                known = [*FOLDERS, *numbers_in(self.root / "ImageSets", ".txt")]
                raise DatasetError(
                    "DAT010", f"{self.root}: no split {split!r}, {source} is missing", f"use one of: {', '.join(known)}"
                )
            numbers = sorted(set(source.read_bytes().decode(errors="replace").split()))
        if not numbers:
            raise DatasetError(
                "DAT009",
                f"{source}: zero frames",
                "check that the velodyne files were unpacked here, or choose another split",
            )
        prefix = _TESTING_PREFIX if folder == "testing" else ""
        return [prefix + number for number in numbers]

    def frame(self, frame_id: str) -> Frame:
        """One frame; reads the header of the image, and nothing of the LiDAR file.

        Raises:
            DatasetError: DAT010 on an unknown id, DAT004 if the image or calibration is missing, DAT005 if the image
                has no readable header.
            CalibrationError: CAL001, CAL002, CAL003, naming file and key.
        """
        files = self._files(frame_id)
        image = ImageFile(files.image)
        height_px, width_px = image_size(image)
        calibration = read_calibration(files.calibration)
        camera = calibration.camera(width_px, height_px)
        still = SE3.identity()
        view = CameraView(
            name=CAMERA,
            source=image,
            t_us=0,
            camera=camera,
            ego_SE3_cam=calibration.cam_SE3_lidar(camera).inverse(),
            world_SE3_ego=still,
        )
        sweep = Sweep(RawPoints(files.velodyne, COLUMNS), 0, still, still, _RING_GAP_RAD, LIDAR)
        return Frame(frame_id, self.scene(frame_id), (sweep,), neighbours={}, cameras=(view,))

    def scene(self, frame_id: str) -> str:
        """The folder, training or testing: KITTI does not state which frames belong to one drive."""
        return "testing" if frame_id.startswith(_TESTING_PREFIX) else "training"

    def boxes(self, frame_id: str) -> Boxes | None:
        """Ground-truth boxes in the LiDAR frame; Van, Person_sitting and Misc are void, DontCare has no box.

        Raises:
            DatasetError: DAT010 on an unknown id, DAT004 on a missing calibration, DAT011 naming file and line of a
                malformed label.
            CalibrationError: CAL001, CAL003, naming file and key.
        """
        files = self._files(frame_id)
        if not files.labels.is_file():
            return None
        return _boxes(frame_id, read_labels(files.labels), read_calibration(files.calibration))

    def rect_SE3_lidar(self, frame_id: str) -> SE3:
        """From the LiDAR frame to the frame of labels, the rectified frame of camera 0.

        Raises:
            DatasetError, CalibrationError: as `boxes`.
        """
        return read_calibration(self._files(frame_id).calibration).rect_SE3_lidar

    def label_rows(self, frame_id: str) -> tuple[LabelRow, ...] | None:
        """The rows of the label file of a frame; None if it has none.

        Raises:
            DatasetError: as `boxes`.
        """
        path = self._files(frame_id).labels
        return read_labels(path) if path.is_file() else None

    def visibility(self, frame_id: str) -> NDArray[np.int8] | None:
        """(M,) level of each of the boxes, from `occluded` in the label file.

        Raises:
            DatasetError: as `boxes`.
        """
        rows = self.label_rows(frame_id)
        if rows is None:
            return None
        return np.array([2 - row.occluded for row in rows if row.kind != "DontCare"], dtype=np.int8)

    def velocities_mps(self, frame_id: str) -> None:
        """None: there are no sequences of frames."""

    def past_sweeps(self, frame_id: str, count: int) -> list[Sweep]:
        """Empty: there are no sequences of frames."""
        return []

    def point_truth(self, frame_id: str, source: str | None = None) -> PointTruth | None:
        """Ground truth from boxes, the only source.

        A point is void if it is within VOID_RING_M of a box, if its pixel is in a DontCare region, or if camera 2 does
        not see it: nothing was annotated there.

        Raises:
            DatasetError: as `frame`, `boxes` and `pointsam.datasets.io.read_points`.
            CalibrationError: as `frame`.
        """
        boxes = self.boxes(frame_id)
        if boxes is None or source not in (None, "boxes"):
            return None
        frame = self.frame(frame_id)
        xyz = read_points(frame.sweep)
        seen = project(xyz, frame, frame.cameras[0])
        truth = truth_from_boxes(xyz, boxes, VOID_RING_M)
        dont_care = _dont_care(seen, read_labels(self._files(frame_id).labels))
        labelled = seen.valid & (truth.labels.class_id != BACKGROUND)
        labels = PointLabels(
            np.where(labelled, truth.labels.instance_id, np.int32(NO_INSTANCE)),
            np.where(labelled, truth.labels.class_id, np.uint8(BACKGROUND)),
        )
        return PointTruth(labels, ~labelled & (truth.void | dont_care | ~seen.valid), truth.source)

    def fingerprint(self) -> str:
        """Hex digest over the names of all LiDAR files and the contents of all calibration files.

        Sizes and images are not part of it: a truncated file can then be replaced within the run that quarantined it.
        """
        digest = hashlib.sha256()
        for folder in FOLDERS:
            for number in numbers_in(self.root / folder / "velodyne", ".bin"):
                files = _FrameFiles.of(self.root / folder, number)
                calibration = files.calibration.read_bytes() if files.calibration.is_file() else b""
                digest.update(f"{folder}/{number} {len(calibration)}\n".encode() + calibration)
        return digest.hexdigest()

    def _files(self, frame_id: str) -> _FrameFiles:
        number = frame_id.removeprefix(_TESTING_PREFIX)
        files = _FrameFiles.of(self.root / self.scene(frame_id), number)
        # A frame that lacks only its LiDAR file is damaged, not unknown: reading the points reports it.
        if name_problem(number) or not (files.velodyne.is_file() or files.calibration.is_file()):
            raise DatasetError(
                "DAT010",
                f"{self.root}: no frame {frame_id!r}, {files.velodyne} is missing",
                "frame ids are numbers as in the file names (000123), testing_000123 for those of testing/",
            )
        return files


class _FrameFiles(NamedTuple):
    velodyne: DataPath
    image: DataPath
    calibration: DataPath
    labels: DataPath

    @classmethod
    def of(cls, folder: DataPath, number: str) -> _FrameFiles:
        return cls(
            folder / "velodyne" / f"{number}.bin",
            folder / CAMERA / f"{number}.png",
            folder / "calib" / f"{number}.txt",
            folder / "label_2" / f"{number}.txt",
        )


def _boxes(frame_id: str, rows: Iterable[LabelRow], calibration: Calibration) -> Boxes:
    objects = [row for row in rows if row.kind != "DontCare"]
    lidar_SE3_rect = calibration.rect_SE3_lidar.inverse()
    poses = [lidar_SE3_rect @ row.rect_SE3_box() for row in objects]
    size_hwl_m = np.array([row.size_hwl_m for row in objects]).reshape(-1, 3)
    return Boxes(
        center_m=np.array([pose.translation_m for pose in poses]).reshape(-1, 3),
        size_lwh_m=size_hwl_m[:, ::-1],
        rotation=np.array([pose.rotation for pose in poses]).reshape(-1, 3, 3),
        class_id=np.array([_CLASSES.class_id(row.kind) for row in objects], dtype=np.uint8),
        token=tuple(f"{frame_id}/{row.line}" for row in objects),
    )


def _dont_care(seen: Projection, rows: Iterable[LabelRow]) -> NDArray[np.bool_]:
    inside = np.zeros(len(seen.valid), dtype=bool)
    u, v = seen.uv_px.T
    for row in rows:
        if row.kind == "DontCare":
            left, top, right, bottom = row.box_xyxy_px
            inside |= (u >= left) & (u <= right) & (v >= top) & (v <= bottom)
    return inside
