"""A data set: yard.json lists frames, each a sweep NAME.bin and an image NAME.png of one camera that looks ahead."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath
from pointsam.datasets.base import DatasetPlugin
from pointsam.datasets.io import ImageFile, RawPoints
from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import ClassSpec, Taxonomy
from pointsam.types import Boxes, CameraView, Frame, PointTruth, Sweep

YARD = Taxonomy("yard", (ClassSpec("crate", size_lwh_m=(1.2, 1.0, 1.0), coco=("suitcase",)), ClassSpec("gate")))

_CAMERA = Camera(np.array([[50.0, 0, 40], [0, 50, 30], [0, 0, 1]]), width_px=80, height_px=60)
# x right, y down and z forward of the camera, in x forward, y left, z up of the vehicle
_EGO_SE3_CAM = SE3(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.zeros(3))
_STILL = SE3.identity()


class Yard:
    """A root; see `pointsam.datasets.base.Dataset` for what each method gives."""

    name = "yard"
    taxonomy = YARD
    visibility_levels: tuple[str, ...] = ()

    def __init__(self, root: DataPath) -> None:
        self.root = root
        self._table = (root / "yard.json").read_bytes()
        self._frames: dict[str, int] = json.loads(self._table)

    def frame_ids(self, split: str | None = None) -> list[str]:
        if split not in (None, self.scene("")):
            raise DatasetError("DAT010", f"{self.root}: no split {split!r}", "leave --split out")
        return list(self._frames)

    def frame(self, frame_id: str) -> Frame:
        if frame_id not in self._frames:
            raise DatasetError(
                "DAT010", f"{self.root / 'yard.json'}: no frame {frame_id!r}", "name a frame of the file"
            )
        t_us = self._frames[frame_id]
        points = RawPoints(self.root / f"{frame_id}.bin", ("x", "y", "z", "intensity"))
        sweep = Sweep(points, t_us, _STILL, _STILL)
        image = ImageFile(self.root / f"{frame_id}.png")
        view = CameraView("front", image, t_us, _CAMERA, _EGO_SE3_CAM, _STILL)
        return Frame(frame_id, self.scene(frame_id), (sweep,), {}, (view,))

    def scene(self, frame_id: str) -> str:
        return "yard"

    def boxes(self, frame_id: str) -> Boxes | None:
        return None

    def visibility(self, frame_id: str) -> NDArray[np.int8] | None:
        return None

    def velocities_mps(self, frame_id: str) -> NDArray[np.float64] | None:
        return None

    def past_sweeps(self, frame_id: str, count: int) -> list[Sweep]:
        return []

    def point_truth(self, frame_id: str, source: str | None = None) -> PointTruth | None:
        return None

    def fingerprint(self) -> str:
        return hashlib.sha256(self._table).hexdigest()


DATASET = DatasetPlugin(
    taxonomy=YARD,
    layout="yard.json",
    recognises=lambda root: (root / "yard.json").is_file(),
    open=lambda root, _version: Yard(root),
)
