"""Objects from the budget's boxes, put where there is room."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch")

from helpers.detect_samples import in_boxes, owners, sample_of
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity, geometry

from pointsam.detect.data.coarse import of_points
from pointsam.detect.data.paste import PasteBank, PasteConfig, _fitting, _near, pasted
from pointsam.detect.data.sample import oriented
from pointsam.geometry.boxes import box_members

COUNTS = {0: 6, 1: 6, 2: 6}
CONFIG = PasteConfig(min_points=3)
BANK = PasteBank.join(PasteBank.cut(sample_of(seed), 3) for seed in range(20, 26))


def outline(box):
    x, y, _, length, width, _, yaw = box
    flat = geometry.box(-length / 2, -width / 2, length / 2, width / 2)
    return affinity.translate(affinity.rotate(flat, yaw, origin=(0, 0), use_radians=True), x, y)


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_pasted_objects_touch_neither_boxes_nor_clusters_nor_each_other(seed):
    sample = sample_of(seed % 9)
    after = pasted(sample, BANK, COUNTS, CONFIG, np.random.default_rng(seed))
    new = after.boxes[len(sample.boxes) :]
    assert np.array_equal(after.boxes[: len(sample.boxes)], sample.boxes)
    shapes = [outline(box) for box in after.boxes]
    c = sample.clusters
    for k in range(len(sample.boxes), len(shapes)):
        assert all(shapes[k].intersection(shapes[j]).area < 1e-9 for j in range(len(shapes)) if j != k)
        for m in range(len(c)):
            distance = shapes[k].distance(geometry.Point(c.center_m[m, :2]))
            assert distance >= c.radius_m[m] + CONFIG.margin_m - 1e-9
    assert len(new) > 0


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_ids_survive_and_pasted_points_are_of_no_cluster(seed):
    sample = sample_of(seed % 9)
    after = pasted(sample, replace(BANK, points=marked(BANK.points)), COUNTS, CONFIG, np.random.default_rng(seed))
    now, before = owners(after), owners(sample)
    assert {tag: owner for tag, owner in now.items() if tag < 0.6} == {t: o for t, o in before.items() if t in now}
    assert all(owner == (-1, False) for tag, owner in now.items() if tag > 0.6)
    held = in_boxes(after)[len(sample.boxes) :]
    assert all(tag > 0.6 for tags in held for tag in tags)  # what was there before is gone
    assert all(len(tags) >= CONFIG.min_points for tags in held)
    assert (after.points[: after.num_key, 4] == 0).all()


def marked(points):
    """Intensities above those of any sample, each its own."""
    marked = points.copy()
    marked[:, 3] = np.linspace(0.7, 1, len(points))
    return marked


def test_a_sample_is_filled_up_to_the_counts():
    sample = sample_of(0)
    full = {k: int((sample.box_class == k).sum()) for k in range(3)}
    assert pasted(sample, BANK, full, CONFIG, np.random.default_rng(0)) is sample
    more = pasted(sample, BANK, full, replace(CONFIG, whole_scene=False), np.random.default_rng(0))
    assert len(more.boxes) > len(sample.boxes)


def test_the_bank_holds_each_object_with_all_its_points():
    sample = sample_of(4)
    bank = PasteBank.cut(sample, 1)
    for k, tags in enumerate(in_boxes(sample)):
        own = bank.points[bank.start[k] : bank.start[k + 1]]
        assert set(own[:, 3].tolist()) == tags
        assert (own[: bank.num_key[k], 4] == 0).all()
    assert len(PasteBank.cut(sample, 1000)) == 0


def test_an_empty_bank_pastes_nothing():
    sample = sample_of(5)
    assert pasted(sample, PasteBank.join([]), COUNTS, CONFIG, np.random.default_rng(0)) is sample


def test_a_bank_comes_back_as_it_went_and_a_damaged_one_not_at_all(tmp_path):
    path = tmp_path / "paste.npz"
    assert PasteBank.load(path) is None
    BANK.save(path)
    back = PasteBank.load(path)
    for name in ("boxes", "box_class", "velocity", "points", "start", "num_key"):
        assert np.array_equal(getattr(back, name), getattr(BANK, name))
    whole = path.read_bytes()
    method = whole.index(b"PK\x01\x02") + 10
    for damaged in (whole[:-200], b"", whole[:method] + b"\x63" + whole[method + 1 :]):
        path.write_bytes(damaged)
        assert PasteBank.load(path) is None


def test_a_joined_bank_holds_the_objects_of_each():
    parts = [PasteBank.cut(sample_of(seed), 3) for seed in range(3)]
    bank = PasteBank.join(parts)
    own = [part.points[part.start[k] : part.start[k + 1]] for part in parts for k in range(len(part))]
    assert len(bank) == len(own)
    for k, points in enumerate(own):
        assert np.array_equal(bank.points[bank.start[k] : bank.start[k + 1]], points)


def object_at(x, y, yaw=0.0, points=3, past=1, class_id=0):
    """A bank of one car of 4 x 2 m with points in its middle."""
    values = np.zeros((points + past, 5), dtype=np.float32)
    values[:, :2], values[points:, 4] = (x, y), 0.1
    box = np.array([[x, y, 0, 4, 2, 2, yaw]], dtype=float)
    start, count = np.array([0, points + past]), np.array([points])
    return PasteBank(box, np.array([class_id]), np.array([[7.0, 8.0]]), values, start, count)


def empty_sample(radius=None, at=(0.0, 0.0)):
    """No box, and one cluster of a given radius."""
    sample = sample_of(0, boxes=0, clusters=0, background=0, past=0)
    if radius is None:
        return sample
    xyz = np.array([[at[0] - radius, at[1], 0], [at[0] + radius, at[1], 0]])
    cloud = np.column_stack([xyz, np.zeros((2, 2))]).astype(np.float32)
    return replace(sample, points=cloud, clusters=of_points(xyz, np.zeros(2, np.int32), np.zeros(1, np.uint8)))


@pytest.mark.parametrize(
    ("place", "yaw", "fits"),
    [
        ((3.26, 0), 0, True),  # half a length, a radius of 1 m and a margin of 0.25 m
        ((3.24, 0), 0, False),
        ((0, -2.26), 0, True),
        ((0, -2.24), 0, False),
        ((2.26, 0), np.pi / 2, True),
        ((0, 3.24), np.pi / 2, False),
        ((2 + 0.89, 1 + 0.89), 0, True),  # past the corner
        ((2 + 0.87, 1 + 0.87), 0, False),
    ],
)
def test_the_margin_of_a_cluster_is_kept_clear(place, yaw, fits):
    sample = empty_sample(radius=1.0)
    after = pasted(sample, object_at(*place, yaw), {0: 1}, PasteConfig(), np.random.default_rng(0))
    assert len(after.boxes) == fits


def plainly_fitting(sample, bank, drawn):
    """The published rule, class by class, away from clusters: of two of a class that meet, both go."""
    there, kept = [outline(box) for box in sample.boxes], []
    for class_id in sorted(set(bank.box_class[drawn].tolist())):
        own = [k for k in drawn if bank.box_class[k] == class_id]
        shapes = {k: outline(bank.boxes[k]) for k in own}
        free = [
            k
            for k in own
            if not any(shapes[k].intersection(other).area > 1e-9 for other in there)
            and not any(shapes[k].intersection(shapes[j]).area > 1e-9 for j in own if j != k)
        ]
        kept += free
        there += [shapes[k] for k in free]
    return sorted(kept)


@pytest.mark.parametrize("seed", range(6))
def test_of_two_objects_of_a_class_that_meet_neither_stays(seed, rng_of):
    rng = rng_of(seed)
    places = rng.uniform(-12, 12, (40, 2))
    bank = PasteBank.join(object_at(x, y, yaw=rng.uniform(0, 3), class_id=int(rng.integers(0, 3))) for x, y in places)
    sample = replace(empty_sample(), boxes=bank.boxes[:3], box_class=np.zeros(3), velocity=np.zeros((3, 2)))
    drawn = np.arange(40)
    config = PasteConfig(of_two="neither")
    kept = _fitting(sample, bank, drawn, config).tolist()
    first = _fitting(sample, bank, drawn, replace(config, of_two="first")).tolist()
    assert kept == plainly_fitting(sample, bank, drawn)
    assert 0 < len(kept) < len(first)


def test_pasted_objects_stand_on_the_road_with_their_points():
    bank = PasteBank.join([object_at(0, 0, points=3, past=2), object_at(20, 0, points=4)])
    sample = empty_sample(1.0, (50, 0))
    roads = [None, lambda xyz: 0.1 * xyz[:, 0] - 1]
    flat, raised = (pasted(sample, bank, {0: 2}, CONFIG, np.random.default_rng(0), road) for road in roads)
    lift = 0.1 * flat.boxes[:, 0] - 1 - (flat.boxes[:, 2] - 1)
    assert np.delete(raised.boxes, 2, axis=1).tolist() == np.delete(flat.boxes, 2, axis=1).tolist()
    assert raised.boxes[:, 2] - raised.boxes[:, 5] / 2 == pytest.approx(0.1 * raised.boxes[:, 0] - 1)
    by_object = dict(zip(flat.boxes[:, 0].tolist(), lift.tolist(), strict=True))
    moved = raised.points[2:, 2] - flat.points[2:, 2]
    assert moved == pytest.approx([by_object[x] for x in flat.points[2:, 0].tolist()])
    assert bank.points[:, 2].tolist() == [0.0] * len(bank.points)


@pytest.mark.parametrize(("x", "fits"), [(4.01, True), (3.99, False)])
def test_of_two_objects_that_meet_the_first_drawn_stays(x, fits):
    bank = PasteBank.join([object_at(0, 0), object_at(x, 0)])
    after = pasted(empty_sample(), bank, {0: 2}, PasteConfig(), np.random.default_rng(0))
    assert len(after.boxes) == 1 + fits


def test_a_pasted_object_brings_all_it_has_and_points_of_the_key_sweep_come_first():
    bank = PasteBank.join([object_at(0, 0, class_id=2), object_at(20, 0, points=2, past=3)])
    after = pasted(empty_sample(1.0, (50, 0)), bank, {0: 1, 2: 1}, PasteConfig(), np.random.default_rng(0))
    assert after.points[:, 0].tolist() == [49, 51, 20, 20, 0, 0, 0, 20, 20, 20, 0]
    assert (after.points[:, 4] > 0).tolist() == [False] * 7 + [True] * 4
    assert after.num_key == 7
    assert after.box_class.tolist() == [0, 2]
    assert after.velocity.tolist() == [[7, 8]] * 2
    assert after.clusters.cluster_id.tolist() == [0, 0] + [-1] * 5


@pytest.mark.parametrize(
    ("count", "there", "whole_scene", "pasted_"), [(3, 1, True, 2), (3, 1, False, 3), (1, 2, True, 0)]
)
def test_as_many_are_drawn_as_a_class_lacks(count, there, whole_scene, pasted_):
    sample = empty_sample()
    own = np.concatenate([object_at(100 + 10 * k, 0).boxes for k in range(there)])
    sample = replace(sample, boxes=own, box_class=np.zeros(there, dtype=np.int64), velocity=np.zeros((there, 2)))
    bank = PasteBank.join([object_at(10 * k, 0) for k in range(5)] + [object_at(0, 50, class_id=1)])
    after = pasted(sample, bank, {0: count}, PasteConfig(whole_scene=whole_scene), np.random.default_rng(0))
    assert len(after.boxes) - there == pasted_
    assert (after.box_class == 0).all()


@pytest.mark.parametrize(("least", "kept"), [(3, 1), (4, 0)])
def test_points_of_past_sweeps_do_not_make_an_object_worth_pasting(least, kept):
    sample = pasted(empty_sample(), object_at(0, 0, points=3, past=5), {0: 1}, PasteConfig(), np.random.default_rng(0))
    assert len(PasteBank.cut(sample, least)) == kept


@pytest.mark.parametrize("seed", range(4))
def test_points_near_boxes_are_a_superset_of_those_inside(seed):
    sample = sample_of(seed, boxes=12, background=4000)
    near = _near(sample.points, sample.boxes)
    inside = np.unique(box_members(sample.points[:, :3], oriented(sample.boxes))[0])
    assert set(inside) <= set(near)
    assert 0 < len(inside) < len(near) < len(sample.points) / 2
