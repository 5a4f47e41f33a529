"""One scene: its objects, their poses over time, and their surfaces."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from pointsam.geometry.se3 import SE3
from pointsam.synth.asset import Asset
from pointsam.synth.drive import Drive, cruise_mps, draw_drive
from pointsam.synth.landscape import furnish
from pointsam.synth.light import Weather, draw_weather
from pointsam.synth.mesh import Mesh, rotation
from pointsam.synth.motion import Track
from pointsam.synth.plan import WorldPlan
from pointsam.synth.street import Street, draw_street
from pointsam.synth.traffic import populate
from pointsam.synth.works import building_site, road_works

_GOLDEN_RATIO = 0.6180339887498949

WeatherName = Literal["day", "overcast", "night", "rain"]


@dataclass(frozen=True, eq=False)
class Thing:
    """An object in the world.

    Args:
        object_id: its index in `World.things`.
        asset: meshes, box, category.
        track: its track, None for a mesh in world coordinates.
        instance: its number within its category, from 1; 0 if it is not annotated.
    """

    object_id: int
    asset: Asset
    track: Track | None
    instance: int

    @property
    def moves(self) -> bool:
        """Whether it ever moves."""
        return self.track is not None and self.track.moves

    def pose_indices(self, t_s: ArrayLike) -> list[int]:
        """Index of the asset's pose at (N,) times; the phases of different people differ."""
        if self.track is None or len(self.asset.poses) == 1:
            return [0] * np.size(t_s)
        ahead = (self.object_id * _GOLDEN_RATIO % 1) * self.asset.cycle_m
        return [self.asset.phase(metres + ahead) for metres in self.track.speed.travelled(np.atleast_1d(t_s)).tolist()]

    def mesh(self, t_s: float) -> Mesh:
        """Its mesh at a time, in its own frame."""
        return self.asset.poses[self.pose_indices(t_s)[0]]

    def world_SE3_thing(self, t_s: float) -> SE3:
        """Its pose at a time."""
        if self.track is None:
            return SE3.identity()
        xyz, yaw = self.track.pose(t_s)
        return SE3(rotation(float(yaw[0])), xyz[0])


@dataclass(frozen=True, eq=False)
class World:
    """A scene.

    Args:
        things: all objects, by object_id.
        street: the ground.
        ego: track of the ego vehicle's origin.
        weather: light and air.
        description: description in the style of nuScenes.
    """

    things: tuple[Thing, ...]
    street: Street
    ego: Track
    weather: Weather
    description: str

    def world_SE3_ego(self, t_s: float) -> SE3:
        """Pose of the ego vehicle at a time."""
        xyz, yaw = self.ego.pose(t_s)
        return SE3(rotation(float(yaw[0])), xyz[0])

    @cached_property
    def boxed(self) -> tuple[Thing, ...]:
        """The annotated objects."""
        return tuple(thing for thing in self.things if thing.instance)


def build(rng: np.random.Generator, weather: WeatherName, duration_s: float, *, still: bool = False) -> World:
    """Draw a scene.

    Args:
        rng: random generator of the scene.
        weather: kind of light and air.
        duration_s: duration of the scene, from t = 0.
        still: whether nothing moves, not even the ego vehicle.
    """
    cruise = cruise_mps(rng)
    street = draw_street(rng, cruise * duration_s)
    drive = draw_drive(rng, street, cruise, duration_s, still)
    plan = WorldPlan(street, rng)
    if rng.random() < 0.35:
        road_works(plan, drive)
    for block in street.blocks:
        if block.interior == "site":
            building_site(plan, block)
    furnish(plan)
    populate(plan, drive, duration_s, crowd=float(rng.lognormal(-0.1, 0.45)))
    count: Counter[str] = Counter()
    things: list[Thing] = []
    for placed in plan.placed:
        count[placed.asset.category] += placed.labelled
        instance = count[placed.asset.category] if placed.labelled else 0
        things.append(Thing(len(things), placed.asset, placed.track, instance))
    return World(tuple(things), street, drive.ego(street), draw_weather(weather, rng), _describe(drive, weather, count))


def _describe(drive: Drive, weather: str, count: Counter[str]) -> str:
    story = "wait at junction" if drive.junction else "drive" if drive.speed.moves else "parked"
    most = ", ".join(f"{n} {name.split('.')[-1]}" for name, n in count.most_common(3))
    return f"Synthetic, {weather}, {story}, {most}"
