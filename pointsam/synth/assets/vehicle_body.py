"""The body of cars and vans: a painted lower body with wheel arches, a lid on hood and boot, a glazed cabin on top."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.synth.assets.vehicle_grid import (
    Paint,
    Paints,
    Patch,
    PointGrid,
    arch_z_m,
    deck,
    outline_normals,
    side_wall,
)
from pointsam.synth.assets.vehicle_parts import wheel_houses
from pointsam.synth.assets.vehicle_shape import GAP_M, Shape

_ROW_SHARE = np.array([0, 0.09, 0.34, 0.52, 0.66, 0.75, 0.9, 0.965, 1.0])
_SIDE_INSET_M = np.array([0.07, 0.015, 0.0, -0.012, -0.004, 0.0, 0.012, 0.03, 0.07])
_END_INSET_M = np.array([0.1, 0.03, 0.0, 0.0, 0.025, 0.035, 0.05, 0.07, 0.13])
_ROOF_CROWN_M = 0.06
_GRILLE_ROWS = (slice(3, 6), slice(3, 6), slice(2, 6), slice(4, 5))


def lower_body(shape: Shape, plan: PointGrid) -> list[Patch]:
    """Sides, nose and tail up to the belt; lids on hood and boot; ledge below the windows; wheel houses; floor."""
    across = np.abs(outline_normals(plan)[:, 0]) ** 1.5
    bottom = arch_z_m(plan[:, 0], shape.clearance_m, shape.axles_m)
    arched = bottom > shape.clearance_m + 1e-6
    top = shape.edge_z_m(plan[:, 0])
    rows = np.arange(len(_ROW_SHARE))[:, None]
    z = np.maximum(shape.clearance_m + _ROW_SHARE[:, None] * (top - shape.clearance_m), bottom + 0.014 * rows)
    inset = _SIDE_INSET_M[:, None] * (1 - across) + _END_INSET_M[:, None] * across
    inset = np.where(arched & (inset > 0) & (rows < 4), 0.0, inset)
    shell = side_wall(plan, z, inset)
    patches = [Patch(shell, _body_paint(shape, plan))]
    edge = shell[-1]
    hood = edge[:, 0] > shape.pillar_x_m - 1e-6
    patches.append(_lid(edge[hood], 0.055, hood_gap=True))
    if shape.bed:
        patches += _bed(shape, edge)
    else:
        boot = edge[:, 0] < shape.cabin_rear_x_m + 0.02
        patches.append(_lid(edge[boot], 0.02, hood_gap=shape.tail_depth_m > 0.45))
    cabin = (edge[:, 0] < shape.pillar_x_m + 0.02) & (edge[:, 0] > shape.cabin_rear_x_m - 0.02)
    ledge = np.stack([edge[cabin], edge[cabin] + (0, -0.07, 0.004), edge[cabin] + (0, -0.075, -0.05)])
    patches.append(Patch(ledge, Paint.BODY))
    lips = [shape.width_m / 2 - 0.004] * 2
    patches += wheel_houses(shape.axles_m, lips, shape.width_m / 2 - 0.34, shape.clearance_m)
    under = side_wall(plan, np.full((1, len(plan)), shape.clearance_m + 0.02), np.full((1, len(plan)), 0.09))[0]
    patches.append(Patch(deck(under, 0.0, (0, 1)), Paint.DARK))
    return patches


def _lid(edge: PointGrid, crown_m: float, hood_gap: bool) -> Patch:
    points = deck(edge, crown_m, (0, 0.05, 0.065, 0.3, 0.65, 1))
    paint = np.zeros((points.shape[0] - 1, points.shape[1] - 1), dtype=np.int64)
    if hood_gap:
        paint[1] = Paint.DARK
    return Patch(points, paint)


def _bed(shape: Shape, edge: PointGrid) -> list[Patch]:
    rail = edge[edge[:, 0] < shape.cabin_rear_x_m - 0.03]
    inner = rail.copy()
    inner[:, 0] = np.maximum(inner[:, 0], -shape.front_x_m + 0.2)
    inner[:, 1] = np.minimum(inner[:, 1], shape.width_m / 2 - 0.14)
    inner[:, 2] += 0.005
    floor = inner * (1, 1, 0) + (0, 0, shape.belt_z_m - 0.48)
    return [Patch(np.stack([rail, inner]), Paint.TRIM), Patch(np.stack([inner, floor, floor * (1, 0, 1)]), Paint.TRIM)]


def _body_paint(shape: Shape, plan: PointGrid) -> Paints:
    paint = np.zeros((len(_ROW_SHARE) - 1, len(plan) - 1), dtype=np.int64)
    center = (plan[1:] + plan[:-1]) / 2
    x, y = center.T
    half, front = shape.width_m / 2, shape.front_x_m
    paint[0] = Paint.TRIM
    if shape.dark_sill:
        paint[:2] = Paint.TRIM
    gap = np.min([np.abs(x - g + GAP_M / 2) for g in shape.gaps_x_m], axis=0) < 0.003
    paint[2:8, gap] = Paint.DARK
    nose = (x > front - shape.nose_depth_m) & (x > 0)
    tail = x < -front + shape.tail_depth_m
    grille = nose & (y < half * shape.grille_share + 0.01)
    lamp = nose & (y > half * 0.57) & (x > front - 0.64 * shape.nose_depth_m)
    paint[1, nose & (y < half * 0.8)] = Paint.DARK
    paint[_GRILLE_ROWS[shape.face], grille] = Paint.DARK
    paint[2, (nose | tail) & (y < shape.plate_half_m)] = Paint.PLATE
    if shape.face == 1:
        paint[5, grille] = Paint.CHROME
    paint[5, lamp] = Paint.HEAD
    if shape.face != 3:
        paint[4, lamp & (y > half * 0.7)] = Paint.HEAD
    lamp = tail & (y > half * (0.72 if shape.bed else 0.58)) & (x < -front + 0.64 * shape.tail_depth_m)
    paint[slice(4, 8) if shape.tall_lamps else slice(4, 6), lamp] = Paint.TAIL
    paint[5 if shape.tall_lamps else 4, lamp & (y < half * 0.72)] = Paint.SIGNAL if shape.face % 2 else Paint.TAIL
    paint[1, tail & (y < half * 0.72)] = Paint.DARK
    paint[0, tail & (y < half * 0.84)] = Paint.DARK
    return paint


def cabin(shape: Shape) -> list[Patch]:
    """Pillars, panes and roof."""
    foot, top, is_pane = _cabin_columns(shape)
    head = shape.pane_head_m / (shape.height_m - shape.belt_z_m) if shape.pane_head_m else 0.9
    share = np.array([0.0, 0.07, 0.07 + head / 2, head, 1.0])[:, None, None]
    outwards = outline_normals(top[:, :2])
    skin_rows = foot[None] + (top - foot)[None] * share
    skin_rows[..., :2] += outwards * (0.045 * share * (1 - share))
    roof = deck(top, 0.0, (0, 0.05, 0.12, 0.3, 0.65, 1))
    roof[..., 2] = _roof_z_m(shape, roof, float(top[:, 1].max()))
    skin_rows[-1] = roof[0]
    paint = np.zeros((len(share) - 1, len(foot) - 1), dtype=np.int64)
    paint[1:3] = np.where(is_pane, Paint.GLASS, Paint.BODY)
    paint[0, is_pane] = Paint.DARK
    if shape.dark_post:
        x, y = (foot[1:, 0] + foot[:-1, 0]) / 2, (foot[1:, 1] + foot[:-1, 1]) / 2
        inner = (y > 0.9 * foot[:, 1].max()) & (x < shape.pillar_x_m - 0.4) & (x > shape.cabin_rear_x_m + 0.35)
        paint[1:3, inner & ~is_pane & (np.abs(np.diff(foot[:, 0])) < 0.2)] = Paint.DARK
    if not shape.bed:
        return [Patch(skin_rows, paint), Patch(roof, Paint.BODY)]
    rear = foot[-5:]
    return [
        Patch(skin_rows, paint),
        Patch(roof, Paint.BODY),
        Patch(np.stack([rear * (1, 1, 0) + (0, 0, shape.belt_z_m - 0.5), rear]), Paint.BODY),
    ]


def _cabin_columns(shape: Shape) -> tuple[PointGrid, PointGrid, NDArray[np.bool_]]:
    """(C,3) feet and (C,3) tops of the cabin's columns, from front centre to rear centre; (C-1,) gaps with panes."""
    half = shape.width_m / 2 - 0.1
    roof_half = half * shape.roof_share
    front, rear = np.array([0, 0.35, 0.68, 0.93]), np.array([0.86, 0.6, 0.3, 0])
    bow = 0.2
    pillar, roof_front = shape.pillar_x_m, shape.roof_front_x_m
    foot_x = [*(pillar + bow * (1 - front**2)), pillar]
    top_x = [*(roof_front + bow * 0.6 * (1 - front**2)), roof_front]
    edges = [pillar - 0.16, *(pillar - p for p in shape.post_m), shape.cabin_rear_x_m + shape.rear_post_m]
    tops = [
        roof_front - 0.09,
        *(pillar - p - 0.05 for p in shape.post_m),
        shape.roof_rear_x_m + 0.8 * shape.rear_post_m,
    ]
    pane = [True, True, True, False, False]
    for k in range(len(edges) - 1):
        start, end = (0.0 if k == 0 else 0.045), (0.0 if k == len(edges) - 2 else 0.045)
        steps = np.linspace(0, 1, 4 if edges[k] - edges[k + 1] > 0.6 else 3)
        foot_x += list(edges[k] - start + (edges[k + 1] + end - edges[k] + start) * steps)
        top_x += list(tops[k] - start + (tops[k + 1] + end - tops[k] + start) * steps)
        pane += [shape.panes[k]] * (len(steps) - 1) + [False]
    sides = len(foot_x) - len(front)
    foot_x += [shape.cabin_rear_x_m, *(shape.cabin_rear_x_m - 0.1 * (1 - rear**2))]
    top_x += [shape.roof_rear_x_m, *(shape.roof_rear_x_m - 0.06 * (1 - rear**2))]
    pane += [False] + [shape.rear_glass] * 3
    ones = np.ones(sides + 1)
    share = np.concatenate([front, ones, rear])
    foot_x_m, top_x_m = np.array(foot_x), np.array(top_x)
    taper = 1 - 0.1 * np.clip((shape.roof_front_x_m - 1.0 - top_x_m) / 2.5, 0, 1)
    foot_y = share * half * (1 - 0.05 * np.clip((-foot_x_m) / shape.front_x_m, 0, 1) ** 2)
    foot_z = shape.edge_z_m(foot_x_m) - 0.03 + 0.04 * (1 - share**2)
    foot = np.column_stack([foot_x_m, foot_y, foot_z])
    top = np.column_stack([top_x_m, share * roof_half * taper, np.zeros(len(share))])
    top[:, 2] = _roof_z_m(shape, top, float(top[:, 1].max()))
    return foot, top, np.array(pane)


def _roof_z_m(shape: Shape, points_m: PointGrid, half_m: float) -> PointGrid:
    """Height of the roof at points (..., 3): curved along and across, and rounded at its sides."""
    center = shape.roof_front_x_m * 0.55 + shape.roof_rear_x_m * 0.45
    along = (points_m[..., 0] - center) / (max(shape.roof_m, 0.8) / 2 + 0.3)
    across = points_m[..., 1] / half_m
    shoulder = 0.035 * ((across - 0.86) / 0.14).clip(0, 1) ** 2
    return np.asarray(shape.height_m - 0.05 * along**2 - _ROOF_CROWN_M * across**2 - shoulder)
