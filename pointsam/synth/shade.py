"""Shading: textures, sun, sky, lamps, reflections and haze. Vectors are columns, (3,N) float32; light is linear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.synth.light import PointLight, Weather, sky_rgb
from pointsam.synth.snapshot import Snapshot
from pointsam.synth.surface import Surface, dot, interpolated, surface_at
from pointsam.synth.texture import NAMES, lit_windows, pattern, tile_noise

F32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Lots = NDArray[np.uint32]

SUN_RADIUS = 0.0047
"""Angular radius of the sun, radians."""


SHADOWS_TO_M = 80.0
"""Lamps farther than this from the eye cast no shadows."""


class Shader:
    """Colours of rays from one eye, which may move a little during the exposure.

    Args:
        snapshot: the world.
        weather: the weather.
        eye_m: (3,) float32 its position, from which lamps are near or far.
        pixel: angle of a pixel, radians.
    """

    def __init__(self, snapshot: Snapshot, weather: Weather, eye_m: F32, pixel: float) -> None:
        self._world, self._weather, self._eye, self._pixel = snapshot, weather, eye_m, pixel
        self._haze = _columns(weather.horizon_rgb) * 0.85
        self._sun = np.array(weather.sun_direction, np.float32)
        self._places = np.array([lamp.position_m for lamp in snapshot.lights], np.float32).reshape(-1, 3)
        self._reach = np.array([lamp.reach_m for lamp in snapshot.lights], np.float32)
        self._faint = np.float32(0.0015 + 0.02 * max(weather.ambient_rgb))  # lamps below this are not visible

    def colour(self, eye_m: F32, direction: F32, depth: F32, triangle: Ints, uv: F32, open_sky: F32, lot: Lots) -> F32:
        """Radiance along rays from the eye.

        Args:
            eye_m: (3,) origin of all rays, or (N,3) of each.
            direction: (N,3) of any length.
            depth: (N,) depth of the hits, in lengths of the direction.
            triangle: (N,) triangle of the hits, negative for the sky.
            uv: (N,2) barycentric coordinates of the hits.
            open_sky: (N,) visible fraction of the sky.
            lot: (N,) uint32 selects the point of the sun; evenly distributed numbers give even shadows.

        Returns:
            (3,N) float32.
        """
        rgb = np.empty((3, len(depth)), np.float32)
        sky, hit = np.flatnonzero(triangle < 0), np.flatnonzero(triangle >= 0)
        if len(sky):
            way = direction[sky]
            way /= np.sqrt(np.einsum("ij,ij->i", way, way))[:, None]
            rgb[:, sky] = sky_rgb(way, self._weather).T
        if len(hit):
            eye = eye_m if eye_m.ndim == 1 else eye_m[hit]
            found = surface_at(self._world, eye, direction[hit], depth[hit], triangle[hit], uv[hit])
            rgb[:, hit] = self._surface_colour(found, open_sky[hit], lot[hit])
        return rgb

    def _surface_colour(self, at: Surface, open_sky: F32, lot: Lots) -> F32:
        palette, weather = self._world.palette, self._weather
        material = self._world.material_id[at.triangle]
        albedo, glow, share = self._paint(at, material)
        gloss = palette.gloss[material] * share
        if weather.wetness > 0:
            self._wet(at, albedo, gloss, lot)
        light = self._sky_light(at.normal[2], open_sky)
        sun = self._sun_light(at, lot)
        if sun is not None:
            light += sun * _columns(weather.sun_rgb)
        if weather.lamps_lit:
            for lamp in self._lamps_near(at):
                self._lamp_light(lamp, at, light)
        rgb = albedo * light
        self._mirror(at, gloss, open_sky, sun, rgb)
        if glow is not None:
            rgb += glow
        rgb += (1 - np.exp(at.distance_m * np.float32(-1 / weather.haze_m))) * (self._haze - rgb)
        return rgb

    def _paint(self, at: Surface, material: NDArray[np.int32]) -> tuple[F32, F32 | None, F32]:
        """(3,N) albedo, (3,N) emitted light, (N,) visible fraction of the gloss."""
        palette, lit = self._world.palette, self._weather.lamps_lit
        albedo = np.stack([c[material] for c in palette.rgb])
        glow = np.stack([c[material] for c in palette.emit]) if lit else None
        share = np.ones(len(material), np.float32)
        texture = palette.texture[material]
        self._soil(at, np.flatnonzero((texture < 0) & (palette.gloss[material] < 0.6)), albedo)
        for kind in np.unique(texture[texture >= 0]):
            here = np.flatnonzero(texture == kind)
            some, triangle = material[here], at.triangle[here]
            name = NAMES[kind] if kind < len(NAMES) else self._world.materials[some[0]].texture
            q, laid = self._laid(triangle, at.uv[here])
            size = at.depth[here] * np.float32(self._pixel) / np.sqrt(np.maximum(at.facing[here], np.float32(0.02)))
            scale = palette.scale_m[some]
            weight = pattern(name, q, laid, scale, size)
            for k in range(3):
                first = albedo[k, here]
                albedo[k, here] = first + weight * (palette.rgb2[k, some] - first)
            if name == "facade":
                share[here] = weight
                if glow is not None:
                    glow[:, here] *= lit_windows(q, laid, scale, size)
        return albedo, glow, share

    def _soil(self, at: Surface, here: NDArray[np.intp], albedo: F32) -> None:
        """Vary the colour of surfaces without a pattern, as dust and weather do."""
        q = interpolated(self._world.texture_m, at.triangle[here], at.uv[here])
        u, v = q[0] + np.float32(0.6) * q[2], q[1] - np.float32(0.8) * q[2]
        size = at.depth[here] * np.float32(self._pixel)
        albedo[:, here] *= 0.88 + 0.24 * tile_noise(u / 5, v / 5, size / 5)

    def _laid(self, triangle: Ints, uv: F32) -> tuple[F32, F32]:
        """(N,3) texture coordinates, and (N,3) normals in their frame (not unit)."""
        at = self._world.texture_m.reshape(-1, 9).take(triangle, axis=0).T
        ax, ay, az = at[:3]
        x1, y1, z1 = at[3] - ax, at[4] - ay, at[5] - az
        x2, y2, z2 = at[6] - ax, at[7] - ay, at[8] - az
        u, v = uv[:, 0], uv[:, 1]
        q = np.stack([ax + u * x1 + v * x2, ay + u * y1 + v * y2, az + u * z1 + v * z2])
        return q.T, np.stack([y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2]).T

    def _wet(self, at: Surface, albedo: F32, gloss: F32, lot: Lots) -> None:
        """Darken wet level ground and let it reflect: clearly on puddles, weakly elsewhere."""
        here = np.flatnonzero((at.normal[2] > 0.9) & (gloss < 0.3))
        x, y, _ = at.point_m[:, here]
        size = at.depth[here] * np.float32(self._pixel)
        puddle = np.clip(3 * tile_noise(x / 37, y / 37, size / 37) - 1.25, 0, 1)
        wet = np.float32(self._weather.wetness)
        albedo[:, here] *= 1 - wet * (0.35 + 0.2 * puddle)
        gloss[here] = np.maximum(gloss[here], wet * (0.25 + 0.6 * puddle))
        first, second = _spread(lot[here])
        ripple = size / np.float32(1.7) + np.float32(0.02)
        for k, rough, shift in ((0, first, 0.0), (1, second, 0.41)):
            wave = tile_noise(x / 1.7 + np.float32(shift), y / 1.7, ripple) - 0.5
            at.normal[k, here] += 0.04 * wave + (0.028 - 0.02 * puddle) * rough

    def _sky_light(self, up: F32, open_sky: F32 | float) -> F32:
        """(3,N) light of the sky from above and of the ground from below."""
        above, below = _columns(self._weather.ambient_rgb), _columns(self._weather.bounce_rgb)
        light = below + (above - below) * (0.5 + 0.5 * up)
        light *= 0.05 + 0.95 * open_sky
        return light

    def _sun_light(self, at: Surface, lot: Lots) -> F32 | None:
        """(N,) cosine of the angle to the sun, 0 in shadow."""
        if max(self._weather.sun_rgb) <= 0:
            return None
        cosine = np.maximum(dot(at.normal, self._sun), 0)
        lit = np.flatnonzero(cosine > 0.01)
        across = np.cross(self._sun, (0, 0, 1)) if abs(self._sun[2]) < 0.99 else np.array([1.0, 0, 0])
        along = np.cross(self._sun, across)
        rays = np.empty((len(lit), 3), np.float32)
        a, b = _spread(lot[lit])
        for k in range(3):
            rays[:, k] = self._sun[k] + np.float32(SUN_RADIUS) * (a * np.float32(across[k]) + b * np.float32(along[k]))
        cosine[lit[self._world.scene.blocked(at.origin_m(lit), rays, 0.005, 250.0)]] = 0
        return cosine

    def _lamps_near(self, at: Surface) -> list[PointLight]:
        """The lamps whose reach touches the bounding box of the points."""
        lamps = self._world.lights
        place = self._places
        gap = place - np.clip(place, at.point_m.min(axis=1), at.point_m.max(axis=1))
        return [lamps[k] for k in np.flatnonzero(np.einsum("ij,ij->i", gap, gap) < self._reach**2)]

    def _lamp_light(self, lamp: PointLight, at: Surface, light: F32) -> None:
        """Add the light of a lamp to (3,N)."""
        place = np.array(lamp.position_m, np.float32)
        x, y, z = (place[k] - at.point_m[k] for k in range(3))
        square = x * x + y * y + z * z
        near = np.flatnonzero(square < lamp.reach_m**2)
        if len(near) == 0 or max(lamp.rgb) < self._faint * square.min():
            return
        far = np.sqrt(np.maximum(square[near], np.float32(0.04)))
        way = np.stack([x[near], y[near], z[near]]) / far
        fade = 1 - (far / np.float32(lamp.reach_m)) ** 4
        strength = np.maximum(dot(at.normal[:, near], way), 0) * fade * fade / (far * far)
        if lamp.direction is not None:
            axis = np.array(lamp.direction, np.float32)
            axis /= np.linalg.norm(axis)
            edge = np.cos(np.radians(lamp.cone_deg))
            strength *= np.clip((-dot(way, axis) - edge) / (0.6 * (1 - edge)), 0, 1) ** 2
        keep = np.flatnonzero(strength * np.float32(max(lamp.rgb)) > self._faint)
        if len(keep) == 0:
            return
        near, far, strength = near[keep], far[keep], strength[keep]
        if np.linalg.norm(place - self._eye) < SHADOWS_TO_M:
            lit = far > lamp.clear_m
            until = np.maximum(far - np.float32(lamp.clear_m), np.float32(0.01))
            rays = np.ascontiguousarray((way[:, keep] * until).T)
            strength[self._world.scene.blocked(at.origin_m(near), rays, 0.0, 1.0) & lit] = 0
        light[:, near] += _columns(lamp.rgb) * strength

    def _mirror(self, at: Surface, gloss: F32, open_sky: F32, sun: F32 | None, rgb: F32) -> None:
        """Blend (3,N) with the reflections of the surface."""
        share = gloss * (0.07 + 0.93 * (1 - np.minimum(at.facing, 1)) ** 5)
        here = np.flatnonzero(share > 0.012)
        if len(here) == 0:
            return
        normal = at.normal[:, here]
        way = at.view[:, here] + 2 * at.facing[here] * normal
        rows = np.ascontiguousarray(way.T)
        hits = self._world.scene.cast(at.origin_m(here), rows)
        seen = sky_rgb(rows, self._weather).T
        below = rows[:, 2] < 0
        seen[:, below] = _columns(self._weather.bounce_rgb)
        met = np.flatnonzero(hits.triangle >= 0)
        if len(met):
            seen[:, met] = self._glimpse(hits.triangle[met], hits.distance[met], rows[met])
        if sun is not None:
            glint = np.maximum(dot(way, self._sun), 0) ** 600
            seen += np.float32(25) * glint * (sun[here] > 0) * _columns(self._weather.sun_rgb)
        rgb[:, here] += share[here] * (seen - rgb[:, here])

    def _glimpse(self, triangle: Ints, distance_m: F32, way: F32) -> F32:
        """(3,N) colour of a reflected object: its mean colour in flat light."""
        palette, weather = self._world.palette, self._weather
        material = self._world.material_id[triangle]
        normal = self._world.face_normals.take(triangle, axis=0)
        normal *= np.where(np.einsum("ij,ij->i", normal, way) > 0, np.float32(-1), np.float32(1))[:, None]
        light = self._sky_light(normal[:, 2], 0.7)
        light += _columns(weather.sun_rgb) * (0.7 * np.maximum(normal @ self._sun, 0))
        rgb: F32 = np.stack([c[material] for c in palette.mean_rgb]) * light
        if weather.lamps_lit:
            dim = np.where(palette.texture[material] >= 0, np.float32(0.1), np.float32(1))
            rgb += np.stack([c[material] for c in palette.emit]) * dim
        rgb += (1 - np.exp(distance_m * np.float32(-1 / weather.haze_m))) * (self._haze - rgb)
        return rgb


def _spread(lot: Lots) -> tuple[F32, F32]:
    """(N,) x and (N,) y of points that fill the square [-1,1] x [-1,1] evenly."""
    a, b = ((k >> np.uint32(8)).astype(np.float32) * np.float32(2**-23) - 1 for k in (lot, lot * np.uint32(2654435769)))
    return a, b


def _columns(rgb: tuple[float, float, float]) -> F32:
    """A colour as a (3,1) column."""
    return np.array(rgb, np.float32)[:, None]
