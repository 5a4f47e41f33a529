"""The anchor head's losses, anchor by anchor (method.md B.7)."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.detect_scenes import scene_of  # noqa: E402

from pointsam.detect.assign.anchor import IGNORED, POSITIVE, AnchorClass, anchor_targets  # noqa: E402
from pointsam.detect.heads.anchor import AnchorHead, AnchorHeadConfig, AnchorOutput  # noqa: E402
from pointsam.detect.labels import SampleLabels  # noqa: E402
from pointsam.detect.nets.grid import MapShape  # noqa: E402

PLACE = MapShape((-10.0, -8.0), (0.8, 0.8), (20, 25))
CAR = AnchorClass("car", (4.0, 1.7, 1.5), -1.0, (0.6, 0.45), (0.8, 0.1))
PERSON = AnchorClass("person", (0.8, 0.6, 1.7), -0.9, (0.5, 0.35), (0.6, 0.15))
CONFIG = AnchorHeadConfig((CAR, PERSON), class_weight=1.5, box_weight=2.0, direction_weight=0.2, velocity_weight=0.3)


def head_of(config=CONFIG):
    return AnchorHead(4, PLACE, {"car": 0, "person": 2}, config)


def said_of(rng, samples):
    """Anything."""
    shape = (samples, 2, 2, *PLACE.shape)
    parts = [rng.normal(0, 2, shape), rng.normal(0, 0.5, (*shape, 9)), rng.normal(0, 2, (*shape, 2))]
    return AnchorOutput(*(torch.from_numpy(part).float() for part in parts))


def moving(scene, rng):
    """Boxes with velocities, the first's unknown."""
    velocity = torch.from_numpy(rng.normal(0, 1, (len(scene.boxes), 2))).float()
    velocity[:1] = math.nan
    return replace(scene, velocity=velocity)


def plain_class(logits, label):
    """Focal loss of the anchors that are not ignored, by the number of all positive ones, boxes' and clusters'."""
    total = 0.0
    for at, said in np.ndenumerate(label.numpy()):
        if said != IGNORED:
            right = 1 / (1 + math.exp(-logits[at].item() * (1 if said == POSITIVE else -1)))
            total += (0.25 if said == POSITIVE else 0.75) * (1 - right) ** 2 * -math.log(right)
    return total / max((label == POSITIVE).sum().item(), 1)


def rounded_off(apart, beta=1 / 9):
    return apart**2 / 2 / beta if abs(apart) < beta else abs(apart) - beta / 2


def plain_box(residuals, anchor, box, velocity, velocity_weight):
    """Of one anchor: offsets by its diagonal and height, logarithms of sizes, the sine of what the yaw is off."""
    (x, y, z, *size, yaw), (ax, ay, az, *anchor_size, anchor_yaw) = box.tolist(), anchor.tolist()
    diagonal = math.hypot(*anchor_size[:2])
    wanted = [(x - ax) / diagonal, (y - ay) / diagonal, (z - az) / anchor_size[2]]
    wanted += [math.log(a / b) for a, b in zip(size, anchor_size, strict=True)]
    apart = [found - value for found, value in zip(residuals[:6], wanted, strict=True)]
    apart.append(math.sin(residuals[6] - (yaw - anchor_yaw)))
    known = [(found - v) for found, v in zip(residuals[7:], velocity.tolist(), strict=True) if not math.isnan(v)]
    return sum(map(rounded_off, apart)) + velocity_weight * sum(map(rounded_off, known))


