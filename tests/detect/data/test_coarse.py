"""Clusters: a class, a middle, a radius, and which points are whose."""

from dataclasses import replace

import numpy as np
import pytest

from pointsam.base.errors import SchemaError
from pointsam.detect.data.coarse import (
    CoarseConfig,
    CoarseLabels,
    from_tables,
    height_m,
    of_points,
    without_boxed,
)
from pointsam.detect.data.simulated import simulated_from_boxes
from pointsam.geometry.height import above_lowest_m
from pointsam.types import NO_INSTANCE, Boxes, Cluster, FrameLabels, FrameRow, PointLabels


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def boxes_at(*centers, size=(4.0, 2.0, 1.6), yaw=0.3, class_id=0):
    m, (c, s) = len(centers), (np.cos(yaw), np.sin(yaw))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return Boxes(
        np.array(centers, dtype=float).reshape(m, 3),
        np.tile(np.array(size), (m, 1)),
        np.tile(turn, (m, 1, 1)),
        np.full(m, class_id, dtype=np.uint8),
        tuple(f"t{k}" for k in range(m)),
    )


def test_the_centre_is_the_middle_of_the_extent_and_not_the_mean(rng):
    xyz = rng.normal(0, 3, (500, 3))
    ids = rng.integers(-1, 6, 500).astype(np.int32)
    coarse = of_points(xyz, ids, np.arange(6, dtype=np.uint8))
    for k in range(6):
        mine = xyz[ids == k]
        middle = (mine.min(axis=0) + mine.max(axis=0)) / 2
        assert coarse.center_m[k] == pytest.approx(middle)
        assert coarse.radius_m[k] == pytest.approx(max(np.hypot(*(p - middle)[:2]) for p in mine))
        assert coarse.num_points[k] == len(mine)
    assert np.array_equal(coarse.cluster_id, ids)


def test_clusters_without_a_point_vanish_and_the_others_close_ranks():
    ids = np.array([3, 3, NO_INSTANCE, 1], dtype=np.int32)
    coarse = of_points(np.zeros((4, 3)), ids, np.array([9, 8, 7, 6], dtype=np.uint8))
    assert coarse.cluster_id.tolist() == [1, 1, NO_INSTANCE, 0]
    assert coarse.class_id.tolist() == [8, 6]


def test_an_id_beyond_the_clusters_is_refused():
    """Where labels come from: the tables."""
    ids = np.array([0, 1], dtype=np.int32)
    zero = np.zeros(2, dtype=np.uint8)
    row = FrameRow("f", "scene", 1, 2, 0, "ok")
    with pytest.raises(SchemaError, match=r"SCH003.*frame f: cluster ids"):
        FrameLabels(row, PointLabels(ids, zero), zero, zero, zero > 0, ())


def test_a_simulated_cluster_holds_the_points_of_its_box_enlarged_by_up_to_a_tenth(rng):
    boxes = boxes_at((0, 0, 0), (3.0, 1.5, 0))
    xyz = rng.uniform(-6, 6, (20_000, 3)) * (1, 1, 0.3)
    coarse = simulated_from_boxes(xyz, boxes, CoarseConfig("simulated"), rng)
    local = [(xyz - boxes.center_m[k]) @ boxes.rotation[k] / boxes.size_lwh_m[k] for k in (0, 1)]
    inside, outside = ([(np.abs(x) <= 0.5 * f).all(axis=1) for x in local] for f in (1.0, 1.1))
    assert (coarse.cluster_id[inside[0]] == 0).all()  # of several boxes the first has the point
    assert (coarse.cluster_id[inside[1] & ~outside[0]] == 1).all()
    assert (coarse.cluster_id[~outside[0] & ~outside[1]] == NO_INSTANCE).all()
    assert (coarse.cluster_id[~inside[0] & ~inside[1]] != NO_INSTANCE).any()


def test_three_exact_clicks_are_the_box_from_above_and_noisy_ones_are_near_it(rng):
    boxes = boxes_at((1.0, 2.0, 0.0))
    xyz = rng.uniform(-5, 5, (20_000, 3)) * (1, 1, 0.3)
    exact = simulated_from_boxes(xyz, boxes, CoarseConfig("clicks", click_noise_m=0.0), rng)
    truth = simulated_from_boxes(xyz, boxes, CoarseConfig("simulated", enlarge=(1.0, 1.0)), rng)
    assert np.array_equal(exact.cluster_id, truth.cluster_id)
    noisy = simulated_from_boxes(xyz, boxes, CoarseConfig("clicks", click_noise_m=0.15), rng)
    both, either = (
        ((noisy.cluster_id == 0) & (truth.cluster_id == 0)),
        (noisy.cluster_id == 0) | (truth.cluster_id == 0),
    )
    assert 0.6 < both.sum() / either.sum() < 1


