"""One peak an object; the slow twin is the rule, written plainly."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.targets_by_sample import center_targets_of_head  # noqa: E402

from pointsam.detect.assign.center import CenterMap, center_targets, gaussian_radius, splat  # noqa: E402
from pointsam.detect.labels import BatchLabels, SampleLabels  # noqa: E402

HEAD = CenterMap((-20.0, -16.0), (0.8, 0.4), (80, 50), groups=((3, 1),), smallest_radius=(3, 2))


def labels_of(rng, boxes=12, clusters=30, points=400):
    def places(n):
        return np.column_stack([rng.uniform(-24, 24, n), rng.uniform(-20, 20, n), rng.uniform(-1, 1, n)])

    middle = places(boxes)
    box = np.column_stack([middle, rng.uniform(0.4, 12, (boxes, 3)), rng.uniform(-4, 4, boxes)])
    return SampleLabels(
        torch.from_numpy(box).float(),
        torch.from_numpy(rng.integers(0, 5, boxes)),
        torch.from_numpy(rng.normal(0, 3, (boxes, 2))).float(),
        torch.from_numpy(middle + rng.normal(0, 1, (boxes, 3))).float(),
        torch.from_numpy(rng.integers(0, 5, clusters)),
        torch.from_numpy(places(clusters)).float(),
        torch.from_numpy(rng.integers(1, 50, clusters)),
        torch.from_numpy(places(points)).float(),
        torch.full((points,), -1),
        torch.from_numpy(rng.random(points) < 0.1),
    )


def targets_of(labels, head):
    return center_targets(BatchLabels.join(labels), head)


def plain_radius(h, w, o=0.1):
    r1 = (h + w + math.sqrt((h + w) ** 2 - 4 * h * w * (1 - o) / (1 + o))) / 2
    b2 = 2 * (h + w)
    r2 = (b2 + math.sqrt(b2**2 - 16 * (1 - o) * h * w)) / 2
    b3 = -2 * o * (h + w)
    r3 = (b3 + math.sqrt(b3**2 - 16 * o * (o - 1) * h * w)) / 2
    return min(r1, r2, r3)


def plain(labels, head):
    """Heat of one sample and the (column, row, code) of its boxes, object by object (docs/method.md B.5)."""
    height, width = head.shape
    (classes,) = head.groups
    heat, rows = np.zeros((len(classes), height, width)), []
    centers = labels.visible_center if head.peak == "visible" else labels.boxes[:, :3]
    objects = [(c.item(), p, k) for k, (c, p) in enumerate(zip(labels.box_class, centers, strict=True))]
    objects += [(c.item(), p, None) for c, p in zip(labels.cluster_class, labels.cluster_center, strict=True)]
    for class_id, center, box in objects:
        if class_id not in classes:
            continue
        hx, hy = ((center[i].item() - head.origin_m[i]) / head.location_m[i] for i in (0, 1))
        if not (0 <= hx < width and 0 <= hy < height):
            continue
        cx, cy = math.floor(min(hx, width - 0.5)), math.floor(min(hy, height - 0.5))
        channel = classes.index(class_id)
        r = head.smallest_radius[channel]
        if box is not None:
            _, _, _, length, wide, _, _ = labels.boxes[box].tolist()
            r = max(math.floor(plain_radius(length / head.location_m[0], wide / head.location_m[1])), r)
            x, y, z, length, wide, tall, yaw = labels.boxes[box].tolist()
            true = [(v - head.origin_m[i]) / head.location_m[i] - c for i, (v, c) in enumerate(((x, cx), (y, cy)))]
            sizes = [math.log(v) for v in (length, wide, tall)]
            rows.append((cx, cy, [*true, z, *sizes, math.cos(yaw), math.sin(yaw), *labels.velocity[box].tolist()]))
        sigma = (2 * r + 1) / 6
        for y in range(max(0, cy - r), min(height, cy + r + 1)):
            for x in range(max(0, cx - r), min(width, cx + r + 1)):
                bell = math.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
                heat[channel, y, x] = max(heat[channel, y, x], bell)
    return heat, rows


@pytest.mark.parametrize("peak", ["visible", "true"])
@pytest.mark.parametrize("seed", range(6))
def test_targets_are_those_of_the_plain_rule(seed, peak, rng_of):
    head = replace(HEAD, peak=peak)
    labels = [labels_of(rng_of(seed)), labels_of(rng_of(seed + 100), boxes=3)]
    targets = targets_of(labels, head)
    rows, peaks = [], 0
    for k, sample_labels in enumerate(labels):
        heat, mine = plain(sample_labels, head)
        assert targets.heat[k].numpy() == pytest.approx(heat, abs=1e-6)
        rows += [(k, *row) for row in mine]
        peaks += (heat == 1).sum()
    assert targets.num_peaks == peaks > len(rows) > 0
    locations = list(zip(targets.sample.tolist(), targets.column.tolist(), targets.row.tolist(), strict=True))
    assert locations == [row[:3] for row in rows]
    assert targets.code.numpy() == pytest.approx(np.array([row[3] for row in rows]), abs=1e-4)


GROUPS = replace(HEAD, groups=((3, 1), (0,), (4, 2)), smallest_radius=(3, 2, 2, 4, 1))


@pytest.mark.parametrize("reach", [0, 1, 2])
@pytest.mark.parametrize("peak", ["visible", "true"])
@pytest.mark.parametrize("counts", [((12, 30), (3, 0), (0, 0)), ((40, 700), (0, 800)), ((0, 0),)])
def test_a_batch_has_the_targets_of_its_samples_and_heads_to_the_last_bit(counts, peak, reach, rng_of):
    rng, head = rng_of(5), replace(GROUPS, peak=peak, reach=reach)
    labels = [labels_of(rng, boxes, clusters) for boxes, clusters in counts]
    targets = targets_of(labels, head)
    at = torch.stack([targets.sample, targets.row, targets.column], dim=1)
    for group, channels in enumerate(((0, 1), (2,), (3, 4))):
        alone, mine = center_targets_of_head(labels, head, group), targets.group == group
        assert torch.equal(targets.heat[:, channels], alone.heat)
        for channel in channels:
            assert torch.equal(targets.counted[:, channel], alone.counted)
        assert targets.num_peaks[group] == alone.num_peaks
        assert targets.num_boxes[group] == mine.sum() == len(alone.code)
        rows = zip(
            torch.stack([alone.sample, alone.row, alone.column], dim=1).tolist(), alone.code.tolist(), strict=True
        )
        found = zip(at[mine].tolist(), targets.code[mine].tolist(), strict=True)
        assert repr(sorted(rows)) == repr(sorted(found))  # as text, because of unknown velocities
    assert len(targets.code) == targets.num_boxes.sum()


def test_a_cluster_peaks_with_the_smallest_radius_and_regresses_nothing(rng_of):
    labels = replace(
        labels_of(rng_of(1), boxes=0, clusters=1), cluster_class=torch.tensor([1]), cluster_center=torch.zeros(1, 3)
    )
    targets = targets_of([labels], HEAD)
    assert targets.num_peaks == 1
    assert len(targets.code) == 0
    assert (targets.heat[0, 1] > 0).sum() == 25  # radius 2
    assert targets.heat[0, 1, 40, 25] == 1


def test_the_offset_points_from_the_visible_middle_to_the_true_one():
    box = torch.tensor([[10.0, 0, 0, 12, 3, 3, 0]])
    none, empty = torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3)
    visible = torch.tensor([[5.0, 0, 0]])  # only the near end is seen
    velocity = torch.zeros(1, 2)
    labels = SampleLabels(box, torch.tensor([3]), velocity, visible, none, empty, none, empty, none, none.bool())
    targets = targets_of([labels], HEAD)
    column = math.floor((5 + 20) / 0.8)
    assert targets.column.tolist() == [column]
    assert targets.code[0, 0].item() == pytest.approx((10 + 20) / 0.8 - column)
    assert targets.code[0, 0] > 6


@pytest.mark.parametrize("seed", range(4))
def test_a_reach_regresses_a_box_in_each_location_about_its_peak_that_is_nearest_to_it(seed, rng_of):
    labels = labels_of(rng_of(seed), boxes=40, clusters=60)
    targets = targets_of([labels], replace(HEAD, reach=2))
    peaks = targets_of([labels], HEAD)
    code_of_location = dict(zip(_locations(targets), targets.code.tolist(), strict=True))
    boxed = list(zip(_locations(peaks), peaks.code.tolist(), strict=True))
    every = [(column, row) for row, column in (peaks.heat[0] == 1).amax(dim=0).nonzero().tolist()]
    around = {(x + dx, y + dy) for (x, y), _ in boxed for dx in range(-2, 3) for dy in range(-2, 3)}
    taught = 0
    for x, y in sorted(around):
        if not (0 <= x < 50 and 0 <= y < 80):
            assert (x, y) not in code_of_location
            continue
        far = sorted(
            ((px - x) ** 2 + (py - y) ** 2, (px, py)) for px, py in every if max(abs(px - x), abs(py - y)) <= 2
        )
        if len(far) > 1 and far[0][0] == far[1][0]:
            continue  # a tie may go either way
        mine = [(peak, code) for peak, code in boxed if peak == far[0][1]]
        assert ((x, y) in code_of_location) == bool(mine)
        if len(mine) == 1:
            (px, py), code = mine[0]
            there = [code[0] + px - x, code[1] + py - y, *code[2:]]
            assert code_of_location[x, y] == pytest.approx(there, abs=1e-4)
            taught += 1
    assert taught > 5 * len(boxed) > 0
    assert torch.equal(targets.heat, peaks.heat)


def _locations(targets):
    return list(zip(targets.column.tolist(), targets.row.tolist(), strict=True))


def test_boxes_come_before_clusters_when_there_are_too_many(rng_of):
    labels = labels_of(rng_of(2), boxes=0, clusters=700)
    inside = replace(
        labels, cluster_class=torch.full((700,), 3), cluster_center=labels.cluster_center * torch.tensor([0.5, 0.5, 1])
    )
    targets = targets_of([inside], HEAD)
    first = replace(inside, cluster_class=inside.cluster_class[:500], cluster_center=inside.cluster_center[:500])
    assert torch.equal(targets.heat, targets_of([first], HEAD).heat)
    assert 400 < targets.num_peaks <= 500


def test_two_objects_of_a_class_in_one_location_are_one_peak(rng_of):
    """As published: the loss of peaks is divided by the number of its terms."""
    labels = labels_of(rng_of(1), boxes=0, clusters=3)
    labels = replace(
        labels,
        cluster_class=torch.tensor([1, 1, 3]),
        cluster_center=torch.tensor([[0.1, 0, 0], [0.2, 0, 0], [0, 0, 0]]),
    )
    assert targets_of([labels], HEAD).num_peaks == 2


def test_unknown_points_excuse_their_surroundings_but_nothing_labelled(rng_of):
    labels = labels_of(rng_of(3))
    sure = replace(labels, unknown=torch.zeros_like(labels.unknown))
    off, on = (targets_of([some], HEAD) for some in (sure, labels))
    assert off.counted.all()
    assert torch.equal(on.heat, off.heat)
    expected = np.ones(HEAD.shape, dtype=bool)
    labelled = off.heat[0].amax(dim=0).numpy() > 0
    for x, y, _ in labels.xyz[labels.unknown].tolist():
        cx, cy = math.floor((x + 20) / 0.8), math.floor((y + 16) / 0.4)
        if 0 <= cx < 50 and 0 <= cy < 80:
            expected[max(cy - 1, 0) : cy + 2, max(cx - 1, 0) : cx + 2] = False
    assert not expected.all()
    for counted in on.counted[0].numpy():
        assert np.array_equal(counted, expected | labelled)


def test_an_empty_sample_has_no_target(rng_of):
    targets = targets_of([labels_of(rng_of(4), boxes=0, clusters=0)], HEAD)
    assert targets.num_peaks == 0
    assert targets.heat.sum() == 0
    assert targets.code.shape == (0, 10)


def test_the_nominal_size_of_a_cluster_gives_no_radius_at_all():
    assert gaussian_radius(torch.tensor([0.1]), torch.tensor([0.1])).item() == pytest.approx(0.04, abs=0.01)


def test_of_overlapping_bells_the_larger_counts():
    together, first, second, none = torch.zeros(4, 1, 12, 12)
    channel, location, radius = torch.zeros(2, dtype=torch.int64), torch.tensor([[5, 5], [6, 5]]), torch.tensor([2, 4])
    for heat, there in (
        (together, (True, True)),
        (first, (True, False)),
        (second, (False, True)),
        (none, (False,) * 2),
    ):
        splat(heat, channel, location, radius, torch.tensor(there), 4)
    assert first.sum() > 0
    assert none.sum() == 0
    assert torch.equal(together, torch.maximum(first, second))
