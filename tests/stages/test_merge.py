import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.base.errors import SchemaError
from pointsam.stages.ids import canonical_ids
from pointsam.stages.merge import MergeConfig, merge
from pointsam.types import NO_INSTANCE, PointLabels

ORDER_FREE = MergeConfig(rule="order_free")
SEQUENTIAL = MergeConfig(rule="sequential")
CAR, TRUCK = 0, 1


def camera(text, classes=None):
    """One letter a point, "." = none; classes: letter -> class, car if not said."""
    instance = [-1 if c == "." else ord(c) - ord("a") for c in text]
    class_id = [255 if c == "." else (classes or {}).get(c, CAR) for c in text]
    return PointLabels(np.array(instance, dtype=np.int32), np.array(class_id, dtype=np.uint8))


def text(merged):
    return "".join("." if i < 0 else chr(ord("a") + i) for i in merged.labels.instance_id)


@st.composite
def scenes(draw):
    num_points = draw(st.integers(1, 14))
    num_cameras = draw(st.integers(1, 5))
    class_of = st.lists(st.integers(0, 2), min_size=4, max_size=4)
    cameras = []
    for _ in range(num_cameras):
        ids = np.array(draw(st.lists(st.integers(-1, 3), min_size=num_points, max_size=num_points)), dtype=np.int32)
        classes = np.array([*draw(class_of), 255], dtype=np.uint8)
        cameras.append(PointLabels(ids, classes[ids]))
    return cameras


@st.composite
def permuted_scenes(draw):
    cameras = draw(scenes())
    return cameras, draw(st.permutations(range(len(cameras))))


@settings(max_examples=100)
@given(permuted_scenes())
def test_order_free_labels_ignore_camera_order_and_camera_bits_follow_it(scene):
    cameras, order = scene
    one = merge(cameras, ORDER_FREE)
    other = merge([cameras[c] for c in order], ORDER_FREE)
    np.testing.assert_array_equal(other.labels.instance_id, one.labels.instance_id)
    np.testing.assert_array_equal(other.labels.class_id, one.labels.class_id)
    back = [sum(1 << order[bit] for bit in range(len(order)) if int(k) >> bit & 1) for k in other.cameras]
    assert back == one.cameras.tolist()


def test_sequential_labels_depend_on_camera_order():
    large, small = camera("aaaaaa.."), camera(".....aaa")
    assert text(merge([large, small], SEQUENTIAL)) == "aaaaabbb"
    assert text(merge([small, large], SEQUENTIAL)) == "aaaaaabb"


@pytest.mark.parametrize("config", [ORDER_FREE, SEQUENTIAL])
@settings(max_examples=30)
@given(cameras=scenes())
def test_exactly_the_points_some_camera_labelled_are_labelled(config, cameras):
    labelled = np.any([c.instance_id != NO_INSTANCE for c in cameras], axis=0)
    merged = merge(cameras, config)
    np.testing.assert_array_equal(merged.labels.instance_id != NO_INSTANCE, labelled)


@pytest.mark.parametrize("config", [ORDER_FREE, SEQUENTIAL])
@settings(max_examples=30)
@given(cameras=scenes())
def test_one_camera_stays_as_it_is(config, cameras):
    only = PointLabels(cameras[0].instance_id, np.where(cameras[0].instance_id < 0, 255, CAR).astype(np.uint8))
    merged = merge([only], config)
    np.testing.assert_array_equal(merged.labels.instance_id, canonical_ids(only.instance_id))
    np.testing.assert_array_equal(merged.labels.class_id, only.class_id)
    assert set(merged.cameras.tolist()) <= {1}


@settings(max_examples=30)
@given(cameras=scenes())
def test_order_free_never_joins_two_instances_of_one_camera(cameras):
    merged = merge(cameras, MergeConfig(rule="order_free", ratio=1e-9)).labels.instance_id
    views = sum(c.instance_id != NO_INSTANCE for c in cameras)
    for labels in cameras:
        # Points only this camera labelled cannot have been won from another, so they show who was joined with whom.
        own = (labels.instance_id != NO_INSTANCE) & (views == 1)
        pairs = set(zip(labels.instance_id[own].tolist(), merged[own].tolist(), strict=True))
        assert len(pairs) == len({after for _, after in pairs})


@st.composite
def scenes_without_conflict(draw):
    """Objects of one class that each camera sees whole or not at all."""
    truth = np.array(draw(st.lists(st.integers(-1, 4), min_size=1, max_size=20)), dtype=np.int32)
    cameras = []
    for seen in draw(st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=4)):
        ids = np.where(np.isin(truth, list(seen)), truth, NO_INSTANCE).astype(np.int32)
        cameras.append(PointLabels(ids, np.where(ids < 0, 255, ids).astype(np.uint8)))
    return cameras


@settings(max_examples=30)
@given(scenes_without_conflict())
def test_both_rules_agree_where_nothing_conflicts(cameras):
    one, other = merge(cameras, ORDER_FREE), merge(cameras, SEQUENTIAL)
    np.testing.assert_array_equal(one.labels.instance_id, other.labels.instance_id)
    np.testing.assert_array_equal(one.labels.class_id, other.labels.class_id)
    np.testing.assert_array_equal(one.cameras, other.cameras)


