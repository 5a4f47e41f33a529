"""The anchor head's losses, anchor by anchor (docs/method.md B.7)."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.detect_labels import joined, labels_of  # noqa: E402

from pointsam.detect.assign.anchor import IGNORED, POSITIVE, AnchorTargets, anchor_targets  # noqa: E402
from pointsam.detect.assign.anchor_map import AnchorClass  # noqa: E402
from pointsam.detect.heads.anchor import AnchorHead, AnchorHeadConfig, AnchorOutput  # noqa: E402
from pointsam.detect.labels import SampleLabels  # noqa: E402
from pointsam.detect.nets.grid import MapShape  # noqa: E402

MAP_SHAPE = MapShape((-10.0, -8.0), (0.8, 0.8), (20, 25))
CAR = AnchorClass("car", (4.0, 1.7, 1.5), -1.0, (0.6, 0.45), (0.8, 0.1))
PERSON = AnchorClass("person", (0.8, 0.6, 1.7), -0.9, (0.5, 0.35), (0.6, 0.15))
CONFIG = AnchorHeadConfig((CAR, PERSON), class_weight=1.5, box_weight=2.0, direction_weight=0.2, velocity_weight=0.3)


def head_of(config=CONFIG):
    return AnchorHead(4, MAP_SHAPE, {"car": 0, "person": 2}, config)


def targets_of(labels, head):
    """Targets of a sample."""
    targets = anchor_targets(joined(labels), head.map, head.config.match)
    return AnchorTargets(targets.label[0], targets.box[0])


def output_of(rng, samples):
    """Anything."""
    shape = (samples, 2, 2, *MAP_SHAPE.shape)
    parts = [rng.normal(0, 2, shape), rng.normal(0, 0.5, (*shape, 9)), rng.normal(0, 2, (*shape, 2))]
    return AnchorOutput(*(torch.from_numpy(part).float() for part in parts))


def moving(labels, rng):
    """Boxes with velocities, the first's unknown."""
    velocity = torch.from_numpy(rng.normal(0, 1, (len(labels.boxes), 2))).float()
    velocity[:1] = math.nan
    return replace(labels, velocity=velocity)


def plain_class(logits, label):
    """Focal loss of the anchors that are not ignored, by the number of all positive ones, boxes' and clusters'."""
    total = 0.0
    for at, target in np.ndenumerate(label.numpy()):
        if target != IGNORED:
            right = 1 / (1 + math.exp(-logits[at].item() * (1 if target == POSITIVE else -1)))
            total += (0.25 if target == POSITIVE else 0.75) * (1 - right) ** 2 * -math.log(right)
    return total / max((label == POSITIVE).sum().item(), 1)


def rounded_off(apart, beta=1 / 9):
    return apart**2 / 2 / beta if abs(apart) < beta else abs(apart) - beta / 2


def plain_box(residuals, anchor, box, velocity, velocity_weight):
    """Of one anchor: offsets by its diagonal and height, logarithms of sizes, the sine of what the yaw is off."""
    (x, y, z, *size, yaw), (ax, ay, az, *anchor_size, anchor_yaw) = box.tolist(), anchor.tolist()
    diagonal = math.hypot(*anchor_size[:2])
    target = [(x - ax) / diagonal, (y - ay) / diagonal, (z - az) / anchor_size[2]]
    target += [math.log(a / b) for a, b in zip(size, anchor_size, strict=True)]
    apart = [predicted - value for predicted, value in zip(residuals[:6], target, strict=True)]
    apart.append(math.sin(residuals[6] - (yaw - anchor_yaw)))
    known = [
        (predicted - v) for predicted, v in zip(residuals[7:], velocity.tolist(), strict=True) if not math.isnan(v)
    ]
    return sum(map(rounded_off, apart)) + velocity_weight * sum(map(rounded_off, known))


