"""Pedestrians who walk or stand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from pointsam.synth.asset import Asset
from pointsam.synth.assets.body import draw_body
from pointsam.synth.assets.figure import Joints, bend, slab
from pointsam.synth.assets.outfit import ADULT_M, Build, draw_build, draw_look
from pointsam.synth.assets.parts import Floats, unit, vec
from pointsam.synth.material import Material

PHASES = 8
PHONE = Material((0.02, 0.02, 0.025), gloss=0.5)
UP = np.array([0.0, 0.0, 1.0])

GAIT = np.array(
    [
        (0.0, 21, 4, 12),
        (0.12, 18, 14, 0),
        (0.3, 4, 8, 0),
        (0.5, -15, 8, -14),
        (0.62, -11, 38, -48),
        (0.75, 12, 58, -36),
        (0.88, 23, 30, 0),
        (1.0, 21, 4, 12),
    ]
)
"""One stride of a leg: fraction of the cycle; angles of thigh (ahead), knee (bent) and toes (up), degrees."""


def pedestrian(rng: np.random.Generator, walking: bool, kind: str = "adult") -> Asset:
    """A person on foot.

    Args:
        rng: random generator.
        walking: eight phases of a stride if True, else one standing pose.
        kind: "adult", "child" or "construction_worker".
    """
    build = draw_build(rng, kind)
    look = draw_look(rng, build, kind)
    joints = _walk(rng, build) if walking else None
    stance = "" if walking else str(rng.choice(["relaxed", "phone", "pockets", "akimbo"], p=[0.45, 0.25, 0.2, 0.1]))
    if joints is None:
        joints = _stand(rng, build, stance)
        if look.bag == "carrier" and stance != "relaxed":
            look = replace(look, bag="")
    skin = draw_body(joints, build, look)
    if stance == "phone":
        at = joints.wrists_m[:, 1] + unit(joints.wrists_m[:, 1] - joints.elbows_m[:, 1]) * 0.11
        skin.rigid(
            slab((0.075, 0.012, 0.15), points=4, shrink=0.95), at + vec(0.02, 0.035, 0.03), np.eye(3)[None], PHONE
        )
    cycle = 1.4 * build.height_m / ADULT_M if walking else 0.0
    return Asset.of(f"human.pedestrian.{kind}", *skin.meshes(), cycle_m=cycle)


def _walk(rng: np.random.Generator, build: Build) -> Joints:
    """A stride in eight phases; the right leg is half a stride behind the left."""
    stride, swing = float(rng.uniform(0.72, 0.95)), float(rng.uniform(0.6, 1.2))
    phase = np.arange(PHASES) / PHASES
    of_side = (phase[:, None] + (0.0, 0.5)) % 1
    thigh, knee, toe = (np.radians(np.interp(of_side, GAIT[:, 0], GAIT[:, column])) for column in (1, 2, 3))
    twist = 0.09 * np.cos(2 * np.pi * phase)
    lean = float(rng.uniform(0.02, 0.07))
    ahead = -np.cos(2 * np.pi * of_side) * swing
    arm, elbow = np.radians(20 * ahead - 2), np.radians(16 + 12 * np.maximum(ahead, -0.4))
    return _upright(build, thigh * stride, knee, toe, arm, elbow, np.full((1, 2), rng.uniform(0.12, 0.2)), lean, twist)


def _stand(rng: np.random.Generator, build: Build, stance: str) -> Joints:
    """A standing pose with more weight on one leg."""
    thigh = np.radians(rng.uniform(-2, 3, (1, 2)))
    knee = np.radians(rng.uniform(2, 9, (1, 2)))
    arm, elbow = np.radians(rng.uniform(-4, 6, (1, 2))), np.radians(rng.uniform(8, 22, (1, 2)))
    out = rng.uniform(0.11, 0.18, (1, 2))
    joints = _upright(build, thigh, knee, thigh * 0, arm, elbow, out, float(rng.uniform(0, 0.04)), np.zeros(1))
    turn = float(rng.uniform(-0.5, 0.5))
    joints = replace(joints, face=np.array([[np.cos(turn), np.sin(turn), rng.uniform(-0.15, 0.05)]]))
    h = build.height_m
    if stance == "phone":
        joints = _reach(joints, build, 1, (0.17 * h, -0.02 * h, 0.13 * h), (-0.3, -0.5, -1.0))
        return replace(joints, face=unit(np.array([[1.0, -0.05, -0.35]])))
    if stance == "pockets":
        joints = _reach(joints, build, 0, (0.045 * h, 0.105 * h, 0.0), (-1.0, 0.4, 0.0))
        return _reach(joints, build, 1, (0.045 * h, -0.105 * h, 0.0), (-1.0, -0.4, 0.0))
    if stance == "akimbo":
        joints = _reach(joints, build, 0, (0.02 * h, 0.11 * h, 0.07 * h), (-0.4, 1.0, 0.0))
        return _reach(joints, build, 1, (0.02 * h, -0.11 * h, 0.07 * h), (-0.4, -1.0, 0.0))
    return joints


def _reach(joints: Joints, build: Build, side: int, from_pelvis_m: ArrayLike, pole: ArrayLike) -> Joints:
    """The same body with one wrist moved to a position."""
    target = joints.pelvis_m + np.asarray(from_pelvis_m)
    elbow, wrist = bend(joints.shoulders_m[:, side], target, build.arm_m, np.asarray(pole))
    elbows, wrists = joints.elbows_m.copy(), joints.wrists_m.copy()
    elbows[:, side], wrists[:, side] = elbow, wrist
    return replace(joints, elbows_m=elbows, wrists_m=wrists)


def _down(angle: Floats, out: Floats | float = 0.0) -> Floats:
    """(...,3) downward direction, rotated forwards by `angle` and to the left by `out`."""
    flat = np.cos(out) * np.ones_like(angle)
    return np.stack([np.sin(angle) * flat, np.sin(out) * np.ones_like(angle), -np.cos(angle) * flat], axis=-1)


def _upright(
    build: Build,
    thigh: Floats,
    knee: Floats,
    toe: Floats,
    arm: Floats,
    elbow: Floats,
    out: Floats,
    lean: float,
    twist: Floats,
) -> Joints:
    """Joints of a person on foot from angles in radians: (K,2) left and right, and (K,) `twist` of the hips."""
    k = len(thigh)
    zero = np.zeros_like(twist)
    hips_left = np.stack([np.sin(twist), np.cos(twist), zero], axis=1)
    chest_left = np.stack([-np.sin(twist), np.cos(twist), zero], axis=1)
    both = np.array([1.0, -1.0])[None, :, None]
    pelvis = np.broadcast_to(UP * build.legs_m, (k, 3))
    hips = pelvis[:, None] + hips_left[:, None] * both * build.hip_half_m
    splay = 0.012 * both[..., 0]
    knees = hips + _down(thigh, splay) * build.leg_m[0]
    ankles = knees + _down(thigh - knee, -splay * 0.6) * build.leg_m[1]
    spine = np.array([np.sin(lean), 0, np.cos(lean)]) * build.torso_m
    neck = pelvis + spine
    shoulders = (pelvis + spine * 0.855)[:, None] + chest_left[:, None] * both * build.shoulder_half_m
    elbows = shoulders + _down(arm, out * both[..., 0]) * build.arm_m[0]
    wrists = elbows + _down(arm + elbow, out * both[..., 0] * 0.2) * build.arm_m[1]
    sole = np.stack([np.cos(toe), 0.12 * both[..., 0] * np.ones_like(toe), np.sin(toe)], axis=-1)
    face = np.broadcast_to(np.array([1.0, 0.0, -0.03]), (k, 3))
    return Joints(pelvis, neck, hips_left, chest_left, face, hips, knees, ankles, unit(sole), shoulders, elbows, wrists)
