"""Anchors, boxes and clusters; the slow twin looks at every anchor and every point."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.detect_labels import labels_of  # noqa: E402
from helpers.targets_by_sample import anchor_targets_of_sample  # noqa: E402

from pointsam.base.errors import SchemaError  # noqa: E402
from pointsam.detect.assign.anchor import (  # noqa: E402
    IGNORED,
    NEGATIVE,
    POSITIVE,
    AnchorTargets,
    anchor_targets,
    decode_boxes,
    encode_boxes,
)
from pointsam.detect.assign.anchor_map import AnchorClass, AnchorMap  # noqa: E402
from pointsam.detect.assign.anchor_overlap import count_points  # noqa: E402
from pointsam.detect.labels import BatchLabels, SampleLabels  # noqa: E402

CAR = AnchorClass("car", (4.0, 1.7, 1.5), -1.0, box_iou=(0.6, 0.45), cluster_iou=(0.8, 0.1))
PERSON = AnchorClass("person", (0.8, 0.6, 1.7), -0.9, box_iou=(0.5, 0.35), cluster_iou=(0.6, 0.15))
MAP = AnchorMap((-8.0, -6.4), (0.8, 0.8), (16, 20), (CAR, PERSON), (0, 2))


def targets_of(labels, anchor_map, match="overlap"):
    """Targets of the only sample of a batch."""
    targets = anchor_targets(BatchLabels.join([labels]), anchor_map, match)
    return AnchorTargets(targets.label[0], targets.box[0])


def upright(box):
    """Rectangle of the nearest of 0 and 90 degrees."""
    x, y, _, length, width, _, yaw = (float(v) for v in box)
    turned = abs(math.sin(yaw)) > abs(math.cos(yaw))
    dx, dy = (width, length) if turned else (length, width)
    return np.array([x - dx / 2, y - dy / 2, x + dx / 2, y + dy / 2], dtype=np.float32)


def rectangle_iou(a, b):
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    return shared / (float(np.prod(a[2:] - a[:2])) + float(np.prod(b[2:] - b[:2])) - shared)


def point_iou(held, members, count):
    shared = len(held & members)
    return shared / (len(held) + count - shared + 1e-6)


def matched(table, high, low):
    """Label and best object of each row of a table of overlaps."""
    if not table.shape[1]:
        return [NEGATIVE] * len(table), [-1] * len(table)
    labels = [POSITIVE if row.max() >= high else IGNORED if row.max() >= low else NEGATIVE for row in table]
    for k in range(table.shape[1]):
        best = table[:, k].max()
        for a in np.flatnonzero(table[:, k] == best):
            if best > 0:
                labels[a] = POSITIVE
    return labels, table.argmax(axis=1).tolist()


def overlaps(labels, anchor_map, anchors, class_id):
    """Overlaps (A,B), (A,M) of anchors with boxes and clusters, whose numbers, and which hold unknown points."""
    grid = anchor_map.boxes(anchors).view(-1, 7).numpy()
    rectangles = [upright(anchor) for anchor in grid]
    boxes = [k for k, c in enumerate(labels.box_class.tolist()) if c == class_id]
    clusters = [m for m, c in enumerate(labels.cluster_class.tolist()) if c == class_id]
    xy = labels.xyz[:, :2].numpy()
    members = {m: set(np.flatnonzero(labels.cluster_id.numpy() == m)) for m in clusters}
    by_box, by_cluster = np.zeros((len(grid), len(boxes))), np.zeros((len(grid), len(clusters)))
    unknown = []
    for a, (x0, y0, x1, y1) in enumerate(rectangles):
        held = set(np.flatnonzero((xy[:, 0] >= x0) & (xy[:, 0] <= x1) & (xy[:, 1] >= y0) & (xy[:, 1] <= y1)))
        by_box[a] = [rectangle_iou(rectangles[a], upright(labels.boxes[b])) for b in boxes]
        by_cluster[a] = [point_iou(held, members[m], labels.cluster_points[m].item()) for m in clusters]
        unknown.append(any(labels.unknown[p] for p in held))
    return by_box.astype(np.float32), by_cluster.astype(np.float32), boxes, clusters, unknown


def plain(labels, anchor_map, anchors, class_id):
    """Labels and boxes of a class' anchors, anchor by anchor (docs/method.md B.7)."""
    by_box, by_cluster, boxes, _, unknown = overlaps(labels, anchor_map, anchors, class_id)
    box_label, owner = matched(by_box, *anchors.box_iou)
    cluster_label, _ = matched(by_cluster, *anchors.cluster_iou)
    label = [b if c == NEGATIVE else c for b, c in zip(box_label, cluster_label, strict=True)]
    box = [boxes[o] if b == POSITIVE else -1 for b, o in zip(box_label, owner, strict=True)]
    label = [IGNORED if value == NEGATIVE and u else value for value, u in zip(label, unknown, strict=True)]
    return label, box


