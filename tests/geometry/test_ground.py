from math import floor, inf

import numpy as np
import pytest
from helpers.ground_scenes import CAR, PAVEMENT, PERSON, ROAD, STRAY, TERRAINS, scene
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.geometry.ground import height_above_ground_m

ABOVE_M = 0.2


def slow_envelope(low, slope):
    return {
        i: min((z + slope * (abs(i[0] - k[0]) + abs(i[1] - k[1])) for k, z in low.items()), default=inf) for i in low
    }


def slow_surface(low, slope, step_m, side):
    """A function of (row, column): the ground there. `low` holds filled cells; `step_m` is a function of cells."""
    envelope = slow_envelope(low, slope * side)
    kept = {i: z for i, z in low.items() if z <= envelope[i] + step_m(i)}

    def at(row, column):
        if (row, column) in kept:
            return kept[row, column]
        away = {k: slope * side * (abs(k[0] - row) + abs(k[1] - column)) for k in kept}
        return (min(z + away[k] for k, z in kept.items()) + max(z - away[k] for k, z in kept.items())) / 2

    return at


def slow_lowest(cells, z):
    low = {}
    for i in set(cells):
        inside = sorted(h for k, h in zip(cells, z, strict=True) if k == i)
        lonely = len(inside) > 1 and inside[1] > inside[0] + 0.25
        low[i] = inside[1] if lonely else inside[0]
    return low


def slow_supported(low, slope):
    out = {}
    for i, z in low.items():
        around = {k: max(abs(k[0] - i[0]), abs(k[1] - i[1])) for k in low}
        others = [(low[k] - z, 0.15 + slope * d) for k, d in around.items() if 0 < d <= 2]
        agreeing = sum(abs(rise) <= within for rise, within in others)
        higher = sum(rise > within for rise, within in others)
        if agreeing >= 2 or higher < 2:
            out[i] = z
    return out


def slow_between(value_at, x, y):
    row, column = floor(x - 0.5), floor(y - 0.5)
    a, b = x - 0.5 - row, y - 0.5 - column
    corners = ((0, 0, (1 - a) * (1 - b)), (0, 1, (1 - a) * b), (1, 0, a * (1 - b)), (1, 1, a * b))
    return sum(weight * value_at(row + i, column + j) for i, j, weight in corners)


