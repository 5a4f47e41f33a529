"""Add known errors to a calibration.

Rotations and translations are those of each camera, in its own frame and about its own centre. Random draws are scaled
by the size of the error: with the same seed, a larger error has the same direction as a smaller one, so that curves
over the size are smooth.

Source: the published noise is uniform, in cm (MixSup, table 14; docs/method.md A.6); the other kinds are our own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pointsam.base.config import assign, parse
from pointsam.base.errors import UnfitChangeError
from pointsam.base.ranges import require
from pointsam.base.seeding import generator
from pointsam.geometry.camera import Camera
from pointsam.geometry.motion import moved, twist
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame

SIZES = ("rotation_deg", "translation_m", "focal", "center_px", "time_ms", "ego_m", "ego_deg", "dropped")
"""The fields of `Noise` that are sizes of errors; the others define how they are drawn."""
_LARGEST = 1e6


@dataclass(frozen=True)
class Noise:
    """The errors of a calibration; if all sizes are zero, it has none.

    Args:
        rotation_deg: size of each camera's rotation error.
        translation_m: size of each camera's translation error.
        axis: "direction" is a random direction; "each" draws x, y and z separately; "x", "y" or "z" is an axis of the
            camera.
        law: the size is "fixed" (with a random sign), drawn from U(-size, size) ("uniform"), or from N(0, size)
            ("gaussian").
        focal: relative error of both focal lengths of a camera.
        center_px: error of the principal point.
        time_ms: time by which the time stamps of all cameras are late: images get the pose of the vehicle at that time.
        ego_m, ego_deg: error of the vehicle's pose at each exposure, with `law` and `axis`, drawn for every frame.
        dropped: number of missing cameras.
        scope: "rig" makes one draw for all frames, "frame" one for every frame.
        seed: seed of the random draws.

    Raises:
        SchemaError: SCH005 on a size below 0 or beyond 1e6.
    """

    rotation_deg: float = 0.0
    translation_m: float = 0.0
    axis: Literal["direction", "each", "x", "y", "z"] = "direction"
    law: Literal["fixed", "uniform", "gaussian"] = "fixed"
    focal: float = 0.0
    center_px: float = 0.0
    time_ms: float = 0.0
    ego_m: float = 0.0
    ego_deg: float = 0.0
    dropped: int = 0
    scope: Literal["rig", "frame"] = "rig"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in SIZES:
            value = abs(self.time_ms) if name == "time_ms" else getattr(self, name)
            require(0 <= value <= _LARGEST, f"noise.{name}", value, f"a size from 0 to {_LARGEST:g}")
        require(self.focal < 1, "noise.focal", self.focal, "a fraction below 1")

    def text(self) -> str:
        """The text for tables: fields that differ from their defaults; "none" without an error."""
        changed = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        changed = changed if any(changed.get(name) for name in SIZES) else {}
        return ", ".join(f"{name}={value}" for name, value in changed.items()) or "none"

    def words(self) -> list[str]:
        """The words of a command line that say the same; none without an error."""
        parts = self.text().split(", ") if self.text() != "none" else []
        return [word for part in parts for word in ("--noise", part)]


CLEAN = Noise()


def noise_of(assignments: Sequence[str]) -> Noise:
    """A calibration error from assignments such as `rotation_deg=0.5`.

    Raises:
        SchemaError: SCH005 on an unknown field, or a value of the wrong kind or out of range.
    """
    document = asdict(CLEAN)
    assign(document, assignments, "--noise")
    noise: Noise = parse(Noise, document, "--noise " + " ".join(assignments))
    return noise


def perturb(frame: Frame, noise: Noise) -> Frame:
    """The frame with an erroneous calibration. Only cameras change; sweeps keep their poses.

    Raises:
        UnfitChangeError: CAL004 if no camera would be left, or if there is a time offset and the motion of the frame is
            unknown.
    """
    views = _remaining(frame, noise)
    return replace(frame, cameras=tuple(_perturbed(frame, view, noise) for view in views))


def _remaining(frame: Frame, noise: Noise) -> tuple[CameraView, ...]:
    if noise.dropped >= len(frame.cameras):
        raise UnfitChangeError(
            "CAL004",
            f"noise.dropped is {noise.dropped}, and frame {frame.frame_id} has {len(frame.cameras)} cameras",
            "leave at least one camera",
        )
    order = _rng(frame, noise, noise.scope, "dropped").permutation(len(frame.cameras))
    kept = sorted(order[noise.dropped :])
    return tuple(frame.cameras[k] for k in kept)


def _perturbed(frame: Frame, view: CameraView, noise: Noise) -> CameraView:
    def error(rotation_deg: float, translation_m: float, scope: str, name: str) -> SE3:
        rotation = _vector(_rng(frame, noise, scope, view.name, name, "rotation"), noise) * math.radians(rotation_deg)
        shift = _vector(_rng(frame, noise, scope, view.name, name, "translation"), noise) * translation_m
        return SE3(Rotation.from_rotvec(rotation).as_matrix(), shift)

    pose = view.world_SE3_ego
    if noise.time_ms:
        pose = moved(pose, twist(frame, view.t_us + noise.time_ms * 500), noise.time_ms * 1e-3)
    return replace(
        view,
        camera=_intrinsics(frame, view, noise),
        ego_SE3_cam=view.ego_SE3_cam @ error(noise.rotation_deg, noise.translation_m, noise.scope, "mounting"),
        world_SE3_ego=pose @ error(noise.ego_deg, noise.ego_m, "frame", "ego"),
    )


def _intrinsics(frame: Frame, view: CameraView, noise: Noise) -> Camera:
    if not (noise.focal or noise.center_px):
        return view.camera
    K = np.array(view.camera.K)
    focal, center = (_rng(frame, noise, noise.scope, view.name, name) for name in ("focal", "center"))
    K[:2, :2] *= 1 + noise.focal * _sizes(focal, noise, 1)[0]
    K[:2, 2] += noise.center_px * _vector(center, replace(noise, axis="direction"), 2)
    return replace(view.camera, K=K)


def _rng(frame: Frame, noise: Noise, scope: str, *names: str) -> np.random.Generator:
    return generator(noise.seed, "noise", *names, *([frame.frame_id] if scope == "frame" else []))


def _sizes(rng: np.random.Generator, noise: Noise, count: int) -> NDArray[np.float64]:
    """Random draws of the law for a size of 1."""
    if noise.law == "uniform":
        return rng.uniform(-1, 1, count)
    if noise.law == "gaussian":
        return rng.standard_normal(count)
    return rng.choice([-1.0, 1.0], count)


def _vector(rng: np.random.Generator, noise: Noise, count: int = 3) -> NDArray[np.float64]:
    """An error vector of size 1."""
    if noise.axis == "each":
        return _sizes(rng, noise, count)
    if noise.axis == "direction":
        direction = rng.standard_normal(count)
        direction *= _sizes(rng, noise, 1)[0] / np.linalg.norm(direction)
        return direction
    out = np.zeros(count)
    out["xyz".index(noise.axis)] = _sizes(rng, noise, 1)[0]
    return out
