"""Ids survive every transform, and what lay in a box lies in it afterwards."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch")

from helpers.detect_samples import in_boxes, owners, sample_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.base.errors import SchemaError
from pointsam.detect.data.augment import AugmentConfig, augmented, cropped, transformed
from pointsam.detect.data.coarse import of_points
from pointsam.detect.data.sample import TrainingSample

SEEDS = st.integers(0, 10_000)
STRONG = AugmentConfig(rotation_rad=np.pi, scale=(0.7, 1.4), shift_m=3.0)


@settings(max_examples=12)
@given(SEEDS)
def test_ids_and_members_of_boxes_survive(seed):
    sample = sample_of(seed % 7)
    after = augmented(sample, STRONG, np.random.default_rng(seed))
    assert owners(after) == owners(sample)
    assert in_boxes(after) == in_boxes(sample)
    assert after.points[:, 3:].tolist() == sample.points[:, 3:].tolist()


@settings(max_examples=12)
@given(SEEDS, st.floats(5, 60))
def test_a_crop_loses_only_what_is_outside(seed, half):
    sample = augmented(sample_of(seed % 7), STRONG, np.random.default_rng(seed))
    after = cropped(sample, (-half, -half, -2.0, half, half, 1.0))
    xyz = sample.points[:, :3]
    inside = ((xyz[:, :2] >= -half) & (xyz[:, :2] < half)).all(axis=1)
    assert after.points.tolist() == sample.points[inside].tolist()
    fits = (np.abs(sample.clusters.center_m[:, :2]) < half).all(axis=1)  # of all points, also those that are cut off
    before, now = owners(sample.keep_clusters(fits)), owners(after)
    assert now == {tag: before[tag] for tag in now}
    assert set(after.clusters.class_id.tolist()) == {owner for owner, _ in now.values()} - {-1}
    assert len(after.boxes) == (np.abs(sample.boxes[:, :2]) < half).all(axis=1).sum()


@settings(max_examples=8)
@given(SEEDS)
def test_clusters_are_measured_from_the_points_they_have(seed):
    after = cropped(augmented(sample_of(seed % 7), STRONG, np.random.default_rng(seed)), (-20, -20, -3, 20, 20, 3))
    c, xyz = after.clusters, after.points[: after.num_key, :3].astype(float)
    for m in range(len(c)):
        own = xyz[c.cluster_id == m]
        assert c.num_points[m] == len(own) > 0
        assert c.center_m[m] == pytest.approx((own.min(axis=0) + own.max(axis=0)) / 2, abs=1e-5)
        assert c.radius_m[m] == pytest.approx(np.linalg.norm(own[:, :2] - c.center_m[m, :2], axis=1).max(), abs=1e-5)


@pytest.mark.parametrize(("mirror", "yaw"), [((1, -1), -0.3), ((-1, 1), np.pi - 0.3), ((-1, -1), 0.3 - np.pi)])
def test_mirrors_turn_headings_and_velocities(mirror, yaw):
    sample = sample_of(1)
    sample.boxes[:, 6] = 0.3
    after = transformed(sample, np.diag([*mirror, 1.0]), np.zeros(3))
    assert after.boxes[:, 6] == pytest.approx(yaw)
    assert after.velocity == pytest.approx(sample.velocity * mirror)
    assert after.boxes[:, :2] == pytest.approx(sample.boxes[:, :2] * mirror)


def test_scale_is_of_sizes_and_velocities_too():
    sample = sample_of(2)
    after = transformed(sample, np.eye(3) * 2, np.array([1.0, 0, 0]))
    assert after.boxes[:, 3:6] == pytest.approx(sample.boxes[:, 3:6] * 2)
    assert after.velocity == pytest.approx(sample.velocity * 2)
    assert after.clusters.radius_m == pytest.approx(sample.clusters.radius_m * 2, rel=1e-5)


def test_equal_seeds_give_equal_samples_and_others_do_not():
    one, again, other = (augmented(sample_of(0), AugmentConfig(), np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(one.points, again.points)
    assert not np.array_equal(one.points, other.points)


def test_a_crop_has_its_lower_faces_and_not_its_upper_ones():
    low, high = np.array([-10.0, -20, -2]), np.array([30.0, 40, 1])
    xyz = np.array([low, high, *(np.where(np.arange(3) == axis, high, low) for axis in range(3)), (29.9, 39.9, 0.9)])
    cloud = np.column_stack([xyz, np.zeros((6, 2))]).astype(np.float32)
    labels = of_points(np.zeros((6, 3)), np.full(6, -1, np.int32), np.zeros(0, np.uint8))
    boxes = np.column_stack([xyz, np.ones((6, 3)), np.zeros(6)])
    after = cropped(TrainingSample("f", cloud, boxes, np.arange(6), np.zeros((6, 2)), labels), (*low, *high))
    assert after.points[:, :3].tolist() == cloud[[0, 4, 5], :3].tolist()  # height is of no matter
    assert after.box_class.tolist() == [0, 4, 5]


def test_draws_fill_the_ranges_of_the_configuration(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "pointsam.detect.data.augment.transformed", lambda sample, linear, shift: seen.append((linear, shift))
    )
    rng, config = np.random.default_rng(0), AugmentConfig(rotation_rad=0.5, scale=(0.8, 1.4), shift_m=2.0)
    for _ in range(2000):
        augmented(None, config, rng)
    linear, shift = (np.array(some) for some in zip(*seen, strict=True))
    scale = linear[:, 2, 2]
    assert (scale.min(), scale.max()) == pytest.approx((0.8, 1.4), abs=0.01)
    plane = linear[:, :2, :2] / scale[:, None, None]
    mirror_x, mirror_y = np.sign(plane[:, 0, 0]), np.sign(plane[:, 1, 1])
    angle = np.arcsin(plane[:, 1, 0] * mirror_x)
    assert (angle.min(), angle.max()) == pytest.approx((-0.5, 0.5), abs=0.01)
    assert plane[:, 0, 1] * mirror_y == pytest.approx(-np.sin(angle))
    assert ((mirror_x < 0).mean(), (mirror_y < 0).mean()) == pytest.approx((0.5, 0.5), abs=0.05)
    assert abs(np.corrcoef(mirror_x, mirror_y)[0, 1]) < 0.1
    assert shift.std(axis=0) == pytest.approx([2.0] * 3, rel=0.08)
    assert abs(shift.mean()) < 0.1


def test_nothing_to_do_changes_nothing():
    still = AugmentConfig(False, False, 0.0, (1.0, 1.0), 0.0)
    sample = sample_of(3)
    after = augmented(sample, still, np.random.default_rng(0))
    assert np.array_equal(after.points, sample.points)
    assert after.boxes[:, :6] == pytest.approx(sample.boxes[:, :6])


@pytest.mark.parametrize("bad", [{"rotation_rad": 4.0}, {"scale": (1.1, 0.9)}, {"shift_m": float("nan")}])
def test_values_out_of_range_are_refused(bad):
    with pytest.raises(SchemaError, match=f"SCH005.*augment\\.{next(iter(bad))}"):
        AugmentConfig(**bad)
