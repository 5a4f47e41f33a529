"""Ground truth from the rows of KITTI's label files."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.datasets.io import read_points
from pointsam.datasets.kitti.files import Calibration
from pointsam.datasets.kitti.labels import KINDS, LabelRow, unknown_kinds
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.boxes import truth_from_boxes
from pointsam.geometry.motion import at_stamp, is_moved
from pointsam.geometry.projection import Projection, project
from pointsam.taxonomy import BACKGROUND, KITTI, ClassSpec, LabelMapping, Taxonomy
from pointsam.types import NO_INSTANCE, Boxes, Frame, PointLabels, PointTruth

VOID_RING_M = 0.3
"""Boxes of cars end 0.2 to 0.4 m before the near face of the car: points so close to a box are void."""

VISIBILITY = ("largely hidden", "partly hidden", "visible")
CLASSES = LabelMapping(
    KITTI, {"Car": "car", "Truck": "truck", "Tram": "tram", "Pedestrian": "pedestrian", "Cyclist": "cyclist"}
)

T = TypeVar("T", bound="OfTypes")


class OfTypes:
    """The classes of data sets whose objects have KITTI's types: object, tracking and raw."""

    taxonomy: Taxonomy = KITTI
    _classes = CLASSES

    @property
    def known_classes(self) -> tuple[str, ...]:
        """KITTI's types."""
        return KINDS

    def with_categories(self: T, names: Sequence[str]) -> T:
        """The data set with some types as classes of their own, after KITTI's."""
        other = copy.copy(self)
        other._classes = with_types(names)
        other.taxonomy = other._classes.taxonomy
        return other


class LabelledByRows(OfTypes, ABC):
    """The ground truth that KITTI object and KITTI tracking share: boxes from rows of label files."""

    visibility_levels: tuple[str, ...] = VISIBILITY

    @abstractmethod
    def frame(self, frame_id: str) -> Frame:
        """As `Dataset.frame`."""

    @abstractmethod
    def boxes(self, frame_id: str) -> Boxes | None:
        """As `Dataset.boxes`."""

    def drawn_boxes(self, frame_id: str) -> Boxes | None:
        """The boxes as they were drawn around the points of the file, whose ego motion may not be compensated."""
        return self.boxes(frame_id)

    @abstractmethod
    def label_rows(self, frame_id: str) -> tuple[LabelRow, ...] | None:
        """As `HasKittiLabels.label_rows`."""

    def unknown_classes(self, frame_ids: Sequence[str]) -> Counter[str]:
        """Number of objects of each type that KITTI does not have. Frames whose labels cannot be read have none."""
        counts = Counter[str]()
        for frame_id in frame_ids:
            try:
                found = unknown_kinds(self.label_rows(frame_id) or ())
            except DatasetError:  # reported where the ground truth is used
                continue
            counts += Counter({kind: n for kind, n in found.items() if not self._classes.lists(kind)})
        return counts

    def visibility(self, frame_id: str) -> NDArray[np.int8] | None:
        """(M,) level of each of the boxes, from `occluded` in the label file.

        Raises:
            DatasetError: as `boxes`.
        """
        rows = self.label_rows(frame_id)
        return None if rows is None else visibility_of(rows)

    def rated(self, frame_id: str) -> NDArray[np.bool_] | None:
        """(M,) whether each of the boxes belongs to a level of difficulty of KITTI's benchmark.

        Raises:
            DatasetError: as `boxes`.
        """
        rows = self.label_rows(frame_id)
        return None if rows is None else np.array([row.is_rated for row in rows if not row.is_region], dtype=bool)

    def point_truth(self, frame_id: str, source: str | None = None) -> PointTruth | None:
        """Ground truth from boxes, the only source; `points_of` says what is void.

        Raises:
            DatasetError: as `frame`, `boxes` and `pointsam.datasets.io.read_points`.
            CalibrationError: as `frame`.
        """
        rows, boxes = self.label_rows(frame_id), self.drawn_boxes(frame_id)
        if rows is None or boxes is None or source not in (None, "boxes"):
            return None
        return points_of(self.frame(frame_id), boxes, rows)


