import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsam.base.errors import SchemaError
from pointsam.semantics.boxes import nms
from pointsam.semantics.fusion import fuse
from pointsam.types import Detections

NONE = frozenset()


def detections(rows):
    """From (left, top, width, height, class, score)."""
    table = np.array(rows, dtype=np.float32).reshape(-1, 6)
    box = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    return Detections(box, table[:, 4].astype(np.uint8), table[:, 5])


def slow_iou(a, b):
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(across, 0) * max(down, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def slow_fuse(found, weight, min_iou, alike):
    """Objects as lists of their boxes, recomputed at every step; rows (box, class, score) by falling score."""
    boxes = [
        (weight[k] * float(one.score[i]), float(one.score[i]), int(one.class_id[i]), one.box_xyxy_px[i].tolist(), k)
        for k, one in enumerate(found)
        for i in range(len(one))
    ]
    boxes.sort(key=lambda b: (-b[0], -b[1], b[2], b[3]))
    objects = []

    def mean(members):
        return [sum(m[0] * m[3][j] for m in members) / sum(m[0] for m in members) for j in range(4)]

    def may_join(one, members):
        return one[2] == members[0][2] or {one[2], members[0][2]} <= alike

    for one in boxes:
        best, best_iou = None, min_iou
        for members in objects:
            if may_join(one, members) and slow_iou(one[3], mean(members)) > best_iou:
                best, best_iou = members, slow_iou(one[3], mean(members))
        if best is None:
            objects.append([one])
        else:
            best.append(one)
    rows = []
    for members in objects:
        highest = [max((m[1] for m in members if m[4] == k), default=0.0) for k in range(len(found))]
        score = sum(w * s for w, s in zip(weight, highest, strict=True)) / sum(weight)
        masses = {c: round(sum(m[0] for m in members if m[2] == c), 9) for c in sorted({m[2] for m in members})}
        rows.append((mean(members), max(masses, key=masses.get), score))
    return sorted(rows, key=lambda row: -row[2])


SIDE, PLACE = st.integers(4, 60), st.integers(0, 50)
ROW = st.tuples(PLACE, PLACE, SIDE, SIDE, st.integers(0, 2), st.integers(1, 999).map(lambda i: i / 1000))
NETWORK = st.lists(ROW, max_size=8).map(detections)
NETWORKS = st.lists(NETWORK, min_size=1, max_size=3)
ALIKE = st.sampled_from([frozenset(), frozenset({0, 2}), frozenset({0, 1, 2})])
WEIGHT = st.sampled_from([0.5, 1.0, 2.0])


def by_bytes(found):
    return (found.box_xyxy_px.tobytes(), found.class_id.tobytes(), found.score.tobytes())


@given(NETWORKS, ALIKE, st.data())
def test_fusion_equals_the_definition(found, alike, data):
    weight = [data.draw(WEIGHT) for _ in found]
    ours, theirs = fuse(found, weight, 0.5, alike), slow_fuse(found, weight, 0.5, alike)
    assert len(ours) == len(theirs)
    np.testing.assert_allclose(ours.score, [row[2] for row in theirs], atol=1e-6)
    expected = sorted((row[1], *np.round(row[0], 3)) for row in theirs)
    got = sorted((int(c), *np.round(b.astype(float), 3)) for b, c in zip(ours.box_xyxy_px, ours.class_id, strict=True))
    np.testing.assert_allclose(got, expected, atol=2e-3)


@given(NETWORKS, ALIKE, st.randoms(use_true_random=False), st.data())
def test_the_order_of_detections_and_networks_does_not_matter(found, alike, random, data):
    pairs = [(one, data.draw(WEIGHT)) for one in found]
    expected = by_bytes(fuse(*zip(*pairs, strict=True), 0.5, alike))
    random.shuffle(pairs)
    shuffled = []
    for one, weight in pairs:
        order = random.sample(range(len(one)), len(one))
        shuffled.append((Detections(one.box_xyxy_px[order], one.class_id[order], one.score[order]), weight))
    assert by_bytes(fuse(*zip(*shuffled, strict=True), 0.5, alike)) == expected


@given(NETWORK, WEIGHT)
def test_one_network_without_duplicates_stays_as_it_is(found, weight):
    keep = nms(found.box_xyxy_px, found.class_id, found.score, 0.5)
    kept = Detections(found.box_xyxy_px[keep], found.class_id[keep], found.score[keep])
    assert by_bytes(fuse([kept], [weight], 0.5, NONE)) == by_bytes(kept)


@given(NETWORKS)
def test_scores_are_in_range_and_boxes_in_the_hull(found):
    fused = fuse(found, [1.0] * len(found), 0.3, frozenset({0, 1}))
    assert ((fused.score >= 0) & (fused.score <= 1)).all()
    assert (np.diff(fused.score) <= 0).all()
    assert len(fused) <= sum(map(len, found))
    if len(fused):
        every = np.concatenate([one.box_xyxy_px for one in found])
        assert (fused.box_xyxy_px >= every.min(axis=0) - 1e-3).all()
        assert (fused.box_xyxy_px <= every.max(axis=0) + 1e-3).all()


def test_two_networks_that_agree_score_higher_than_one():
    both = detections([(10, 10, 20, 20, 0, 0.8)])
    one = detections([(100, 10, 20, 20, 0, 0.8)])
    fused = fuse([both, detections([(12, 10, 20, 20, 0, 0.4)])], [1, 1], 0.5, NONE)
    np.testing.assert_allclose(fused.box_xyxy_px, [[10 + 2 / 3, 10, 30 + 2 / 3, 30]], atol=1e-5)
    np.testing.assert_allclose(fused.score, [0.6])
    np.testing.assert_allclose(fuse([one, detections([])], [1, 1], 0.5, NONE).score, [0.4])
    np.testing.assert_allclose(fuse([one, detections([])], [3, 1], 0.5, NONE).score, [0.6])


def test_an_overlap_must_exceed_the_threshold_and_classes_stay_apart():
    first = detections([(0, 0, 30, 10, 0, 0.9)])
    for row, count in (((10, 0, 30, 10, 0, 0.5), 2), ((9, 0, 30, 10, 0, 0.5), 1), ((0, 0, 30, 10, 1, 0.5), 2)):
        assert len(fuse([first, detections([row])], [1, 1], 0.5, NONE)) == count  # the first overlaps by exactly a half


def test_classes_that_are_alike_join_and_the_heavier_one_wins():
    car, van = detections([(0, 0, 20, 20, 0, 0.6)]), detections([(0, 0, 20, 20, 1, 0.4), (0, 0, 20, 20, 2, 0.9)])
    fused = fuse([car, van], [1, 2], 0.5, frozenset({0, 1}))
    assert fused.class_id.tolist() == [2, 1]  # twice 0.4 is more than 0.6
    np.testing.assert_allclose(fused.score, [1.8 / 3, 1.4 / 3])


def test_duplicates_of_one_network_count_once():
    fused = fuse([detections([(0, 0, 20, 20, 0, 0.9), (1, 0, 20, 20, 0, 0.6)]), detections([])], [1, 1], 0.5, NONE)
    np.testing.assert_allclose(fused.score, [0.45])


def test_a_score_of_zero_keeps_its_box():
    fused = fuse([detections([(3, 4, 20, 20, 0, 0.0)])], [1], 0.5, NONE)
    assert fused.box_xyxy_px.tolist() == [[3, 4, 23, 24]]
    assert fused.score.tolist() == [0]


def test_masks_and_a_wrong_number_of_weights_are_refused():
    one = detections([(0, 0, 20, 20, 0, 0.9)])
    masked = Detections(one.box_xyxy_px, one.class_id, one.score, rle=(b"",))
    for found, weight in (([masked], [1]), ([one], [1, 1]), ([], [])):
        with pytest.raises(SchemaError, match="SCH003"):
            fuse(found, weight, 0.5, NONE)
