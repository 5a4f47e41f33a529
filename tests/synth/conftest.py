"""One moving world, one in which nothing moves, and one written root for all tests of the generator."""

from dataclasses import replace

import numpy as np
import pytest

from pointsam.base.seeding import generator
from pointsam.synth.asset import Asset
from pointsam.synth.material import Material
from pointsam.synth.mesh import box, surface
from pointsam.synth.motion import Road, Track
from pointsam.synth.world import Thing

STRAIGHT = Road(0.0, 400.0, 0.0, 0.0)
BRIGHT = Material((0.8, 0.8, 0.8))


def film_of(preset, scene=0, **changes):
    """A scene of the generator, without any rendering."""
    from pipelines.world.config import SynthConfig
    from pipelines.world.render import film as make

    config = replace(SynthConfig(scenes=10, frames=20, preset=preset, scale=0.25), **changes)
    return make(config, scene)


@pytest.fixture(scope="session")
def film():
    """A function that makes scenes."""
    return film_of


@pytest.fixture(scope="session")
def moving(open3d):
    """A scene with traffic, people who walk, and an ego vehicle that drives."""
    film = film_of("day", 3)
    assert film.world.ego.moves
    assert {thing.asset.category for thing in film.world.things if thing.moves} >= {
        "vehicle.car",
        "human.pedestrian.adult",
    }
    return film


@pytest.fixture(scope="session")
def still(open3d):
    film = film_of("still", 1)
    assert not any(thing.moves for thing in film.world.things)
    return film


@pytest.fixture(scope="session")
def draw():
    """A generator by name."""
    return lambda *names: generator(0, *names)


@pytest.fixture(scope="session")
def root(open3d, tmp_path_factory):
    """Config, folder and worlds of a written root: both scenes of nuScenes' mini_val, a quarter of the LiDAR's rays."""
    from pipelines.world import render
    from pipelines.world.config import SynthConfig
    from pointsam.synth import rig

    out = tmp_path_factory.mktemp("synthetic") / "world"
    config = SynthConfig(scenes=2, frames=3, seed=2, preset="day", scale=0.1)
    lidar, optics = rig._RIGS[config.rig]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rig._RIGS, config.rig, (replace(lidar, columns=lidar.columns // 4), optics))
        films = [render.film(config, scene) for scene in range(config.scenes)]
        patch.setattr(render, "film", lambda _, scene: films[scene])
        made = render.synthesize(config, out, workers=1)
    assert made.frames_left == 0
    return config, out, [film.world for film in films]


@pytest.fixture(scope="session")
def in_world():
    """A function that gives the (N,3) world positions of a scan's points."""

    def places(world, scan, t_us):
        world_SE3_lidar = world.world_SE3_ego(t_us * 1e-6) @ scan.ego_SE3_lidar
        return world_SE3_lidar.apply(np.float64(scan.xyz_lidar_m))

    return places


@pytest.fixture(scope="session")
def made_up(still):
    """A function that makes a world of a large floor and the vehicle at rest, looking along +s of a straight road.

    The tracks are those of cars, boxes of 4 x 2 x 2 m, with object_id 1, 2, ...; `walls` are pairs of a size and a
    place (s, d).
    """
    floor = surface([(-90, -90, 0), (90, -90, 0), (90, 90, 0), (-90, 90, 0)], [(0, 1, 2), (0, 2, 3)], BRIGHT)

    def make(*tracks, walls=()):
        assets = [Asset("flat.driveable_surface", (floor,), (180.0, 180.0, 0.0))]
        assets += [Asset.of("vehicle.car", box((4, 2, 2), (0, 0, 1), BRIGHT)) for _ in tracks]
        assets += [Asset.of("static.manmade", box(size, (0, 0, 0), BRIGHT)) for size, _ in walls]
        places = [None, *tracks, *(Track(STRAIGHT, s, d) for _, (s, d) in walls)]
        things = [
            Thing(k, asset, place, k if 0 < k <= len(tracks) else 0)
            for k, (asset, place) in enumerate(zip(assets, places, strict=True))
        ]
        return replace(still.world, things=tuple(things), ego=Track(STRAIGHT, 0.0, 0.0))

    return make
