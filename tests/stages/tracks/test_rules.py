"""The parts of tracking: plain implementations beside the vectorised ones, and what each rule means."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.track_worlds import AHEAD, CAR, PARKED, PEDESTRIAN, WALKER, Thing, scene_frames, world
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.base.errors import SchemaError
from pointsam.stages.tracks import config as options
from pointsam.stages.tracks.align import best_shift
from pointsam.stages.tracks.claim import Models, claims
from pointsam.stages.tracks.config import ClaimConfig, LinkConfig, MotionConfig
from pointsam.stages.tracks.gates import Gates
from pointsam.stages.tracks.link import link_cost
from pointsam.stages.tracks.motion import Path, at_frame_time
from pointsam.stages.tracks.panorama import panorama
from pointsam.stages.tracks.scene import Observations, observations
from pointsam.stages.tracks.shift import nearest_shift_m, residual_m, shift_bounds_m
from pointsam.stages.tracks.standing import standing
from pointsam.stages.tracks.thin import thin
from pointsam.taxonomy import NUSCENES, ClassSpec, Taxonomy

LINK, MOTION = LinkConfig(), MotionConfig()
GATES = Gates.of(NUSCENES, LINK, MOTION)


def random_observations(rng, count, frames):
    low = np.column_stack([rng.uniform(0, 12, (count, 2)), rng.uniform(0, 0.2, count)])
    frame = np.sort(rng.integers(frames, size=count))
    points = rng.integers(1, 99, count)
    return Observations(
        frame,
        np.arange(count),
        frame * 0.3,
        rng.integers(len(NUSCENES.classes), size=count),
        points,
        0.8 * points,
        low,
        low + rng.uniform(0.1, 5, (count, 3)),
        np.full((count, 3), np.nan),
    )


def shift_1d(expected, low_a, high_a, low_b, high_b):
    ends = sorted([low_b - low_a, high_b - high_a])
    return min(max(expected, ends[0]), ends[1])


def plain_miss(seen, a, b, expected):
    """Distance in the plane by which an expected shift misses what extents allow, axis by axis."""
    ends = [(seen.low_m[a, k], seen.high_m[a, k], seen.low_m[b, k], seen.high_m[b, k]) for k in range(2)]
    return np.hypot(*(expected[k] - shift_1d(expected[k], *ends[k]) for k in range(2)))


def plain_cost(seen, stands, one, velocity, steady, two, after):
    """Cost of one pair, by the rules of docs/tracks.md."""
    step = seen.t_s[two] - seen.t_s[one]
    c, d = seen.class_id[one], seen.class_id[two]
    length, near = GATES.length_m[c], GATES.near_m[c]
    known = np.isfinite(velocity).all() and not stands[one]
    expected = velocity * step if known else np.zeros(3)
    wider = lambda k, s: min(0.5 * LINK.acceleration_mps2 * s * s, LINK.widest * GATES.length_m[k])  # noqa: E731
    gate = near + wider(c, step) if known else near
    miss = plain_miss(seen, one, two, expected)
    jump = seen.center_m[two] - seen.center_m[one]
    off = np.hypot(*(jump - expected)[:2]) / length
    cost, possible = miss / gate + LINK.center_cost * off, miss <= gate
    ends = [(seen.low_m[one, k], seen.high_m[one, k], seen.low_m[two, k], seen.high_m[two, k]) for k in range(2)]
    moves = np.hypot(*(shift_1d(expected[k], *ends[k]) for k in range(2)))
    if stands[two] and moves > GATES.near_m[d]:
        cost += 1
        possible = possible and steady and miss <= near
    if not known and not stands[one] and not possible and not stands[two]:
        supports = []
        for third in after:
            if not stands[third] and GATES.alike[d, seen.class_id[third]]:
                later = seen.t_s[third] - seen.t_s[two]
                third_gate = GATES.near_m[d] + wider(d, later)
                third_miss = plain_miss(seen, two, third, jump * later / step)
                supports += [third_miss / third_gate] if third_miss <= third_gate else []
        if supports:
            cost = LINK.triplet_cost + min(supports) + np.hypot(*jump[:2]) / step / GATES.fastest_mps[c]
            possible = True
    possible = possible and moves / step <= max(GATES.fastest_mps[c], GATES.fastest_mps[d]) and GATES.alike[c, d]
    if c != d:
        cost += LINK.class_cost
        possible = possible and off * length <= LINK.class_center * min(near, GATES.near_m[d])
    return cost if possible else 1e9


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_costs_are_those_of_the_plain_rule(seed):
    rng = np.random.default_rng(seed)
    seen = random_observations(rng, 30, 4)
    stands = rng.random(30) < 0.3
    last, here, after = np.flatnonzero(seen.frame == 0), np.flatnonzero(seen.frame == 1), np.flatnonzero(seen.frame > 1)
    if len(last) == 0 or len(here) == 0:
        return
    velocity = np.where(rng.random((len(last), 1)) < 0.5, rng.normal(0, 4, (len(last), 3)), np.nan)
    steady = rng.random(len(last)) < 0.5
    found = link_cost(seen, stands, last, velocity, steady, here, after, GATES, LINK)
    expected = [
        [plain_cost(seen, stands, a, velocity[i], steady[i], b, after) for b in here] for i, a in enumerate(last)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_claims_are_those_of_the_plain_rule(seed):
    rng = np.random.default_rng(seed)
    xyz, model = rng.uniform(-3, 3, (60, 3)), rng.uniform(-3, 3, (25, 3))
    track, range_m = rng.integers(4, size=25), rng.uniform(0, 80, 60)
    config = ClaimConfig(floor_m=0.4, range_coef=0.02)
    expected = []
    for point, away in zip(xyz, range_m, strict=True):
        distance = np.sqrt(((model - point) ** 2).sum(axis=1))
        near = distance.min() <= max(0.4, 0.02 * away)
        expected.append(track[distance.argmin()] if near else -1)
    assert claims(xyz, range_m, Models(model, track), config).tolist() == expected
    nothing = Models(np.zeros((0, 3)), np.zeros(0, dtype=np.int64))
    assert (claims(xyz, range_m, nothing, config) == -1).all()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_standing_clusters_are_those_of_the_plain_rule(seed):
    rng = np.random.default_rng(seed)
    seen = random_observations(rng, 40, 6)
    segment = np.array([0, 0, 0, 0, 1, 1])
    expected = []
    for a in range(40):
        agreeing = set()
        for b in range(40):
            same = seen.frame[a] != seen.frame[b] and segment[seen.frame[a]] == segment[seen.frame[b]]
            c, d = seen.class_id[a], seen.class_id[b]
            overlap = (np.maximum(seen.low_m[a], seen.low_m[b]) <= np.minimum(seen.high_m[a], seen.high_m[b])).all()
            still = plain_miss(seen, a, b, np.zeros(3)) <= min(GATES.still_m[c], GATES.still_m[d])
            if same and GATES.alike[c, d] and overlap and still and abs(seen.t_s[a] - seen.t_s[b]) <= MOTION.standing_s:
                agreeing.add(seen.frame[b])
        present = {f for f in seen.frame if segment[f] == segment[seen.frame[a]]}
        around = {f for f in present if abs(f * 0.3 - seen.t_s[a]) <= MOTION.standing_s} - {seen.frame[a]}
        expected.append(len(agreeing) >= 2 and len(agreeing) >= MOTION.standing_share * len(around))
    assert standing(seen, segment, GATES, MOTION).tolist() == expected


def test_a_car_that_is_missed_in_a_row_does_not_jump_to_the_next():
    row = [Thing((10.0 + 5.5 * k, 3.0)) for k in range(5)]
    frames = scene_frames(world(*(replace(one, missed=(k + 1,)) for k, one in enumerate(row)), step_s=0.5, ego_mps=2.0))
    assert standing(observations(frames), np.zeros(8, dtype=np.int64), GATES, MOTION).all()


@pytest.mark.parametrize(
    ("low_b", "high_b", "expected", "shift"),
    [
        (0.0, 4.0, 0.0, 0.0),
        (1.0, 5.0, 0.0, 1.0),  # it moved by a metre, whatever is expected
        (1.0, 5.0, 9.0, 1.0),
        (1.0, 3.0, 0.0, 0.0),  # a part of it is hidden: it need not have moved
        (1.0, 3.0, 0.7, 0.7),
        (1.0, 3.0, 2.0, 1.0),
        (-2.0, 6.0, -5.0, -2.0),
    ],
)
def test_the_shift_is_what_extents_allow_and_motion_expects(low_b, high_b, expected, shift):
    a, b = (np.array([[low, 0, 0], [high, 0, 0]]) for low, high in ((0.0, 4.0), (low_b, high_b)))
    bounds = shift_bounds_m(a[0], a[1], b[0], b[1])
    found = nearest_shift_m(np.array([expected, 0, 0]), bounds)
    assert found[0] == shift
    assert residual_m(np.array([expected, 0, 0]), bounds) == pytest.approx(abs(expected - shift))


def test_points_are_moved_to_the_time_of_the_frame():
    """A sweep of 0.1 s meets a van at 15 m/s late at its rear: it is 1.5 m too long."""
    x = np.linspace(0, 6, 25)
    body = np.column_stack([x, np.zeros(25), np.ones(25)])
    time_s = 0.1 * (1 - x / 6)
    velocity = np.array([-15.0, 0.0, 0.0])
    measured = body + time_s[:, None] * velocity
    assert np.ptp(measured[:, 0]) == pytest.approx(7.5)
    np.testing.assert_allclose(at_frame_time(measured, time_s, velocity), body, atol=1e-12)
    np.testing.assert_array_equal(at_frame_time(measured, np.full(25, np.nan), velocity), measured)


def test_a_path_goes_on_beyond_its_ends():
    path = Path(np.array([1.0, 2.0]), np.array([[0.0, 0, 0], [4, 2, 0]]), np.array([[4.0, 2, 0], [2, 0, 0]]))
    np.testing.assert_allclose(path.at(1.5), [2, 1, 0])
    np.testing.assert_allclose(path.at(3.0), [6, 2, 0])
    np.testing.assert_allclose(path.at(0.5), [-2, -1, 0])
    np.testing.assert_allclose(path.velocity_at(1.5), [3, 1, 0])


def test_what_stands_before_a_place_hides_it():
    y, z = (one.ravel() for one in np.meshgrid(np.arange(-8, 8, 0.2), np.arange(-2, 2, 0.2)))
    wall = np.column_stack([np.full(y.size, 10.0), y, z]).astype(np.float32)
    seen = panorama(wall, np.ones(len(wall), dtype=bool))
    assert seen.visible(np.array([[9.0, 0, 0], [10.5, 0, 0]])).all()
    assert not seen.visible(np.array([[20.0, 0, 0], [-9.0, 0, 0], [0.0, 0, 9.0]])).any()
    assert not panorama(wall, np.zeros(len(wall), dtype=bool)).visible(np.array([[9.0, 0, 0]])).any()
    nothing = np.full((3, 3), np.nan, dtype=np.float32)
    assert not panorama(nothing, np.ones(3, dtype=bool)).visible(np.array([[9.0, 0, 0]])).any()


def test_a_lost_car_is_found_beside_its_path():
    ((_, points, _, which),) = world(PARKED, AHEAD, count=1)
    car = points.xyz_lidar_m[which == 0].astype(np.float64)
    free = points.xyz_lidar_m[which >= 0].astype(np.float64)
    far = np.full(len(free), 15.0)
    found, held = best_shift(car - [1.1, 0.6, 0.0], free, far, ClaimConfig())
    assert held == len(car)
    np.testing.assert_allclose(found, [1.1, 0.6, 0.0], atol=1e-4)
    found, held = best_shift(car + np.array([40.0, 0, 0]), free, far, ClaimConfig())
    assert (found == 0).all()
    assert held == 0


@given(st.integers(0, 2**32 - 1))
def test_thinned_points_do_not_depend_on_their_order(seed):
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(-1, 1, (80, 3))
    found = thin(xyz, 0.4)
    assert np.array_equal(found, thin(rng.permutation(xyz), 0.4))
    assert len(found) == len({tuple(v) for v in np.floor(xyz / 0.4)})


def test_gates_follow_the_sizes_of_classes():
    assert GATES.near_m[PEDESTRIAN] < GATES.near_m[CAR]
    assert GATES.fastest_mps[PEDESTRIAN] < 6 < 30 < GATES.fastest_mps[CAR]
    assert not GATES.alike[PEDESTRIAN, CAR]
    assert GATES.alike[CAR, NUSCENES.class_id("truck")]
    unknown = Gates.of(Taxonomy("own", (ClassSpec("robot"), ClassSpec("car"))), LINK, MOTION)
    assert unknown.alike.all()
    assert unknown.fastest_mps[0] == LINK.fastest_mps


def test_frames_know_the_extents_of_their_clusters():
    frame = scene_frames(world(PARKED, WALKER, count=1))[0]
    seen = observations([frame])
    assert sorted(seen.class_id.tolist()) == sorted([CAR, PEDESTRIAN])
    car = seen.class_id.tolist().index(CAR)
    np.testing.assert_allclose(seen.low_m[car], [12.0, 3.0, 0.25], atol=1e-5)
    np.testing.assert_allclose(seen.high_m[car], [16.0, 4.75, 1.5], atol=0.3)
    assert seen.evidence[car] == pytest.approx(0.8 * seen.num_points[car])


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        ("CutConfig", {"jump_m": float("nan")}, "tracks.cut.jump_m"),
        ("LinkConfig", {"longest_gap_s": -1.0}, "tracks.link.longest_gap_s"),
        ("LinkConfig", {"alike": 0.5}, "tracks.link.alike"),
        ("MotionConfig", {"quantile": 1.5}, "tracks.motion.quantile"),
        ("MotionConfig", {"voxel_m": 0.0}, "tracks.motion.voxel_m"),
        ("ClaimConfig", {"taken": -0.1}, "tracks.claim.taken"),
        ("RecoverConfig", {"least_seen": 0}, "tracks.recover.least_seen"),
        ("RecoverConfig", {"least_seen_moving": 0}, "tracks.recover.least_seen_moving"),
        ("RecoverConfig", {"least_part": 2.0}, "tracks.recover.least_part"),
        ("DropConfig", {"unseen": 0}, "tracks.drop.unseen"),
        ("DropConfig", {"sure": 2.0}, "tracks.drop.sure"),
    ],
)
def test_values_out_of_range_are_refused(kind, values, field):
    with pytest.raises(SchemaError, match=field) as error:
        getattr(options, kind)(**values)
    assert error.value.code == "SCH005"
