"""Candidates, crops and the rules that decide about detections."""

import numpy as np
import pytest
from helpers.track_worlds import CAR, PEDESTRIAN, Thing, world

from pointsam.base.errors import SchemaError
from pointsam.geometry.extent import extents_m
from pointsam.stages.looks.agree import ImagePoints, agreeing, fits_size, fresh
from pointsam.stages.looks.candidates import candidates, size_fit
from pointsam.stages.looks.config import ComponentsConfig, ExpectedConfig, LooksConfig
from pointsam.stages.looks.crops import look_at, mapped_back, window
from pointsam.stages.looks.expected import expected
from pointsam.stages.looks.standing import Cloud
from pointsam.stages.tracks.config import all_rules
from pointsam.stages.tracks.scene import scene_frame
from pointsam.stages.tracks.tracks import track_scene
from pointsam.taxonomy import NUSCENES
from pointsam.types import Detections

RULES = ComponentsConfig(enabled=True)


def one_frame(*things, **options):
    (frame, points, found, which), *_ = world(*things, count=1, **options)
    return Cloud.of(frame, points, found), which


def things_of(found, which):
    """The things of candidates in their order, without the wall."""
    own = [np.unique(which[one.members]).tolist() for one in found]
    return [things for things in own if things != [-1]]


def slow_candidates(cloud, taken, rules):
    """Components by a plain flood fill over all pairs, then the rules one by one."""
    ids = [
        k
        for k in range(len(cloud.xyz_lidar_m))
        if rules.clearance_m <= cloud.height_m[k] <= rules.highest_m and cloud.range_m[k] > 2.5
    ]
    place = np.column_stack([cloud.level_m[:, :2], rules.vertical * cloud.height_m])
    reach = np.maximum(rules.floor_m, rules.range_coef * cloud.range_m)
    left, out = set(ids), []
    while left:
        part, queue = [], [left.pop()]
        while queue:
            one = queue.pop()
            part.append(one)
            rest = np.array(sorted(left), dtype=int)
            apart = np.linalg.norm(place[rest] - place[one], axis=1)
            near = rest[apart < np.maximum(reach[rest], reach[one])].tolist()
            left.difference_update(near)
            queue += near
        explained = sum(bool(cloud.held[k] or taken[k]) for k in part)
        high = max(cloud.height_m[k] for k in part)
        if len(part) < rules.least_points or high < rules.least_height_m or explained > rules.explained * len(part):
            continue
        long, short = extents_m(cloud.level_m[sorted(part), :2])
        sizes = [spec.typical_lwh_m for spec in NUSCENES.classes if spec.typical_lwh_m]
        f = rules.largest
        if any(long <= f * max(s[:2]) and short <= f * min(s[:2]) and high <= f * s[2] for s in sizes):
            out.append(sorted(part))
    return sorted(out)


def test_candidates_are_those_of_the_slow_twin():
    things = [
        Thing((8.0, 2.0), missed=(0,)),
        Thing((15.0, -4.0), size_m=(0.7, 0.6, 1.7), class_id=PEDESTRIAN, missed=(0,)),
        Thing((20.0, 3.0)),
        Thing((6.0, -6.0), size_m=(0.4, 0.4, 0.4), missed=(0,)),
    ]
    cloud, which = one_frame(*things)
    taken = np.zeros(len(which), dtype=bool)
    found = candidates(cloud, taken, NUSCENES, RULES)
    assert sorted(one.members.tolist() for one in found) == slow_candidates(cloud, taken, RULES)
    # The third thing has a label, and the last one is too low; the rest are columns of the wall.
    assert things_of(found, which) == [[0], [1]]
    taken[which == 1] = True
    assert things_of(candidates(cloud, taken, NUSCENES, RULES), which) == [[0]]


def test_candidates_do_not_depend_on_the_order_of_the_points(rng_of):
    things = [Thing((8.0, 2.0), missed=(0,)), Thing((20.0, 3.0), missed=(0,))]
    sets = []
    for shuffle in (None, rng_of(1)):
        cloud, _ = one_frame(*things, shuffle=shuffle)
        found = candidates(cloud, np.zeros(len(cloud.held), dtype=bool), NUSCENES, RULES)
        sets.append([sorted(map(tuple, cloud.xyz_lidar_m[one.members].tolist())) for one in found])
    assert sets[0] == sets[1]


