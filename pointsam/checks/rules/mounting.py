"""Sensors are on the vehicle, and cameras upright; common mistakes are named."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pointsam.checks.base import Probe, Problem, Rule
from pointsam.geometry.se3 import SE3
from pointsam.types import Frame

_FAR_M = 15.0
_UPRIGHT = 0.5  # cosine: within 60 degrees
_EXACT = 1e-6
_RIGHT_ANGLES_DEG = (-180.0, -90.0, 0.0, 90.0, 180.0)
_SAME_RAD = 0.01


def _upright(rotation: NDArray[np.float64]) -> float:
    """How far the image's downward axis points down: 1 exactly, 0 sideways, -1 upwards."""
    return -float(rotation[2, 1])


@cache
def _mistaken() -> NDArray[np.float64]:
    """(R,3,3) rotations by right angles whose degrees were taken for radians, in every order of axes."""
    turns = list(product(_RIGHT_ANGLES_DEG, repeat=3))
    kinds = [kind for order in ("xyz", "xzy", "yxz", "yzx", "zxy", "zyx") for kind in (order, order.upper())]
    rotations: NDArray[np.float64] = np.concatenate([Rotation.from_euler(k, turns).as_matrix() for k in kinds])
    return rotations[_angle_rad(rotations, np.eye(3)) > _SAME_RAD]


def _angle_rad(rotations: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R,) angle between (R,3,3) rotations and one."""
    angle: NDArray[np.float64] = np.arccos(np.clip((np.einsum("rij,ij->r", rotations, other) - 1) / 2, -1, 1))
    return angle


def problem_of(ego_SE3_cam: SE3) -> str | None:
    """What is implausible about the mounting of a camera, with the likely cause; None if nothing is."""
    rotation, position = ego_SE3_cam.rotation, ego_SE3_cam.translation_m
    if np.abs(rotation - np.eye(3)).max() < _EXACT:
        return "its rotation is the identity: the axes of the camera (z forward) are those of the vehicle (z up)"
    if (far := _far(position)) is not None:
        return far
    if _angle_rad(_mistaken(), rotation).min() < _SAME_RAD:
        return "its rotation is one of right angles in degrees that were taken for radians"
    if _upright(rotation) >= _UPRIGHT:
        return None
    if _upright(rotation.T) >= _UPRIGHT:
        return "it is not upright; its inverse is: the transform is probably inverted, or its rotation transposed"
    tilt = math.degrees(math.acos(max(-1.0, min(1.0, _upright(rotation)))))
    return f"it is turned {tilt:.0f} degrees from upright"


def _far(position: NDArray[np.float64]) -> str | None:
    distance = float(np.linalg.norm(position))
    if distance <= _FAR_M:
        return None
    cause = ": these are probably millimetres" if distance > 100 and distance / 1000 < _FAR_M else ""
    return f"{distance:.4g} m away from the origin of the vehicle{cause}"


def problem_of_lidar(ego_SE3_lidar: SE3) -> str | None:
    """As `problem_of`, for a LiDAR. It may be mounted in any direction."""
    if (far := _far(ego_SE3_lidar.translation_m)) is not None:
        return far
    if _angle_rad(_mistaken(), ego_SE3_lidar.rotation).min() < _SAME_RAD / 2:
        return "its rotation is one of right angles in degrees that were taken for radians"
    return None


def problems_of(frame: Frame) -> Iterator[tuple[str, str]]:
    """Name of each sensor of a frame whose mounting is implausible, and why."""
    mountings = [(sweep.sensor, problem_of_lidar(sweep.ego_SE3_lidar)) for sweep in frame.sweeps]
    mountings += [(view.name, problem_of(view.ego_SE3_cam)) for view in frame.cameras]
    yield from ((name, what) for name, what in mountings if what is not None)


def _check(probe: Probe) -> Iterator[Problem]:
    yield from (Problem(name, what) for name, what in problems_of(probe.frame))


RULE = Rule(
    id="camera-mounting",
    severity="error",
    title="Sensors are within 15 m of the vehicle's origin, and cameras are upright.",
    remedy="Correct the extrinsic calibration: it must take points of the sensor (of a camera: x right, y down, z "
    "forward) to the vehicle, in metres. For a camera that is mounted on its side, accept the rule.",
    of_frame=_check,
)