def test_a_centre_has_a_place_and_no_points(rng):
    boxes = boxes_at((1.0, 2.0, 0.5), (20.0, 0, 0))
    coarse = simulated_from_boxes(np.zeros((5, 3)), boxes, CoarseConfig("centers", center_noise_m=0.1), rng)
    assert np.abs(coarse.center_m - boxes.center_m).max() < 0.6
    assert coarse.num_points.tolist() == [0, 0]
    assert (coarse.cluster_id == NO_INSTANCE).all()


@pytest.mark.parametrize("kind", ["simulated", "clicks", "centers"])
def test_no_box_gives_no_cluster(kind, rng):
    assert len(simulated_from_boxes(np.ones((7, 3)), boxes_at(), CoarseConfig(kind), rng)) == 0


def tables(confidence=(0.9, 0.2), probability=(0.8, 0.3)):
    """Six points: two clusters of two, one point that no camera sees, one that a mask covers but no cluster has."""
    ids = np.array([0, 0, 1, 1, -1, -1], dtype=np.int32)
    labels = PointLabels(ids, np.array([4, 4, 7, 7, 255, 255], dtype=np.uint8))
    clusters = tuple(
        Cluster(k, c, "x", 2, (0, 0, 0), (0, 0, 0), 0.0, 0.0, confidence=p, probability=q)
        for k, (c, p, q) in enumerate(zip((4, 7), confidence, probability, strict=True))
    )
    views, covered = (np.array(v, dtype=np.uint8) for v in ((1, 1, 2, 1, 0, 1), (1, 1, 1, 1, 0, 1)))
    return FrameLabels(FrameRow("f", "s", 0, 6, 2), labels, views, covered, covered > 9, clusters)


XYZ = np.arange(18.0).reshape(6, 3) * (1, 1, 0.25)


def test_tables_give_their_clusters_and_what_nobody_can_know():
    coarse = from_tables(tables(), XYZ, CoarseConfig())
    assert coarse.cluster_id.tolist() == [0, 0, 1, 1, -1, -1]
    assert coarse.class_id.tolist() == [4, 7]
    assert coarse.unknown.tolist() == [False] * 4 + [True, True]


@pytest.mark.parametrize(("off", "unknown"), [("unknown_unseen", [5]), ("unknown_dropped", [4])])
def test_each_kind_of_the_unknown_can_be_left_out(off, unknown):
    coarse = from_tables(tables(), XYZ, CoarseConfig(**{off: False}))
    assert np.flatnonzero(coarse.unknown).tolist() == unknown


def with_growth():
    """The tables with a third point of the first cluster, which no mask covers and growth added, near the sensor."""
    found = tables()
    ids, classes = (values.copy() for values in (found.labels.instance_id, found.labels.class_id))
    ids[4], classes[4] = 0, 4
    clusters = (replace(found.clusters[0], num_points=3, num_points_grown=1), found.clusters[1])
    return replace(found, labels=PointLabels(ids, classes), grown=np.arange(6) == 4, clusters=clusters)


GROWN_XYZ = np.where(np.arange(6)[:, None] == 4, [1.0, 0.5, 0.0], XYZ)


def test_a_cluster_has_its_grown_points():
    coarse = from_tables(with_growth(), GROWN_XYZ, CoarseConfig())
    assert coarse.cluster_id.tolist() == [0, 0, 1, 1, 0, -1]
    assert coarse.num_points.tolist() == [3, 2]
    assert np.flatnonzero(coarse.unknown).tolist() == [5]
    of_cluster = GROWN_XYZ[[0, 1, 4]]
    assert coarse.center_m[0] == pytest.approx((of_cluster.max(axis=0) + of_cluster.min(axis=0)) / 2)


def test_without_its_grown_points_a_cluster_is_as_before_and_they_are_no_background():
    """Even close to the sensor and on the ground, where other points are never unknown."""
    coarse = from_tables(with_growth(), GROWN_XYZ, CoarseConfig(grown=False))
    before = from_tables(tables(), XYZ, CoarseConfig())
    assert coarse.cluster_id.tolist() == before.cluster_id.tolist()
    for name in CoarseLabels.BY_CLUSTER:
        assert np.array_equal(getattr(coarse, name), getattr(before, name)), name
    assert np.flatnonzero(coarse.unknown).tolist() == [4, 5]
    few = from_tables(with_growth(), GROWN_XYZ, CoarseConfig(grown=False, min_points=3))
    assert len(few) == 0
    assert np.flatnonzero(few.unknown).tolist() == [0, 1, 2, 3, 4, 5]


