import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.mask import decode, encode

from pointsam.base.errors import SchemaError
from pointsam.stages.paint import PaintConfig, paint, semantic_map
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, Detections, Masks

CAR, TRUCK, PEDESTRIAN, BARRIER = 0, 1, 7, 9
AREA, SCORE = PaintConfig(order="area"), PaintConfig(order="score")
APART = PaintConfig(order="score", duplicate_share=1.0)
H, W = 10, 20


def block(v0, v1, u0, u1):
    mask = np.zeros((H, W), dtype=bool)
    mask[v0:v1, u0:u1] = True
    return mask


def rle(masks):
    return tuple(encode(np.asfortranarray(m.astype(np.uint8)))["counts"] for m in masks)


def candidates(*masks, source=None):
    ones = np.ones(len(masks), dtype=np.float32)
    return Masks(H, W, rle(masks), ones, ones, np.array(source or [-1] * len(masks), dtype=np.int32))


def detections(*found):
    """(mask, class, score) each."""
    masks, classes, scores = zip(*found, strict=True) if found else ((), (), ())
    box = np.zeros((len(found), 4), dtype=np.float32)
    return Detections(box, np.array(classes, np.uint8), np.array(scores, np.float32), rle(masks))


def classes_of(*blocks):
    semantic = np.full((H, W), BACKGROUND, dtype=np.uint8)
    for mask, class_id in blocks:
        semantic[mask] = class_id
    return semantic


def by_points(semantic, *masks):
    return paint(candidates(*masks), semantic, detections(), NUSCENES, AREA)


LEFT, RIGHT, ALL = block(0, 10, 0, 10), block(0, 10, 10, 20), block(0, 10, 0, 20)
OVERLAPPING = (LEFT, CAR, 0.9), (block(0, 10, 5, 15), TRUCK, 0.5), (RIGHT, CAR, 0.7)


def test_published_class_map_lets_higher_classes_win():
    car_first = semantic_map(detections(*OVERLAPPING), H, W, "published")
    assert car_first[0, 4:16].tolist() == [CAR] + [TRUCK] * 10 + [CAR]


def test_score_class_map_lets_the_higher_score_win():
    best = semantic_map(detections(*OVERLAPPING), H, W, "score")
    assert best[0].tolist() == [CAR] * 20
    best = semantic_map(detections((LEFT, CAR, 0.3), (ALL, TRUCK, 0.8)), H, W, "score")
    assert (best == TRUCK).all()
    first = semantic_map(detections((LEFT, TRUCK, 0.5), (ALL, CAR, 0.5)), H, W, "score")
    assert first[0].tolist() == [TRUCK] * 10 + [CAR] * 10


def test_a_class_map_is_background_where_nothing_was_found():
    assert (semantic_map(detections(), H, W, "score") == BACKGROUND).all()
    assert semantic_map(detections((LEFT, CAR, 1.0)), H, W, "score")[0, 9:11].tolist() == [CAR, BACKGROUND]


def test_detections_without_masks_give_no_class_map():
    boxes = Detections(np.zeros((1, 4), np.float32), np.zeros(1, np.uint8), np.ones(1, np.float32))
    with pytest.raises(SchemaError, match="from_boxes"):
        semantic_map(boxes, H, W, "score")


def test_a_mask_takes_the_most_frequent_class_below_it():
    painted = by_points(classes_of((ALL, CAR), (block(0, 10, 0, 4), TRUCK)), LEFT)
    assert painted.class_id.tolist() == [CAR]
    np.testing.assert_array_equal(painted.instance_id == 0, LEFT)


def test_a_mask_mostly_on_background_is_discarded():
    assert len(by_points(classes_of((block(0, 10, 0, 4), CAR)), LEFT).class_id) == 0


def test_a_class_beats_background_and_a_higher_class_when_equally_frequent():
    assert by_points(classes_of((LEFT, CAR)), ALL).class_id.tolist() == [CAR]
    assert by_points(classes_of((LEFT, TRUCK), (RIGHT, CAR)), ALL).class_id.tolist() == [CAR]


def test_a_part_of_an_object_is_left_to_the_whole():
    painted = by_points(classes_of((ALL, CAR)), block(2, 5, 2, 5), ALL)
    assert painted.mask_id.tolist() == [1]