def plain(said, scenes, head):
    """The mean of the samples' losses; those of geometry by the number of anchors that regress a box."""
    config, terms = head.config, []
    for s, scene in enumerate(scenes):
        targets = anchor_targets(scene, head.map, config.match)
        box = direction = 0.0
        boxed = [tuple(at) for at in (targets.box >= 0).nonzero().tolist()]
        for at in boxed:
            k = targets.box[at]
            residuals = said.residuals[(s, *at)].tolist()
            box += plain_box(residuals, head.anchors[at], scene.boxes[k], scene.velocity[k], config.velocity_weight)
            behind = (scene.boxes[k, 6].item() - math.pi / 4) % (2 * math.pi) >= math.pi
            ways = said.direction[(s, *at)].tolist()
            direction += math.log(sum(map(math.exp, ways))) - ways[int(behind)]
        count = max(len(boxed), 1)
        terms.append((plain_class(said.logits[s], targets.label), box / count, direction / count))
    weights = (config.class_weight, config.box_weight, config.direction_weight)
    means = [weight * sum(part) / len(scenes) for weight, part in zip(weights, zip(*terms, strict=True), strict=True)]
    return dict(zip(("class", "box", "direction"), means, strict=True))


@pytest.mark.parametrize("match", ["overlap", "centers"])
@pytest.mark.parametrize(("boxes", "clusters"), [((5, 3), (6, 8)), ((0, 4), (7, 0)), ((0, 0), (5, 0))])
def test_all_positives_divide_the_class_loss_and_those_of_boxes_the_geometry(boxes, clusters, match, rng_of):
    rng, head = rng_of(0), head_of(replace(CONFIG, match=match))
    scenes = [moving(scene_of(rng, *counts), rng) for counts in zip(boxes, clusters, strict=True)]
    said = said_of(rng, 2)
    found = head.loss(said, scenes)
    expected = plain(said, scenes, head)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected, rel=1e-4)


def test_clusters_thin_out_the_class_loss_and_leave_the_geometry_alone(rng_of):
    """On logits of 0 every positive anchor costs alike: twice as many, half of the background's share."""
    head, scene = head_of(), scene_of(rng_of(2), boxes=4, clusters=8)
    boxes_alone = replace(
        scene,
        cluster_class=scene.cluster_class[:0],
        cluster_center=scene.cluster_center[:0],
        cluster_points=scene.cluster_points[:0],
        cluster_id=torch.full_like(scene.cluster_id, -1),
    )
    said = said_of(rng_of(3), 1)
    said = AnchorOutput(torch.zeros_like(said.logits), said.residuals, said.direction)
    mixed, alone = head.loss(said, [scene]), head.loss(said, [boxes_alone])
    for name in ("box", "direction"):
        assert torch.equal(mixed[name], alone[name])
    labels = [anchor_targets(some, head.map).label for some in (scene, boxes_alone)]
    positives = [(label == POSITIVE).sum().item() for label in labels]
    negatives = [(label == 0).sum().item() for label in labels]
    assert positives[0] > 2 * positives[1] > 0
    for loss, p, n in zip((mixed, alone), positives, negatives, strict=True):
        assert loss["class"].item() == pytest.approx(1.5 * math.log(2) / 4 * (0.25 * p + 0.75 * n) / p, rel=1e-5)


def test_an_anchor_that_a_cluster_made_doubtful_regresses_its_box_all_the_same(rng_of):
    cloud = torch.rand(40, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([4.0, 1.7, 1.0])
    cloud -= torch.tensor([2.0, 0.85, 1.5])
    one, owned = torch.zeros(1, dtype=torch.int64), torch.arange(40) < 20
    box, ids = torch.tensor([[0.0, 0, -1, 4, 1.7, 1.5, 0]]), torch.where(owned, 0, -1)
    scene = SampleLabels(box, one, torch.zeros(1, 2), box[:, :3], one, cloud[:1], one + 20, cloud, ids, owned & ~owned)
    head, said = head_of(), said_of(rng_of(0), 1)
    targets = anchor_targets(scene, head.map)
    assert ((targets.box >= 0) & (targets.label == IGNORED)).any()
    found = {name: value.item() for name, value in head.loss(said, [scene]).items()}
    assert found == pytest.approx(plain(said, [scene], head), rel=1e-4)
