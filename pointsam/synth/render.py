"""Images of a snapshot, with ground truth for every pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.camera import PinholeCamera
from pointsam.geometry.se3 import SE3
from pointsam.synth.lens import develop, meter
from pointsam.synth.light import Weather
from pointsam.synth.occlusion import STEP_PX, OpenSky
from pointsam.synth.shade import Shader
from pointsam.synth.snapshot import Snapshot, snapshot
from pointsam.synth.surface import surface

__all__ = ["Photo", "Snapshot", "photograph", "snapshot"]

F32 = NDArray[np.float32]

TILE_HW = (120, 200)
"""Side of a tile. Rays are cast by tiles, whose arrays fit the cache and whose hits are close together."""
EDGE = 0.045
"""Difference between neighbours, of full scale, from which a pixel gets more samples."""
EDGE_SHARE = 0.20
"""Largest fraction of pixels with more samples: those with the largest differences."""
EXTRA = 3
"""Number of further rays in such a pixel."""


@dataclass(frozen=True, eq=False)
class Photo:
    """An image and its ground truth.

    Args:
        rgb: (H,W,3) uint8.
        object_id: (H,W) int32, the object at the centre of the pixel; -1 is the sky.
        depth_m: (H,W) float32, its z in the camera frame; infinite for the sky.
    """

    rgb: NDArray[np.uint8]
    object_id: NDArray[np.int32]
    depth_m: F32


def _blocks(pixel: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Chunks of pixels of the size of a tile."""
    size = TILE_HW[0] * TILE_HW[1]
    return (pixel[start : start + size] for start in range(0, len(pixel), size))


def _lot(pixel: NDArray[np.intp]) -> NDArray[np.uint32]:
    """(N,) numbers that are evenly distributed over uint32 for any range of pixels."""
    return pixel.astype(np.uint32) * np.uint32(3242174889)  # multiples of the plastic number


class _Lens:
    """Rays of pixels in the frame of the snapshot, scaled so that hit distances are depths."""

    def __init__(self, camera: PinholeCamera, world_SE3_cam: SE3) -> None:
        self._camera = camera
        self._back = np.linalg.inv(camera.K)
        self._turn = world_SE3_cam.rotation
        self.eye_m = world_SE3_cam.translation_m.astype(np.float32)
        self._whole = (self._turn @ self._back).astype(np.float32)

    def rays(self, u_px: F32, v_px: F32) -> F32:
        """(N,3) directions of rays through pixels."""
        if self._camera.distortion:
            return self._undistorted(u_px, v_px)
        m = self._whole
        ray = np.empty((len(u_px), 3), np.float32)
        for k in range(3):
            ray[:, k] = m[k, 0] * u_px + m[k, 1] * v_px + m[k, 2]
        return ray

    def _undistorted(self, u_px: F32, v_px: F32) -> F32:
        """Invert the distortion by fixed-point iteration of the projection."""
        uv = np.column_stack([u_px, v_px]).astype(np.float64)
        seen = uv.copy()
        for _ in range(12):
            ray = np.column_stack([seen, np.ones(len(seen))]) @ self._back.T
            step = uv - self._camera.project(ray)[0]
            seen += np.nan_to_num(step, nan=0.0)
        return (np.column_stack([seen, np.ones(len(seen))]) @ (self._turn @ self._back).T).astype(np.float32)


