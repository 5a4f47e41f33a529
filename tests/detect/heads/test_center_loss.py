"""The centre head's losses, location by location and box by box (docs/method.md B.5)."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.detect_labels import joined, labels_of  # noqa: E402
from helpers.targets_by_sample import center_targets_of_head  # noqa: E402

from pointsam.detect.heads.center import CenterHead, CenterHeadConfig  # noqa: E402
from pointsam.detect.nets.grid import MapShape  # noqa: E402

MAP_SHAPE = MapShape((-10.0, -8.0), (0.8, 0.8), (20, 25))
IDS = {"car": 0, "person": 1, "cone": 2}
CONFIG = CenterHeadConfig((("car", "person"), ("cone",)), {"person": 1}, class_weight=1.5, box_weight=0.25)


def head_of(config=CONFIG):
    return CenterHead(4, MAP_SHAPE, IDS, config)


def output_of(rng, samples, numbers=10):
    """Heat logits and codes of each group, anything."""
    return [
        tuple(
            torch.from_numpy(rng.normal(0, 2, (samples, channels, *MAP_SHAPE.shape))).float()
            for channels in (group, numbers)
        )
        for group in (2, 1)
    ]


def moving(labels, rng):
    """Boxes with velocities, the first's unknown, whose visible centres are off their centres."""
    velocity = torch.from_numpy(rng.normal(0, 3, (len(labels.boxes), 2))).float()
    velocity[:1] = math.nan
    offset = torch.from_numpy(rng.uniform(-0.8, 0.8, (len(labels.boxes), 3))).float()
    return replace(labels, velocity=velocity, visible_center=labels.visible_center + offset)


def plain_heat(logits, targets):
    """CornerNet's focal loss of the locations that count, summed up."""
    total = 0.0
    for (s, c, y, x), target in np.ndenumerate(targets.heat.numpy()):
        if targets.counted[s, y, x]:
            p = min(max(1 / (1 + math.exp(-logits[s, c, y, x].item())), 1e-4), 1 - 1e-4)
            total -= (1 - p) ** 2 * math.log(p) if target == 1 else (1 - target) ** 4 * p**2 * math.log(1 - p)
    return total


def plain_boxes(code, targets, weights):
    """Weighted differences at the locations of boxes, without unknown velocities."""
    total = 0.0
    for s, y, x, target in zip(targets.sample, targets.row, targets.column, targets.code.tolist(), strict=True):
        predicted = code[s, :, y, x].tolist()
        total += sum(w * abs(a - b) for w, a, b in zip(weights, predicted, target, strict=True) if not math.isnan(b))
    return total


def plain(output, labels, head):
    """Heat by the number of all objects of a group in the batch, regression by that of its boxes; groups added up."""
    config, heat, box = head.config, 0.0, 0.0
    for group, (logits, code) in enumerate(output):
        targets, classes = center_targets_of_head(labels, head.map, group), head.map.groups[group]
        boxes = sum(c in classes for sample_labels in labels for c in sample_labels.box_class.tolist())
        clusters = sum(c in classes for sample_labels in labels for c in sample_labels.cluster_class.tolist())
        heat += plain_heat(logits, targets) / max(boxes + clusters, 1)
        box += plain_boxes(code, targets, config.code_weights) / max(boxes, 1)
    return {"heat": heat * config.class_weight, "box": box * config.box_weight}


@pytest.mark.parametrize(
    ("boxes", "clusters"), [((5, 2), (7, 3)), ((0, 4), (6, 0)), ((0, 0), (5, 2)), ((0, 0), (0, 0))]
)
@pytest.mark.parametrize("seed", range(2))
def test_objects_of_the_batch_divide_the_heat_and_its_boxes_the_regression(seed, boxes, clusters, rng_of):
    rng, head = rng_of(seed), head_of()
    labels = [moving(labels_of(rng, *counts), rng) for counts in zip(boxes, clusters, strict=True)]
    output = output_of(rng, 2)
    losses = head.loss(output, joined(*labels))
    expected = plain(output, labels, head)
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(expected, rel=1e-4)


def plain_axis(code, targets, weights):
    """Weighted differences of boxes with the angle doubled, and the logistic loss of their fronts."""
    box = front = 0.0
    for s, y, x, target in zip(targets.sample, targets.row, targets.column, targets.code.tolist(), strict=True):
        predicted, yaw = code[s, :, y, x].tolist(), math.atan2(target[7], target[6])
        target = [*target[:6], math.cos(2 * yaw), math.sin(2 * yaw), *target[8:]]
        box += sum(w * abs(a - b) for w, a, b in zip(weights, predicted, target, strict=False) if not math.isnan(b))
        odds = 2 * (predicted[10] * math.cos(yaw) + predicted[11] * math.sin(yaw))
        front += math.log1p(math.exp(-odds))
    return box, front


@pytest.mark.parametrize("boxes", [(5, 2), (0, 4), (0, 0)])
def test_an_axis_costs_the_same_in_both_directions_and_its_front_apart(boxes, rng_of):
    rng, head = rng_of(3), head_of(replace(CONFIG, heading="axis", facing_weight=0.7))
    labels = [moving(labels_of(rng, count, 3), rng) for count in boxes]
    output = output_of(rng, 2, 12)
    losses = {name: value.item() for name, value in head.loss(output, joined(*labels)).items()}
    box = front = 0.0
    for group, (_, code) in enumerate(output):
        targets, classes = center_targets_of_head(labels, head.map, group), head.map.groups[group]
        count = max(sum(c in classes for one in labels for c in one.box_class.tolist()), 1)
        parts = plain_axis(code, targets, CONFIG.code_weights)
        box, front = box + parts[0] / count, front + parts[1] / count
    assert losses["box"] == pytest.approx(box * CONFIG.box_weight, rel=1e-4)
    assert losses["facing"] == pytest.approx(front * 0.7, rel=1e-4)
    turned = [replace(one, boxes=one.boxes + one.boxes.new_tensor([0, 0, 0, 0, 0, 0, math.pi])) for one in labels]
    assert head.loss(output, joined(*turned))["box"].item() == pytest.approx(losses["box"], rel=1e-4)
