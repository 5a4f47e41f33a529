"""Boxes hold the points of their objects; with another convention of their yaw, sizes or frame they would hold more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.checks.base import Probe, Problem, Rule, Survey
from pointsam.checks.rules.mounting import problems_of
from pointsam.datasets.base import HasBoxFrame
from pointsam.geometry.boxes import count_points
from pointsam.geometry.se3 import SE3
from pointsam.types import Boxes, Frame

_NEAR_M, _ROAD_M = 40.0, 0.3
"""How far from the LiDAR boxes are counted, and how far above their bottom: the road fills any box there."""
_LEAST, _ENOUGH = 20, 300
_MORE = 1.25
_OF_A_BOX = 50
"""A box counts at most so many points: a single box on a wall must not outweigh all others."""
_LOW, _HIGH, _MOST = 0.25, 0.5, 0.7
_STATED = ""


def variants(boxes: Boxes, frame: Frame, stated: tuple[str, SE3] | None = None) -> Iterator[tuple[str, Boxes]]:
    """Boxes as they would be with another convention, with the mistake in words; first as they are.

    Args:
        boxes: in the frame of the reference LiDAR.
        frame: their frame.
        stated: name of the frame that the data state of them, and lidar_SE3_frame; None tries all of the usual ones.
    """
    sweep = frame.sweep
    yield _STATED, boxes
    swapped = replace(boxes, size_lwh_m=boxes.size_lwh_m[:, [1, 0, 2]])
    yield "with length and width exchanged (or a yaw that is 90 degrees larger)", swapped
    axes = {"vehicle": sweep.ego_SE3_lidar.rotation, "LiDAR": np.eye(3)}
    axes["world"] = sweep.world_SE3_ego.rotation @ sweep.ego_SE3_lidar.rotation
    for name, axis_R_lidar in axes.items():
        mirrored = _other_sign(boxes, axis_R_lidar)
        yield f"with a yaw of the other sign in the axes of the {name}", mirrored
        yield (
            f"with a yaw of the other sign, from the y axis, in the axes of the {name}",
            replace(mirrored, size_lwh_m=swapped.size_lwh_m),
        )
    lidar_SE3_world = (sweep.world_SE3_ego @ sweep.ego_SE3_lidar).inverse()
    usual = {"LiDAR": SE3.identity(), "vehicle": sweep.ego_SE3_lidar.inverse(), "world": lidar_SE3_world}
    cameras = {view.name: sweep.ego_SE3_lidar.inverse() @ view.ego_SE3_cam for view in frame.cameras}
    for name, lidar_SE3_stated in (usual if stated is None else dict([stated])).items():
        for other, lidar_SE3_other in {**usual, **cameras}.items():
            if other != name:
                moved = _moved(boxes, lidar_SE3_other @ lidar_SE3_stated.inverse())
                yield f"if they were in the frame of {other}, not of {name}", moved


def _other_sign(boxes: Boxes, axis_R_lidar: NDArray[np.float64]) -> Boxes:
    turned = axis_R_lidar @ boxes.rotation
    yaw = np.arctan2(turned[:, 1, 0], turned[:, 0, 0])
    back = np.zeros((len(boxes), 3, 3))  # a turn by -2 yaw takes the heading to its mirror image
    back[:, 0, 0] = back[:, 1, 1] = np.cos(2 * yaw)
    back[:, 0, 1], back[:, 1, 0], back[:, 2, 2] = np.sin(2 * yaw), -np.sin(2 * yaw), 1.0
    return replace(boxes, rotation=axis_R_lidar.T @ back @ turned)


def _moved(boxes: Boxes, pose: SE3) -> Boxes:
    return replace(boxes, center_m=pose.apply(boxes.center_m), rotation=pose.rotation @ boxes.rotation)


def _above_road(boxes: Boxes) -> Boxes:
    """The boxes without their lowest part."""
    cut = np.minimum(_ROAD_M, boxes.size_lwh_m[:, 2] / 2)
    size = boxes.size_lwh_m - cut[:, None] * [0, 0, 1]
    return replace(boxes, center_m=boxes.center_m + cut[:, None] / 2 * boxes.rotation[:, :, 2], size_lwh_m=size)


def _slice(boxes: Boxes, low: float, high: float) -> Boxes:
    """The part of the boxes between two fractions of their height, from the bottom."""
    height = boxes.size_lwh_m[:, 2]
    size = np.column_stack([boxes.size_lwh_m[:, :2], height * (high - low)])
    up = height * ((low + high) / 2 - 0.5)
    return replace(boxes, center_m=boxes.center_m + up[:, None] * boxes.rotation[:, :, 2], size_lwh_m=size)


class _Conventions(Survey):
    def __init__(self) -> None:
        self._points: Counter[str] = Counter()
        self._boxes = self._hanging = self._filled = 0
        self._wrong = dict[str, None]()

    def open(self, probe: Probe) -> None:
        data, frame_id = probe.dataset, probe.frame.frame_id
        try:
            boxes = data.boxes(frame_id)
            stated = data.box_frame(frame_id) if isinstance(data, HasBoxFrame) else None
        except (DatasetError, CalibrationError):  # the rule ground-truth reports it
            return
        if boxes is None or not len(boxes):
            return
        xyz = probe.points.xyz_lidar_m
        xyz = xyz[(xyz * xyz).sum(axis=1) < _NEAR_M**2]
        self._boxes += len(boxes)
        self._wrong |= {sensor: None for sensor, _ in problems_of(probe.frame)}
        for name, other in variants(boxes, probe.frame, stated):
            self._points[name] += int(np.minimum(count_points(xyz, _above_road(other)), _OF_A_BOX).sum())
        low, high, over = (
            count_points(xyz, _slice(boxes, *part)) for part in ((0, _LOW), (_HIGH, 1.0), (1.0, 1.0 + _HIGH))
        )
        filled = high >= 3
        self._filled += int(filled.sum())
        self._hanging += int((filled & (low == 0) & (over >= 3)).sum())

    def problems(self) -> Iterator[Problem]:
        for problem in self._found():
            if self._wrong:  # a wrong transform makes boxes look wrong, and what would mend them is not known then
                what = (
                    f"they do not hold the points of their objects, which is not judged before {', '.join(self._wrong)}"
                )
                yield Problem("boxes", f"{what} is mounted as it should be (camera-mounting)")
            else:
                yield problem

    def _found(self) -> Iterator[Problem]:
        if self._boxes < _LEAST:
            return
        stated = self._points[_STATED]
        best = max(self._points, key=lambda name: (self._points[name], name == _STATED))
        if self._points[best] >= max(_ENOUGH, _MORE * stated):
            yield Problem(
                "boxes", f"they hold {stated} points above the road; {best}, they would hold {self._points[best]}"
            )
        elif self._filled >= _LEAST and self._hanging > _MOST * self._filled:
            yield Problem(
                "boxes",
                f"of {self._filled} boxes with points, {self._hanging} have no points in their lowest quarter and "
                "some right above them: their centres are probably those of their bottom",
            )


RULE = Rule(
    id="box-conventions",
    severity="warning",
    title="Boxes hold the points of their objects.",
    remedy="Correct the convention of the boxes (docs/folder.md): yaw counter-clockwise from the x axis, sizes in the "
    "order of the format, centres in the middle, and the frame that the boxes are in.",
    survey=_Conventions,
)