def plain(output, labels, head):
    """The mean of the samples' losses; those of geometry by the number of anchors that regress a box."""
    config, terms = head.config, []
    for s, sample_labels in enumerate(labels):
        targets = targets_of(sample_labels, head)
        box = direction = 0.0
        boxed = [tuple(at) for at in (targets.box >= 0).nonzero().tolist()]
        for at in boxed:
            k = targets.box[at]
            residuals = output.residuals[(s, *at)].tolist()
            box += plain_box(
                residuals, head.anchors[at], sample_labels.boxes[k], sample_labels.velocity[k], config.velocity_weight
            )
            behind = (sample_labels.boxes[k, 6].item() - math.pi / 4) % (2 * math.pi) >= math.pi
            ways = output.direction[(s, *at)].tolist()
            direction += math.log(sum(map(math.exp, ways))) - ways[int(behind)]
        count = max(len(boxed), 1)
        terms.append((plain_class(output.logits[s], targets.label), box / count, direction / count))
    weights = (config.class_weight, config.box_weight, config.direction_weight)
    means = [weight * sum(part) / len(labels) for weight, part in zip(weights, zip(*terms, strict=True), strict=True)]
    return dict(zip(("class", "box", "direction"), means, strict=True))


@pytest.mark.parametrize("match", ["overlap", "centers"])
@pytest.mark.parametrize(("boxes", "clusters"), [((5, 3), (6, 8)), ((0, 4), (7, 0)), ((0, 0), (5, 0))])
def test_all_positives_divide_the_class_loss_and_those_of_boxes_the_geometry(boxes, clusters, match, rng_of):
    rng, head = rng_of(0), head_of(replace(CONFIG, match=match))
    labels = [moving(labels_of(rng, *counts), rng) for counts in zip(boxes, clusters, strict=True)]
    output = output_of(rng, 2)
    losses = head.loss(output, joined(*labels))
    expected = plain(output, labels, head)
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(expected, rel=1e-4)


def test_clusters_thin_out_the_class_loss_and_leave_the_geometry_alone(rng_of):
    """On logits of 0 every positive anchor costs alike: twice as many, half of the background's share."""
    head, labels = head_of(), labels_of(rng_of(2), boxes=4, clusters=8)
    boxes_alone = replace(
        labels,
        cluster_class=labels.cluster_class[:0],
        cluster_center=labels.cluster_center[:0],
        cluster_points=labels.cluster_points[:0],
        cluster_id=torch.full_like(labels.cluster_id, -1),
    )
    output = output_of(rng_of(3), 1)
    output = AnchorOutput(torch.zeros_like(output.logits), output.residuals, output.direction)
    mixed, alone = (head.loss(output, joined(some)) for some in (labels, boxes_alone))
    for name in ("box", "direction"):
        assert torch.equal(mixed[name], alone[name])
    label_maps = [targets_of(some, head).label for some in (labels, boxes_alone)]
    positives = [(label == POSITIVE).sum().item() for label in label_maps]
    negatives = [(label == 0).sum().item() for label in label_maps]
    assert positives[0] > 2 * positives[1] > 0
    for loss, p, n in zip((mixed, alone), positives, negatives, strict=True):
        assert loss["class"].item() == pytest.approx(1.5 * math.log(2) / 4 * (0.25 * p + 0.75 * n) / p, rel=1e-5)


def test_an_anchor_that_a_cluster_made_doubtful_regresses_its_box_all_the_same(rng_of):
    cloud = torch.rand(40, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([4.0, 1.7, 1.0])
    cloud -= torch.tensor([2.0, 0.85, 1.5])
    one, owned = torch.zeros(1, dtype=torch.int64), torch.arange(40) < 20
    box, ids = torch.tensor([[0.0, 0, -1, 4, 1.7, 1.5, 0]]), torch.where(owned, 0, -1)
    labels = SampleLabels(box, one, torch.zeros(1, 2), box[:, :3], one, cloud[:1], one + 20, cloud, ids, owned & ~owned)
    head, output = head_of(), output_of(rng_of(0), 1)
    targets = targets_of(labels, head)
    assert ((targets.box >= 0) & (targets.label == IGNORED)).any()
    losses = {name: value.item() for name, value in head.loss(output, joined(labels)).items()}
    assert losses == pytest.approx(plain(output, [labels], head), rel=1e-4)
