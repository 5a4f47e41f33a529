import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pointsam.semantics.boxes import area, by_score, intersection, iou, nms

WHOLE = st.integers(0, 12)


@st.composite
def scored_boxes(draw):
    corners = draw(arrays(np.float32, (draw(st.integers(0, 12)), 4), elements=WHOLE.map(float)))
    box = np.concatenate(
        [np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])], axis=1
    )
    n = len(box)
    label = draw(arrays(np.uint8, n, elements=st.integers(0, 1)))
    score = draw(arrays(np.float32, n, elements=st.sampled_from([0.25, 0.5, 0.75])))
    return box, label, score


def test_iou_of_known_boxes():
    a = np.array([[0, 0, 2, 2]], dtype=np.float32)
    b = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2], [1, 1, 1, 1]], dtype=np.float32)
    np.testing.assert_allclose(iou(a, b), [[1, 1 / 3, 0, 0]])


def test_an_inside_out_box_has_no_area():
    box = np.array([[5, 5, 2, 9]], dtype=np.float32)
    assert area(box) == 0
    assert intersection(box, box) == 0


@settings(max_examples=30)
@given(scored_boxes(), st.sampled_from([0.3, 0.5, 0.9]))
def test_no_two_kept_boxes_of_a_class_overlap_beyond_the_threshold(boxes, max_iou):
    box, label, score = boxes
    keep = nms(box, label, score, max_iou)
    assert len(set(keep.tolist())) == len(keep)
    same = label[keep][:, None] == label[keep][None]
    np.fill_diagonal(same, False)
    assert not ((iou(box[keep], box[keep]) > max_iou) & same).any()


@settings(max_examples=30)
@given(scored_boxes(), st.sampled_from([0.3, 0.5, 0.9]))
def test_every_dropped_box_has_a_kept_rival_that_scores_no_less(boxes, max_iou):
    box, label, score = boxes
    keep = nms(box, label, score, max_iou)
    for i in np.setdiff1d(np.arange(len(box)), keep):
        rivals = (iou(box[[i]], box[keep])[0] > max_iou) & (label[keep] == label[i]) & (score[keep] >= score[i])
        assert rivals.any()


@settings(max_examples=30)
@given(scored_boxes(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_show(boxes, random):
    shuffle = list(range(len(boxes[0])))
    random.shuffle(shuffle)
    mixed = tuple(part[shuffle] for part in boxes)
    kept, kept_mixed = (tuple(part[nms(*b, 0.5)] for part in b) for b in (boxes, mixed))
    for part, part_mixed in zip(kept, kept_mixed, strict=True):
        np.testing.assert_array_equal(part, part_mixed)


def test_classes_do_not_suppress_each_other():
    box = np.array([[0, 0, 9, 9], [0, 0, 9, 9]], dtype=np.float32)
    score = np.array([0.9, 0.8], dtype=np.float32)
    assert len(nms(box, np.array([0, 1], dtype=np.uint8), score, 0.5)) == 2
    assert nms(box, np.array([0, 0], dtype=np.uint8), score, 0.5).tolist() == [0]


def test_equal_scores_are_ordered_by_class_then_left_top_right_bottom():
    box = np.array(
        [[1, 5, 9, 9], [2, 0, 9, 9], [2, 0, 8, 9], [2, 0, 8, 7], [9, 9, 9, 9], [0, 0, 1, 1]], dtype=np.float32
    )
    class_id, score = np.array([1, 1, 1, 1, 0, 1], dtype=np.uint8), np.array([0.5] * 5 + [0.4], dtype=np.float32)
    assert by_score(box, class_id, score).tolist() == [4, 0, 3, 2, 1, 5]


def test_a_box_must_overlap_by_more_than_the_threshold_to_go():
    box = np.array([[0, 0, 2, 2], [0, 0, 2, 1]], dtype=np.float32)
    label, score = np.zeros(2, dtype=np.uint8), np.array([0.5, 0.6], dtype=np.float32)
    assert nms(box, label, score, 0.5).tolist() == [1, 0]
    assert nms(box, label, score, 0.49).tolist() == [1]


def test_what_was_dropped_drops_nothing():
    box = np.array([[0, 0, 10, 1], [4, 0, 14, 1], [8, 0, 18, 1]], dtype=np.float32)
    assert nms(box, np.zeros(3, np.uint8), np.array([0.9, 0.8, 0.7], np.float32), 0.45).tolist() == [0, 1, 2]
    assert nms(box, np.zeros(3, np.uint8), np.array([0.9, 0.8, 0.7], np.float32), 0.2).tolist() == [0, 2]


def test_thousands_of_boxes_need_no_table_of_pairs():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 800, (3000, 2)).astype(np.float32)
    box = np.concatenate([low, low + rng.uniform(50, 400, (3000, 2)).astype(np.float32)], axis=1)
    tracemalloc.start()
    keep = nms(box, np.zeros(3000, np.uint8), rng.random(3000).astype(np.float32), 0.3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 10 < len(keep) < 1000
    assert peak < 3000 * 3000