@pytest.mark.parametrize("config", [ORDER_FREE, SEQUENTIAL])
def test_half_of_the_smaller_one_makes_one_object(config):
    merged = merge([camera("aaaa.."), camera("...aa.")], config)
    assert text(merged) == "aaaaa."
    assert merged.cameras.tolist() == [0b11]


@pytest.mark.parametrize("config", [ORDER_FREE, SEQUENTIAL])
def test_less_than_half_stays_two_objects(config):
    merged = merge([camera("aaaaaaa.."), camera("......aaa")], config)
    assert text(merged) == "aaaaaabbb"
    assert merged.cameras.tolist() == [0b01, 0b10]


def test_a_joined_instance_takes_the_class_of_the_earlier_camera_when_sequential():
    merged = merge([camera("aa..", {"a": TRUCK}), camera(".aaa")], SEQUENTIAL)
    assert merged.labels.class_id.tolist() == [TRUCK] * 4


def test_a_joined_instance_takes_the_class_of_most_points_when_order_free():
    merged = merge([camera("aa..", {"a": TRUCK}), camera(".aaa")], ORDER_FREE)
    assert merged.labels.class_id.tolist() == [CAR] * 4


def test_a_point_goes_to_the_instance_most_cameras_see_there():
    # Two cameras see a large object over points 0 to 5, one sees a small one over points 5 to 7.
    large, small = camera("aaaaaa.."), camera(".....aaa")
    assert text(merge([large, large, small], ORDER_FREE)) == "aaaaaabb"


def test_a_point_of_two_equally_seen_instances_goes_to_the_smaller():
    assert text(merge([camera("aaaaaa.."), camera(".....aaa")], ORDER_FREE)) == "aaaaabbb"


def test_an_image_that_tells_two_objects_apart_outweighs_a_mask_over_both():
    # The left image has one mask over two cars, the right one has two.
    assert text(merge([camera("aaaaa"), camera("aaabb")], ORDER_FREE)) == "aaabb"


def test_a_join_with_most_shared_points_comes_before_one_with_fewer_foreign_points():
    assert text(merge([camera("abbbbbb"), camera("cccc...")], MergeConfig("order_free", 0.1))) == "baaaaaa"


def test_of_equal_overlaps_the_one_with_fewer_foreign_points_joins():
    assert text(merge([camera("aabbbb"), camera("cccc..")], ORDER_FREE)) == "aaaabb"


@pytest.mark.parametrize("swap", [False, True])
def test_of_equal_partners_the_one_with_the_earliest_point_joins(swap):
    two, one = camera("aabb", {"a": CAR, "b": TRUCK}), camera("cccc", {"c": 2})
    merged = merge([one, two] if swap else [two, one], ORDER_FREE)
    assert merged.labels.class_id.tolist() == [2, 2, TRUCK, TRUCK]


@pytest.mark.parametrize("swap", [False, True])
def test_a_point_of_two_equally_seen_and_large_instances_goes_to_the_earlier(swap):
    early, late = camera("aaa.."), camera("..aaa")
    assert text(merge([late, early] if swap else [early, late], MergeConfig("order_free", 0.5))) == "aaabb"


def test_a_point_of_two_equally_seen_and_large_instances_goes_to_the_one_with_the_largest_mask():
    cameras = [camera("aaaa..."), camera("...bbb."), camera("....ccc")]
    assert text(merge(cameras, ORDER_FREE)) == text(merge(cameras[::-1], ORDER_FREE)) == "aaaabbb"


def test_of_two_equally_frequent_classes_the_lower_is_taken():
    merged = merge([camera("aa", {"a": TRUCK}), camera("aa", {"a": CAR})], ORDER_FREE)
    assert merged.labels.class_id.tolist() == [CAR] * 2


@pytest.mark.parametrize("config", [ORDER_FREE, SEQUENTIAL])
def test_every_camera_of_an_object_has_its_bit(config):
    cameras = [camera("aaa...")] + [camera("......")] * 62 + [camera("aaa.bb")]
    merged = merge(cameras, config)
    assert text(merged) == "aaa.bb"
    assert merged.cameras.tolist() == [1 + 2**63, 2**63]
    with pytest.raises(SchemaError, match="SCH003"):
        merge([*cameras, camera("......")], config)


def test_no_camera_is_refused():
    with pytest.raises(SchemaError, match="SCH003"):
        merge([], SEQUENTIAL)


def test_views_of_a_chain_of_cameras_become_one_object():
    assert text(merge([camera("aaaa...."), camera("..aaaa.."), camera("....aaaa")], ORDER_FREE)) == "aaaaaaaa"


def test_labels_of_different_sweeps_are_refused():
    with pytest.raises(SchemaError, match=r"SCH003.*label \[2, 3\] points"):
        merge([camera("aa"), camera("aaa")], ORDER_FREE)