def test_a_component_fits_better_the_more_it_shows():
    def points(length, width):
        return np.array([[x, y] for x in (0.0, length) for y in (0.0, width)])

    whole, part = size_fit(points(4.6, 1.9), 1.7, NUSCENES, 1.3), size_fit(points(0.3, 0.3), 0.6, NUSCENES, 1.3)
    assert whole > 0.9 > part > 0
    assert size_fit(points(40.0, 1.0), 1.7, NUSCENES, 1.3) == 0


@pytest.mark.parametrize(
    ("box", "wanted"),
    [
        ([100, 100, 140, 120], (70, 60, 170, 160)),
        ([0, 0, 10, 10], (0, 0, 64, 64)),
        ([390, 190, 400, 200], (336, 136, 400, 200)),
        ([0, 90, 400, 110], (0, 0, 400, 200)),
    ],
)
def test_a_crop_is_a_square_with_context_in_the_image(box, wanted):
    assert window(np.array(box), 400, 200, 0.4, 64) == wanted


def detections(boxes, classes=None, scores=None):
    n = len(boxes)
    return Detections(
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.full(n, CAR, np.uint8) if classes is None else np.array(classes, np.uint8),
        np.full(n, 0.9, np.float32) if scores is None else np.array(scores, np.float32),
    )


class Finder:
    """Finds the bright rectangle of an image."""

    def __init__(self):
        self.shown = []

    def detect(self, image, _frame, _view):
        self.shown.append(image.shape[:2])
        v, u = np.nonzero(image[..., 0] > 127)
        return detections([[u.min(), v.min(), u.max() + 1, v.max() + 1]] if len(u) else [])


@pytest.mark.parametrize("largest", [400, 100])
def test_boxes_of_a_crop_are_mapped_back(largest):
    image = np.zeros((300, 500, 3), dtype=np.uint8)
    image[120:160, 200:280] = 255
    finder = Finder()
    found = look_at(image, (140, 40, 340, 240), finder, None, None, largest)
    assert finder.shown == [(min(largest, 200),) * 2]
    np.testing.assert_allclose(found.box_xyxy_px, [[200, 120, 280, 160]])


def test_a_box_that_the_border_of_the_crop_cuts_is_lost_but_not_at_the_border_of_the_image():
    where = (100, 0, 200, 100)
    cut, whole = [0.5, 20, 50, 60], [20, 0, 60, 40]
    found = mapped_back(detections([cut, whole]), where, (100, 100), (300, 400))
    np.testing.assert_allclose(found.box_xyxy_px, [[120, 0, 160, 40]])


def place_of(uv, depth, size=(400, 200), focal=(200.0, 200.0)):
    uv = np.array(uv, dtype=np.float64)
    return ImagePoints(uv, uv, np.array(depth, dtype=np.float64), np.ones(len(uv), dtype=bool), size, focal)


CAR_UV = [[u, v] for u in np.linspace(100, 180, 9) for v in (100, 115, 128)]
CAR_BOX = [98, 98, 182, 132]


def judged(boxes, extra=(), extra_depth=(), held=(), depth=10.0, **options):
    """What `agreeing` says of a car 10 m away, 4 m wide and 1.6 m high, with other points in its box."""
    place = place_of([*CAR_UV, *extra], [depth] * len(CAR_UV) + list(extra_depth))
    members, every = np.arange(len(CAR_UV)), np.arange(len(CAR_UV) + len(extra))
    is_held = np.isin(every, held)
    return agreeing(detections(boxes, **options), members, every, is_held, place, NUSCENES, LooksConfig())


