"""Builds a clothed body over joints; lengths are those of a body of 1.75 m and are scaled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.synth.assets.figure import Joints, Skin, along, frames, rings_along, slab
from pointsam.synth.assets.head import draw_head
from pointsam.synth.assets.outfit import ADULT_M, SOLE, STRIPE, Build, Clothes
from pointsam.synth.assets.parts import Floats, unit
from pointsam.synth.material import Material

UP = np.array([0.0, 0.0, 1.0])

PELVIS = np.array(
    [
        (-0.2, 0.03, 0.06),
        (-0.12, 0.085, 0.13),
        (0.0, 0.113, 0.163),
        (0.08, 0.108, 0.162),
        (0.2, 0.09, 0.145),
        (0.26, 0.08, 0.13),
    ]
)
"""Trousers between the legs and the waist: height in torso lengths, half depth and half width."""

TORSO = np.array(
    [
        (0.02, 0.118, 0.172),
        (0.1, 0.118, 0.172),
        (0.22, 0.108, 0.16),
        (0.29, 0.104, 0.156),
        (0.46, 0.11, 0.16),
        (0.54, 0.115, 0.165),
        (0.66, 0.122, 0.174),
        (0.78, 0.12, 0.182),
        (0.88, 0.105, 0.19),
        (0.95, 0.085, 0.168),
        (1.0, 0.067, 0.11),
        (1.06, 0.06, 0.068),
        (1.07, 0.045, 0.05),
    ]
)
TORSO_AHEAD_M = np.array(
    [-0.008, -0.008, -0.002, 0.004, 0.006, 0.006, 0.008, 0.004, -0.004, -0.008, -0.004, 0.006, 0.006]
)
TORSO_POINTS = 20

LEG = np.array(
    [
        (0.06, 0.052, 0.05),
        (0.3, 0.055, 0.053),
        (0.65, 0.062, 0.058),
        (0.88, 0.06, 0.056),
        (1.0, 0.062, 0.057),
        (1.14, 0.065, 0.062),
        (1.5, 0.078, 0.075),
        (1.85, 0.092, 0.086),
        (2.0, 0.094, 0.084),
    ]
)
"""Trouser leg from ankle (0) over knee (1) to hip (2): half depth and half width."""

BARE_LEG = np.array([0.72, 0.72, 0.9, 0.86, 0.86, 0.85, 0.88, 0.92, 0.95])
LEG_AHEAD_M = np.array([-0.008, -0.012, -0.018, -0.004, 0.004, 0.006, 0.006, 0.0, 0.0])

ARM = np.array(
    [
        (0.0, 0.033, 0.03),
        (0.25, 0.04, 0.036),
        (0.65, 0.046, 0.043),
        (0.9, 0.046, 0.043),
        (1.1, 0.048, 0.045),
        (1.5, 0.053, 0.05),
        (1.8, 0.058, 0.054),
        (2.0, 0.059, 0.054),
        (2.3, 0.056, 0.05),
        (2.8, 0.04, 0.04),
    ]
)
"""Sleeve from wrist (0) over elbow (1) to shoulder (2) and collar (3)."""

BARE_ARM = np.array([0.8, 0.82, 0.84, 0.86, 0.86, 0.88, 0.92, 0.95, 0.95, 0.95])

HAND = np.array(
    [(0.14, 0.016, 0.01), (0.12, 0.028, 0.016), (0.075, 0.038, 0.02), (0.035, 0.036, 0.02), (-0.01, 0.026, 0.022)]
)
FIST = np.array(
    [(0.1, 0.02, 0.02), (0.085, 0.04, 0.034), (0.05, 0.045, 0.038), (0.02, 0.038, 0.03), (-0.01, 0.026, 0.024)]
)

FOOT = np.array(
    [
        (-0.062, 0.018, -0.045),
        (-0.055, 0.033, 0.015),
        (-0.02, 0.038, 0.03),
        (0.035, 0.04, 0.018),
        (0.085, 0.044, -0.018),
        (0.135, 0.047, -0.036),
        (0.175, 0.04, -0.048),
        (0.198, 0.02, -0.062),
    ]
)
"""Shoe from heel to toe: ahead of the ankle, half width, height of the upper above the ankle."""


def draw_body(joints: Joints, build: Build, look: Clothes, fists: bool = False) -> Skin:
    """The whole body in all poses, about 2,200 triangles."""
    skin = Skin(len(joints.pelvis_m))
    spine = _torso(skin, joints, build, look)
    for side in (0, 1):
        _leg(skin, joints, build, look, side)
        _foot(skin, joints, build, look, side)
        _arm(skin, joints, build, look, side, fists)
    if look.skirt_m > 0:
        _skirt(skin, joints, build, look)
    draw_head(skin, joints.neck_m, joints.face, spine, build, look)
    if look.bag:
        _bag(skin, joints, build, look)
    return skin


def _torso(skin: Skin, joints: Joints, build: Build, look: Clothes) -> Floats:
    """Add pelvis and chest; returns the direction of the spine, (K,3)."""
    k, scale, girth = build.scale, build.height_m / ADULT_M, build.girth
    spine = joints.neck_m - joints.pelvis_m
    wide = build.shoulder_half_m / (0.104 * build.height_m)
    behind = -np.cross(joints.across_hips, unit(spine)) * joints.spine_bow_m

    def rings(table: Floats, ahead: Floats, points: int, grow: Floats) -> Floats:
        share = table[:, :1]
        bow = np.sin(np.pi * np.clip(table[:, 0], 0, 1))
        path = joints.pelvis_m[:, None] + spine[:, None] * share + behind[:, None] * bow[:, None]
        half = table[:, 1:] * k * np.column_stack([np.full(len(table), girth**0.4), grow])
        turned = unit(joints.across_hips + joints.across_shoulders)
        return rings_along(path, turned, half, points, 2.5, ahead * scale)

    hips = build.hip_half_m / (0.05 * build.height_m)
    if look.skirt_m == 0:
        slim = np.full(len(PELVIS), hips**0.5)
        skin.tube(rings(PELVIS, np.full(len(PELVIS), -0.01), 12, slim), look.bottom, caps=False)
    chest = TORSO[:, 0]
    ahead = TORSO_AHEAD_M + 0.022 * build.bust * np.exp(-(((chest - 0.66) / 0.1) ** 2))
    grow = np.interp(chest, [0, 0.3, 0.9, 1.02], [hips**0.5, 1 - 0.08 * build.bust, wide, 1])
    loose = TORSO * (1, 1.05, 1.05) if look.front != "closed" else TORSO
    skin.tube(rings(loose, ahead, TORSO_POINTS, grow), *_torso_materials(look), which=_torso_pattern(look), caps=False)
    return unit(spine)


def _torso_materials(look: Clothes) -> tuple[Material, ...]:
    return look.vest or look.top, look.shirt, STRIPE, look.bag_material


def _torso_pattern(look: Clothes) -> NDArray[np.int64]:
    """Material of each quad of the chest: 0 cloth, 1 shirt below, 2 reflecting stripe, 3 strap."""
    level = TORSO[:-1, 0][:, None]
    angle = np.abs((np.arange(TORSO_POINTS) + 0.5) / TORSO_POINTS * 360)
    front = np.minimum(angle, 360 - angle)[None]
    which = np.zeros((len(TORSO) - 1, TORSO_POINTS), dtype=np.int64)
    if look.front == "open":
        which[np.broadcast_to(front < 18, which.shape)] = 1
    if look.front == "neck":
        which[(front < 18) & (level > 0.7) | (front < 36) & (level > 0.9)] = 1
    which[np.broadcast_to(level >= 1.0, which.shape) & (front < 90)] = 1 if look.front != "closed" else 0
    strap = (np.abs(front - 45) < 10) & (level > 0.5)
    if look.bag == "backpack":
        which[strap] = 3
    if look.vest is not None:
        bands = np.isin(level, (0.22, 0.46)) | (np.abs(np.abs(front - 90) - 45) < 10) & (level > 0.5) & (level < 0.95)
        which[np.broadcast_to(bands, which.shape)] = 2
        which[np.broadcast_to(level >= 1.0, which.shape)] = 1
    return which


def _leg(skin: Skin, joints: Joints, build: Build, look: Clothes, side: int) -> None:
    """One leg; bare parts are slimmer."""
    steps = LEG[:, 0]
    path = along([joints.ankles_m[:, side], joints.knees_m[:, side], joints.hips_m[:, side]], steps)
    bare = steps < 2 - 2 * look.legs
    half = LEG[:, 1:] * np.where(bare, BARE_LEG, 1.0)[:, None] * build.scale
    which = np.broadcast_to(bare[:-1, None], (len(LEG) - 1, 10)).astype(np.int64)
    ahead = LEG_AHEAD_M * build.height_m / ADULT_M
    skin.tube(
        rings_along(path, joints.across_hips, half, 10, 2.0, ahead), look.bottom, look.skin, which=which, caps=False
    )
    if look.vest is not None:
        cuff = along([joints.ankles_m[:, side], joints.knees_m[:, side]], [0.36, 0.5])
        thick = np.interp([0.36, 0.5], steps, LEG[:, 1]) * build.scale + 0.005
        skin.tube(rings_along(cuff, joints.across_hips, thick[:, None], 10, 2.0, -0.014), STRIPE, caps=False)


def _foot(skin: Skin, joints: Joints, build: Build, look: Clothes, side: int) -> None:
    """One shoe with its sole."""
    scale = build.height_m / ADULT_M
    angle = (np.arange(10) + 0.5) * 2 * np.pi / 10
    sole = -build.ankle_m / scale
    rings = []
    for x, width, top in FOOT:
        low = sole + (0.006 if x > 0.15 or x < -0.06 else 0.0)
        z = np.clip((top + low) / 2 + (top - low) / 2 * np.sin(angle) * 1.15, low, top)
        rings.append(
            np.column_stack([np.full(10, x), width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.75, z])
        )
    ahead = joints.soles[:, side]
    turn = frames(ahead, np.cross(ahead, np.cross(UP, ahead)))
    which = np.zeros((len(FOOT) - 1, 10), dtype=np.int64)
    which[:, 5:9] = 1
    skin.rigid(np.array(rings) * scale, joints.ankles_m[:, side], turn, look.shoe, SOLE, which=which)


def _arm(skin: Skin, joints: Joints, build: Build, look: Clothes, side: int, fist: bool) -> None:
    """One arm and its hand."""
    wrist, elbow, shoulder = joints.wrists_m[:, side], joints.elbows_m[:, side], joints.shoulders_m[:, side]
    steps = ARM[:, 0]
    bare = steps < 2 - 2 * look.sleeves
    half = ARM[:, 1:] * np.where(bare, BARE_ARM, 1.0)[:, None] * build.scale
    which = np.broadcast_to(bare[:-1, None], (len(ARM) - 1, 8)).astype(np.int64)
    path = along([wrist, elbow, shoulder, joints.neck_m], steps)
    rings = rings_along(path, joints.across_shoulders, half, 8)
    skin.tube(rings, look.top, look.skin, which=which, caps=False)
    table = FIST if fist else HAND
    ahead = unit(wrist - elbow)
    curl = np.cross(joints.across_shoulders, -ahead)
    scale = build.height_m / ADULT_M
    reach = table[:, 0] * scale
    path = wrist[:, None] + ahead[:, None] * reach[:, None] + curl[:, None] * (3.2 * np.maximum(reach, 0) ** 2)[:, None]
    skin.tube(rings_along(path, joints.across_shoulders, table[:, 1:] * scale, 8), look.skin)


def _skirt(skin: Skin, joints: Joints, build: Build, look: Clothes) -> None:
    """A skirt or the lower part of a coat: level rings around both legs."""
    thigh = build.leg_m[0]
    steps = np.concatenate([[-0.12, 0.04], np.linspace(0.16, look.skirt_m / thigh, 4)])
    legs = [
        along([joints.hips_m[:, s], joints.knees_m[:, s], joints.ankles_m[:, s]], np.clip(steps, 0, 2)) for s in (0, 1)
    ]
    center, apart = (legs[0] + legs[1]) / 2, np.abs(legs[0] - legs[1]) / 2
    center = center + UP * np.maximum(-steps, 0)[:, None] * thigh
    round_m = np.interp(steps, [0, 0.4, 2], [0.085, 0.1, 0.12]) * build.scale
    depth, width = apart[..., 0] + round_m * 1.12, apart[..., 1] + round_m
    depth[:, :2], width[:, 0] = 0.114 * build.scale, 0.164 * build.scale
    angle = np.arange(16) * 2 * np.pi / 16
    cos, sin = (np.sign(t) * np.abs(t) ** 0.7 for t in (np.cos(angle), np.sin(angle)))
    ring = np.stack([depth[..., None] * cos, width[..., None] * sin, np.zeros((*depth.shape, 16))], axis=-1)
    skin.tube((center[:, :, None] + ring)[:, ::-1], look.skirt or look.bottom, caps=False)


def _bag(skin: Skin, joints: Joints, build: Build, look: Clothes) -> None:
    """A backpack, a bag at the hip or one in the left hand."""
    scale = build.height_m / ADULT_M
    left = joints.across_shoulders
    spine = unit(joints.neck_m - joints.pelvis_m)
    if look.bag == "backpack":
        back = np.cross(spine, left)
        at = joints.pelvis_m + (joints.neck_m - joints.pelvis_m) * 0.66 + back * 0.185 * build.scale
        turn = np.stack([-back, left, np.cross(-back, left)], axis=-1)
        skin.rigid(slab(np.array([0.16, 0.3, 0.42]) * scale, 3.5, levels=4), at, turn, look.bag_material)
        return
    turn = frames(np.cross(left, UP), UP)
    if look.bag == "shoulder":
        at = joints.hips_m[:, 1] - left * 0.135 * build.scale + UP * 0.04 * scale
        skin.rigid(slab(np.array([0.3, 0.1, 0.24]) * scale, 4.0), at, turn, look.bag_material)
        strap = along([at + UP * 0.1 * scale, joints.shoulders_m[:, 1] + UP * 0.062 * scale], [0, 0.5, 1])
        skin.tube(rings_along(strap, left, np.array([[0.018, 0.006]] * 3), 6), look.bag_material)
        return
    at = joints.wrists_m[:, 0] - UP * 0.3 * scale
    skin.rigid(slab(np.array([0.28, 0.11, 0.3]) * scale, 4.0), at, turn, look.bag_material)
