"""Camera masks against true instances; the slow twin compares whole masks, one by one."""

import math

import numpy as np
import pytest

from pointsam import rle
from pointsam.datasets.truth2d import ImageTruth
from pointsam.evaluate.images import ImageAccumulator
from pointsam.taxonomy import NUSCENES


def picture(rng, objects=12, masks=15, shape=(120, 160)):
    ids = np.zeros(shape, dtype=np.int64)
    for k in range(1, objects + 1):
        v, u = rng.integers(0, shape[0] - 5), rng.integers(0, shape[1] - 5)
        ids[v : v + rng.integers(2, 60), u : u + rng.integers(2, 40)] = k
    instance = np.arange(1, objects + 1)
    truth = ImageTruth(ids, instance, rng.integers(0, 3, objects), rng.random(objects))
    found = []
    for _ in range(masks):
        mask = np.roll(ids == rng.integers(1, objects + 1), rng.integers(-3, 4), axis=1)
        found.append((mask, int(rng.integers(0, 3))))
    return truth, found


def rectangles(*heights, width=1, visible=1.0):
    """Cars of given heights, side by side, and their masks."""
    ids = np.zeros((200, width * len(heights)), dtype=np.int64)
    for k, height in enumerate(heights):
        ids[:height, k * width : (k + 1) * width] = k + 1
    count = len(heights)
    truth = ImageTruth(ids, np.arange(1, count + 1), np.zeros(count, np.int64), np.full(count, visible))
    return truth, [ids == k for k in truth.instance_id]


def counted(truth, masks):
    accumulator = ImageAccumulator(NUSCENES)
    accumulator.add(truth, [(rle.encode_mask(mask), class_id) for mask, class_id in masks])
    return {one.name: one for one in accumulator.result()}


def test_bands_begin_at_their_first_height():
    result = counted(rectangles(19, 20, 39, 40, 79, 80, 159, 160, 199)[0], [])
    names = {"0-19 px high": 1, "20-39 px high": 2, "40-79 px high": 2, "80-159 px high": 2, "160 px high and more": 2}
    assert {name: one.num_objects for name, one in result.items() if "high" in name} == names


@pytest.mark.parametrize(("visible", "band"), [(0.8, "clear"), (0.79, "hidden in part")])
def test_what_is_seen_of_an_object_makes_it_clear(visible, band):
    result = counted(rectangles(20, 30, visible=visible)[0], [])
    assert {one.name for one in result.values() if one.num_objects == 2} == {"all", "car", "20-39 px high", band}


def test_an_object_counts_from_sixteen_pixels():
    assert counted(rectangles(15, 16)[0], [])["all"].num_objects == 1


def test_an_object_takes_its_best_mask_which_covers_more_than_a_half():
    truth, (left, right) = rectangles(20, 40)
    half = left & (np.arange(200) < 10)[:, None]  # IoU 0.5 exactly
    most = right & (np.arange(200) < 30)[:, None]  # IoU 0.75, of another class
    some = right & (np.arange(200) < 24)[:, None]  # IoU 0.6
    result = counted(truth, [(half, 0), (some, 0), (most, 1)])
    whole = result["all"]
    assert (whole.mean_iou, whole.recall, whole.class_share) == (0.625, 0.5, 0.0)
    assert (whole.num_masks, whole.precision) == (3, pytest.approx(2 / 3))
    assert (result["car"].num_masks, result["car"].precision, result["truck"].precision) == (2, 0.5, 1.0)
    assert result["clear"].num_masks == 0


@pytest.mark.parametrize("seed", range(2))
def test_figures_are_those_of_whole_masks(seed, rng_of):
    rng = rng_of(seed)
    accumulator, objects, masks = ImageAccumulator(NUSCENES), [], []
    for _ in range(3):
        truth, found = picture(rng)
        accumulator.add(truth, [(rle.encode_mask(mask), class_id) for mask, class_id in found])
        whole = {k: truth.ids == k for k in truth.instance_id}
        for k, true in whole.items():
            if true.sum() < 16:
                continue
            ious = [(true & mask).sum() / max((true | mask).sum(), 1) for mask, _ in found]
            best = int(np.argmax(ious))
            rows = np.nonzero(true)[0]
            same = found[best][1] == truth.class_id[k - 1]
            objects.append((truth.class_id[k - 1], max(ious), same, np.ptp(rows) + 1, truth.visible[k - 1]))
        for mask, class_id in found:
            ious = [(true & mask).sum() / max((true | mask).sum(), 1) for true in whole.values()]
            masks.append((class_id, max(ious) > 0.5))
    result = {one.name: one for one in accumulator.result()}
    table = np.array(objects, dtype=float)
    groups = {"all": np.ones(len(table), bool), "car": table[:, 0] == 0, "clear": table[:, 4] >= 0.8}
    groups |= {"20-39 px high": (table[:, 3] >= 20) & (table[:, 3] < 40), "hidden in part": table[:, 4] < 0.8}
    for name, inside in groups.items():
        one, rows = result[name], table[inside]
        assert one.num_objects == len(rows) > 0
        assert one.mean_iou == pytest.approx(rows[:, 1].mean())
        assert one.recall == pytest.approx((rows[:, 1] > 0.5).mean())
        hits = rows[rows[:, 1] > 0.5]
        assert one.class_share == pytest.approx(hits[:, 2].mean() if len(hits) else math.nan, nan_ok=True)
    assert result["all"].num_masks == len(masks)
    assert result["all"].precision == pytest.approx(np.mean([right for _, right in masks]))
    trucks = [right for class_id, right in masks if class_id == 1]
    assert (result["truck"].num_masks, result["truck"].precision) == (len(trucks), pytest.approx(np.mean(trucks)))


def test_an_image_without_masks_misses_all_and_one_without_objects_has_false_masks_alone(rng_of):
    truth, found = picture(rng_of(7))
    missed = ImageAccumulator(NUSCENES)
    missed.add(truth, [])
    whole = missed.result()[0]
    assert (whole.mean_iou, whole.recall, whole.num_masks) == (0.0, 0.0, 0)
    assert math.isnan(whole.precision)
    nothing = ImageTruth(np.zeros((120, 160), np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    false = ImageAccumulator(NUSCENES)
    false.add(nothing, [(rle.encode_mask(mask), class_id) for mask, class_id in found])
    assert (false.result()[0].num_objects, false.result()[0].precision) == (0, 0.0)
