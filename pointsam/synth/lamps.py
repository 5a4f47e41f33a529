"""Point lights of street lamps and of vehicles' head lamps, located by their emitting surfaces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.se3 import SE3
from pointsam.synth.light import PointLight
from pointsam.synth.mesh import Mesh

_BRIGHT = 10.0
"""Summed emission from which a surface illuminates others; tail lamps are below it."""
_DIP = -0.09


def lamps(category: str, mesh: Mesh, world_SE3_thing: SE3) -> Iterator[PointLight]:
    """Lights of one object: two spots ahead for a vehicle, else one light in all directions.

    Args:
        category: nuScenes category.
        mesh: mesh of its current pose.
        world_SE3_thing: its pose in the world.
    """
    bright = np.array([sum(m.emit) > _BRIGHT for m in mesh.materials])[mesh.material_id]
    if not bright.any():
        return
    center = mesh.vertices_m[mesh.triangles[bright]].mean(axis=1).astype(np.float64)
    if not category.startswith("vehicle."):
        yield PointLight(_place(world_SE3_thing, center.mean(axis=0) - (0, 0, 0.2)), (9.0, 7.6, 5.4), 24.0)
        return
    x, y, z = world_SE3_thing.rotation @ (1.0, 0.0, _DIP)
    for side in (center[:, 1] > 0, center[:, 1] <= 0):
        if side.any():
            at = _place(world_SE3_thing, center[side].mean(axis=0))
            yield PointLight(at, (14.0, 13.0, 11.0), 32.0, (float(x), float(y), float(z)), 38.0, clear_m=1.0)


def ego_lamps(world_SE3_ego: SE3) -> tuple[PointLight, ...]:
    """Head lamps of the ego vehicle, whose body is not rendered."""
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
