"""A thing in its own frame, ready to be placed: meshes, true box, category."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointsam.synth.mesh import Mesh


@dataclass(frozen=True, eq=False)
class Asset:
    """A thing around its own origin: x forward, y left, z up, the ground at z = 0 below the middle of its box.

    Args:
        category: nuScenes category ("vehicle.car", "static.manmade").
        poses: one mesh for a rigid thing; for a walker one a phase of its gait.
        size_lwh_m: length along x, width along y and height of the box that holds every pose; it is centred above the
            origin and stands on the ground.
        cycle_m: distance in which the phases pass once, 0 for a rigid thing.
        ridden: of a two-wheeler: somebody sits on it.
    """

    category: str
    poses: tuple[Mesh, ...]
    size_lwh_m: tuple[float, float, float]
    cycle_m: float = 0.0
    ridden: bool = False

    @staticmethod
    def of(category: str, *poses: Mesh, cycle_m: float = 0.0, ridden: bool = False) -> Asset:
        """From meshes as they were built: shifted so that their common box is centred above the origin."""
        extents = [mesh.extent_m() for mesh in poses]
        low = np.min([e[0] for e in extents], axis=0)
        high = np.max([e[1] for e in extents], axis=0)
        middle = (low + high) / 2
        shift = (-middle[0], -middle[1], -low[2])
        length, width, height = (float(s) for s in high - low)
        return Asset(category, tuple(mesh.moved(shift) for mesh in poses), (length, width, height), cycle_m, ridden)

    def phase(self, travelled_m: float) -> int:
        """Which pose it shows after so many metres."""
        if self.cycle_m <= 0:
            return 0
        return int(np.floor(travelled_m / self.cycle_m * len(self.poses))) % len(self.poses)