def slow_heights(points):
    """The definition, one point and one cell at a time; cells of 1 m, coarse cells of 4 m."""
    cells = [(floor(x), floor(y)) for x, y, _ in points]
    low = slow_supported(slow_lowest(cells, [z for _, _, z in points]), 0.2)
    members = {}
    for (row, column), z in low.items():
        members.setdefault((row // 4, column // 4), []).append(z)
    coarse = {i: sorted(zs)[1] for i, zs in members.items() if len(zs) >= 4}
    coarse = coarse or {i: min(zs) for i, zs in members.items()}
    terrain = slow_surface(coarse, 0.2, lambda i: 0.3, 4)

    def smooth(row, column):
        return sum(terrain(i, j) for i in (row - 1, row, row + 1) for j in (column - 1, column, column + 1)) / 9

    height = [z - slow_between(smooth, x / 4, y / 4) for x, y, z in points]
    kept = [k for k, h in enumerate(height) if h > -0.4]
    low = slow_supported(slow_lowest([cells[k] for k in kept], [height[k] for k in kept]), 0.05)
    high = {i: max(height[k] for k in kept if cells[k] == i) for i in low}
    surface = slow_surface(low, 0.05, lambda i: 0.22 if high[i] <= low[i] + 0.12 else 0.05, 1)
    return [h - slow_between(surface, x, y) for h, (x, y, _) in zip(height, points, strict=True)]


def cloud(seed, num_points, extent_m, depth_m):
    """Points of a bumpy slope, things on it, and strays; no value lies on a threshold."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-extent_m, extent_m, (num_points, 2))
    z = 0.08 * xy[:, 0] + rng.normal(0, 0.03, num_points)
    z += np.where(rng.random(num_points) < 0.3, rng.uniform(0, 2, num_points), 0.0)
    z -= np.where(rng.random(num_points) < 0.05, rng.uniform(0, depth_m, num_points), 0.0)
    return np.column_stack((xy, z))


@pytest.mark.parametrize("num_points", [1, 2, 3, 7, 30, 120])
@pytest.mark.parametrize("seed", range(4))
def test_heights_agree_with_plain_loops(num_points, seed):
    xyz = cloud(seed, num_points, extent_m=2.0 + seed * 3.0, depth_m=2.0)
    assert height_above_ground_m(xyz) == pytest.approx(slow_heights(xyz.tolist()), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_heights_agree_with_plain_loops_on_any_cloud(data):
    # No two heights that are multiples of 1/37 m differ by a threshold, where rounding would decide.
    number = st.integers(-200, 200).map(lambda n: n / 7)
    height = st.integers(-150, 150).map(lambda n: n / 37)
    points = data.draw(st.lists(st.tuples(number, number, height), min_size=1, max_size=40))
    assert height_above_ground_m(np.array(points)) == pytest.approx(slow_heights(points), abs=1e-9)


def test_the_order_of_the_points_has_no_effect():
    xyz = scene(every=4).xyz_m
    order = np.random.default_rng(0).permutation(len(xyz))
    assert height_above_ground_m(xyz[order]).tolist() == height_above_ground_m(xyz)[order].tolist()


def test_clouds_moved_by_whole_coarse_cells_and_up_have_the_same_heights():
    xyz = np.round(scene("crest", every=4).xyz_m * 1024) / 1024
    moved = height_above_ground_m(xyz + np.array([12.0, -8.0, 3.5]))
    assert moved == pytest.approx(height_above_ground_m(xyz), abs=1e-9)


def test_the_x_and_y_axes_are_treated_alike():
    xyz = scene(every=4).xyz_m
    assert height_above_ground_m(xyz[:, [1, 0, 2]]) == pytest.approx(height_above_ground_m(xyz), abs=1e-9)


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_have_no_height_and_no_effect(missing):
    xyz = cloud(0, 50, 6.0, 2.0)
    holes = np.insert(xyz, [0, 20, 50], [[missing, 0, 0], [0, missing, -9], [0, 0, missing]], axis=0)
    heights = height_above_ground_m(holes)
    gaps = [0, 21, 52]
    assert np.isnan(heights[gaps]).all()
    assert np.delete(heights, gaps).tolist() == height_above_ground_m(xyz).tolist()


def test_clouds_without_points_or_with_one():
    assert height_above_ground_m(np.zeros((0, 3))).shape == (0,)
    assert np.isnan(height_above_ground_m(np.full((2, 3), np.nan))).all()
    assert height_above_ground_m(np.array([[31.2, -4.9, 7.0]])).tolist() == [0.0]


def test_stray_returns_far_away_cost_no_memory_and_change_little():
    near = scene(every=4).xyz_m
    far = np.array([[3e5, -3e5, -9.0], [-3e5, 3e5, 1e6], [1e300, 0.0, -1e300]])
    heights = height_above_ground_m(np.concatenate([near, far]))
    assert heights[: len(near)] == pytest.approx(height_above_ground_m(near), abs=0.05)
    assert np.isfinite(heights).all()


def test_stray_returns_below_the_ground_do_not_lower_it():
    clean = scene(stray_share=0.0)
    rng = np.random.default_rng(0)
    under = np.column_stack((rng.uniform(-20, 20, (60, 2)), rng.uniform(-3, -0.5, 60)))
    heights = height_above_ground_m(np.concatenate([clean.xyz_m, under]))
    known = np.hypot(*clean.xyz_m[:, :2].T) < 20
    change = np.abs(heights[: len(known)] - height_above_ground_m(clean.xyz_m))[known]
    assert np.quantile(change, 0.99) < 0.02
    assert change.max() < ABOVE_M
    assert (heights[len(known) :] < -0.3).all()


def found(terrain, pattern, **options):
    """A scene, and which of its points stand above the ground by their heights."""
    made = scene(terrain, pattern, **options)
    return made, height_above_ground_m(made.xyz_m) >= ABOVE_M


@pytest.mark.parametrize("terrain", TERRAINS)
@pytest.mark.parametrize("pattern", ["32 beams", "64 beams", "raster", "rosette"])
def test_streets(terrain, pattern):
    """The worst of the 28 streets: 0.999 of the road, 0.995 of pavements, 0.986 of cars, 0.953 of people."""
    made, above = found(terrain, pattern, every=4 if pattern == "64 beams" else 2)
    stands = made.height_m >= ABOVE_M
    assert above[made.kind == ROAD].mean() < 0.002
    assert above[made.kind == PAVEMENT].mean() < 0.01
    assert above[stands & (made.kind == CAR)].mean() > 0.98
    assert above[stands & (made.kind == PERSON)].mean() > 0.95
    assert above[made.kind == STRAY].mean() < 0.1


@pytest.mark.parametrize("kerb_m", [0.12, 0.15, 0.18, 0.20])
def test_people_on_a_pavement_stand_on_it_and_the_kerb_is_ground(kerb_m):
    made, above = found("flat", "64 beams", kerb_m=kerb_m, every=2)
    heights = height_above_ground_m(made.xyz_m)
    assert above[made.kind == PAVEMENT].mean() < 0.03
    walking = (made.kind == PERSON) & (np.abs(made.xyz_m[:, 1]) > 5)
    assert np.median(np.abs(heights - made.height_m)[walking]) < kerb_m / 2


def test_heights_below_a_lorry_are_those_of_the_road_around_it():
    made, _ = found("slope 5 %", "64 beams", every=2)
    heights = height_above_ground_m(made.xyz_m)
    x, y, _ = made.xyz_m.T
    lorry = (made.kind == CAR) & (np.abs(x - 22) < 5.1) & (np.abs(y + 0.2) < 1.3)
    assert lorry.sum() > 100
    assert np.median(np.abs(heights - made.height_m)[lorry]) < 0.15
