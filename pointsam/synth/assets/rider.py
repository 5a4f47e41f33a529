"""Riders: hands on grips, feet on pedals, boards or pegs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pointsam.synth.assets.body import draw_body
from pointsam.synth.assets.figure import Joints, Skin, bend
from pointsam.synth.assets.outfit import Build, draw_build, draw_look, pick
from pointsam.synth.assets.parts import Floats, unit, vec
from pointsam.synth.material import Material

BOTH = np.array([1.0, -1.0])[None, :, None]
HELMETS = ((0.75, 0.75, 0.74), (0.02, 0.02, 0.02), (0.5, 0.03, 0.03), (0.06, 0.15, 0.45), (0.55, 0.65, 0.05))


def rider(
    rng: np.random.Generator,
    helmet: str,
    seat_m: Sequence[float],
    grip_m: Sequence[float],
    feet_m: Floats,
    lean: float,
    sole_pitch: float = -0.12,
    knee_out: float = 0.1,
) -> Skin:
    """A rider on a saddle.

    Args:
        rng: random generator.
        helmet: the head gear, "" for a random one.
        seat_m: top of the saddle.
        grip_m: position of the left grip; the right one is its mirror image.
        feet_m: (K,2,3) supports of the balls of the feet, left and right.
        lean: forward lean of the back from upright, radians.
        sole_pitch: pitch of the soles, toes up, radians.
        knee_out: how far the knees point outwards.
    """
    build = draw_build(rng, "adult")
    build = replace(build, **_sized(build, float(np.clip(build.height_m, 1.62, 1.84))))
    look = replace(draw_look(rng, build, "adult"), skirt_m=0.0, skirt=None, legs=1.0)
    gear = Material(pick(rng, HELMETS), gloss=0.35) if helmet else look.gear
    look = replace(look, head_gear=helmet or look.head_gear, gear=gear)
    if look.bag != "backpack":
        look = replace(look, bag="")
    return draw_body(_astride(build, seat_m, grip_m, feet_m, lean, sole_pitch, knee_out), build, look, fists=True)


def _sized(build: Build, height_m: float) -> dict[str, float]:
    """A build scaled to another height."""
    lengths = ("height_m", "head_m", "legs_m", "torso_m", "shoulder_half_m", "hip_half_m")
    return {name: getattr(build, name) * height_m / build.height_m for name in lengths}


def _astride(
    build: Build,
    seat_m: Sequence[float],
    grip_m: Sequence[float],
    feet_m: Floats,
    lean: float,
    sole_pitch: float,
    knee_out: float,
) -> Joints:
    k = len(feet_m)
    left = np.broadcast_to((0.0, 1.0, 0.0), (k, 3))
    pelvis = np.broadcast_to(np.asarray(seat_m) + vec(0.0, 0.0, 0.055), (k, 3))
    spine = np.array([np.sin(lean), 0.0, np.cos(lean)]) * build.torso_m
    neck = pelvis + spine
    hips = pelvis[:, None] + left[:, None] * BOTH * build.hip_half_m
    sole = unit(np.array([np.cos(sole_pitch), 0.0, np.sin(sole_pitch)]) + 0.1 * BOTH * (0.0, 1.0, 0.0))
    soles = np.broadcast_to(sole, (k, 2, 3))
    ankles = feet_m - soles * 0.075 * build.height_m + (0, 0, build.ankle_m)
    knees, ankles = bend(hips, ankles, build.leg_m, np.array([1.0, 0.0, 0.5]) + BOTH * (0.0, knee_out, 0.0))
    shoulders = (pelvis + spine * 0.855)[:, None] + left[:, None] * BOTH * build.shoulder_half_m
    shoulders = shoulders + np.array([0.03, 0.0, -0.01])
    grips = np.asarray(grip_m) * np.where(BOTH > 0, (1, 1, 1), (1, -1, 1)) - (0.055, 0.0, -0.015)
    elbows, wrists = bend(
        shoulders, np.broadcast_to(grips, (k, 2, 3)), build.arm_m, BOTH * (0.0, 0.7, 0.0) - (0.1, 0.0, 1.0)
    )
    face = np.broadcast_to((1.0, 0.0, -0.12), (k, 3))
    bow = 0.07 * min(1.0, lean / 0.6)
    return Joints(pelvis, neck, left, left, face, hips, knees, ankles, soles, shoulders, elbows, wrists, bow)
