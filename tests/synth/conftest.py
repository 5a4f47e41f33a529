"""One moving world, one in which nothing moves, and one written root for all tests of the generator."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from pointsam.draws import generator


@pytest.fixture(scope="session")
def open3d():
    if find_spec("open3d") is None:
        pytest.skip("needs open3d: pip install 'pointsam[synth]'")


def film_of(preset, scene=0, **changes):
    """A scene as the generator makes it, without rendering anything."""
    from pipelines.synth import film as make
    from pipelines.synth_config import SynthConfig

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
    """A written root of two scenes, those of nuScenes' mini_val, with four key frames each."""
    from pipelines.synth import synthesize
    from pipelines.synth_config import SynthConfig

    out = tmp_path_factory.mktemp("synthetic") / "world"
    config = SynthConfig(scenes=2, frames=4, seed=2, preset="day", scale=0.15)
    made = synthesize(config, out, workers=2)
    assert made.frames_left == 0
    return config, out


def world_from_lidar(world, t_us):
    """world_SE3_lidar at the end of a sweep."""
    from pointsam.synth.rig import EGO_SE3_LIDAR

    return world.world_SE3_ego(t_us * 1e-6) @ EGO_SE3_LIDAR


@pytest.fixture(scope="session")
def in_world():
    """A function that gives the (N,3) world positions of a scan's points."""
    return lambda world, scan, t_us: world_from_lidar(world, t_us).apply(np.float64(scan.xyz_lidar_m))