def with_types(names: Sequence[str]) -> LabelMapping:
    """Types of label files to classes, with some types as classes of their own, after KITTI's."""
    finer = Taxonomy(KITTI.name, (*KITTI.classes, *(ClassSpec(name) for name in names)))
    return LabelMapping(finer, {**CLASSES.classes, **{name: name for name in names}})


def boxes_of(
    rows: Sequence[LabelRow], calibration: Calibration, tokens: Sequence[str], classes: LabelMapping = CLASSES
) -> Boxes:
    """The rows that are boxes, in the LiDAR frame. Types without a class are void.

    Args:
        rows: rows of a frame, regions among them.
        calibration: of the frame.
        tokens: a token for each row.
        classes: types to classes.
    """
    objects = [(row, token) for row, token in zip(rows, tokens, strict=True) if not row.is_region]
    lidar_SE3_rect = calibration.rect_SE3_lidar.inverse()
    poses = [lidar_SE3_rect @ row.rect_SE3_box() for row, _ in objects]
    size_hwl_m = np.array([row.size_hwl_m for row, _ in objects]).reshape(-1, 3)
    return Boxes(
        center_m=np.array([pose.translation_m for pose in poses]).reshape(-1, 3),
        size_lwh_m=size_hwl_m[:, ::-1],
        rotation=np.array([pose.rotation for pose in poses]).reshape(-1, 3, 3),
        class_id=np.array([classes.class_id(row.kind) for row, _ in objects], dtype=np.uint8),
        token=tuple(token for _, token in objects),
    )


def boxes_at_stamp(drawn: Boxes, frame: Frame) -> Boxes:
    """Boxes at the time of the sweep, moved as its points are.

    Each was drawn around points that the beam measured as it passed: at the time of its centre.

    Args:
        drawn: boxes in the LiDAR frame at their own times. The LiDAR frame is the ego frame.
        frame: their frame.

    Raises:
        CalibrationError: as `pointsam.geometry.motion.at_stamp`.
    """
    turn = frame.sweep.revolution
    if turn is None or not is_moved(frame, frame.sweep):
        return drawn
    time_s = turn.time_s(drawn.center_m[:, 0], drawn.center_m[:, 1])
    center_m, *tips = (at_stamp(frame, frame.sweep, drawn.center_m + axis, time_s) for axis in (0.0, *np.eye(3)))
    turned = np.stack([tip - center_m for tip in tips], axis=2)
    return replace(drawn, center_m=center_m, rotation=turned @ drawn.rotation)


def visibility_of(rows: Sequence[LabelRow]) -> NDArray[np.int8]:
    """(M,) index in VISIBILITY of the boxes among the rows, -1 where it is unknown."""
    return np.array([2 - row.occluded for row in rows if not row.is_region], dtype=np.int8)


def points_of(frame: Frame, boxes: Boxes, rows: Sequence[LabelRow]) -> PointTruth:
    """Ground truth of the points of a frame.

    A point is void if it is within VOID_RING_M of a box, if its pixel is in a region, or if the camera does not see it:
    nothing was annotated there.

    Args:
        frame: the frame, with one camera.
        boxes: its boxes as they were drawn, around the points of the file.
        rows: its rows, regions among them.

    Raises:
        DatasetError: as `pointsam.datasets.io.read_points`.
    """
    xyz = read_frame_points(frame).xyz_lidar_m
    seen = project(xyz, frame, frame.cameras[0])
    as_drawn = read_points(frame.sweep) if is_moved(frame, frame.sweep) else xyz
    truth = truth_from_boxes(as_drawn, boxes, VOID_RING_M)
    labelled = seen.valid & (truth.labels.class_id != BACKGROUND)
    labels = PointLabels(
        np.where(labelled, truth.labels.instance_id, np.int32(NO_INSTANCE)),
        np.where(labelled, truth.labels.class_id, np.uint8(BACKGROUND)),
    )
    return PointTruth(labels, ~labelled & (truth.void | _in_region(seen, rows) | ~seen.valid), truth.source)


def _in_region(seen: Projection, rows: Sequence[LabelRow]) -> NDArray[np.bool_]:
    inside = np.zeros(len(seen.valid), dtype=bool)
    u, v = seen.uv_px.T
    for row in rows:
        if row.is_region:
            left, top, right, bottom = row.box_xyxy_px
            inside |= (u >= left) & (u <= right) & (v >= top) & (v <= bottom)
    return inside
