"""KITTI tracking: sequences of one LiDAR and the left colour camera (camera 2), at 10 Hz.

Layout of the release: training/ and testing/ with velodyne/0001/000000.bin, image_02/0001/000000.png, calib/0001.txt,
oxts/0001.txt and, in training/, label_02/0001.txt. The root itself may hold these folders, and they may be called
image_2 and label_2. Optionally ImageSets/<split>.txt lists sequences or frames.

Sequences are scenes: "0001", and "testing_0001" in testing/. Ids of frames are "0001_000004" and
"testing_0001_000004". Frames are the sweeps that are there: the release lacks some. The ego frame is the LiDAR frame;
image and sweep share time and pose. Poses come from oxts. Sweeps are cut from raw drives and are not compensated for
ego motion: times of points follow from their azimuth, reading removes the motion, and boxes are moved with the points
that they were drawn around. Without oxts all poses are the identity, frames have neither neighbours nor past sweeps nor
velocities, and the motion stays in the sweeps.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath, data_path, is_folder
from pointsam.datasets.base import TableProblem
from pointsam.datasets.kitti import tracking_parts
from pointsam.datasets.kitti.files import COLUMNS
from pointsam.datasets.kitti.labels import LabelRow
from pointsam.datasets.kitti.listing import Listing, composed, frame_parts, require_names, split_names, unread_sweeps
from pointsam.datasets.kitti.sequence import TrackingSequence
from pointsam.datasets.kitti.suffixes import TEXTS
from pointsam.datasets.kitti.truth import LabelledByRows, boxes_at_stamp, boxes_of
from pointsam.geometry.se3 import SE3
from pointsam.types import Boxes, Frame, Sweep

_TESTING = "testing"


class KittiTracking(LabelledByRows):
    """A KITTI tracking folder.

    Args:
        root: the folder that holds training/, testing/ or both, or the folders of the sensors themselves.
        columns: names of all values of a point in the LiDAR files; None for KITTI's x, y, z, intensity.

    Raises:
        DatasetError: DAT001 if the root is missing, DAT002 if it has no velodyne/SEQUENCE, DAT011 if two sequences
            have one name.
    """

    name = "kitti_tracking"

    def __init__(self, root: DataPath, columns: tuple[str, ...] | None = None) -> None:
        self.root = data_path(root)
        if not is_folder(self.root):
            raise DatasetError("DAT001", f"{self.root}: no such folder", "check the path")
        parts = tracking_parts(self.root)
        if not parts:
            raise DatasetError(
                "DAT002",
                f"{self.root}: no KITTI tracking folder, it has no training/velodyne/0000 or the like",
                "give the folder that holds training/ (with velodyne, image_02, calib, label_02, oxts)",
            )
        found = [one for part in parts for one in TrackingSequence.all_of(part, _prefix(part), columns or COLUMNS)]
        self._sequences = {one.scene: one for one in found}
        if len(self._sequences) < len(found):
            raise DatasetError("DAT011", f"{self.root}: two sequences have the name of one", "rename one of them")

    def frame_ids(self, split: str | None = None) -> list[str]:
        """Frames of sequences, in order of time within each.

        Args:
            split: None or "training", "testing", a sequence ("0001"), or the name of a file ImageSets/<split>.txt,
                which lists sequences or frames; those of "test" are in testing/.

        Raises:
            DatasetError: DAT010 on an unknown split or sequence, DAT009 if there are no frames, DAT011 on a file whose
                name cannot be an id.
        """
        scenes = self._scenes(testing=split == _TESTING)
        lists = Listing(self.root / "ImageSets", TEXTS)
        if split is None or split in ("training", _TESTING):
            frames = [frame_id for scene in scenes for frame_id in self._frames(scene)]
        elif split in self._sequences:
            frames = self._frames(split)
        elif split in lists:
            frames = self._listed(lists.path(split), _prefix_of(testing=split == "test"))
        else:
            known = ("training", _TESTING, *lists.stems, *self._sequences)
            raise DatasetError(
                "DAT010", f"{self.root}: no split or sequence {split!r}", f"use one of: {', '.join(known)}"
            )
        if not frames:
            raise DatasetError(
                "DAT009", f"{self.root}: zero frames in {split or 'training'}", "unpack velodyne/, or choose a split"
            )
        return frames

    def frame(self, frame_id: str) -> Frame:
        """One frame; reads the header of the image, and nothing of the LiDAR file.

        Raises:
            DatasetError: DAT010 on an unknown id, DAT004 if image or calibration are missing, DAT005 on an image
                without a readable header, DAT011 on a malformed line of oxts or a name that is no number.
            MissingFolderError: DAT001 if no sequence has images.
            CalibrationError: CAL001, CAL002, CAL003, naming file and key.
        """
        sequence, stem = self._place(frame_id)
        if not any(other.images.stems for other in self._sequences.values()):
            sequence.images.require("images of camera 2")
        cloud = self.cloud(frame_id)
        view = sequence.calibration.view(sequence.camera, sequence.images.image(stem), cloud.sweep)
        return replace(cloud, cameras=(view,))

    def cloud(self, frame_id: str) -> Frame:
        """The frame without its camera; needs no image.

        Raises:
            DatasetError, CalibrationError: as `frame`.
        """
        sequence, stem = self._place(frame_id)
        near = sequence.sweeps.around(stem) if sequence.has_poses else {}
        neighbours = {offset: sequence.sweep(other) for offset, other in near.items()}
        return Frame(frame_id, sequence.scene, (sequence.sweep(stem),), neighbours, cameras=())

    def scene(self, frame_id: str) -> str:
        """The sequence of the frame."""
        return self._place(frame_id)[0].scene

    def boxes(self, frame_id: str) -> Boxes | None:
        """Ground-truth boxes in the LiDAR frame at the time of the sweep; types without a class are void.

        DontCare has no box. The token of a box is FRAME/TRACK, or FRAME/line-N of an object without a track.

        Raises:
            DatasetError: DAT010 on an unknown id, DAT004 on a missing calibration, DAT011 naming file and line of a
                malformed label.
            CalibrationError: CAL001, CAL003, naming file and key.
        """
        drawn = self.drawn_boxes(frame_id)
        return None if drawn is None else boxes_at_stamp(drawn, self.cloud(frame_id))

    def drawn_boxes(self, frame_id: str) -> Boxes | None:
        """As `LabelledByRows.drawn_boxes`."""
        rows = self.label_rows(frame_id)
        if rows is None:
            return None
        return boxes_of(rows, self._place(frame_id)[0].calibration, _tokens(frame_id, rows), self._classes)

    def rect_SE3_lidar(self, frame_id: str) -> SE3:
        """From the LiDAR frame to the frame of labels, the rectified frame of camera 0.

        Raises:
            DatasetError, CalibrationError: as `boxes`.
        """
        return self._place(frame_id)[0].calibration.rect_SE3_lidar

    def label_rows(self, frame_id: str) -> tuple[LabelRow, ...] | None:
        """The rows of a frame; None if its sequence has no labels.

        Raises:
            DatasetError: as `boxes`.
        """
        sequence, stem = self._place(frame_id)
        return sequence.rows(stem)

    def velocities_mps(self, frame_id: str) -> NDArray[np.float64] | None:
        """(M,2) of the boxes, from the positions of their tracks in the frames before and after; None without poses.

        Raises:
            DatasetError, CalibrationError: as `frame`.
        """
        sequence, stem = self._place(frame_id)
        rows = sequence.rows(stem)
        if rows is None or not sequence.has_poses:
            return None
        world_R_lidar = sequence.sweep(stem).world_SE3_ego.rotation
        in_world = np.array([sequence.velocity(stem, row) for row in rows if not row.is_region]).reshape(-1, 3)
        return (in_world @ world_R_lidar)[:, :2]

    def tracks(self, frame_id: str) -> tuple[str | None, ...] | None:
        """Track of each of the boxes; None for one whose track is not the only one of its number in the frame.

        Raises:
            DatasetError: as `label_rows`.
        """
        rows = self.label_rows(frame_id)
        if rows is None:
            return None
        count = Counter(row.track for row in rows)
        boxes = (row for row in rows if not row.is_region)
        return tuple(str(row.track) if row.track >= 0 and count[row.track] == 1 else None for row in boxes)

    def table_problems(self) -> Iterator[TableProblem]:
        """Sweeps of kinds that are not read."""
        return unread_sweeps((one.sweeps, one.images) for one in self._sequences.values())

    def past_sweeps(self, frame_id: str, count: int) -> list[Sweep]:
        """Up to `count` sweeps before the frame, latest first; none without poses.

        Raises:
            DatasetError, CalibrationError: as `frame`.
        """
        sequence, stem = self._place(frame_id)
        if not sequence.has_poses:
            return []
        return [sequence.sweep(other) for other in sequence.sweeps.before(stem, count)]

    def fingerprint(self) -> str:
        """Hex digest over the names of all LiDAR files and the contents of calibration and oxts."""
        digest = hashlib.sha256()
        for scene, sequence in self._sequences.items():
            for content in sequence.identity():
                digest.update(f"{scene} {len(content)}\n".encode() + content)
        return digest.hexdigest()

    def _scenes(self, testing: bool) -> list[str]:
        prefix = _prefix_of(testing=True)
        return [scene for scene in self._sequences if scene.startswith(prefix) == testing]

    def _frames(self, scene: str) -> list[str]:
        sweeps = self._sequences[scene].sweeps
        require_names(sweeps)
        return [f"{scene}_{stem}" for stem in sweeps.stems]

    def _listed(self, path: DataPath, prefix: str) -> list[str]:
        """Frames of a list of sequences and frames."""
        known = {scene.removeprefix(prefix): scene for scene in self._sequences if scene.startswith(prefix)}
        frames = {f"{name}_{stem}" for name, scene in known.items() for stem in self._sequences[scene].sweeps.stems}
        wanted: set[str] = set()
        for name in split_names(path, {*known, *frames}):
            if name not in known and name not in frames:
                what = f"{path} lists {name!r}, and {self.root} has no such sequence or frame"
                raise DatasetError("DAT010", what, f"sequences are: {', '.join(known)}")
            wanted |= set(self._frames(known[name])) if name in known else {prefix + name}
        return [frame_id for scene in self._sequences for frame_id in self._frames(scene) if frame_id in wanted]

    def _place(self, frame_id: str) -> tuple[TrackingSequence, str]:
        for scene, stem in frame_parts(composed(frame_id), self._sequences):
            if stem in self._sequences[scene].sweeps:
                return self._sequences[scene], stem
        raise DatasetError(
            "DAT010", f"{self.root}: no frame {frame_id!r}", "frame ids are sequence and number: 0001_000004"
        )


def _prefix(part: DataPath) -> str:
    return _prefix_of(part.name == _TESTING)


def _prefix_of(testing: bool) -> str:
    return f"{_TESTING}_" if testing else ""


def _tokens(frame_id: str, rows: Sequence[LabelRow]) -> list[str]:
    """A token of each row, equal for a track in whatever order the file lists its frames."""
    count = Counter(row.track for row in rows)
    alone = [row.track >= 0 and count[row.track] == 1 for row in rows]
    names = [row.track if own else f"line-{row.line}" for row, own in zip(rows, alone, strict=True)]
    return [f"{frame_id}/{name}" for name in names]
