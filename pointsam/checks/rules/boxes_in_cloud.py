"""Boxes of the ground truth are where the points are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.checks.base import Probe, Problem, Rule, Survey
from pointsam.geometry.boxes import box_members

_NEAR_M = 40.0
_LEAST = 20
_FEW = 0.1


class _Boxes(Survey):
    def __init__(self) -> None:
        self._near = self._filled = 0

    def open(self, probe: Probe) -> None:
        points = probe.points.xyz_lidar_m
        try:
            boxes = probe.dataset.boxes(probe.frame.frame_id)
        except (DatasetError, CalibrationError):  # the rule ground-truth reports it
            return
        if boxes is None or not len(boxes):
            return
        near = np.linalg.norm(boxes.center_m, axis=1) < _NEAR_M
        _, box = box_members(points, boxes)
        self._near += int(near.sum())
        self._filled += int(near[np.unique(box)].sum())

    def problems(self) -> Iterator[Problem]:
        if self._near >= _LEAST and self._filled < _FEW * self._near:
            yield Problem(
                "boxes", f"{self._filled} of {self._near} boxes within {_NEAR_M:.0f} m of the LiDAR hold points"
            )


RULE = Rule(
    id="boxes-in-cloud",
    severity="warning",
    title="Of the boxes near the LiDAR, at least one in ten holds points.",
    remedy="Check the frame, the unit and the order of the sizes of the boxes, and the poses.",
    survey=_Boxes,
)