def plain_by_centers(labels, anchor_map, anchors, class_id):
    """Plain matching of both kinds by their visible centres: at every location, the nearest object decides."""
    by_box, by_cluster, boxes, clusters, unknown = overlaps(labels, anchor_map, anchors, class_id)
    grid = anchor_map.boxes(anchors).view(2, -1, 7).numpy()
    locations, half = grid.shape[1], np.float32(anchor_map.location_m[0] / 2)
    objects = [(labels.visible_center[b], b) for b in boxes] + [(labels.cluster_center[m], -1) for m in clusters]
    turns = [abs(math.sin(labels.boxes[b, 6])) > abs(math.cos(labels.boxes[b, 6])) for b in boxes]
    turns += [by_cluster[locations:, j].max() > by_cluster[:locations, j].max() for j in range(len(clusters))]
    far = np.full((locations, len(objects)), np.inf, dtype=np.float32)
    for j, (center, _) in enumerate(objects):
        offset = grid[0, :, :2] - center[:2].numpy()
        if (np.abs(offset) <= half).all(axis=1).any():  # inside the map
            far[:, j] = np.linalg.norm(offset, axis=1)
    label = [
        IGNORED if max([*b, 0]) >= anchors.box_iou[1] or max([*c, 0]) >= anchors.cluster_iou[1] else NEGATIVE
        for b, c in zip(by_box, by_cluster, strict=True)
    ]
    box = [-1] * (2 * locations)
    for location, row in enumerate(far):
        nearest = [j for j in range(len(objects)) if row[j] < np.inf and row[j] == far[:, j].min()]
        if not len(row) or not (row.min() <= min(anchors.size_lwh_m[:2]) / 2 or nearest):
            continue
        j = int(row.argmin())
        if objects[j][1] < 0:
            label[location] = label[locations + location] = IGNORED
        label[turns[j] * locations + location] = POSITIVE
        box[turns[j] * locations + location] = objects[j][1]
    label = [IGNORED if value == NEGATIVE and u else value for value, u in zip(label, unknown, strict=True)]
    return label, box


RULES = [("overlap", "centers", plain), ("overlap", "edges", plain), ("centers", "centers", plain_by_centers)]


@pytest.mark.parametrize(("match", "places", "twin"), RULES)
@pytest.mark.parametrize("seed", range(6))
def test_targets_are_those_of_the_plain_rule(seed, match, places, twin, rng_of):
    labels, anchor_map = labels_of(rng_of(seed)), replace(MAP, places=places)
    targets = targets_of(labels, anchor_map, match)
    for k, (anchors, class_id) in enumerate(zip(MAP.classes, MAP.class_ids, strict=True)):
        label, box = twin(labels, anchor_map, anchors, class_id)
        assert targets.label[k].flatten().tolist() == label
        assert targets.box[k].flatten().tolist() == box
    assert {POSITIVE, NEGATIVE, IGNORED} <= set(targets.label.flatten().tolist())


@pytest.mark.parametrize(("match", "places"), [("overlap", "centers"), ("overlap", "edges"), ("centers", "centers")])
@pytest.mark.parametrize("counts", [((9, 30), (3, 0), (0, 0), (0, 12)), ((20, 60), (40, 5)), ((0, 0),)])
def test_a_batch_has_the_targets_of_its_samples_to_the_last_bit(counts, match, places, rng_of):
    rng, anchor_map = rng_of(3), replace(MAP, places=places)
    labels = [labels_of(rng, boxes, clusters) for boxes, clusters in counts]
    targets = anchor_targets(BatchLabels.join(labels), anchor_map, match)
    first = 0
    for k, sample_labels in enumerate(labels):
        label, box = anchor_targets_of_sample(sample_labels, anchor_map, match)
        assert torch.equal(targets.label[k], label)
        assert torch.equal(targets.box[k], torch.where(box >= 0, box + first, -1))
        first += len(sample_labels.boxes)


def test_anchors_from_edge_to_edge_start_and_end_on_the_edges_of_the_map():
    x, y = replace(MAP, places="edges").centers()
    assert (x[0], x[-1], y[0], y[-1]) == pytest.approx((-8.0, 8.0, -6.4, 6.4), abs=1e-5)
    assert torch.diff(x) == pytest.approx(torch.full((19,), 16 / 19), abs=1e-5)
    assert len(replace(MAP, shape=(1, 1), places="edges").centers()[0]) == 1


@pytest.mark.parametrize("match", ["overlap", "centers"])
def test_a_cluster_teaches_the_class_and_never_the_geometry(match, rng_of):
    targets = targets_of(labels_of(rng_of(1), boxes=0, clusters=8), MAP, match)
    assert (targets.label == POSITIVE).any()
    assert (targets.box == -1).all()