def test_the_vehicle_itself_is_background_though_no_camera_sees_it():
    near = np.where(np.arange(6)[:, None] == 4, [2.4, 0.3, 3.0], XYZ)
    assert np.flatnonzero(from_tables(tables(), near, CoarseConfig()).unknown).tolist() == [5]
    assert np.flatnonzero(from_tables(tables(), near, CoarseConfig(own_m=2.4)).unknown).tolist() == [4, 5]


def test_ground_is_background_though_no_camera_sees_it(rng):
    xyz = np.column_stack([rng.uniform(-30, 30, (6, 2)) + 60, rng.uniform(0, 0.2, 6)])
    xyz[5, 2] = 1.0  # what refinement took away stands above the ground
    xyz[5, :2] = xyz[0, :2] + 4
    assert np.flatnonzero(from_tables(tables(), xyz, CoarseConfig()).unknown).tolist() == [5]
    assert np.flatnonzero(from_tables(tables(), xyz, CoarseConfig(ground_m=0.0)).unknown).tolist() == [4, 5]


def test_what_is_higher_than_any_object_is_background_though_no_camera_sees_it():
    high = np.where(np.arange(6)[:, None] == 4, XYZ[3] + (1, 1, 4.6), XYZ)
    assert np.flatnonzero(from_tables(tables(), high, CoarseConfig()).unknown).tolist() == [5]
    assert np.flatnonzero(from_tables(tables(), high, CoarseConfig(tallest_m=9.0)).unknown).tolist() == [4, 5]


def test_height_is_that_above_the_lowest_point_around(rng):
    xyz = np.column_stack([rng.uniform(-60, 60, (4000, 2)), rng.normal(0, 1, 4000)])
    height = height_m(xyz, above_lowest_m(xyz, 1.6))
    for k in range(0, 4000, 7):
        bin_m = 1.6 if np.hypot(*xyz[k, :2]) < 12 else 6.4
        apart = np.abs(xyz[:, :2] - xyz[k, :2]).max(axis=1)
        least, most = (xyz[k, 2] - xyz[apart < reach, 2].min() for reach in (bin_m, 2 * bin_m))
        assert least <= height[k] <= most
    far = np.array([[1e7, -1e7, 0.0], [1e7, -1e7, 2.0]])
    assert height_m(far, above_lowest_m(far, 1.6)).tolist() == [0.0, 2.0]


def test_a_road_that_climbs_has_no_height_near_the_sensor():
    x, y = np.meshgrid(np.arange(-8, 8, 0.4), np.arange(-8, 8, 0.4))
    road = np.column_stack([x.ravel(), y.ravel(), 0.08 * x.ravel()])
    assert height_m(road, above_lowest_m(road, 1.6)).max() < 0.3


def test_a_doubtful_cluster_is_no_cluster_and_no_background_either():
    coarse = from_tables(tables(), XYZ, CoarseConfig(min_probability=0.5))
    assert coarse.cluster_id.tolist() == [0, 0, -1, -1, -1, -1]
    assert np.flatnonzero(coarse.unknown).tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize(("min_points", "clusters"), [(2, 2), (3, 0)])
def test_so_is_a_cluster_of_few_points(min_points, clusters):
    coarse = from_tables(tables(), XYZ, CoarseConfig(min_points=min_points))
    assert len(coarse) == clusters
    assert coarse.unknown[:4].tolist() == [clusters == 0] * 4


@pytest.mark.parametrize(
    ("field", "value", "unknown"),
    [("own_m", 5.0, True), ("own_m", 5.01, False), ("ground_m", 0.5, True), ("ground_m", 0.51, False),
     ("tallest_m", 0.5, True), ("tallest_m", 0.49, False)],
)  # fmt: skip
def test_what_is_unknown_lies_between_the_limits(field, value, unknown):
    """The point that no camera sees is 5 m away, half a metre above another."""
    xyz = np.where(np.arange(6)[:, None] == 4, [3.0, 4.0, 0.5], [3.0, 4.1, 0.0])
    coarse = from_tables(tables(), xyz, CoarseConfig(**{field: value}))
    assert coarse.unknown[4] == unknown


@pytest.mark.parametrize(("probability", "clusters"), [(0.3, 2), (0.31, 1), (0.8, 1), (0.81, 0)])
def test_a_cluster_is_as_probable_as_asked_for(probability, clusters):
    assert len(from_tables(tables(), XYZ, CoarseConfig(min_probability=probability))) == clusters


@pytest.mark.parametrize(("confidence", "clusters"), [(0.2, 2), (0.21, 1), (0.9, 1), (0.91, 0)])
def test_the_former_threshold_still_works(confidence, clusters):
    old = CoarseConfig(min_confidence=confidence)
    assert len(from_tables(tables(), XYZ, old)) == clusters
    assert len(from_tables(tables(probability=(np.nan, np.nan)), XYZ, old)) == clusters


