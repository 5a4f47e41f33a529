"""Dimensions of a car or van, and its plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointsam.synth.assets.vehicle_grid import PointGrid, arch_columns_m, distinct_m, rounded_outline

GAP_M = 0.012
"""Width of the gap between two doors."""


@dataclass(frozen=True)
class Shape:
    """Dimensions of a car or van; lengths in metres, x from the centre of the length.

    Args:
        length_m, width_m, height_m: size of the body without mirrors.
        wheelbase_m, front_overhang_m: distances between the axles, and from the front to the front axle.
        wheel_radius_m, clearance_m: radius of the wheels, and distance from the ground to the sill.
        nose_z_m, cowl_z_m, belt_z_m, tail_z_m: height of the body's upper edge at the front, below the wind-screen,
            below the side windows, at the rear.
        hood_m: distance from the front to the foot of the A pillar.
        screen_m: length over which the wind-screen leans back.
        roof_m: length of the roof.
        rear_m: length over which the rear window leans back.
        roof_share: width of the roof over that of the belt.
        post_m: distance from the foot of the A pillar to the division of the side windows.
        rear_post_m: width of the last pillar.
        nose_depth_m, tail_depth_m: lengths over which the plan curves in.
        panes: which side panes are glass.
        rear_glass: whether there is a rear window.
        dark_post: whether the B pillars are black.
        dark_sill: whether the lower rows have the trim colour.
        bed: whether it is open behind the cabin (a pick-up).
        plate_half_m: half width of a number plate.
        tall_lamps: whether the tail lamps reach up to the belt.
        grille_share: half width of the grille over that of the body.
        pane_head_m: height of the panes above the belt, 0 for up to the roof.
        rails: whether there are roof rails.
        face: index of one of four designs of grille and lamps.
    """

    length_m: float
    width_m: float
    height_m: float
    wheelbase_m: float
    front_overhang_m: float
    wheel_radius_m: float
    clearance_m: float
    nose_z_m: float
    cowl_z_m: float
    belt_z_m: float
    tail_z_m: float
    hood_m: float
    screen_m: float
    roof_m: float
    rear_m: float
    roof_share: float
    post_m: tuple[float, ...]
    rear_post_m: float = 0.3
    nose_depth_m: float = 0.62
    tail_depth_m: float = 0.4
    panes: tuple[bool, ...] = (True, True, True)
    rear_glass: bool = True
    dark_post: bool = True
    dark_sill: bool = False
    bed: bool = False
    plate_half_m: float = 0.26
    tall_lamps: bool = False
    grille_share: float = 0.45
    pane_head_m: float = 0.0
    rails: bool = False
    face: int = 0

    @property
    def front_x_m(self) -> float:
        """Position along x of the front end."""
        return self.length_m / 2

    @property
    def axles_x_m(self) -> tuple[float, float]:
        """Position along x of the front and rear axle."""
        front = self.front_x_m - self.front_overhang_m
        return front, front - self.wheelbase_m

    @property
    def axles_m(self) -> list[tuple[float, float, float]]:
        """(x, height, radius of the arch) of both axles."""
        radius = self.wheel_radius_m * 1.13 + 0.01
        return [(x, self.wheel_radius_m + 0.01, radius) for x in self.axles_x_m]

    @property
    def gaps_x_m(self) -> list[float]:
        """Position along x of the front edges of the gaps of the left doors."""
        (front, _, front_arch), (rear, _, rear_arch) = self.axles_m
        gaps = [front - front_arch - 0.1, self.pillar_x_m - self.post_m[0]]
        return [*gaps, rear + rear_arch + 0.04] if self.panes[1] else gaps

    @property
    def pillar_x_m(self) -> float:
        """Position along x of the foot of the A pillar."""
        return self.front_x_m - self.hood_m

    @property
    def roof_front_x_m(self) -> float:
        """Position along x of the upper edge of the wind-screen."""
        return self.pillar_x_m - self.screen_m

    @property
    def roof_rear_x_m(self) -> float:
        """Position along x of the upper edge of the rear window."""
        return self.roof_front_x_m - self.roof_m

    @property
    def cabin_rear_x_m(self) -> float:
        """Position along x of the lower edge of the rear window."""
        return self.roof_rear_x_m - self.rear_m

    def edge_z_m(self, x_m: PointGrid) -> PointGrid:
        """Height of the body's upper edge along x."""
        front, pillar, rear = self.front_x_m, self.pillar_x_m, self.cabin_rear_x_m
        tail = min(rear - 0.05, -front + 0.12)
        hood = self.nose_z_m + (self.cowl_z_m - self.nose_z_m) * np.array([0, 0.3, 0.62, 1])
        xs = np.array([front, front - 0.16, front - 0.5 * self.hood_m, pillar, pillar - 1.0, rear, tail, -front])
        drop = 0.03 if tail < rear - 0.2 else 0.0
        zs = [*hood, self.belt_z_m, self.belt_z_m + 0.02, self.tail_z_m, self.tail_z_m - drop]
        return np.interp(x_m, xs[::-1], np.array(zs)[::-1])


def outline(shape: Shape) -> PointGrid:
    """Left half of the body's plan, with a column at each change of paint."""
    half, front = shape.width_m / 2, shape.front_x_m
    nose = [front - share * shape.nose_depth_m for share in (0.3, 0.45, 0.62, 0.85)]
    tail = [-front + share * shape.tail_depth_m for share in (0.9, 0.62, 0.45, 0.3)]
    gaps = [x for gap in shape.gaps_x_m for x in (gap, gap - GAP_M)]
    between = [shape.pillar_x_m, shape.cabin_rear_x_m, *np.linspace(gaps[0], gaps[-1], 6)[1:-1]]
    side = distinct_m(
        np.array([*arch_columns_m(shape.axles_m), *gaps, *nose, *tail, *between]), nose[0] + 0.001, tail[3] - 0.001
    )
    ends = np.array([0, shape.plate_half_m, half * shape.grille_share, half * 0.58, half * 0.72, half * 0.84])
    return rounded_outline(half, (front, -front), (shape.nose_depth_m, shape.tail_depth_m), ends, side, ends)