def test_an_object_of_another_class_is_painted_over_the_larger_one():
    person = block(2, 8, 2, 5)
    painted = by_points(classes_of((ALL, CAR), (person, PEDESTRIAN)), ALL, person)
    assert painted.class_id.tolist() == [CAR, PEDESTRIAN]
    np.testing.assert_array_equal(painted.instance_id == 1, person)


def test_a_mask_covered_by_less_than_half_is_painted_although_beyond_the_threshold():
    painted = by_points(classes_of((ALL, CAR)), block(0, 10, 0, 12), block(0, 10, 8, 18))
    assert painted.mask_id.tolist() == [0, 1]


@pytest.mark.parametrize(("threshold", "painted"), [(0.5, [0, 1]), (0.49, [0])])
def test_a_mask_covered_by_exactly_the_threshold_is_painted(threshold, painted):
    masks = candidates(block(0, 10, 0, 11), block(0, 10, 6, 16))
    config = PaintConfig(cover_threshold=threshold)
    assert paint(masks, classes_of((ALL, CAR)), detections(), NUSCENES, config).mask_id.tolist() == painted


def test_smaller_masks_of_a_class_in_rows_split_the_larger():
    painted = by_points(classes_of((ALL, BARRIER)), ALL, block(0, 10, 0, 7))
    assert painted.class_id.tolist() == [BARRIER, BARRIER]


def test_an_instance_that_lost_all_its_pixels_is_not_listed():
    painted = by_points(classes_of((ALL, BARRIER)), ALL, LEFT, RIGHT)
    assert painted.mask_id.tolist() == [1, 2]
    np.testing.assert_array_equal(painted.instance_id, RIGHT.astype(np.int32))


def test_of_equal_areas_the_lower_index_is_painted_first():
    painted = by_points(classes_of((ALL, CAR)), LEFT, LEFT)
    assert painted.mask_id.tolist() == [0]


def test_a_box_mask_takes_the_class_of_its_detection_without_a_vote():
    found = detections((LEFT, PEDESTRIAN, 0.6))
    painted = paint(candidates(LEFT, source=[0]), classes_of((ALL, CAR)), found, NUSCENES, SCORE)
    assert painted.class_id.tolist() == [PEDESTRIAN]


def test_the_better_detection_keeps_a_contested_pixel():
    found = detections((LEFT, PEDESTRIAN, 0.9), (ALL, TRUCK, 0.5))
    painted = paint(candidates(ALL, LEFT, source=[1, 0]), classes_of(), found, NUSCENES, SCORE)
    assert painted.class_id[painted.instance_id[0]].tolist() == [PEDESTRIAN] * 10 + [TRUCK] * 10


@pytest.mark.parametrize(("first", "second"), [(CAR, CAR), (CAR, TRUCK), (PEDESTRIAN, PEDESTRIAN)])
def test_a_second_look_at_an_object_joins_the_better_one(first, second):
    found = detections((LEFT, first, 0.9), (ALL, second, 0.5))
    painted = paint(candidates(LEFT, ALL, source=[0, 1]), classes_of(), found, NUSCENES, SCORE)
    assert (painted.mask_id.tolist(), painted.class_id.tolist()) == ([0], [first])
    assert (painted.instance_id == 0).all()


@pytest.mark.parametrize(("shared_px", "instances"), [(75, 2), (76, 1)])
def test_a_second_look_shares_more_than_the_configured_part_of_the_smaller(shared_px, instances):
    first = LEFT.copy()
    first[0] = False  # 90 px
    second = np.zeros((H, W), dtype=bool)
    second.ravel()[np.flatnonzero(first)[:shared_px]] = True
    second.ravel()[np.flatnonzero(RIGHT)[: 100 - shared_px]] = True
    for masks in ((first, second), (second, first)):  # the smaller one may be either
        found = detections((masks[0], CAR, 0.9), (masks[1], CAR, 0.5))
        config = PaintConfig(order="score", duplicate_share=75 / 90)
        painted = paint(candidates(*masks, source=[0, 1]), classes_of(), found, NUSCENES, config)
        assert len(painted.mask_id) == instances


def test_a_second_look_at_two_objects_joins_the_one_it_shares_most_with():
    masks = block(0, 10, 0, 2), block(0, 10, 2, 6), ALL
    found = detections(*zip(masks, (CAR, TRUCK, CAR), (0.9, 0.8, 0.7), strict=True))
    painted = paint(candidates(*masks, source=[0, 1, 2]), classes_of(), found, NUSCENES, SCORE)
    assert painted.mask_id.tolist() == [0, 1]
    assert painted.class_id[painted.instance_id[0]].tolist() == [CAR] * 2 + [TRUCK] * 18


