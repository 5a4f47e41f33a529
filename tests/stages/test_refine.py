import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.base.errors import DatasetError, SchemaError
from pointsam.stages.refine import RefineConfig, refine
from pointsam.taxonomy import NUSCENES
from pointsam.types import PointLabels

CAR, TRUCK, TRAILER, BUS, BIKE, PEDESTRIAN, BARRIER = (
    NUSCENES.class_id(n) for n in ("car", "truck", "trailer", "bus", "bicycle", "pedestrian", "barrier")
)
PAPER = RefineConfig()


def labels(instance_id, class_id):
    instance_id = np.asarray(instance_id, dtype=np.int32)
    return PointLabels(instance_id, np.where(instance_id < 0, 255, class_id).astype(np.uint8))


def row(y_m, x_m=5.0):
    """Points in a row across the view."""
    return np.stack((np.full(len(y_m), x_m), np.asarray(y_m, dtype=float), np.zeros(len(y_m))), axis=1)


def ids(xyz, mask, class_id, config=PAPER, cameras=None):
    return refine(xyz, labels(mask, class_id), NUSCENES, config, cameras).instance_id.tolist()


def test_points_nearer_than_the_floor_are_one_object():
    assert ids(row([0, 0.999]), [0, 1], CAR) == [0, 0]


def test_a_gap_of_exactly_the_link_distance_separates():
    assert ids(row([0, 1.0]), [0, 1], CAR) == [0, 1]


def test_small_classes_have_a_smaller_floor():
    assert ids(row([0, 0.7]), [0, 1], BIKE) == [0, 1]
    assert ids(row([0, 0.64]), [0, 1], BIKE) == [0, 0]


def test_the_link_distance_grows_with_the_range_of_the_farther_point():
    assert ids(np.array([[50.0, 0, 0], [52.05, 0, 0]]), [0, 1], CAR) == [0, 0]
    assert ids(np.array([[50.0, 0, 0], [52.10, 0, 0]]), [0, 1], CAR) == [0, 1]


def test_vehicles_link_across_classes_but_a_trailer_does_not():
    assert ids(row([0, 0.5]), [0, 1], [CAR, TRUCK]) == [0, 0]
    assert ids(row([0, 0.5]), [0, 1], [TRAILER, TRUCK]) == [0, 1]


def test_the_smaller_floor_counts_where_classes_may_link():
    together = RefineConfig(split_classes=False)
    assert ids(row([0, 0.7]), [0, 1], [CAR, BIKE], together) == [0, 1]
    assert ids(row([0, 0.6]), [0, 1], [CAR, BIKE], together) == [0, 0]


@pytest.mark.parametrize("class_id", [PEDESTRIAN, BARRIER])
def test_two_masks_of_a_crowd_never_link(class_id):
    assert ids(row([0, 0.01, 0.02]), [0, 1, 1], class_id) == [1, 0, 0]


def test_a_mask_keeps_the_component_it_covers_most_and_loses_its_bleed():
    assert ids(row([0, 0.2, 0.4, 9, 9.2]), [3, 3, 3, 3, 3], CAR) == [0, 0, 0, -1, -1]


def test_points_cut_from_another_mask_are_absorbed_with_the_class_of_the_component():
    out = refine(row([0, 0.2, 0.4, 9, 9.2, 9.4]), labels([0, 0, 0, 0, 1, 1], [TRUCK] * 4 + [CAR] * 2), NUSCENES, PAPER)
    assert out.instance_id.tolist() == [0, 0, 0, 1, 1, 1]
    assert out.class_id.tolist() == [TRUCK] * 3 + [CAR] * 3


def test_pieces_of_one_object_become_one():
    assert ids(row([0, 0.5, 1.0, 1.5]), [7, 3, 5, 3], CAR) == [0, 0, 0, 0]


def test_a_component_that_is_mostly_unassigned_is_background_though_a_mask_is_right():
    assert ids(row([0, 0.1, 0.2, 0.3, 9, 9.1, 9.2]), [0] * 4 + [0, 0, 1], CAR) == [0, 0, 0, 0, -1, -1, -1]


