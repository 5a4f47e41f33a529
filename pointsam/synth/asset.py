"""An object in its own frame, ready to be placed: meshes, box, category."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointsam.synth.mesh import Mesh


@dataclass(frozen=True, eq=False)
class Asset:
    """An object in its own frame: x forward, y left, z up; the origin is on the ground below the centre of its box.

    Args:
        category: nuScenes category ("vehicle.car", "static.manmade").
        poses: one mesh for a rigid object; one per phase of the gait for a walking person.
        size_lwh_m: length along x, width along y and height of the box that holds every pose; it is centred above the
            origin and stands on the ground.
        cycle_m: distance of one cycle of the phases, 0 for a rigid object.
        ridden: whether a two-wheeler has a rider.
    """

    category: str
    poses: tuple[Mesh, ...]
    size_lwh_m: tuple[float, float, float]
    cycle_m: float = 0.0
    ridden: bool = False

    @staticmethod
    def of(category: str, *poses: Mesh, cycle_m: float = 0.0, ridden: bool = False) -> Asset:
        """An asset from meshes, shifted so that their common box is centred above the origin."""
        extents = [mesh.extent_m() for mesh in poses]
        low = np.min([e[0] for e in extents], axis=0)
        high = np.max([e[1] for e in extents], axis=0)
        center = (low + high) / 2
        shift = (-center[0], -center[1], -low[2])
        length, width, height = (float(s) for s in high - low)
        return Asset(category, tuple(mesh.moved(shift) for mesh in poses), (length, width, height), cycle_m, ridden)

    def phase(self, travelled_m: float) -> int:
        """Index of the pose after `travelled_m` metres."""
        if self.cycle_m <= 0:
            return 0
        return int(np.floor(travelled_m / self.cycle_m * len(self.poses))) % len(self.poses)
