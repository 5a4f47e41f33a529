"""Images of a snapshot, with ground truth for every pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.camera import Camera
from pointsam.synth.lens import develop, meter
from pointsam.synth.light import Weather
from pointsam.synth.occlusion import STEP_PX, OpenSky
from pointsam.synth.raycast import MISS
from pointsam.synth.shade import Shader
from pointsam.synth.shot import Band, Shot, rays_cam
from pointsam.synth.snapshot import Snapshot, snapshot
from pointsam.synth.surface import surface_at

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
        object_id: (H,W) int32, the object at the centre of the pixel; -1 is the sky, or a pixel that no ray reaches.
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


class _Picture:
    """Renders a band of rows of an image."""

    def __init__(self, world: Snapshot, shot: Shot, band: Band, weather: Weather, rng: np.random.Generator) -> None:
        self.world, self.shot, self.weather, self.rng = world, shot, weather, rng
        self.first, self.width, self.height = band.first, shot.camera.width_px, band.end - band.first
        self.shader = Shader(world, weather, shot.eye_m, float(1 / shot.camera.K[0, 0]))
        count = self.width * self.height
        self.depth = np.full(count, np.inf, np.float32)
        self.triangle = np.full(count, MISS, np.int32)
        self.uv = np.zeros((count, 2), np.float32)
        row, column = (np.arange(side) // tile for side, tile in zip((self.height, self.width), TILE_HW, strict=True))
        tile = (row[:, None] * (self.width // TILE_HW[1] + 1) + column).ravel()
        self.order = np.argsort(tile, kind="stable")
        if shot.camera.model is not None:  # pixels without a ray stay black
            self.order = self.order[np.isfinite(self._rays(self.order)[1]).all(axis=1)]
        for pixel in _blocks(self.order):
            hits = world.scene.cast(*self._rays(pixel))
            self.depth[pixel], self.triangle[pixel], self.uv[pixel] = hits.distance, hits.triangle, hits.uv
        self.sky = self._open_sky()

    def _at(self, pixel: NDArray[np.intp]) -> tuple[F32, F32]:
        """(N,) columns and (N,) rows of the band of pixels from their flat index."""
        v, u = np.divmod(pixel, self.width)
        return u.astype(np.float32), v.astype(np.float32)

    def _rays(self, pixel: NDArray[np.intp]) -> tuple[F32, F32]:
        return self._through(*self._at(pixel))

    def _through(self, u_px: F32, v_px: F32) -> tuple[F32, F32]:
        """Origins, (3,) or (N,3), and (N,3) directions of the rays through places of the band."""
        row = v_px + np.float32(self.first)
        return self.shot.eyes_m(row), self.shot.rays(u_px, row)

    def _open_sky(self) -> OpenSky:
        rows, columns = np.arange(0, self.height, STEP_PX), np.arange(0, self.width, STEP_PX)
        pixel = (rows[:, None] * self.width + columns).ravel()
        indices = np.flatnonzero(self.triangle[pixel] >= 0)
        pixel = pixel[indices]
        triangle = self.triangle[pixel].astype(np.int64)
        reach = 6.0 if max(self.weather.sun_rgb) > 0 else 14.0  # with all light from the sky it matters more
        at = surface_at(self.world, *self._rays(pixel), self.depth[pixel], triangle, self.uv[pixel])
        return OpenSky(self.world.scene, (len(rows), len(columns)), indices, at, reach)

    def object_id(self) -> NDArray[np.int32]:
        """(H*W,) the object at the centre of each pixel, -1 for the sky."""
        found = np.full(len(self.triangle), -1, np.int32)
        hit = self.triangle >= 0
        found[hit] = self.world.object_id[self.triangle[hit]]
        return found

    def light(self) -> F32:
        """(H*W,3) linear light, 0 in pixels without a ray."""
        light = np.zeros((self.height * self.width, 3), np.float32)
        for pixel in _blocks(self.order):
            u, v = self._at(pixel)
            depth, triangle = self.depth[pixel], self.triangle[pixel].astype(np.int64)
            sky = self.sky.at(u, v, depth)
            seen = self.shader.colour(*self._through(u, v), depth, triangle, self.uv[pixel], sky, _lot(pixel))
            light[pixel] = seen.T
        return light

    def refine(self, light: F32, exposure: float) -> None:
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
                eye, ray = self._through(uk, vk)
                hits = self.world.scene.cast(eye, ray)
                sky = self.sky.at(uk, vk, hits.distance)
                lot += np.uint32(2**32 // (1 + EXTRA))
                more = self.shader.colour(eye, ray, hits.distance, hits.triangle, hits.uv, sky, lot) * scale
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


def _depth_per_length(camera: Camera) -> F32 | np.float32:
    """(H,W) depth of a hit at distance 1 in lengths of the ray of each pixel; 1 without a ray."""
    if camera.model is None:
        return np.float32(1)
    v, u = np.mgrid[: camera.height_px, : camera.width_px]
    share = rays_cam(camera, u.ravel(), v.ravel())[:, 2].reshape(u.shape)
    return np.where(np.isnan(share), 1, share).astype(np.float32)


def photograph(
    shot: Shot, worlds: Sequence[tuple[Band, Snapshot]], weather: Weather, rng: np.random.Generator
) -> Photo:
    """Render the image of a camera.

    Args:
        shot: the exposure.
        worlds: bands of the shot from top to bottom, and what each shows.
        weather: light, exposure and noise.
        rng: random generator of soft shadows, antialiasing and noise; equal states give equal bytes.
    """
    camera = shot.camera
    pictures = [_Picture(world, shot, band, weather, rng) for band, world in worlds]
    lights = [picture.light() for picture in pictures]
    reached = [light[np.sort(picture.order)] for picture, light in zip(pictures, lights, strict=True)]
    exposure = meter(np.concatenate(reached), weather)
    for picture, light in zip(pictures, lights, strict=True):
        picture.refine(light, exposure)
    shape = (camera.height_px, camera.width_px)
    rgb = develop(np.concatenate(lights).reshape(*shape, 3), exposure, weather.noise, rng)
    object_id = np.concatenate([picture.object_id() for picture in pictures]).reshape(shape)
    depth = np.concatenate([picture.depth for picture in pictures]).reshape(shape)
    return Photo(rgb, object_id, depth * _depth_per_length(camera))
