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


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_whole_masks(seed, rng_of):
    rng = rng_of(seed)
    accumulator, objects, masks = ImageAccumulator(NUSCENES), [], []
    for _ in range(3):
        truth, found = picture(rng)
        accumulator.add(truth, [(rle.encode(mask), class_id) for mask, class_id in found])
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
    false.add(nothing, [(rle.encode(mask), class_id) for mask, class_id in found])
    assert (false.result()[0].num_objects, false.result()[0].precision) == (0, 0.0)