def test_a_detection_agrees_with_the_component_in_its_box():
    assert judged([CAR_BOX]) == 0
    assert judged([[200, 98, 284, 132], CAR_BOX]) == 1  # beside it
    assert judged([[20, 20, 380, 180]]) == -1  # around much more
    assert judged([CAR_BOX], scores=[0.2]) == -1
    assert judged([CAR_BOX, CAR_BOX], scores=[0.5, 0.8]) == 1


def test_a_detection_must_be_at_the_depth_of_the_component():
    many = [[u, v] for u in np.linspace(100, 180, 20) for v in (105, 120)]
    assert judged([CAR_BOX], many, [10.5] * 40) == 0
    assert judged([CAR_BOX], many, [25.0] * 40) == -1


def test_a_part_of_an_object_that_has_a_cluster_is_none():
    many = [[u, v] for u in np.linspace(100, 180, 20) for v in (105, 120)]
    assert judged([CAR_BOX], many, [10.5] * 40, held=range(27, 67)) == -1
    assert judged([CAR_BOX], many[:8], [25.0] * 8, held=range(27, 35)) == 0  # clusters behind it do not count


def test_a_detection_has_the_metric_size_of_its_class():
    assert judged([CAR_BOX], depth=40.0) == -1  # 16 m wide
    assert judged([CAR_BOX], classes=[PEDESTRIAN]) == -1  # 4 m wide
    far = place_of(CAR_UV, [10.0] * len(CAR_UV))
    car = NUSCENES.classes[CAR].typical_lwh_m
    assert not fits_size(np.array([100, 100, 104, 104]), 10.0, car, far, RULES)
    assert fits_size(np.array([0, 100, 4, 130]), 10.0, car, far, RULES)  # the border of the image may cut it
    assert fits_size(np.array([0, 0, 400, 200]), 10.0, None, far, RULES)


def test_duplicates():
    rules = LooksConfig()
    looks = detections(
        [[10, 10, 50, 40], [12, 10, 50, 40], [100, 10, 140, 40], [15, 12, 25, 38]], scores=[0.5, 0.7, 0.6, 0.9]
    )
    none = detections([])
    assert fresh(looks, none, NUSCENES, rules).tolist() == [3, 2]  # the wide ones contain the best one
    assert fresh(looks, detections([[99, 10, 141, 40]]), NUSCENES, rules).tolist() == [3]
    # A smaller object within the box of a known one may be behind it.
    assert fresh(looks, detections([[90, 0, 200, 60]]), NUSCENES, rules).tolist() == [3, 2]
    other = detections([[10, 10, 50, 40], [15, 12, 25, 38]], classes=[CAR, PEDESTRIAN])
    assert sorted(fresh(other, none, NUSCENES, rules).tolist()) == [0, 1]


def test_tracks_expect_what_a_frame_misses():
    things = [
        Thing((12.0, 3.0), (6.0, 0.0), missed=(4,)),
        Thing((25.0, -4.0), missed=(4,)),
        Thing((18.0, -8.0), absent=(4,)),
    ]
    drive = world(*things, count=8)
    rules = all_rules()
    tracks = track_scene([scene_frame(*one[:3]) for one in drive], NUSCENES, rules)
    for k, (frame, points, found, which) in enumerate(drive):
        asked = expected(Cloud.of(frame, points, found), tracks, k, NUSCENES, ExpectedConfig(True), rules)
        assert [np.unique(which[one.members]).tolist() for one in asked] == ([[0], [1]] if k == 4 else [])
        for one in asked:
            assert one.class_id == CAR
            assert len(one.members) > 0.5 * np.count_nonzero(which == which[one.members[0]])


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (ComponentsConfig, "fill", 0.0),
        (ComponentsConfig, "least_points", 0),
        (ComponentsConfig, "smallest_px", 8),
        (ComponentsConfig, "largest_px", 32),
        (ComponentsConfig, "depth", 1.5),
        (ExpectedConfig, "seen", float("nan")),
        (ExpectedConfig, "least_points", 0),
        (LooksConfig, "most_crops", -1),
        (LooksConfig, "taken", 2.0),
    ],
)
def test_values_out_of_range_are_refused(kind, field, value):
    with pytest.raises(SchemaError, match=field):
        kind(**{field: value})
