"""KITTI's object layout: one camera, one sweep and one calibration for each frame, without times and poses.

Image and sweep of a frame have their own times and poses in the source. The calibration of each frame holds the motion
between them, so that a static point is in the same pixel as in the source.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.paths import name_problem
from pointsam.convert.base import Files, FramePlan, Loss, Losses, tilt_deg
from pointsam.convert.names import NO_KIND, in_kitti, kind_of
from pointsam.convert.source import SourceBox, SourceFrame, point_bytes
from pointsam.datasets.kitti.files import COLUMNS, RING_GAP_RAD
from pointsam.datasets.kitti.objects import CAMERA, COMPENSATED, FRAMES, NAME
from pointsam.datasets.kitti.suffixes import IMAGES
from pointsam.datasets.kitti.truth import VISIBILITY
from pointsam.geometry.camera import Camera
from pointsam.geometry.motion import is_moved
from pointsam.geometry.projection import cam_SE3_lidar
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame

_LEAST_TILT_DEG, _LEAST_TURN_DEG, _SAME_GAP = 0.05, 1.0, 0.01
_PARTS = ("training", "testing", "test")
_CORNERS = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])

CAMERAS = Loss("images of further cameras are left out", True)
NO_CAMERA = Loss("the frame has no image of the chosen camera and is left out", True)
LIDARS = Loss("sweeps of further LiDARs are left out", True)
DISTORTION = Loss("distortion of the lens is left out: points fall on other pixels", True)
SHUTTER = Loss("times of rows of the image are left out: points fall on other pixels", True)
MOTION = Loss("times of points are left out, so that ego motion within the sweep is not compensated", True)
MOUNTING = Loss(
    "the mounting of the LiDAR is left out: its z axis counts as vertical, and growth looks for the ground in cells "
    "about the sensor, not about the vehicle",
    True,
)
RINGS = Loss("the gap between rings is left out; that of KITTI's LiDAR takes its place", True)
NO_RINGS = Loss("no gap between rings is stated; readers of KITTI take that of its LiDAR, which can change labels")
EXTRA = Loss("columns of points are left out")
TURN = Loss("x of the LiDAR does not point forward, as KITTI's does; points are not turned")
TIMES = Loss("times and poses are left out: no past sweeps, no velocities")
POINTS = Loss("labels of points are left out")
TYPES = Loss("classes that KITTI does not have keep their name, and are void", unit="box")
NAMELESS = Loss(f"void boxes whose name is not known become {NO_KIND}", unit="box")
LEVELS = Loss("levels of visibility other than KITTI's are left out", unit="box")
BOX_TILT = Loss("boxes are turned about the vertical axis of the camera only", unit="box")
TRACKS = Loss("tracks are left out", unit="box")


@dataclass(frozen=True)
class KittiWriter:
    """Writes KITTI's object layout.

    Args:
        camera: name of the camera whose images are written; None for the first of each frame.
        timed: whether frames have times.
    """

    camera: str | None = None
    timed: bool = True

    @property
    def next_options(self) -> str:
        """None are needed."""
        return ""

    def survey(self, frame: Frame, losses: Losses) -> None:
        """Count what the layout cannot hold of a frame."""
        views = [view for view in frame.cameras if self.camera in (None, view.name)][:1]
        losses.add(CAMERAS, len(frame.cameras) > 1)
        losses.add(NO_CAMERA, not views)
        losses.add(LIDARS, len(frame.sweeps) > 1)
        for view in views:
            losses.add(DISTORTION, view.camera.model is not None)
            losses.add(SHUTTER, view.shutter is not None)
        sweep, mounting = frame.sweep, frame.sweep.ego_SE3_lidar
        losses.add(MOTION, is_moved(frame, sweep))
        if not (np.array_equal(mounting.rotation, np.eye(3)) and not mounting.translation_m.any()):
            tilt = tilt_deg(frame)
            losses.add(MOUNTING, 1, tilt if tilt > _LEAST_TILT_DEG else None, "degrees of tilt")
        has_rings = "ring" in sweep.source.columns
        losses.add(NO_RINGS, not has_rings and not sweep.ring_gap_rad)
        other = sweep.ring_gap_rad > 0 and abs(sweep.ring_gap_rad / RING_GAP_RAD - 1) >= _SAME_GAP
        losses.add(RINGS, has_rings or other)
        more = [name for name in sweep.source.columns if name not in COLUMNS and name != "_"]
        losses.add(replace(EXTRA, what=f"{EXTRA.what}: {', '.join(more)}"), bool(more))
        forward = mounting.rotation[:, 0]
        turn = abs(float(np.degrees(np.arctan2(forward[1], forward[0]))))
        if turn > _LEAST_TURN_DEG:
            losses.add(TURN, 1, turn, "degrees")
        losses.add(TIMES, self.timed or bool(frame.neighbours))

    def survey_truth(self, source: SourceFrame, losses: Losses) -> None:
        """Count what the layout cannot hold of the ground truth of a frame."""
        losses.add(POINTS, source.truth is not None)
        boxes = source.boxes or ()
        losses.add(TYPES, sum(not in_kitti(box) for box in boxes))
        losses.add(NAMELESS, sum(box.category is None and box.kind is None for box in boxes))
        losses.add(TRACKS, sum(box.track is not None for box in boxes))
        if source.levels != VISIBILITY:
            losses.add(LEVELS, sum(box.level >= 0 for box in boxes))
        view = self._view(source.frame)
        if view is not None and boxes:
            rect_SE3_lidar = cam_SE3_lidar(source.frame.sweep, view)
            up = np.array([(rect_SE3_lidar.rotation @ box.lidar_SE3_box.rotation)[1, 2] for box in boxes])
            tilt = np.degrees(np.arccos(np.clip(-up, -1, 1)))
            tilted = tilt > _LEAST_TILT_DEG
            losses.add(BOX_TILT, int(tilted.sum()), float(tilt.max()) if tilted.any() else None, "degrees")

    def plans(self, plans: Sequence[FramePlan], frames: Sequence[Frame]) -> list[FramePlan]:
        """The plans of frames that have an image of the camera, numbered anew."""
        found = [(plan, self._view(frame)) for plan, frame in zip(plans, frames, strict=True)]
        kept = [(plan, view.name) for plan, view in found if view is not None]
        return [replace(plan, number=k, images={name: f"{k:06d}"}) for k, (plan, name) in enumerate(kept)]

    def files(self, plan: FramePlan, source: SourceFrame) -> tuple[Files, object]:
        """The files of a frame, and its row of frames.csv."""
        view, stem = self._view(source.frame), f"{plan.number:06d}"
        if view is None:
            raise DatasetError("DAT011", f"frame {plan.frame_id}: no image of {self.camera}", "choose another camera")
        sweep = source.frame.sweep
        rect_SE3_lidar = cam_SE3_lidar(sweep, view)
        files = {f"training/velodyne/{stem}.bin": point_bytes(sweep, COLUMNS)}
        files |= source.image_files(view, f"training/{CAMERA}/{stem}", IMAGES)
        files[f"training/calib/{stem}.txt"] = _calibration(view.camera, rect_SE3_lidar).encode()
        if source.boxes is not None:
            known = source.levels == VISIBILITY
            rows = [_label(box, rect_SE3_lidar, view.camera, known) for box in source.boxes]
            files[f"training/label_2/{stem}.txt"] = "".join(rows).encode()
        files |= source.truth2d_files(view, f"{CAMERA}/{stem}")
        compensated = COMPENSATED[1] if sweep.motion_compensated else "no"
        row = [stem, plan.frame_id, plan.scene, str(sweep.t_us), view.name, view.source.file_name, compensated]
        return files, row

    def close(self, rows: Sequence[object], splits: Mapping[str, Sequence[int]]) -> Files:
        """frames.csv with the names of all frames in the source, and ImageSets of splits and scenes."""
        table = [[str(value) for value in row] for row in rows if isinstance(row, list)]
        text = io.StringIO()
        head = (NAME, "frame", "scene", "t_us", "camera", "image", COMPENSATED[0])
        csv.writer(text, lineterminator="\n").writerows([head, *table])
        lists = {name: [table[k][0] for k in places] for name, places in splits.items()}
        for row in table:
            lists.setdefault(row[2], []).append(row[0])
        named = {name: found for name, found in lists.items() if name not in _PARTS and not name_problem(name)}
        files = {f"ImageSets/{name}.txt": "".join(f"{stem}\n" for stem in found) for name, found in named.items()}
        return {name: content.encode() for name, content in {FRAMES: text.getvalue(), **files}.items()}

    def _view(self, frame: Frame) -> CameraView | None:
        return next((view for view in frame.cameras if self.camera in (None, view.name)), None)


def _calibration(camera: Camera, rect_SE3_lidar: SE3) -> str:
    """A calibration file whose rectified frame is that of the camera; other cameras are where it is."""
    projection = np.column_stack([camera.K, np.zeros(3)])
    mounting = np.column_stack([rect_SE3_lidar.rotation, rect_SE3_lidar.translation_m])
    lines = {f"P{k}": projection for k in range(4)}
    lines |= {"R0_rect": np.eye(3), "Tr_velo_to_cam": mounting, "Tr_imu_to_velo": np.eye(3, 4)}
    return "".join(f"{key}: {' '.join(map(repr, matrix.ravel().tolist()))}\n" for key, matrix in lines.items())


def _label(box: SourceBox, rect_SE3_lidar: SE3, camera: Camera, known: bool) -> str:
    """A row of a label file; the 2D box is that of the corners, and -1 where the object is not in the image."""
    pose = rect_SE3_lidar @ box.lidar_SE3_box
    length, width, height = box.size_lwh_m.tolist()
    heading = float(np.arctan2(-pose.rotation[2, 0], pose.rotation[0, 0]))
    x, y, z = pose.translation_m.tolist()
    left, top, right, bottom = _box2d(pose.apply(_CORNERS * box.size_lwh_m), camera)
    occluded = 2 - box.level if known and box.level >= 0 else 3
    alpha = heading - float(np.arctan2(x, z)) if right >= 0 else -10.0
    values = (alpha, left, top, right, bottom, height, width, length, x, y + height / 2, z, heading)
    return f"{kind_of(box)} -1 {occluded} {' '.join(map(repr, values))}\n"


def _box2d(corners_m: NDArray[np.float64], camera: Camera) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the corners in front of the camera, clipped to the image."""
    uv, depth = camera.project(corners_m)
    seen = uv[(depth > 0) & np.isfinite(uv).all(axis=1)]
    if len(seen):
        last = np.array([camera.width_px - 1, camera.height_px - 1])
        low, high = seen.min(axis=0), seen.max(axis=0)
        if (low < last).all() and (high > 0).all():
            (left, top), (right, bottom) = np.clip(low, 0, last).tolist(), np.clip(high, 0, last).tolist()
            return left, top, right, bottom
    return -1.0, -1.0, -1.0, -1.0
