"""Overlap of rotated boxes is exact: shapely says the same."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")
geometry = pytest.importorskip("shapely.geometry", reason="needs shapely")
affinity = pytest.importorskip("shapely.affinity")

from helpers.plain_boxes import iou_aligned, point_box_pairs  # noqa: E402

from pointsam.detect import boxes as boxes_module  # noqa: E402
from pointsam.detect.boxes import (  # noqa: E402
    beyond_faces,
    corners_bev,
    intersection_bev,
    iou_3d,
    iou_bev,
    nearest_bev,
    points_within,
    toward,
    wrapped,
)
from pointsam.geometry.boxes import box_members  # noqa: E402
from pointsam.types import Boxes  # noqa: E402


def polygon(box):
    x, y, _, length, width, _, yaw = box
    flat = geometry.box(-length / 2, -width / 2, length / 2, width / 2)
    return affinity.translate(affinity.rotate(flat, yaw, origin=(0, 0), use_radians=True), x, y)


def boxes(rng, n, spread=6.0):
    """float32, as a network gives them."""
    place = np.column_stack([rng.uniform(-spread, spread, (n, 2)), rng.uniform(-1, 1, n)])
    size = rng.uniform(0.3, 6.0, (n, 3))
    return torch.from_numpy(np.column_stack([place, size, rng.uniform(-7, 7, n)]).astype(np.float32))


def shared_area(a, b):
    return np.array([polygon(p).intersection(polygon(q)).area for p, q in zip(a.tolist(), b.tolist(), strict=True)])


def test_the_shared_area_of_random_pairs(rng_of):
    a, b = (boxes(rng_of(k), 400, 3.0) for k in (0, 1))
    expected = shared_area(a, b)
    assert (expected > 0).mean() > 0.5
    assert (expected == 0).any()
    assert intersection_bev(a, b).numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("at", [0.0, 80.0])
def test_the_shared_area_of_boxes_that_almost_agree(at, rng_of):
    """Sides that coincide, or almost: the centre, the sizes and the yaw differ by a power of ten or not at all."""
    a = boxes(rng_of(0), 400).double()
    a[:, :2] += at
    rng = rng_of(1)
    b = a + torch.from_numpy(10.0 ** rng.uniform(-16, -2, (400, 7)) * rng.choice([-1, 0, 1], (400, 7)))
    b[:, 6] += torch.from_numpy(rng.choice([0, np.pi / 2, np.pi, -np.pi], 400))
    assert intersection_bev(a, b).numpy() == pytest.approx(shared_area(a, b), abs=1e-6)


UNIT = [0.0, 0.0, 0.0, 4.0, 2.0, 1.0, 0.0]
HOSTILE = {
    "identical": (UNIT, UNIT),
    "a quarter turn": (UNIT, [0, 0, 0, 4, 2, 1, math.pi / 2]),
    "half a turn": (UNIT, [0, 0, 0, 4, 2, 1, math.pi]),
    "touching sides": (UNIT, [4, 0, 0, 4, 2, 1, 0]),
    "touching corners": (UNIT, [4, 2, 0, 4, 2, 1, 0]),
    "a shared side": (UNIT, [1, 0, 0, 4, 2, 1, 0]),
    "inside": (UNIT, [0.2, 0.1, 0, 1, 1, 1, 0.7]),
    "around": ([0, 0, 0, 1, 1, 1, 0.7], UNIT),
    "a cross": (UNIT, [0, 0, 0, 0.1, 20, 1, 0]),
    "a hair": (UNIT, [0, 0, 0, 1e-4, 3, 1, 0.5]),
    "far out": ([9e3, -9e3, 0, 4, 2, 1, 0.3], [9e3 + 1, -9e3 + 0.5, 0, 4, 2, 1, 1.1]),
    "a corner on a side": (UNIT, [2 + math.sqrt(2), 0, 0, 2, 2, 1, math.pi / 4]),
    "apart": (UNIT, [50, 0, 0, 4, 2, 1, 0]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_shared_area_of_hostile_pairs(name):
    a, b = (torch.tensor([box], dtype=torch.float64) for box in HOSTILE[name])
    assert intersection_bev(a, b).numpy() == pytest.approx(shared_area(a, b), abs=1e-6)
    assert intersection_bev(b, a).numpy() == pytest.approx(shared_area(a, b), abs=1e-6)


def test_iou_of_all_pairs(rng_of):
    a, b = boxes(rng_of(2), 40), boxes(rng_of(3), 30)
    polygons = [[polygon(box) for box in some.tolist()] for some in (a, b)]
    expected = [[p.intersection(q).area / p.union(q).area for q in polygons[1]] for p in polygons[0]]
    assert iou_bev(a, b).numpy() == pytest.approx(np.array(expected), abs=1e-5)


def test_iou_in_three_dimensions_counts_the_shared_height():
    a = torch.tensor([UNIT])
    b = torch.tensor([[1.0, 0, 0.5, 4, 2, 1, 0], [0, 0, 1.0, 4, 2, 1, 0], [0, 0, 0, 4, 2, 1, 0]])
    assert iou_3d(a, b)[0].tolist() == pytest.approx([3 * 2 * 0.5 / (8 + 8 - 3), 0.0, 1.0])


def test_no_box_no_overlap():
    none, one = torch.zeros(0, 7), torch.tensor([UNIT])
    for function in (iou_bev, iou_3d):
        assert function(none, one).shape == (0, 1)
        assert function(one, none).shape == (1, 0)
    assert len(point_box_pairs(torch.zeros(5, 3), none)[0]) == 0


def test_corners_run_counter_clockwise():
    x, y = corners_bev(torch.tensor([[1.0, 2, 0, 4, 2, 1, 0.4]]))[0].T
    assert (x * y.roll(-1) - y * x.roll(-1)).sum() / 2 == pytest.approx(8)


@pytest.mark.parametrize(
    ("yaw", "turned"),
    [(0, False), (0.7, False), (0.9, True), (math.pi / 2, True), (3.0, False), (-1.2, True), (4.8, True)],
)
def test_the_nearest_upright_rectangle(yaw, turned):
    rectangle = nearest_bev(torch.tensor([[1.0, 2.0, 0, 4, 2, 1, yaw]]))[0].tolist()
    assert rectangle == pytest.approx([0, 0, 2, 4] if turned else [-1, 1, 3, 3])


def test_upright_rectangles_overlap_as_boxes_without_yaw(rng_of):
    a, b = boxes(rng_of(4), 20), boxes(rng_of(5), 20)
    a[:, 6] = b[:, 6] = 0
    assert iou_aligned(nearest_bev(a), nearest_bev(b)).numpy() == pytest.approx(iou_bev(a, b).numpy(), abs=1e-5)


def test_points_in_boxes_are_those_of_the_evaluation(rng_of):
    some = boxes(rng_of(8), 60).double()
    xyz = rng_of(9).uniform(-7, 7, (3000, 3)) * (1, 1, 0.3)
    c, s, zero, one = np.cos(some[:, 6]), np.sin(some[:, 6]), np.zeros(60), np.ones(60)
    rotation = np.stack([c, -s, zero, s, c, zero, zero, zero, one], axis=1).reshape(-1, 3, 3)
    theirs = Boxes(
        some[:, :3].numpy(), some[:, 3:6].numpy(), rotation, np.zeros(60, dtype=np.uint8), tuple(map(str, range(60)))
    )
    point, box = point_box_pairs(torch.from_numpy(xyz), some)
    expected = box_members(xyz, theirs)
    assert len(point) > 3000  # points in many boxes at once are there many times
    assert np.array_equal(point.numpy(), expected[0])
    assert np.array_equal(box.numpy(), expected[1])


def test_a_distance_beyond_the_faces_is_that_of_an_enlarged_box(rng_of):
    some, xyz = boxes(rng_of(8), 20).double(), torch.from_numpy(rng_of(9).uniform(-7, 7, (400, 3)) * (1, 1, 0.3))
    beyond_m = beyond_faces(xyz, some[:, None])
    for margin_m in (-0.1, 0.0, 0.3):
        large = torch.cat([some[:, :3], some[:, 3:6] + 2 * margin_m, some[:, 6:]], dim=1)
        inside = torch.zeros(20, 400, dtype=torch.bool)
        point, box = point_box_pairs(xyz, large)
        inside[box, point] = True
        assert torch.equal(beyond_m <= margin_m, inside)
        assert 0 < inside.sum() < inside.numel()


@pytest.mark.parametrize("tested", [1 << 24, 700])
def test_points_within_boxes_of_their_sample_and_margins_of_their_own(tested, rng_of, monkeypatch):
    monkeypatch.setattr(boxes_module, "_TESTED", tested)
    some = torch.stack([boxes(rng_of(k), 9) for k in (1, 2)])
    xyz, margin_m = torch.from_numpy(rng_of(3).uniform(-7, 7, (2, 100, 3))).float(), torch.linspace(0.1, 0.9, 9)
    inside, near = points_within(xyz, some, margin_m)
    for k in range(2):
        for n in range(9):
            beyond_m = beyond_faces(xyz[k], some[k, n])
            assert torch.equal(inside[k, :, n], beyond_m <= 0)
            assert torch.equal(near[k, :, n], beyond_m <= margin_m[n])
    assert near.sum() > inside.sum() > 0


def test_the_surface_belongs_to_the_box():
    box = torch.tensor([UNIT])
    xyz = torch.tensor([[2.0, 1.0, 0.5], [2.001, 0, 0], [0, 1.001, 0], [0, 0, 0.501]])
    assert point_box_pairs(xyz, box)[0].tolist() == [0]


@pytest.mark.parametrize(("yaw", "turned"), [(45.1, True), (44.9, False), (134.9, True), (135.1, False), (-45.1, True)])
def test_rectangles_turn_at_half_of_a_right_angle(yaw, turned):
    rectangle = nearest_bev(torch.tensor([[0.0, 0, 0, 4, 2, 1, math.radians(yaw)]]))[0].tolist()
    assert rectangle == pytest.approx([-1, -2, 1, 2] if turned else [-2, -1, 2, 1])


def test_faces_of_a_turned_box():
    box = torch.tensor([[1.0, 2, 3, 4, 2, 1, math.pi / 2]])
    inside = [[1.99, 2, 3], [0.01, 2, 3], [1, 3.99, 3], [1, 0.01, 3], [1, 2, 3.49], [1, 2, 2.51]]
    outside = [[2.01, 2, 3], [-0.01, 2, 3], [1, 4.01, 3], [1, -0.01, 3], [1, 2, 3.51], [1, 2, 2.49]]
    assert point_box_pairs(torch.tensor(inside + outside), box)[0].tolist() == list(range(6))


@pytest.mark.parametrize("yaw", np.linspace(-9, 9, 25))
def test_angles_are_wrapped_into_one_turn(yaw):
    angle = wrapped(torch.tensor([yaw], dtype=torch.float64)).item()
    assert -math.pi < angle <= math.pi
    assert math.isclose(math.cos(angle - yaw), 1)


@pytest.mark.parametrize("turns", [0, 1, -1, 3])
def test_angles_of_single_precision_are_within_half_a_turn(turns):
    """The number of single precision that is nearest to pi is larger than pi."""
    near = torch.tensor(math.pi + turns * 2 * math.pi).view(1)
    for _ in range(4):
        for yaw in (near, -near):
            angle = wrapped(yaw).item()
            assert -math.pi < angle <= math.pi
            assert math.cos(angle - yaw.item()) == pytest.approx(1, abs=1e-6)
        near = torch.nextafter(near, torch.zeros(1))


def test_half_a_turn_is_positive():
    ends = torch.tensor([-math.pi, math.pi], dtype=torch.float64)
    assert wrapped(ends).tolist() == [math.pi] * 2


def test_a_yaw_turns_toward_a_vector(rng_of):
    rng = rng_of(0)
    yaw, vector = torch.from_numpy(rng.uniform(-9, 9, 50)), torch.from_numpy(rng.normal(0, 1, (50, 2)))
    turned = toward(yaw, vector)
    assert (turned.cos() * vector[:, 0] + turned.sin() * vector[:, 1] >= 0).all()
    assert torch.allclose((2 * turned).cos(), (2 * yaw).cos())
    assert torch.allclose((2 * turned).sin(), (2 * yaw).sin())
