"""Streets as one sweep of a LiDAR sees them, with the exact height of every point above the ground.

Rays meet two planes (the road, which may bend) and boxes that stand on them: kerbed pavements, walls, cars, a lorry,
people. The origin lies on the road below the sensor, z is up.
"""

from dataclasses import dataclass

import numpy as np

ROAD, PAVEMENT, CAR, PERSON, WALL, STRAY = range(6)
"""What a point lies on. A stray return is a reflection that seems to come from below the ground."""

TERRAINS = {
    "flat": (0.0, 0.0, 0.0),
    "slope 5 %": (0.05, 0.05, 0.0),
    "slope 10 %": (0.10, 0.10, 0.0),
    "slope 15 %": (0.15, 0.15, 0.0),
    "cross slope 8 %": (0.0, 0.0, 0.08),
    "crest": (0.06, -0.06, 0.0),
    "dip": (-0.04, 0.10, 0.0),
}
"""Grade along x before and beyond the bend, and grade along y."""

SENSOR_M = {"32 beams": 1.84, "64 beams": 1.73, "raster": 1.6, "rosette": 2.2}
"""Patterns of rays, and how high their sensors stand: nuScenes, KITTI, and two solid-state sensors that look ahead."""

_BEND_M, _KERB_Y_M, _REACH_M, _NOISE_M = 15.0, 4.5, 80.0, 0.02


@dataclass(frozen=True)
class Scene:
    """One sweep.

    Args:
        xyz_m: (N,3) points, with noise.
        kind: (N,) what each point lies on.
        height_m: (N,) true height above the ground; 0 on the ground.
    """

    xyz_m: np.ndarray
    kind: np.ndarray
    height_m: np.ndarray


def rays(pattern, every=1):
    """(N,3) unit vectors; `every` thins out columns."""
    if pattern == "rosette":  # a beam that swings through the centre and turns slowly, 38 degrees wide
        time = np.arange(0, 60_000, every) / 60_000
        swing = np.radians(19.2) * np.cos(2 * np.pi * 97.3 * time)
        elevation, azimuth = (
            swing * np.sin(2 * np.pi * 7.1 * time) - np.radians(2),
            swing * np.cos(2 * np.pi * 7.1 * time),
        )
    else:
        rings, columns = {
            "32 beams": (np.linspace(-30.67, 10.67, 32), np.linspace(-180, 180, 1084, endpoint=False)),
            "64 beams": (np.linspace(-24.8, 2.0, 64), np.linspace(-180, 180, 1800, endpoint=False)),
            "raster": (np.linspace(-12.5, 12.5, 126), np.linspace(-60, 60, 400)),
        }[pattern]
        elevation, azimuth = (np.radians(a).ravel() for a in np.meshgrid(rings, columns[::every], indexing="ij"))
    level = np.cos(elevation)
    return np.stack((level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)), axis=1)


