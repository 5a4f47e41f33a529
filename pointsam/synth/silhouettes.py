"""Visible share of objects in an image, measured with the rays that rendered it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.synth.annotate import REACH_M
from pointsam.synth.raycast import MISS, SCENES_KEPT, RayScene
from pointsam.synth.shot import Band, Shot, rays_cam
from pointsam.synth.world import Thing, World

_CORNERS = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)])
_LATTICE = np.stack(np.meshgrid(*(np.linspace(low, low + 1, 7) for low in (-0.5, -0.5, 0.0))), axis=-1).reshape(-1, 3)
"""Points of a unit box: edges that a lens bends lie between these."""
_SAMPLES = 20
"""Rays per side of an object's image that measure its visible fraction."""


class Silhouettes:
    """Measures the visible fraction of an object's pixels, by casting rays at the object alone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._scene = lru_cache(maxsize=SCENES_KEPT)(partial(_alone, world))

    def count(self, object_map: NDArray[np.int32], shot: Shot) -> dict[int, tuple[float, float]]:
        """object_id -> (number of visible pixels, number of pixels if nothing hid the object), of one image.

        Both are estimated from a grid of at most 20 x 20 pixels per object, by the rays that rendered the image.

        Args:
            object_map: (H,W) object_id of every pixel.
            shot: the exposure of the image.
        """
        counts = {}
        bands = shot.bands()
        for thing in self._world.boxed:
            window = _window(thing, shot, bands)
            if window is None:
                continue
            u0, v0, u1, v1 = window
            step_u, step_v = (max(1, int(np.ceil((high - low) / _SAMPLES))) for low, high in ((u0, u1), (v0, v1)))
            rows, columns = np.arange(v0, v1, step_v), np.arange(u0, u1, step_u)
            shown = whole = 0
            for band in bands:
                inside = rows[(rows >= band.first) & (rows < band.end)]
                for some, world_SE3_cam in shot.passes(band, inside):
                    u, v = np.tile(columns, len(some)), np.repeat(some, len(columns))
                    alone = self._hit(thing, shot.camera, world_SE3_cam, band.t_s, u, v)
                    whole += np.count_nonzero(alone)
                    shown += np.count_nonzero(object_map[v[alone], u[alone]] == thing.object_id)
            if whole:
                area = step_u * step_v
                counts[thing.object_id] = (float(shown * area), float(whole * area))
        return counts

    def _hit(
        self,
        thing: Thing,
        camera: Camera,
        world_SE3_cam: SE3,
        t_s: float,
        u_px: NDArray[np.int64],
        v_px: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """(N,) whether the rays of pixels hit an object if there is no other."""
        cam_SE3_thing = world_SE3_cam.inverse() @ thing.world_SE3_thing(t_s)
        ray = rays_cam(camera, u_px, v_px)
        back = cam_SE3_thing.inverse()
        scene = self._scene(thing.object_id, thing.pose_indices(t_s)[0])
        hit = scene.cast(back.translation_m, ray @ back.rotation.T).triangle != MISS
        seen: NDArray[np.bool_] = hit & np.isfinite(ray[:, 0])
        return seen


def _alone(world: World, object_id: int, pose: int) -> RayScene:
    mesh = world.things[object_id].asset.poses[pose]
    return RayScene(mesh.vertices_m, mesh.triangles)


def _window(thing: Thing, shot: Shot, bands: Sequence[Band]) -> tuple[int, int, int, int] | None:
    """Pixels that may show an object: left, top, right, bottom (the last two exclusive); None if there are none."""
    camera, size = shot.camera, thing.asset.size_lwh_m
    times = sorted({bands[0].t_s, shot.t_s, bands[-1].t_s})
    poses = [shot.world_SE3_cam(t_s).inverse() @ thing.world_SE3_thing(t_s) for t_s in times]
    places = _CORNERS if camera.model is None else _LATTICE
    xyz = np.concatenate([pose.apply(places * size) for pose in poses])
    uv, depth = camera.project(xyz)
    ahead = (depth >= 0.2) & np.isfinite(uv).all(axis=1)
    if not ahead.any() or depth.min() > REACH_M:
        return None
    if camera.model is None and not ahead.all():
        uv, ahead = np.array([(0, 0), (camera.width_px, camera.height_px)], dtype=np.float64), np.ones(2, np.bool_)
    low, high = uv[ahead].min(axis=0), uv[ahead].max(axis=0)
    if camera.model is not None or len(bands) > 1:  # what lies between the points may lie a little outside
        margin = 1 + (0.02 if ahead.all() else 0.25) * (high - low)
        low, high = low - margin, high + margin
    low = np.maximum(np.floor(low), 0).astype(int)
    high = np.minimum(np.ceil(high) + 1, (camera.width_px, camera.height_px)).astype(int)
    return None if (high <= low).any() else (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