def test_an_object_on_another_is_no_second_look():
    found = detections((LEFT, PEDESTRIAN, 0.9), (ALL, CAR, 0.5))
    assert len(paint(candidates(LEFT, ALL, source=[0, 1]), classes_of(), found, NUSCENES, SCORE).mask_id) == 2


def test_neighbours_that_share_an_edge_stay_two():
    found = detections((block(0, 10, 0, 12), CAR, 0.9), (block(0, 10, 8, 20), CAR, 0.5))
    masks = candidates(block(0, 10, 0, 12), block(0, 10, 8, 20), source=[0, 1])
    assert len(paint(masks, classes_of(), found, NUSCENES, SCORE).mask_id) == 2


def test_a_duplicate_share_of_one_keeps_every_mask_apart():
    found = detections((LEFT, CAR, 0.9), (ALL, CAR, 0.5))
    assert len(paint(candidates(LEFT, ALL, source=[0, 1]), classes_of(), found, NUSCENES, APART).mask_id) == 2


def test_of_equally_good_detections_the_mask_listed_first_wins():
    found = detections((LEFT, CAR, 0.5), (ALL, PEDESTRIAN, 0.5))
    painted = paint(candidates(ALL, LEFT, source=[1, 0]), classes_of(), found, NUSCENES, SCORE)
    assert painted.class_id.tolist() == [PEDESTRIAN]


def test_a_point_mask_never_takes_a_pixel_from_a_box_mask():
    found = detections((LEFT, CAR, 0.4))
    masks = candidates(block(0, 10, 5, 20), LEFT, source=[-1, 0])
    painted = paint(masks, classes_of((ALL, TRUCK)), found, NUSCENES, SCORE)
    np.testing.assert_array_equal(np.append(painted.mask_id, -1)[painted.instance_id], np.where(LEFT, 1, 0))


def test_point_masks_take_pixels_from_each_other():
    found = detections((block(0, 10, 0, 4), CAR, 0.4))
    masks = candidates(block(0, 10, 2, 20), block(0, 10, 3, 12), block(0, 10, 0, 4), source=[-1, -1, 0])
    painted = paint(masks, classes_of((ALL, BARRIER)), found, NUSCENES, SCORE)
    assert painted.mask_id[painted.instance_id[0]].tolist() == [2] * 4 + [1] * 8 + [0] * 8


def test_a_point_mask_of_an_object_that_a_box_mask_holds_is_discarded():
    found = detections((block(0, 10, 0, 8), CAR, 0.4))
    masks = candidates(LEFT, block(0, 10, 0, 8), source=[-1, 0])
    assert paint(masks, classes_of((ALL, CAR)), found, NUSCENES, SCORE).mask_id.tolist() == [1]


def test_masks_and_classes_of_different_images_are_refused():
    with pytest.raises(SchemaError, match=r"SCH003.*10 x 20 px.*\(10, 19\)"):
        paint(candidates(), np.zeros((H, W - 1), np.uint8), detections(), NUSCENES, AREA)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), config=st.sampled_from([AREA, APART]))
def test_the_result_is_a_partition_into_masks_with_a_class(seed, config):
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.integers(0, [[H + 1], [W + 1]], (int(rng.integers(0, 12)), 2, 2)))
    blocks = [block(*v, *u) for v, u in edges]
    found = detections(*((m, rng.choice([CAR, TRUCK, BARRIER]), rng.random()) for m in blocks))
    semantic = semantic_map(found, H, W, "published")
    source = rng.integers(-1, len(blocks), len(blocks)).tolist()
    masks = candidates(*blocks, source=source)
    painted = paint(masks, semantic, found, NUSCENES, config)
    held = np.unique(painted.instance_id[painted.instance_id != NO_INSTANCE])
    assert held.tolist() == list(range(len(painted.class_id)))
    assert len(set(painted.mask_id.tolist())) == len(painted.mask_id)
    for instance, mask in enumerate(painted.mask_id):
        inside = decode({"size": [H, W], "counts": masks.rle[mask]}).astype(bool)
        assert inside[painted.instance_id == instance].all()
        boxed = config is APART and source[mask] >= 0
        expected = found.class_id[source[mask]] if boxed else np.bincount(semantic[inside]).argmax()
        assert painted.class_id[instance] == expected