def test_labels_without_probability_have_no_threshold_of_it():
    old = tables(probability=(np.nan, np.nan))
    assert len(from_tables(old, XYZ, CoarseConfig())) == 2
    with pytest.raises(
        SchemaError, match=r"SCH003.*frame f: its clusters have no probability.*min_probability is 0\.1"
    ):
        from_tables(old, XYZ, CoarseConfig(min_probability=0.1))


@pytest.mark.parametrize("field", ["min_probability", "min_confidence"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_fraction(field, value):
    with pytest.raises(SchemaError, match=f"SCH005.*coarse.{field}"):
        CoarseConfig(**{field: value})


@pytest.mark.parametrize(("share", "gone"), [(0.5, False), (0.49, True)])
def test_a_cluster_goes_with_more_than_a_share_of_its_points_in_a_box(share, gone):
    xyz = np.array([[0.0, 0, 0], [1, 0, 0], [9, 0, 0], [9.5, 0, 0], [30, 0, 0]])
    labels = of_points(xyz, np.array([0, 0, 0, 0, 1]), np.zeros(2, dtype=np.uint8))
    left = without_boxed(labels, xyz, boxes_at((0.5, 0, 0), yaw=0.0), share)
    assert left.cluster_id.tolist() == ([-1, -1, -1, -1, 0] if gone else [0, 0, 0, 0, 1])


def test_clicks_mark_a_parallelogram_with_its_edges_at_the_heights_of_the_box(rng):
    box = boxes_at((10.0, 0, 0), size=(4.0, 2.0, 1.0), yaw=0.0)
    edge = np.array([[8, -1, 0], [12, 1, 0], [10, 0, 0.5], [10, 0, -0.5], [9, 0.9, 0.2]])
    beyond = np.array([[7.99, 0, 0], [12.01, 0, 0], [10, 1.01, 0], [10, -1.01, 0], [10, 0, 0.51], [10, 0, -0.51]])
    coarse = simulated_from_boxes(np.concatenate([edge, beyond]), box, CoarseConfig("clicks", click_noise_m=0.0), rng)
    assert coarse.cluster_id.tolist() == [0] * 5 + [-1] * 6


def test_noise_of_centres_and_clicks_is_as_wide_as_asked_for(rng):
    many = boxes_at(*[(50.0 * k, 0, 0) for k in range(2000)])
    config = CoarseConfig("centers", center_noise_m=0.4)
    noise = simulated_from_boxes(np.zeros((0, 3)), many, config, rng).center_m - many.center_m
    assert noise.std(axis=0) == pytest.approx([0.4, 0.4, 0.0], rel=0.05)
    assert abs(noise.mean()) < 0.03


def test_labels_of_another_sweep_are_refused():
    with pytest.raises(SchemaError, match=r"SCH003.*6 labels.*5 points"):
        from_tables(tables(), XYZ[:5], CoarseConfig())


def test_the_cluster_of_an_object_with_a_box_goes(rng):
    boxes = boxes_at((0, 0, 0), (20, 0, 0), (40, 0, 0))
    xyz = np.concatenate([rng.normal(0, 0.3, (30, 3)) + c for c in boxes.center_m])
    labels = simulated_from_boxes(xyz, boxes, CoarseConfig("simulated"), rng)
    assert len(labels) == 3
    left = without_boxed(labels, xyz, boxes_at((20, 0, 0)))
    assert len(left) == 2
    assert left.cluster_id.tolist() == np.select([labels.cluster_id == 0, labels.cluster_id == 2], [0, 1], -1).tolist()
    assert left.center_m[1] == pytest.approx(labels.center_m[2])


@pytest.mark.parametrize("class_id", [0, 3])
def test_a_box_takes_away_the_cluster_in_it_whatever_its_class(class_id, rng):
    """A car that labels call a truck is no truck on a car; a neighbour of another class stays."""
    xyz = np.concatenate([rng.normal(0, 0.3, (30, 3)) + c for c in ((0, 0, 0), (0, 1.9, 0))])
    labels = of_points(xyz, np.repeat([0, 1], 30), np.zeros(2, dtype=np.uint8))
    left = without_boxed(labels, xyz, boxes_at((0, 0, 0), yaw=0.0, class_id=class_id))
    assert left.cluster_id.tolist() == [-1] * 30 + [0] * 30
    assert without_boxed(labels, xyz, boxes_at((9, 0, 0), class_id=class_id)) is labels


def test_no_labels_at_all():
    none = CoarseLabels.empty(4)
    assert len(none) == 0
    assert (none.cluster_id == NO_INSTANCE).all()


@pytest.mark.parametrize("bad", [{"kind": "guess"}, {"enlarge": (0.9, 1.1)}, {"enlarge": (1.2, 1.1)}])
def test_values_that_mean_nothing_are_refused(bad):
    with pytest.raises(SchemaError, match="SCH005"):
        CoarseConfig(**bad)
