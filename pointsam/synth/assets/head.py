"""Heads: face, hair, hats and helmets, in units of the height from chin to crown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.synth.assets.figure import Skin, frames
from pointsam.synth.assets.outfit import EYE, Build, Clothes
from pointsam.synth.assets.parts import Floats, unit, vec
from pointsam.synth.material import Material

POINTS = 16
FACE = np.array(
    [
        (-0.5, 0.25, 0.2, 0.3),
        (-0.12, 0.235, 0.16, 0.32),
        (0.0, 0.17, 0.36, 0.31),
        (0.08, 0.24, 0.41, 0.34),
        (0.17, 0.27, 0.42, 0.38),
        (0.21, 0.28, 0.42, 0.4),
        (0.32, 0.31, 0.41, 0.44),
        (0.45, 0.33, 0.4, 0.48),
        (0.53, 0.335, 0.4, 0.5),
        (0.6, 0.34, 0.43, 0.51),
        (0.75, 0.335, 0.41, 0.5),
        (0.88, 0.275, 0.32, 0.41),
        (0.96, 0.17, 0.19, 0.26),
        (1.0, 0.02, 0.02, 0.03),
    ]
)
"""Rings from neck to crown: height, half width, front, back."""

NOSE = {6: 0.09, 7: 0.045}
VISOR = Material((0.02, 0.02, 0.025), gloss=0.8)
FOAM = Material((0.03, 0.03, 0.032))
LIPS = Material((0.25, 0.08, 0.07))


def draw_head(skin: Skin, neck_m: Floats, face: Floats, spine: Floats, build: Build, look: Clothes) -> None:
    """Add neck, head, hair and head gear.

    Args:
        skin: the skin to add to.
        neck_m: (K,3) base of the neck.
        face: (K,3) viewing direction.
        spine: (K,3) direction of the spine.
        build: build of the body.
        look: look of the body.
    """
    up = unit(spine * 0.4 + (0, 0, 1))
    turn = frames(face, up)
    chin = neck_m + (0.035 * build.height_m) * up + 0.1 * build.head_m * unit(face)
    if look.head_gear == "full_helmet":
        _neck(skin, chin, turn, build, look)
        _full_helmet(skin, chin, turn, build.head_m, look)
        return
    rings, hairy = _head_rings(look)
    which = _head_pattern(look, hairy)
    skin.rigid(rings * build.head_m, chin, turn, look.skin, _crown(look), EYE, LIPS, which=which, caps=False)
    if not (look.hair_style == "long" and look.head_gear != "beanie"):
        _ears(skin, chin, turn, build.head_m, look)
    if look.hair_style in ("long", "bun"):
        _back_hair(skin, chin, turn, build.head_m, look)
    if look.head_gear in ("cap", "hard_hat"):
        _brim(skin, chin, turn, build.head_m, look)
    if look.head_gear in ("hard_hat", "bicycle_helmet"):
        _shell(skin, chin, turn, build.head_m, look)


def _crown(look: Clothes) -> Material:
    return look.gear if look.head_gear in ("cap", "beanie") else look.hair


def _rings(table: Floats, points: int = POINTS) -> Floats:
    """(S,points,3) level rings from rows of height, half width, front and back."""
    angle = np.arange(points) * 2 * np.pi / points
    cos, sin = np.cos(angle), np.sin(angle)
    z, width, front, back = (table[:, i : i + 1] for i in range(4))
    x = np.where(cos > 0, front, back) * np.sign(cos) * np.abs(cos) ** 0.85
    return np.stack([x, width * np.sign(sin) * np.abs(sin) ** 0.85, z + 0 * x], axis=-1)


def _head_rings(look: Clothes) -> tuple[Floats, Floats]:
    """Rings of the head, and the cover of each point by hair, (S,P) in [0,1]."""
    rings = _rings(FACE)
    for ring, out in NOSE.items():
        rings[ring, 0, 0] += out
    angle = np.degrees(np.arange(POINTS) * 2 * np.pi / POINTS)
    side = np.minimum(angle, 360 - angle)
    low = {"bald": (9.0, 9.0, 9.0), "short": (0.74, 0.42, 0.1)}.get(look.hair_style, (0.7, 0.3, -0.1))
    if look.head_gear in ("cap", "beanie"):
        low = (0.6, 0.55, 0.5)
    hairline = np.interp(side, [0, 40, 75, 110, 180], [low[0], low[0], low[1] + 0.1, low[1], low[2]])
    hairy = (FACE[:, :1] > hairline[None]).astype(np.float64)
    thick = {"bald": 0.0, "short": 0.045}.get(look.hair_style, 0.075)
    rings[..., :2] *= 1 + (thick * 2.2 * hairy)[..., None]
    rings[..., 2] += thick * 0.8 * hairy * np.clip((FACE[:, :1] - 0.6) / 0.3, 0, 1)
    return rings, hairy


def _head_pattern(look: Clothes, hairy: Floats) -> NDArray[np.int64]:
    """Material of each quad: 0 skin, 1 hair or hat, 2 eyes, 3 lips."""
    nxt = np.roll(hairy, -1, axis=1)
    corners = hairy[:-1] + nxt[:-1] + hairy[1:] + nxt[1:]
    which: NDArray[np.int64] = (corners >= 2).astype(np.int64)
    which[7, [1, 14]] = 2
    which[4, [0, 15]] = 3
    return which


def _neck(skin: Skin, chin: Floats, turn: Floats, build: Build, look: Clothes) -> None:
    skin.rigid(_rings(FACE[[0, 1, 3]], 8) * build.head_m, chin, turn, look.skin)


def _ears(skin: Skin, chin: Floats, turn: Floats, head_m: float, look: Clothes) -> None:
    for side in (-1, 1):
        table = np.array(
            [(0.22, 0.02, 0.02, 0.02), (0.34, 0.06, 0.06, 0.06), (0.5, 0.06, 0.09, 0.08), (0.55, 0.02, 0.03, 0.03)]
        )
        rings = _rings(table, 5) + vec(-0.04, side * 0.33, 0)
        skin.rigid(rings * head_m, chin, turn, look.skin)


def _back_hair(skin: Skin, chin: Floats, turn: Floats, head_m: float, look: Clothes) -> None:
    """Hair down to the shoulders, or a bun."""
    if look.hair_style == "bun":
        table = np.array(
            [(-0.14, 0.05, 0.05, 0.05), (-0.08, 0.14, 0.12, 0.13), (0.05, 0.16, 0.14, 0.15), (0.13, 0.06, 0.05, 0.06)]
        )
        rings = _rings(table, 8) + vec(-0.58, 0, 0.62)
    else:
        table = np.array(
            [
                (-0.55, 0.3, -0.3, 0.46),
                (-0.5, 0.36, -0.2, 0.5),
                (-0.2, 0.38, -0.02, 0.54),
                (0.2, 0.4, 0.1, 0.56),
                (0.55, 0.41, 0.12, 0.58),
                (0.8, 0.3, 0.0, 0.5),
            ]
        )
        rings = _rings(table, 12)
    skin.rigid(rings * head_m, chin, turn, look.hair)


def _brim(skin: Skin, chin: Floats, turn: Floats, head_m: float, look: Clothes) -> None:
    """The peak of a cap, the rim of a hard hat."""
    if look.head_gear == "cap":
        table = np.array([(0.615, 0.33, 0.8, 0.1), (0.645, 0.35, 0.82, 0.1), (0.69, 0.34, 0.6, 0.1)])
    else:
        table = np.array([(0.64, 0.48, 0.72, 0.6), (0.66, 0.5, 0.74, 0.62), (0.7, 0.46, 0.6, 0.6)])
    skin.rigid(_rings(table) * head_m, chin, turn, look.gear)


def _shell(skin: Skin, chin: Floats, turn: Floats, head_m: float, look: Clothes) -> None:
    """The dome of a hard hat or of a bicycle helmet."""
    if look.head_gear == "hard_hat":
        table = [(0.66, 0.44, 0.55, 0.58), (0.85, 0.43, 0.52, 0.57), (1.0, 0.36, 0.42, 0.48), (1.1, 0.23, 0.26, 0.31)]
        table += [(1.14, 0.01, 0.01, 0.01)]
    else:
        table = [(0.68, 0.38, 0.5, 0.55), (0.72, 0.43, 0.56, 0.63), (0.88, 0.42, 0.52, 0.64), (1.04, 0.33, 0.38, 0.5)]
        table += [(1.12, 0.2, 0.22, 0.3), (1.15, 0.01, 0.01, 0.01)]
    rings = _rings(np.array(table))
    which = np.zeros((len(rings) - 1, POINTS), dtype=np.int64)
    if look.head_gear == "bicycle_helmet":
        which[2:4, [1, 4, 6, 9, 11, 14]] = 1
    skin.rigid(rings * head_m, chin, turn, look.gear, FOAM, which=which, caps=False)


def _full_helmet(skin: Skin, chin: Floats, turn: Floats, head_m: float, look: Clothes) -> None:
    """A motorcyclist's helmet with its visor."""
    table = np.array(
        [
            (-0.12, 0.34, 0.42, 0.36),
            (-0.05, 0.44, 0.62, 0.5),
            (0.12, 0.5, 0.68, 0.6),
            (0.3, 0.52, 0.64, 0.66),
            (0.34, 0.52, 0.62, 0.66),
            (0.68, 0.53, 0.62, 0.68),
            (0.9, 0.47, 0.54, 0.6),
            (1.06, 0.33, 0.38, 0.42),
            (1.14, 0.14, 0.16, 0.18),
            (1.16, 0.03, 0.03, 0.04),
        ]
    )
    which = np.zeros((len(table) - 1, POINTS), dtype=np.int64)
    which[4, [0, 1, 2, 3, 12, 13, 14, 15]] = 1
    which[0] = 2
    skin.rigid(_rings(table) * head_m, chin, turn, look.gear, VISOR, FOAM, which=which)
