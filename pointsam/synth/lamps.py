"""Where lamps shine: street lamps and the head lamps of vehicles, found by the surfaces that emit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.se3 import SE3
from pointsam.synth.light import PointLight
from pointsam.synth.mesh import Mesh

_BRIGHT = 10.0
"""Summed emission from which a surface lights others; tail lamps only glow."""
_DIP = -0.09


def lamps(category: str, mesh: Mesh, world_SE3_thing: SE3) -> Iterator[PointLight]:
    """Lights of one thing: spots ahead on either side of a vehicle, else one lamp that shines all around.

    Args:
        category: nuScenes category.
        mesh: as the thing now looks.
        world_SE3_thing: where it is.
    """
    bright = np.array([sum(m.emit) > _BRIGHT for m in mesh.materials])[mesh.material_id]
    if not bright.any():
        return
    middle = mesh.vertices_m[mesh.triangles[bright]].mean(axis=1).astype(np.float64)
    if not category.startswith("vehicle."):
        yield PointLight(_place(world_SE3_thing, middle.mean(axis=0) - (0, 0, 0.2)), (9.0, 7.6, 5.4), 24.0)
        return
    x, y, z = world_SE3_thing.rotation @ (1.0, 0.0, _DIP)
    for side in (middle[:, 1] > 0, middle[:, 1] <= 0):
        if side.any():
            at = _place(world_SE3_thing, middle[side].mean(axis=0))
            yield PointLight(at, (14.0, 13.0, 11.0), 32.0, (float(x), float(y), float(z)), 38.0, clear_m=1.0)


def ego_lamps(world_SE3_ego: SE3) -> tuple[PointLight, ...]:
    """Head lamps of the vehicle that carries the sensors, whose body cameras do not see."""
    x, y, z = world_SE3_ego.rotation @ (1.0, 0.0, _DIP)
    return tuple(
        PointLight(
            _place(world_SE3_ego, np.array((3.4, side, 0.65))),
            (14.0, 13.0, 11.0),
            36.0,
            (float(x), float(y), float(z)),
            38.0,
        )
        for side in (0.6, -0.6)
    )


def _place(pose: SE3, at_m: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = pose.apply(at_m[None])[0]
    return float(x), float(y), float(z)