def test_a_mask_on_two_equal_components_keeps_that_of_the_earliest_point():
    assert ids(row([9, 0, 9.2, 0.2]), [0, 0, 0, 0], CAR) == [0, -1, 0, -1]


def test_a_mask_wins_a_tie_against_nothing():
    assert ids(row([0, 0.1, 9, 9.1]), [0, 0, 0, 1], CAR) == [0, 0, 1, 1]


def test_of_two_equal_masks_the_earlier_gives_the_class():
    out = refine(row([0, 0.1]), labels([9, 2], [TRUCK, CAR]), NUSCENES, PAPER)
    assert out.class_id.tolist() == [TRUCK, TRUCK]


def test_a_mask_of_many_classes_has_the_most_frequent_one():
    out = refine(row([0, 0.1, 0.2]), labels([0, 0, 0], [TRUCK, CAR, CAR]), NUSCENES, PAPER)
    assert out.class_id.tolist() == [CAR] * 3


def test_many_objects_have_their_own_most_frequent_class():
    two = [[CAR, TRUCK, TRUCK], [CAR, BUS, BUS]]
    y = np.concatenate([30.0 * k + np.array([0, 0.1, 0.2]) for k in range(300)])
    classes = np.concatenate([two[k % 3 % 2] for k in range(300)])
    out = refine(row(y, x_m=0.0), labels(np.repeat(np.arange(300), 3), classes), NUSCENES, RefineConfig(range_coef=0.0))
    assert out.class_id.tolist() == np.repeat([two[k % 3 % 2][1] for k in range(300)], 3).tolist()


def test_min_points_drops_smaller_components_only():
    assert ids(row([0, 0.1, 9]), [0, 0, 1], CAR, RefineConfig(min_points=2)) == [0, 0, -1]


def test_in_the_ground_plane_height_counts_neither_in_distance_nor_in_range():
    stacked = np.array([[5.0, 0, 0], [5.0, 0, 3], [5.0, 1.1, 100]])
    assert ids(stacked, [0, 1, 2], CAR, RefineConfig(dims=2)) == [0, 0, 1]


def test_large_objects_link_over_missing_rings_and_small_ones_do_not():
    far, over = row([0, 1.5], x_m=30.0), RefineConfig(rings=3)
    for class_id, gap, expected in ((CAR, 0.02, [0, 0]), (CAR, 0.0, [0, 1]), (PEDESTRIAN, 0.02, [0, 1])):
        found = refine(far, labels([0, 1], class_id), NUSCENES, over, None, gap)
        assert found.instance_id.tolist() == expected
    assert ids(far, [0, 1], CAR, over) == [0, 1]  # nobody knows the sensor


def test_masks_that_share_a_camera_do_not_link_under_the_veto():
    veto = RefineConfig(same_image_veto=True)
    assert ids(row([0, 0.5]), [0, 1], CAR, veto, np.array([0b01, 0b11], dtype=np.uint64)) == [0, 1]


def test_masks_of_different_cameras_link_under_the_veto():
    veto = RefineConfig(same_image_veto=True)
    assert ids(row([0, 0.5]), [0, 1], CAR, veto, np.array([0b01, 0b10], dtype=np.uint64)) == [0, 0]


def test_cameras_mean_nothing_without_the_veto():
    assert ids(row([0, 0.5]), [0, 1], CAR, PAPER, np.array([1, 1], dtype=np.uint64)) == [0, 0]


def test_switched_off_it_only_renumbers():
    given_labels = labels([4, -1, 2, 2], [CAR, 0, BARRIER, BARRIER])
    out = refine(row([0, 1, 2, 90]), given_labels, NUSCENES, RefineConfig(enabled=False))
    assert out.instance_id.tolist() == [1, -1, 0, 0]
    assert np.array_equal(out.class_id, given_labels.class_id)


