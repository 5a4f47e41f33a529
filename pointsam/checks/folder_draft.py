"""The calibration file that `pointsam-label init` writes: what it found, and TODO where the user must complete it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pointsam.base.yaml_text import yaml_text
from pointsam.checks.folder_survey import FolderFound, FoundCamera, FoundLidar
from pointsam.datasets.folder.calibration import TODO

_HEAD = f"""\
# The calibration of this rig. Replace every {TODO}; pointsam-label check names those that are left.
# docs/folder.md describes each field. Metres, seconds and pixels; angles are written as quaternions or matrices.
"""
_TRANSFORMS = """\
# A transform takes points of the frame `from` to the frame `to`. Any chain may connect a sensor to the vehicle.
# Frames: the vehicle has x forward, y left, z up; a camera x right, y down, z forward; a LiDAR those of its points.
# In place of translation and quaternion_wxyz: quaternion_xyzw, or a 4x4 or 3x4 `matrix` in rows.
"""
_VEHICLE = "vehicle"
_VEHICLE_LINES = """\
# `vehicle` is the frame that all transforms lead to. If no frame of the vehicle is known, and the axes of a LiDAR are x
# forward, y left, z up, write its name ({lidar}) in place of it, remove its transform, and state those of the cameras
# to it.
"""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_WORDS = ("true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL")


def draft(found: FolderFound) -> str:
    """The text of a calibration file for what was found."""
    return "".join(_parts(found))


def _parts(found: FolderFound) -> Iterator[str]:
    yield _HEAD
    yield "cameras:\n"
    for camera in found.cameras:
        yield from _camera(camera)
    yield "lidars:  # the first is the reference LiDAR: its sweeps are the frames\n"
    for lidar in found.lidars:
        yield from _lidar(lidar)
    yield "files:\n"
    yield f"  match: {found.match}  # {_comment(found.times)}\n"
    if found.match == "stamp":
        yield f"  unit: {found.unit or TODO}  # of the times that names state: s, ms, us or ns\n"
        yield "  tolerance_s: 0.05  # files farther from a sweep do not belong to its frame\n"
    else:
        yield "  # period_s: 0.1  # time between two indices, unless times.txt states the times\n"
    yield _TRANSFORMS
    yield _VEHICLE_LINES.format(lidar=_comment(_scalar(found.lidars[0].name)))
    yield f"vehicle: {_VEHICLE}\n"
    yield "transforms:\n"
    for name in (*(one.name for one in found.lidars), *(one.name for one in found.cameras)):
        yield f"  - from: {_scalar(name)}\n    to: {_VEHICLE}\n    translation: {TODO}\n    quaternion_wxyz: {TODO}\n"
    if found.poses:
        yield f"poses:  # {_comment(found.poses)}\n"
        yield f"  frame: {TODO}  # the frame whose poses these are: vehicle, or a frame of `transforms`\n"
    if found.boxes_have_frame:
        first = _scalar(found.cameras[0].name)
        yield f"# boxes: {_comment(found.boxes)}, in the frame of the first camera. If this is another one, state it:\n"
        yield f"# boxes: {{frame: {_comment(first)}}}\n"
    elif found.boxes:
        yield f"boxes:  # {_comment(found.boxes)}\n"
        yield f"  frame: {TODO}  # of the boxes: world (that of the poses), vehicle, or a frame of `transforms`\n"


def _camera(camera: FoundCamera) -> Iterator[str]:
    width, height = camera.size or (TODO, TODO)
    yield f"  {_scalar(camera.name)}:\n"
    yield f"    size: [{width}, {height}]\n"
    yield f"    intrinsics: {{fx: {TODO}, fy: {TODO}, cx: {TODO}, cy: {TODO}}}  # pixels; or K, or KITTI's P\n"
    yield f"    distortion: {{model: {TODO}, coefficients: []}}  # pinhole, brown or fisheye; OpenCV's coefficients\n"
    yield "    # readout_s: [0.0, 0.03]  # rolling shutter: exposure of the first and last row after the stamp\n"
    yield "    # time_offset_s: 0.0  # added to the stamps of this camera\n"


def _lidar(lidar: FoundLidar) -> Iterator[str]:
    yield f"  {_scalar(lidar.name)}:\n"
    if lidar.columns is not None:
        columns = yaml_text(list(lidar.columns)).strip() if lidar.columns else TODO
        yield f"    columns: {columns}  # {_comment(lidar.evidence)}\n"
    yield f"    motion_compensated: {TODO}  # true if ego motion is removed from its points, else false\n"
    yield "    # ring_gap_deg: 0.4  # angle between neighbouring rings, if it has rings\n"


def _scalar(name: str) -> str:
    """A name as YAML reads it back."""
    return name if _PLAIN.fullmatch(name) and name not in _WORDS else json.dumps(name)


def _comment(text: str) -> str:
    """A text that stays in its comment."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
