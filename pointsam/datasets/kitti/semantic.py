"""SemanticKITTI: KITTI's odometry sequences with a label for every point.

Layout: sequences/NN with velodyne/*.bin, image_2/*.png (or .jpg), calib.txt and, where there are any, poses.txt,
times.txt and labels/*.label. Ids of frames are "NN_NNNNNN". The ego frame is the LiDAR frame; image and sweep share
time and pose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import CalibrationError, DatasetError, MissingFolderError
from pointsam.base.remote import DataPath, data_path, is_folder, read_bytes
from pointsam.datasets.base import TableProblem
from pointsam.datasets.io import read_points
from pointsam.datasets.kitti import sequences_of
from pointsam.datasets.kitti.files import COLUMNS, Calibration, read_calibration, sweep_at, text_lines
from pointsam.datasets.kitti.listing import Listing, composed, frame_number, frame_parts, require_names, unread_sweeps
from pointsam.datasets.kitti.suffixes import IMAGES, POINT_LABELS, SWEEPS
from pointsam.geometry.projection import project
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import BACKGROUND, SEMANTICKITTI
from pointsam.types import NO_INSTANCE, Boxes, Frame, PointLabels, PointTruth, Sweep

CAMERA = "image_2"
SPLITS = {
    "train": ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10"),
    "val": ("08",),
    "test": tuple(str(number) for number in range(11, 22)),
}
_VALUES = 12
_LATEST_S = 1e12
"""Times are stored as whole microseconds of 64 bits."""

_THINGS = {10: "car", 18: "truck", 20: "other_vehicle", 13: "other_vehicle", 16: "other_vehicle", 30: "person"}
_THINGS |= {31: "bicyclist", 32: "motorcyclist", 252: "car", 253: "bicyclist", 254: "person", 255: "motorcyclist"}
_THINGS |= {256: "other_vehicle", 257: "other_vehicle", 258: "truck", 259: "other_vehicle"}
"""Label to class; labels from 252 on are of moving objects."""
_STUFF = (40, 44, 48, 49, 50, 51, 60, 70, 71, 72, 80, 81)
"""Ground, buildings, nature and poles."""
_VOID = (0, 1, 11, 15, 52, 99)
"""Unlabelled, outlier, cycles without a rider, other structure, other object. Other labels are void too."""
_UNKNOWN = 0.1
"""Largest fraction of points with labels that SemanticKITTI does not have. More are in labels mapped for training."""


class SemanticKitti:
    """A folder with sequences/.

    Args:
        root: the folder.
        columns: names of all values of a point in the LiDAR files; None for KITTI's x, y, z, intensity.

    Raises:
        DatasetError: DAT001 if it is missing, DAT002 if it has no sequences/*/velodyne.
    """

    name = "semantickitti"
    taxonomy = SEMANTICKITTI
    visibility_levels: tuple[str, ...] = ()

    def __init__(self, root: DataPath, columns: tuple[str, ...] | None = None) -> None:
        self.root, self._columns = data_path(root), columns or COLUMNS
        if not is_folder(self.root):
            raise DatasetError("DAT001", f"{self.root}: no such folder", "check the path")
        self._here = sequences_of(self.root)
        if not self._here:
            raise DatasetError(
                "DAT002",
                f"{self.root}: no SemanticKITTI folder, it has no sequences/*/velodyne",
                "give the folder that holds sequences/",
            )

    def frame_ids(self, split: str | None = None) -> list[str]:
        """Frames of all sequences of the root, of those of a split (train, val, test), or of one sequence ("08").

        Raises:
            DatasetError: DAT010 on an unknown split or sequence, DAT009 if there are no frames.
        """
        wanted = self._here if split is None else SPLITS.get(split, (split,))
        found = [name for name in wanted if name in self._here]
        if split is not None and split not in SPLITS and not found:
            raise DatasetError(
                "DAT010",
                f"{self.root}: no split or sequence {split!r}",
                f"use one of: {', '.join((*SPLITS, *self._here))}",
            )
        for name in found:
            require_names(self._sweeps(name))
        frames = [f"{name}_{stem}" for name in found for stem in self._sweeps(name).stems]
        if not frames:
            raise DatasetError("DAT009", f"{self.root}: zero frames in {split or 'all sequences'}", "unpack velodyne/")
        return frames

    def frame(self, frame_id: str) -> Frame:
        """One frame; reads the header of the image, and nothing of the LiDAR file.

        Raises:
            DatasetError: DAT010 on an unknown id, DAT004 if image or calibration are missing, DAT005 on an image
                without a readable header, DAT011 on a malformed poses.txt or times.txt.
            MissingFolderError: DAT001 if no sequence has images, or none a calibration.
            CalibrationError: CAL001, CAL002, CAL003, naming file and key.
        """
        name, stem = self._parts(frame_id)
        images = self._images(name)
        if not any(self._images(other).stems for other in self._here):
            images.require("images of camera 2")
        sweep = self._sweep(name, stem)
        view = self._calibration(name).view(CAMERA, images.image(stem), sweep)
        near = self._sweeps(name).around(stem) if self._poses(name) is not None else {}
        neighbours = {offset: self._sweep(name, other) for offset, other in near.items()}
        return Frame(frame_id, name, (sweep,), neighbours, (view,))

    def place(self, frame_id: str) -> tuple[str, str]:
        """Sequence and number of the frame ("08", "000123")."""
        return self._parts(frame_id)

    def scene(self, frame_id: str) -> str:
        """The sequence of the frame."""
        return self._parts(frame_id)[0]

    def boxes(self, frame_id: str) -> Boxes | None:
        """None: there are no boxes."""

    def visibility(self, frame_id: str) -> None:
        """None: there are no boxes."""

    def velocities_mps(self, frame_id: str) -> None:
        """None: there are no boxes."""

    def table_problems(self) -> Iterator[TableProblem]:
        """Sweeps of kinds that are not read."""
        return unread_sweeps((self._sweeps(name), self._images(name)) for name in self._here)

    def past_sweeps(self, frame_id: str, count: int) -> list[Sweep]:
        """Up to `count` sweeps before the frame, latest first; none without poses.txt."""
        name, stem = self._parts(frame_id)
        if self._poses(name) is None:
            return []
        return [self._sweep(name, other) for other in self._sweeps(name).before(stem, count)]

    def point_truth(self, frame_id: str, source: str | None = None) -> PointTruth | None:
        """Ground truth from labels/*.label, the only source; None if there is no file.

        Void are unlabelled points, labels that are not known, things without an instance, cycles without a rider, and
        points that camera 2 does not see, because images cannot label them. An instance has the same number in all
        frames of its sequence.

        Raises:
            DatasetError: DAT004 if the file cannot be read, DAT011 if the number of labels is not that of points, or
                more than a tenth has labels that SemanticKITTI does not have; as `frame` and `read_points`.
        """
        name, stem = self._parts(frame_id)
        path = self._labels(name).path(stem)
        if not path.is_file() or source not in (None, "semantickitti"):
            return None
        frame = self.frame(frame_id)
        xyz = read_points(frame.sweep)
        value = np.frombuffer(read_bytes(path, "label file"), dtype="<u1")
        if len(value) != 4 * len(xyz):
            raise DatasetError(
                "DAT011",
                f"{path} has {len(value) // 4} labels ({len(value)} bytes), but the sweep has {len(xyz)} points",
                "use labels and velodyne of the same release",
            )
        value = value.view("<u4")
        semantic, instance = value & 0xFFFF, value >> 16
        unknown = ~np.isin(semantic, (*_THINGS, *_VOID, *_STUFF))
        if unknown.mean() > _UNKNOWN:
            some = ", ".join(map(str, np.unique(semantic[unknown])[:5]))
            raise DatasetError(
                "DAT011",
                f"{path} has labels that SemanticKITTI does not have: {some}",
                "use the labels as published, not as they are mapped for training",
            )
        table = np.full(0x10000, BACKGROUND, dtype=np.uint8)
        for label, kind in _THINGS.items():
            table[label] = self.taxonomy.class_id(kind)
        class_id = table[semantic]
        seen = project(xyz, frame, frame.cameras[0]).valid
        nameless = (class_id != BACKGROUND) & (instance == 0)
        void = ~np.isin(semantic, (*_THINGS, *_STUFF)) | nameless | ~seen
        ours = (class_id != BACKGROUND) & ~void
        labels = PointLabels(
            np.where(ours, instance.astype(np.int32), np.int32(NO_INSTANCE)),
            np.where(ours, class_id, np.uint8(BACKGROUND)),
        )
        names = {k: str(k) for k in np.unique(labels.instance_id[ours]).tolist()}
        return PointTruth(labels, void, "semantickitti", names)

    def fingerprint(self) -> str:
        """Hex digest over the names of all LiDAR files and the contents of calibration, poses and times."""
        digest = hashlib.sha256()
        for name in self._here:
            for file in ("calib.txt", "poses.txt", "times.txt"):
                path = self._folder(name) / file
                content = read_bytes(path, "file") if path.is_file() else b""
                digest.update(f"{name}/{file} {len(content)}\n".encode() + content)
            digest.update(" ".join(self._sweeps(name).stems).encode())
        return digest.hexdigest()

    def _folder(self, name: str) -> DataPath:
        return self.root / "sequences" / name

    def _parts(self, frame_id: str) -> tuple[str, str]:
        for name, stem in frame_parts(composed(frame_id), self._here):
            if stem in self._sweeps(name):
                return name, stem
        raise DatasetError(
            "DAT010", f"{self.root}: no frame {frame_id!r}", "frame ids are sequence and number: 08_000123"
        )

    @lru_cache(maxsize=64)  # noqa: B019 - a worker has one data set and keeps it
    def _sweeps(self, name: str) -> Listing:
        return Listing(self._folder(name) / "velodyne", SWEEPS)

    @lru_cache(maxsize=64)  # noqa: B019
    def _images(self, name: str) -> Listing:
        return Listing(self._folder(name) / CAMERA, IMAGES)

    @lru_cache(maxsize=64)  # noqa: B019
    def _labels(self, name: str) -> Listing:
        return Listing(self._folder(name) / "labels", POINT_LABELS)

    @lru_cache(maxsize=32)  # noqa: B019
    def _calibration(self, name: str) -> Calibration:
        if not any((self._folder(other) / "calib.txt").is_file() for other in self._here):
            raise MissingFolderError(
                "DAT001",
                f"{self.root}: no sequence has a calib.txt; no frame can be read without it",
                "unpack data_odometry_calib.zip into this root",
            )
        return read_calibration(self._folder(name) / "calib.txt")

    @lru_cache(maxsize=32)  # noqa: B019
    def _poses(self, name: str) -> NDArray[np.float64] | None:
        """(N,12) first three rows of world_SE3_cam0 of every frame of the sequence; the world is the first cam0."""
        return _table(self._folder(name) / "poses.txt", _VALUES)

    @lru_cache(maxsize=32)  # noqa: B019
    def _times(self, name: str) -> NDArray[np.float64] | None:
        path = self._folder(name) / "times.txt"
        times = _table(path, 1)
        if times is not None and np.abs(times).max() > _LATEST_S:
            raise DatasetError(
                "DAT011", f"{path}: a time of {np.abs(times).max():g} s", "write seconds from the start of the sequence"
            )
        return times

    def _sweep(self, name: str, stem: str) -> Sweep:
        path, poses, times = self._sweeps(name).path(stem), self._poses(name), self._times(name)
        pose, t_us = SE3.identity(), 0
        if poses is not None or times is not None:
            row = frame_number(path, stem)
            if poses is not None:
                world_SE3_cam0 = _pose(self._folder(name) / "poses.txt", poses, row)
                pose = world_SE3_cam0 @ self._calibration(name).rect_SE3_lidar
            if times is not None and row < len(times):
                t_us = round(float(times[row, 0]) * 1e6)
        return sweep_at(path, self._columns, t_us, pose)


def _table(path: DataPath, width: int) -> NDArray[np.float64] | None:
    if not path.is_file():
        return None
    words = " ".join(text_lines(path, "file")).split()
    try:
        values = np.array(words, dtype=np.float64).reshape(-1, width)
    except ValueError as error:
        raise DatasetError(
            "DAT011", f"{path}: no {width} numbers per line: {error}", "complete the download"
        ) from error
    if not len(values) or not np.isfinite(values).all():
        raise DatasetError("DAT011", f"{path}: a line does not have {width} finite numbers", "complete the download")
    return values


def _pose(path: DataPath, poses: NDArray[np.float64], row: int) -> SE3:
    if row >= len(poses):
        raise DatasetError("DAT011", f"{path} has {len(poses)} lines, none for frame {row}", "complete the download")
    matrix = poses[row].reshape(3, 4)
    try:
        return SE3(matrix[:, :3], matrix[:, 3])
    except CalibrationError as error:
        raise CalibrationError(error.code, f"{path}, line {row + 1}: {error.message}", error.hint) from error
