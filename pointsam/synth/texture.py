"""Patterns of surfaces: the weight of a material's second colour, filtered to the size of a pixel."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError

TEXELS = 512
"""Side of a noise tile."""
F32 = NDArray[np.float32]
_Level = NDArray[np.bool_]


@cache
def _pyramid(rough: bool) -> tuple[F32, NDArray[np.intp]]:
    """A periodic noise tile in [0,1] with all its mip levels in one array, and the start of each level.

    Args:
        rough: single texels instead of noise of all frequencies.
    """
    rng = np.random.default_rng(20240229 + rough)
    spectrum = np.fft.rfft2(rng.standard_normal((TEXELS, TEXELS)))
    cycles = np.hypot(np.fft.fftfreq(TEXELS)[:, None], np.fft.rfftfreq(TEXELS)[None]) * TEXELS
    power = cycles > 40 if rough else np.where(cycles > 2.5, np.maximum(cycles, 1) ** -1.25, 0)
    tile = np.fft.irfft2(spectrum * power, (TEXELS, TEXELS))
    level = np.clip(0.5 + tile * (0.2 / tile.std()), 0, 1)
    levels = [level]
    while len(level) > 1:
        level = level.reshape(len(level) // 2, 2, -1, 2).mean(axis=(1, 3))
        levels.append(level)
    starts = np.cumsum([0, *(k.size for k in levels[:-1])]).astype(np.intp)
    return np.concatenate([k.ravel() for k in levels]).astype(np.float32), starts


@cache
def _lots() -> F32:
    """(4096,) independent numbers in [0,1) for the fields of a grid."""
    return np.random.default_rng(77).random(4096, dtype=np.float32)


def tile_noise(x: F32, y: F32, pixel: F32 | float, rough: bool = False) -> F32:
    """Periodic noise of mean 0.5.

    Args:
        x: (N,) coordinates; the period is 1.
        y: (N,) likewise.
        pixel: (N,) size of a pixel in the same unit; smaller details are averaged.
        rough: single texels instead of noise of all frequencies.

    Returns:
        (N,) in [0,1].
    """
    values, starts = _pyramid(rough)
    texels = np.maximum(np.asarray(pixel, dtype=np.float32) * np.float32(TEXELS * 1.414), np.float32(1))
    level = np.minimum((texels.view(np.int32) >> 23) - 127, len(starts) - 1)  # the exponent: log2, rounded down
    side = TEXELS >> level
    fx, fy = x * side, y * side
    ix, iy = np.floor(fx), np.floor(fy)
    fx -= ix
    fy -= iy
    last = side - 1
    left, top = ix.astype(np.int32) & last, iy.astype(np.int32) & last
    right, below = (left + 1) & last, (top + 1) & last
    start = starts[level]
    top, below = start + top * side, start + below * side
    upper: F32 = values[top + left]
    lower = values[below + left]
    upper += fx * (values[top + right] - upper)
    lower += fx * (values[below + right] - lower)
    upper += fy * (lower - upper)
    return upper


def _lot(i: F32, j: F32) -> F32:
    """(N,) a number in [0,1) for each field (i, j) of a grid."""
    index = (i.astype(np.int32) & 63) * 64 + (j.astype(np.int32) & 63)
    return _lots()[index]


def _bands(x: F32, pixel: F32, start: float, end: float) -> F32:
    """(N,) fraction of a pixel in the bands [start, end] + whole numbers, 0 <= start < end <= 1."""
    width = np.maximum(pixel, np.float32(1e-4))
    wide = np.float32(end - start)

    def before(at: F32) -> F32:
        whole = np.floor(at)
        area: F32 = whole * wide + np.clip(at - whole - np.float32(start), 0, wide)
        return area

    low = x - np.floor(x) - width * np.float32(0.5)
    share: F32 = np.clip((before(low + width) - before(low)) / width, 0, 1)
    return share


def _joined(joint_a: F32, joint_b: F32, face: F32) -> F32:
    """(N,) weight: 1 on two sets of joints, `face` between them."""
    weight: F32 = 1 - (1 - joint_a) * (1 - joint_b) * (1 - face)
    return weight


def _plane(q_m: F32, normal: F32) -> tuple[F32, F32, NDArray[np.bool_]]:
    """(N,) u and (N,) v in the axis plane closest to the surface, v upright on walls; (N,) whether it is level."""
    nx, ny, nz = np.abs(normal.T)
    level = nz >= np.maximum(nx, ny)
    u = np.where(~level & (nx > ny), q_m[:, 1], q_m[:, 0])
    return u, np.where(level, q_m[:, 1], q_m[:, 2]), level


def _noise(u: F32, v: F32, level: _Level, scale: F32, pixel: F32) -> F32:
    return tile_noise(u / (4 * scale), v / (4 * scale), pixel / (4 * scale))


def _asphalt(u: F32, v: F32, level: _Level, scale: F32, pixel: F32) -> F32:
    """Speckle, worn patches, repaired rectangles and cracks (the darkest, towards 1)."""
    grain = tile_noise(u / 3.1, v / 3.1, pixel / 3.1, rough=True)
    worn = tile_noise(u / 37, v / 61, pixel / 37)
    path = tile_noise(u / 29 + worn * 0.03, v / 29, 0.012)
    crack = np.clip(1 - np.abs(path - 0.5) * 220, 0, 1) * np.clip(0.02 / (pixel + 0.004), 0, 1) * (worn > 0.53)
    i, j = np.floor(u / 11), np.floor(v / 7)
    repaired = (_lot(i, j) > 0.86) * _bands(u / 11, pixel / 11, 0.15, 0.8) * _bands(v / 7, pixel / 7, 0.2, 0.65)
    weight: F32 = 0.38 + 0.9 * (grain - 0.5) + 0.7 * (worn - 0.5) + 0.7 * crack + 0.33 * repaired
    return weight


def _concrete(u: F32, v: F32, level: _Level, scale: F32, pixel: F32) -> F32:
    """Stains, some of them running down walls, and a little grain."""
    stain = tile_noise(u / (6 * scale), v / (9 * scale), pixel / (6 * scale))
    streak = tile_noise(u / 2.3, v / 31, pixel / 2.3)
    grain = tile_noise(u / 2.0, v / 2.0, pixel / 2.0, rough=True)
    weight: F32 = (
        0.4
        + 1.1 * (stain - 0.5)
        + np.where(level, np.float32(0.2), np.float32(0.7)) * (streak - 0.5)
        + 0.5 * (grain - 0.5)
    )
    return weight


def _brick(u: F32, v: F32, level: _Level, scale: F32, pixel: F32) -> F32:
    """Courses of bricks, twice as long as high with `scale` their length; joints are 1."""
    y = v / (0.36 * scale)
    course = np.floor(y)
    x = u / scale + 0.5 * (course % 2)
    bed, head = _bands(y, pixel / (0.36 * scale), 0, 0.14), _bands(x, pixel / scale, 0, 0.05)
    shade = (_lot(np.floor(x), course) - 0.5) * np.clip(1.5 - pixel / (0.25 * scale), 0, 1)
    return _joined(bed, head, 0.22 + 0.35 * shade + 0.5 * (tile_noise(u / 7, v / 7, pixel / 7) - 0.5))


def _window(u: F32, v: F32, scale: F32, pixel: F32) -> tuple[F32, F32]:
    """(N,) fraction of window panes; (N,) a random number per window, fading to the mean below the size of a pixel."""
    x, y, p = u / scale, v / scale, pixel / scale
    pane = _bands(x, p, 0.14, 0.86) * _bands(y, p, 0.26, 0.86)
    frame = 1 - _bands(x * 2 + 0.5, p * 2, 0.46, 0.54) * 0.8
    fade = np.clip(1.6 - p * 2, 0, 1)
    return pane * frame, 0.5 + fade * (_lot(np.floor(x), np.floor(y)) - 0.5)


def _facade(u: F32, v: F32, level: _Level, scale: F32, pixel: F32) -> F32:
    """Windows (1) in storeys of `scale`, some with blinds, on walls only."""
    pane, lot = _window(u, v, scale, pixel)
    blind = _bands(v / scale, pixel / scale, 0.5, 0.86) * (lot > 0.72)
    dirt = tile_noise(u / 13, v / 37, pixel / 13) - 0.5
    return np.where(level, 0.1, pane * (0.82 + 0.18 * lot - 0.5 * blind) + (1 - pane) * (0.12 + 0.3 * dirt))


def _paving(u: F32, v: F32, level: _Level, scale: F32, pixel: F32) -> F32:
    """Slabs in rows that are offset by half a slab, each with its own tone; joints are 1."""
    x, p = u / scale, pixel / scale
    y = v / scale + 0.5 * (np.floor(x) % 2)
    tone = (_lot(np.floor(x), np.floor(y)) - 0.5) * np.clip(1.5 - p, 0, 1)
    dirt = tile_noise(u / 9, v / 9, pixel / 9) - 0.5
    return _joined(_bands(x, p, 0, 0.035), _bands(y, p, 0, 0.035), 0.25 + 0.22 * tone + 0.7 * dirt)


def _grass(u: F32, v: F32, level: _Level, scale: F32, pixel: F32) -> F32:
    blade = tile_noise(u / 1.9, v / 1.9, pixel / 1.9, rough=True)
    tuft = tile_noise(u / 5.3, v / 5.3, pixel / 5.3)
    field = tile_noise(u / 47, v / 47, pixel / 47)
    weight: F32 = 0.5 + 1.1 * (blade - 0.5) + 1.1 * (tuft - 0.5) + 0.9 * (field - 0.5)
    return weight


def _foliage(u: F32, v: F32, level: _Level, scale: F32, pixel: F32) -> F32:
    leaf = tile_noise(u / (2.7 * scale), v / (2.7 * scale), pixel / (2.7 * scale))
    fine = tile_noise(u / (7.0 * scale), v / (7.0 * scale), pixel / (7.0 * scale), rough=True)
    return 0.5 + 1.6 * (leaf - 0.5) + 1.4 * (fine - 0.5)


def _fabric(u: F32, v: F32, level: _Level, scale: F32, pixel: F32) -> F32:
    fold = tile_noise(u / (5 * scale), v / (11 * scale), pixel / (5 * scale))
    thread = tile_noise(u / 0.7, v / 0.7, pixel / 0.7, rough=True)
    return 0.4 + 1.6 * (fold - 0.5) + 0.3 * (thread - 0.5)


def _wood(u: F32, v: F32, level: _Level, scale: F32, pixel: F32) -> F32:
    """Boards of width `scale` with grain along them; joints are 1."""
    y, p = v / scale, pixel / scale
    grain = tile_noise(u / (17 * scale), v / (1.3 * scale), pixel / (1.3 * scale))
    tone = (_lot(np.floor(y), np.floor(y)) - 0.5) * np.clip(1.5 - p, 0, 1)
    joint = _bands(y, p, 0, 0.06)
    return _joined(joint, joint, 0.35 + 0.3 * tone + 1.2 * (grain - 0.5))


_Pattern = Callable[[F32, F32, _Level, F32, F32], F32]
_LAID: dict[str, _Pattern] = {
    "noise": _noise,
    "asphalt": _asphalt,
    "concrete": _concrete,
    "brick": _brick,
    "facade": _facade,
    "paving": _paving,
    "grass": _grass,
    "foliage": _foliage,
    "fabric": _fabric,
    "wood": _wood,
}
_STRIPES = {"stripes_x": 0, "stripes_y": 1, "stripes_z": 2}
NAMES = (*_LAID, *_STRIPES)
"""All patterns."""


def pattern(name: str, q_m: F32, normal: F32, scale_m: float | F32, footprint_m: F32) -> F32:
    """The weight of a material's second colour.

    Args:
        name: one of NAMES.
        q_m: (N,3) texture coordinates.
        normal: (N,3) unit normals in the same frame; they choose the plane of the pattern.
        scale_m: size of the pattern's period, one value or (N,).
        footprint_m: (N,) size of a pixel on the surface; smaller details are averaged.

    Returns:
        (N,) in [0,1]: 0 is `Material.rgb`, 1 is `Material.rgb2` (joints, mortar, cracks, window panes).

    Raises:
        SchemaError: SCH005 if there is no such pattern.
    """
    scale = np.asarray(scale_m, dtype=np.float32)
    if name in _STRIPES:
        return 1 - _bands(q_m[:, _STRIPES[name]] / scale, footprint_m / scale, 0, 0.5)
    if name not in _LAID:
        raise SchemaError("SCH005", f"no pattern is called {name!r}", f"one of {', '.join(NAMES)}")
    u, v, level = _plane(q_m, normal)
    weight = _LAID[name](u, v, level, scale, footprint_m)
    return np.clip(weight, 0, 1).astype(np.float32, copy=False)


def lit_windows(q_m: F32, normal: F32, scale_m: float | F32, footprint_m: F32) -> F32:
    """(N,) light of the windows of "facade" at night in [0,1]: a third is lit, each with its own brightness."""
    u, v, level = _plane(q_m, normal)
    pane, lot = _window(u, v, np.asarray(scale_m, dtype=np.float32), footprint_m)
    room = (
        0.4
        + 0.9 * _bands(v / scale_m, footprint_m / scale_m, 0.66, 0.86)
        + 0.5 * (tile_noise(u / 7, v / 5, 0.01) - 0.5)
    )
    lit: F32 = np.where(level, 0, pane * np.clip((lot - 0.66) * 3, 0, 1) * np.clip(room, 0.1, 1)).astype(np.float32)
    return lit