class _Picture:
    """Renders one image."""

    def __init__(
        self, world: Snapshot, camera: PinholeCamera, world_SE3_cam: SE3, weather: Weather, rng: np.random.Generator
    ) -> None:
        self.world, self.weather, self.rng = world, weather, rng
        self.width, self.height = camera.width_px, camera.height_px
        self.lens = _Lens(camera, world_SE3_cam)
        self.shader = Shader(world, weather, self.lens.eye_m, float(1 / camera.K[0, 0]))
        count = self.width * self.height
        self.depth = np.empty(count, np.float32)
        self.triangle = np.empty(count, np.int32)
        self.uv = np.empty((count, 2), np.float32)
        row, column = (np.arange(side) // tile for side, tile in zip((self.height, self.width), TILE_HW, strict=True))
        tile = (row[:, None] * (self.width // TILE_HW[1] + 1) + column).ravel()
        self.order = np.argsort(tile, kind="stable")
        for pixel in _blocks(self.order):
            hits = world.scene.cast(self.lens.eye_m, self._rays(pixel))
            self.depth[pixel], self.triangle[pixel], self.uv[pixel] = hits.distance, hits.triangle, hits.uv
        self.sky = self._open_sky()

    def _at(self, pixel: NDArray[np.intp]) -> tuple[F32, F32]:
        """(N,) columns and (N,) rows of pixels from their flat index."""
        v, u = np.divmod(pixel, self.width)
        return u.astype(np.float32), v.astype(np.float32)

    def _rays(self, pixel: NDArray[np.intp]) -> F32:
        return self.lens.rays(*self._at(pixel))

    def _open_sky(self) -> OpenSky:
        rows, columns = np.arange(0, self.height, STEP_PX), np.arange(0, self.width, STEP_PX)
        pixel = (rows[:, None] * self.width + columns).ravel()
        indices = np.flatnonzero(self.triangle[pixel] >= 0)
        pixel = pixel[indices]
        triangle = self.triangle[pixel].astype(np.int64)
        reach = 6.0 if max(self.weather.sun_rgb) > 0 else 14.0  # with all light from the sky it matters more
        at = surface(self.world, self.lens.eye_m, self._rays(pixel), self.depth[pixel], triangle, self.uv[pixel])
        return OpenSky(self.world.scene, (len(rows), len(columns)), indices, at, reach)

    def light(self) -> tuple[F32, float]:
        """(H,W,3) linear light, and its exposure."""
        light = np.empty((self.height * self.width, 3), np.float32)
        for pixel in _blocks(self.order):
            u, v = self._at(pixel)
            depth, triangle = self.depth[pixel], self.triangle[pixel].astype(np.int64)
            sky = self.sky.at(u, v, depth)
            seen = self.shader.colour(self.lens.rays(u, v), depth, triangle, self.uv[pixel], sky, _lot(pixel))
            light[pixel] = seen.T
        exposure = meter(light, self.weather)
        self._refine(light, exposure)
        return light.reshape(self.height, self.width, 3), exposure

    def _refine(self, light: F32, exposure: float) -> None:
        """Sample edges with more rays. Their light is compressed before the mean, so that no bright ray dominates."""
        edges = self._edges(light, exposure)
        scale = np.float32(exposure)
        for pixel in _blocks(edges):
            turn = self.rng.random(len(pixel), dtype=np.float32) * np.float32(2 * np.pi)
            u, v = self._at(pixel)
            lot = _lot(pixel)
            near = light[pixel].T * scale
            total = near / (1 + near)
            for k in range(EXTRA):
                angle = turn + np.float32(2 * np.pi / EXTRA * k)
                uk, vk = u + np.float32(0.4) * np.cos(angle), v + np.float32(0.4) * np.sin(angle)
                ray = self.lens.rays(uk, vk)
                hits = self.world.scene.cast(self.lens.eye_m, ray)
                sky = self.sky.at(uk, vk, hits.distance)
                lot += np.uint32(2**32 // (1 + EXTRA))
                more = self.shader.colour(ray, hits.distance, hits.triangle, hits.uv, sky, lot) * scale
                total += more / (1 + more)
            total /= 1 + EXTRA
            light[pixel] = (total / (1 - total) / scale).T

    def _edges(self, light: F32, exposure: float) -> NDArray[np.intp]:
        """Flat indices of pixels that differ from a neighbour, by tiles."""
        step = np.zeros((self.height, self.width), np.float32)
        for k in range(3):
            seen = light[:, k].reshape(self.height, self.width) * np.float32(exposure)
            seen = np.sqrt(seen / (1 + seen))
            across, down = np.abs(np.diff(seen, axis=1)), np.abs(np.diff(seen, axis=0))
            for part, gap in (
                (step[:, 1:], across),
                (step[:, :-1], across),
                (step[1:], down),
                (step[:-1], down),
            ):
                np.maximum(part, gap, out=part)
        flat = step.ravel()
        edges = self.order[flat[self.order] > EDGE]
        most = int(EDGE_SHARE * len(flat))
        if len(edges) > most:
            edges = edges[np.sort(np.argpartition(-flat[edges], most)[:most])]
        return edges


def photograph(
    world: Snapshot, camera: PinholeCamera, world_SE3_cam: SE3, weather: Weather, rng: np.random.Generator
) -> Photo:
    """Render the image of a camera.

    Args:
        world: the snapshot.
        camera: intrinsics.
        world_SE3_cam: its pose in the frame of the snapshot.
        weather: light, exposure and noise.
        rng: random generator of soft shadows, antialiasing and noise; equal states give equal bytes.
    """
    picture = _Picture(world, camera, world_SE3_cam, weather, rng)
    rgb = develop(*picture.light(), weather.noise, rng)
    shape = (camera.height_px, camera.width_px)
    triangle = picture.triangle.reshape(shape)
    object_id = np.full(shape, -1, np.int32)
    hit = triangle >= 0
    object_id[hit] = world.object_id[triangle[hit]]
    return Photo(rgb, object_id, picture.depth.reshape(shape))