def scene(terrain="flat", pattern="32 beams", kerb_m=0.15, stray_share=0.001, every=1, seed=0):
    """A sweep of a street."""
    rng = np.random.default_rng(seed)
    before, beyond, across = TERRAINS[terrain]

    def road_z(x, y):
        return across * y + np.where(x < _BEND_M, before * x, before * _BEND_M + beyond * (x - _BEND_M))

    def to_road(vector, grade):
        """Shear that makes a plane of this grade level, so that boxes on it have level bottoms."""
        return vector - np.outer(vector[:, 0] * grade + vector[:, 1] * across, [0, 0, 1])

    ray, origin = rays(pattern, every), np.array([0.0, 0.0, SENSOR_M[pattern]])
    distance, kind = np.full(len(ray), np.inf), np.full(len(ray), ROAD)
    for grade, offset_m, sign in ((before, 0.0, -1), (beyond, (before - beyond) * _BEND_M, 1)):
        with np.errstate(divide="ignore"):
            hit = (offset_m - origin[2]) / to_road(ray, grade)[:, 2]
        good = (hit > 0) & (sign * (hit * ray[:, 0] - _BEND_M) >= 0)
        distance[good] = np.minimum(distance, hit)[good]
    for what, x, y, bottom, yaw, *size in _boxes(rng, kerb_m):
        near = np.flatnonzero(_passes(ray, x, y, np.hypot(*size[:2]) / 2))
        at, grade = np.array([x, y, road_z(x, y)]), before if x < _BEND_M else beyond
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        start, step = to_road((origin - at)[None], grade) @ turn, to_road(ray[near], grade) @ turn
        half = np.array(size) / 2
        middle = np.array([0, 0, bottom + half[2]])
        with np.errstate(divide="ignore", invalid="ignore"):
            faces = np.stack(((middle - half - start) / step, (middle + half - start) / step))
        enter, leave = np.nanmax(np.fmin(*faces), axis=1), np.nanmin(np.fmax(*faces), axis=1)
        hit = (enter < leave) & (enter > 0.5) & (enter < distance[near])
        distance[near[hit]], kind[near[hit]] = enter[hit], what
    seen = distance < _REACH_M
    ray, distance, kind = ray[seen], distance[seen], kind[seen]
    exact = origin + ray * distance[:, None]
    surface_m = road_z(*exact[:, :2].T) + np.where(np.abs(exact[:, 1]) > _KERB_Y_M, kerb_m, 0.0)
    farther = np.where(rng.random(len(ray)) < stray_share, rng.uniform(1.2, 2.0, len(ray)), 1.0)
    xyz = origin + ray * (distance * farther + rng.normal(0, _NOISE_M, len(ray)))[:, None]
    stray = farther > 1
    lost = stray & (xyz[:, 2] > road_z(*xyz[:, :2].T) - 0.3)  # reflections that do not end below the ground
    kind[stray] = STRAY
    return Scene(xyz[~lost], kind[~lost], np.where(kind <= PAVEMENT, 0.0, exact[:, 2] - surface_m)[~lost])


def _passes(ray, x, y, radius_m):
    """(N,) whether rays from the origin can meet a vertical cylinder."""
    level = np.hypot(ray[:, 0], ray[:, 1])
    aside, along = np.abs(ray[:, 0] * y - ray[:, 1] * x) / level, (ray[:, 0] * x + ray[:, 1] * y) / level
    return (aside <= radius_m) & (along >= -radius_m)


def _boxes(rng, kerb_m):
    """Yields kind, centre x and y, bottom above the road, yaw, length, width, height."""
    for low, high in ((-_REACH_M, _BEND_M), (_BEND_M, _REACH_M)):  # two parts, for the road may bend between them
        x, length = (low + high) / 2, high - low
        for side in (-1, 1):
            yield PAVEMENT, x, side * (_KERB_Y_M + 20.0), -1.0, 0.0, length, 40.0, 1.0 + kerb_m
            yield WALL, x, side * 14.0, kerb_m, 0.0, length, 0.5, 6.0
    for k in range(7):  # parked, with about a metre between bumpers
        aside = rng.uniform(-0.3, 0.3), rng.uniform(-0.2, 0.2)
        yield from _car(rng, -14.0 + 5.6 * k + aside[0], 3.4 + aside[1], rng.normal(0, 0.03))
    for _ in range(4):
        yield from _car(rng, rng.uniform(8, 60), -3.2 + rng.uniform(-0.3, 0.3), np.pi + rng.normal(0, 0.05))
    yield CAR, 22.0, -0.2, 0.5, 0.0, 10.0, 2.5, 2.9  # a lorry: it hides the ground below it, 10 m long
    for _ in range(6):
        yield from _person(rng, rng.uniform(-20, 40), rng.choice([-1, 1]) * rng.uniform(5.0, 9.0), kerb_m)
    for _ in range(4):
        yield from _person(rng, rng.uniform(4, 40), rng.uniform(-2, 1.8), 0.0)


def _car(rng, x, y, yaw):
    c, s, scale = np.cos(yaw), np.sin(yaw), rng.uniform(0.9, 1.1)
    yield CAR, x, y, 0.22, yaw, 4.4 * scale, 1.8, 0.65
    yield CAR, x - 0.2 * c, y - 0.2 * s, 0.8, yaw, 2.4 * scale, 1.6, 0.65
    for ahead in (-1.35, 1.35):
        for left in (-0.8, 0.8):
            yield CAR, x + c * ahead - s * left, y + s * ahead + c * left, 0.0, yaw, 0.6, 0.2, 0.6


def _person(rng, x, y, base_m):
    for left in (-0.12, 0.12):
        yield PERSON, x, y + left, base_m, 0.0, 0.16, 0.13, 0.85
    yield PERSON, x, y, base_m + 0.8, rng.uniform(0, 3), 0.28, 0.48, 0.9