@pytest.mark.parametrize("num_points", [0, 1, 2])
def test_nothing_labelled_stays_nothing(num_points):
    assert ids(np.zeros((num_points, 3)), np.full(num_points, -1), CAR) == [-1] * num_points


def test_switched_off_it_asks_for_no_cameras():
    off = RefineConfig(enabled=False, same_image_veto=True)
    assert ids(row([0, 0.1]), [0, 1], CAR, off) == [0, 1]


def test_what_it_is_given_is_left_alone():
    xyz, given_labels = row([0, 0.1, 9, 9.1, 9.2]), labels([0, 0, 0, 1, 1], CAR)
    before = xyz.copy(), given_labels.instance_id.copy(), given_labels.class_id.copy()
    refine(xyz, given_labels, NUSCENES, PAPER)
    assert all(np.array_equal(a, b) for a, b in zip(before, (xyz, *vars(given_labels).values()), strict=True))


def test_points_that_do_not_fit_the_labels_are_refused():
    with pytest.raises(SchemaError, match="SCH003"):
        refine(row([0, 1]), labels([0], CAR), NUSCENES, PAPER)


def test_a_class_beyond_the_taxonomy_is_refused():
    with pytest.raises(SchemaError, match="SCH001"):
        refine(row([0]), labels([0], 10), NUSCENES, PAPER)


@pytest.mark.parametrize("cameras", [None, np.ones(1, dtype=np.uint64)])
def test_the_veto_without_the_cameras_of_every_mask_is_refused(cameras):
    with pytest.raises(SchemaError, match="same_image_veto"):
        ids(row([0, 1]), [0, 1], CAR, RefineConfig(same_image_veto=True), cameras)


def test_a_labelled_point_must_be_finite_and_others_need_not():
    xyz = row([0, np.nan])
    assert ids(xyz, [0, -1], CAR) == [0, -1]
    with pytest.raises(DatasetError, match="DAT007"):
        ids(xyz, [0, 0], CAR)


@st.composite
def crowded_places(draw):
    """Up to 40 points on a lattice finer than the link distances, so that everything is near something."""
    n = draw(st.integers(1, 40))
    bins = draw(st.lists(st.tuples(*[st.integers(0, 12)] * 2, st.integers(0, 2)), min_size=n, max_size=n))
    mask = draw(st.lists(st.integers(-1, 5), min_size=n, max_size=n))
    class_of_mask = draw(st.lists(st.integers(0, 9), min_size=7, max_size=7))
    return np.array(bins) * 0.4 + [4, -2, -1], labels(mask, np.array(class_of_mask)[mask])


@settings(max_examples=30)
@given(crowded_places())
def test_refining_twice_changes_nothing(scene):
    xyz, given_labels = scene
    once = refine(xyz, given_labels, NUSCENES, PAPER)
    twice = refine(xyz, once, NUSCENES, PAPER)
    assert np.array_equal(once.instance_id, twice.instance_id)
    assert np.array_equal(once.class_id, twice.class_id)


def test_refining_twice_may_change_more_where_classes_link():
    # the bicycle between two cars takes their class, and with it their longer links
    together = RefineConfig(split_classes=False)
    xyz, mask, class_id = row([0, 0.1, 0.6, 1.5]), [0, 0, 1, 2], [CAR, CAR, BIKE, CAR]
    once = refine(xyz, labels(mask, class_id), NUSCENES, together)
    assert once.instance_id.tolist() == [0, 0, 0, 1]
    assert refine(xyz, once, NUSCENES, together).instance_id.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_near_points_link_up_to_the_floor_in_every_direction(factor):
    rng = np.random.default_rng(0)
    direction = rng.standard_normal((400, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    floor_m = NUSCENES.classes[CAR].link_floor_m
    for axis in direction:
        pair = np.array([2.0, 1.0, 0.5]) + rng.uniform(0, 2, 3) + np.stack([0 * axis, factor * floor_m * axis])
        first, second = ids(pair, [0, 0], CAR)
        assert (first == second) == (factor < 1)