def test_a_cluster_overrules_a_box_in_the_class_but_not_in_the_regression():
    x, y = torch.meshgrid(torch.arange(-15, 16) / 8, torch.arange(-5, 6) / 8, indexing="xy")
    cloud = torch.stack([x.flatten(), y.flatten(), torch.full((x.numel(),), -1.0)], dim=1) + torch.tensor([0.4, 0.4, 0])
    ids = torch.where(cloud[:, 0] < 0.4, 0, -1)  # an anchor on the box holds all its points, a cluster half of them
    box, none = torch.tensor([[0.4, 0.4, -1, 4, 1.7, 1.5, 0]]), torch.zeros(1, dtype=torch.int64)
    count, unknown = (ids == 0).sum()[None], ids < 0
    labels = SampleLabels(box, none, torch.zeros(1, 2), box[:, :3], none, box[:, :3], count, cloud, ids, unknown)
    alone = replace(
        labels, cluster_class=none[:0], cluster_center=box[:0, :3], cluster_points=none[:0], cluster_id=ids * 0 - 1
    )
    by_both, by_box = targets_of(labels, MAP), targets_of(alone, MAP)
    at = (0, 0, 8, 10)  # the anchor of no yaw on the box itself
    assert by_box.label[at] == POSITIVE
    assert by_both.label[at] == IGNORED  # half of what it holds is the cluster: between the thresholds
    assert by_both.box[at] == by_box.box[at] == 0


def test_by_centers_a_half_seen_box_is_found_and_regressed_where_a_half_seen_cluster_would_be():
    near_side = torch.rand(30, 3) * torch.tensor([4.0, 0.2, 1.0]) - torch.tensor([2.0, 0.85, 1.5])
    middle = (near_side.amin(dim=0) + near_side.amax(dim=0))[None] / 2
    none, ids = torch.zeros(0, dtype=torch.int64), torch.zeros(30, dtype=torch.int64)
    box, one = torch.tensor([[0.0, 0, -1, 4, 1.7, 1.5, 0]]), torch.zeros(1, dtype=torch.int64)
    unknown = ids > 0
    boxed = SampleLabels(box, one, torch.zeros(1, 2), middle, none, middle[:0], none, near_side, ids - 1, unknown)
    cluster = SampleLabels(box[:0], none, torch.zeros(0, 2), middle[:0], one, middle, one + 30, near_side, ids, unknown)
    by_box, by_cluster = (targets_of(labels, MAP, "centers") for labels in (boxed, cluster))
    assert torch.equal(by_box.label[0, 0] == POSITIVE, by_cluster.label[0, 0] == POSITIVE)
    assert torch.equal(by_box.box[0] == 0, by_box.label[0] == POSITIVE)
    assert (by_box.label[0] == POSITIVE).any()


def test_the_best_anchor_of_a_cluster_is_positive_even_below_the_threshold():
    far = torch.tensor([[7.9, 6.3, 0.0]])  # one point in a corner, with much around it
    xyz = torch.cat([far, far - torch.rand(30, 1) * torch.tensor([1.0, 1, 0])])
    none, empty = torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3)
    ids = torch.full((31,), -1)
    ids[0] = 0
    labels = SampleLabels(
        torch.zeros(0, 7), none, torch.zeros(0, 2), empty, torch.tensor([0]), far, torch.tensor([1]), xyz, ids, ids < -1
    )
    assert (targets_of(labels, MAP).label[0] == POSITIVE).any()


def test_counts_are_exact_on_the_edges_of_anchors(rng_of):
    x = torch.tensor([-7.6 + 2.0, -7.6 - 2.0])  # both ends of the first column's cars
    xy = torch.stack([x, torch.full_like(x, -6.0)], dim=1)
    xyz = torch.cat([xy, torch.zeros(2, 1)], dim=1)
    labels = replace(
        labels_of(rng_of(0)), xyz=xyz, unknown=torch.tensor([True, False]), cluster_id=torch.full((2,), -1)
    )
    counts = count_points(BatchLabels.join([labels]), MAP)
    assert counts.points[0, 0, 0, 0, 0] == 2
    assert counts.unknown[0, 0, 0, 0, 0]


def test_residuals_decode_to_the_boxes(rng_of):
    anchors = MAP.boxes(CAR).view(-1, 7)[:50]
    boxes = torch.from_numpy(
        np.column_stack([rng_of(0).uniform(0.5, 5, (50, 6)), rng_of(1).uniform(-3, 3, 50)])
    ).float()
    assert torch.allclose(decode_boxes(encode_boxes(boxes, anchors), anchors), boxes, atol=1e-5)


def test_thresholds_out_of_order_are_refused():
    with pytest.raises(SchemaError, match=r"anchors\.cluster_iou is \(0\.1, 0\.8\)"):
        replace(CAR, cluster_iou=(0.1, 0.8))
