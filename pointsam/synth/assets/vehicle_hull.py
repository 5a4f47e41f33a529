"""Boxy glazed hulls: lorry cabs, buses, cabs of machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pointsam.synth.assets.vehicle_grid import Grid, Paint, Paints, Patch, arch_z_m, deck


@dataclass(frozen=True)
class HullRow:
    """One height of a hull, and the inward offsets of its sides, front and rear there; metres."""

    z_m: float
    side_m: float = 0.0
    front_m: float = 0.0
    rear_m: float = 0.0


def hull(
    plan: Grid,
    rows: Sequence[HullRow],
    axles: Sequence[tuple[float, float, float]] = (),
    crown_m: float = 0.04,
    reach_m: float = 0.9,
) -> tuple[Grid, Patch]:
    """Points (R,C,3) of the left wall, and the patch of its roof.

    Args:
        plan: (C,2) left half outline.
        rows: rows from the lower edge up.
        axles: (x, height of the centre, radius) of each wheel arch.
        crown_m: extra height of the roof at its centre.
        reach_m: length of the part in front that leans back with the front.
    """
    table = np.array([(r.z_m, r.side_m, r.front_m, r.rear_m) for r in rows])[:, :, None]
    x, y = plan.T
    reach = min(reach_m, 0.6 * float(np.ptp(x)))
    front = ((x - x.max()) / reach + 1).clip(0, 1)
    rear = ((x.min() - x) / (0.35 * reach) + 1).clip(0, 1)
    shifted = x - table[:, 2] * front + table[:, 3] * rear
    narrowed = y * (1 - table[:, 1] / y.max())
    bottom = arch_z_m(x, rows[0].z_m, axles)
    z = np.maximum(table[:, 0], bottom + 0.01 * np.arange(len(rows))[:, None])
    points = np.stack([shifted, narrowed, z], axis=2)
    return points, Patch(deck(points[-1], crown_m, (0, 0.1, 0.4, 1)), Paint.BODY)


class Painter:
    """Paints quads of a hull's wall by the position of their centres in the plan, and by their height.

    Args:
        points_m: (R,C,3) points of the wall.
        plan: (C,2) its outline without inward offsets.
        base: initial paint.
    """

    def __init__(self, points_m: Grid, plan: Grid, base: Paint = Paint.BODY) -> None:
        z = points_m[..., 2]
        self._z = (z[1:, 1:] + z[1:, :-1] + z[:-1, 1:] + z[:-1, :-1]) / 4
        self._x, self._y = (np.broadcast_to((plan[1:, k] + plan[:-1, k]) / 2, self._z.shape) for k in range(2))
        self.points_m = points_m
        self.paint: Paints = np.full(self._x.shape, int(base))

    def __call__(
        self,
        paint: Paint,
        x: tuple[float, float] = (-99, 99),
        y: tuple[float, float] = (-99, 99),
        z: tuple[float, float] = (-99, 99),
    ) -> Painter:
        """Paint all quads whose centre is in the ranges."""
        inside = (self._x > x[0]) & (self._x < x[1]) & (self._y > y[0]) & (self._y < y[1])
        self.paint[inside & (self._z > z[0]) & (self._z < z[1])] = paint
        return self

    def patch(self) -> Patch:
        """The painted wall."""
        return Patch(self.points_m, self.paint.copy())
