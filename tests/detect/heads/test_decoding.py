"""What a head is taught is what it then says: targets put in place of outputs decode to the boxes."""

import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from dataclasses import replace  # noqa: E402

from helpers.detect_labels import box_labels  # noqa: E402

from pointsam.detect.assign.anchor import AnchorClass, anchor_targets, encode  # noqa: E402
from pointsam.detect.assign.center import center_targets  # noqa: E402
from pointsam.detect.boxes import iou_3d  # noqa: E402
from pointsam.detect.heads.anchor import AnchorHead, AnchorHeadConfig, AnchorOutput, half_turn  # noqa: E402
from pointsam.detect.heads.center import CenterHead, CenterHeadConfig  # noqa: E402
from pointsam.detect.heads.roi import decode_roi, encode_roi  # noqa: E402
from pointsam.detect.nets.grid import MapShape  # noqa: E402

PLACE = MapShape((-16.0, -12.8), (0.8, 0.8), (32, 40))
IDS = {"car": 4, "person": 2}
BOXES = torch.tensor(
    [
        [-9.3, 4.1, -1.0, 4.2, 1.8, 1.6, 2.5],
        [6.2, -7.7, -0.8, 3.9, 1.6, 1.4, -0.4],
        [2.0, 3.3, -0.9, 0.7, 0.6, 1.8, 0.1],
    ]
)
CLASSES = torch.tensor([4, 4, 2])
VELOCITY = torch.tensor([[3.0, -1.0], [0.0, 0.5], [math.nan, math.nan]])


def agree(predictions, boxes=BOXES):
    """The prediction of each box, in its order."""
    overlap = iou_3d(boxes, predictions.boxes)
    best = overlap.argmax(dim=1)
    assert (overlap.amax(dim=1) > 0.999).all()
    turn = torch.remainder(predictions.boxes[best, 6] - boxes[:, 6] + math.pi, 2 * math.pi) - math.pi
    assert turn.abs().max() < 1e-3  # not half a turn off either
    return best


def test_a_centre_head_says_the_boxes_it_is_taught():
    config = CenterHeadConfig((("car",), ("person",)), {"person": 2})
    head = CenterHead(8, PLACE, IDS, config)
    labels = box_labels(BOXES, CLASSES, VELOCITY)
    output = []
    for target_map in head.maps:
        targets = center_targets([labels], target_map)
        heat = torch.logit(targets.heat.clamp(1e-4, 1 - 1e-4))
        code = torch.zeros(1, 10, *PLACE.shape)
        code[0, :, targets.row, targets.column] = targets.code.nan_to_num(0).T
        output.append((torch.where(targets.heat == 1, heat, -9.0), code))
    predictions = head.predict(output)[0]
    best = agree(predictions)
    assert len(predictions) == 3
    assert torch.equal(predictions.class_id[best], CLASSES)
    assert torch.allclose(predictions.velocity[best[:2]], VELOCITY[:2])
    assert head.loss(output, [labels])["box"] == 0


def test_an_anchor_head_says_the_boxes_it_is_taught():
    car = AnchorClass("car", (4.0, 1.7, 1.5), -1.0, (0.6, 0.45), (0.6, 0.1))
    person = AnchorClass("person", (0.8, 0.6, 1.7), -0.9, (0.5, 0.35), (0.6, 0.15))
    head = AnchorHead(8, PLACE, IDS, AnchorHeadConfig((car, person)))
    labels = box_labels(BOXES, CLASSES, VELOCITY)
    targets = anchor_targets(labels, head.map)
    boxed = targets.box >= 0
    box = targets.box[boxed]
    residuals, direction = torch.zeros(*boxed.shape, 9), torch.zeros(*boxed.shape, 2)
    residuals[boxed] = torch.cat([encode(labels.boxes[box], head.anchors[boxed]), VELOCITY[box].nan_to_num(0)], dim=1)
    residuals[boxed, 6] += math.pi * (torch.arange(len(box)) % 3)  # the sine does not see half turns
    direction[boxed, half_turn(labels.boxes[box, 6])] = 30.0
    logits = torch.where(boxed, 9.0, -9.0)
    output = AnchorOutput(logits[None], residuals[None], direction[None])
    predictions = head.predict(output)[0]
    best = agree(predictions)
    assert len(predictions) == 3
    assert torch.equal(predictions.class_id[best], CLASSES)
    assert torch.allclose(predictions.velocity[best[:2]], VELOCITY[:2])
    losses = head.loss(output, [labels])
    assert losses["box"].item() == pytest.approx(0, abs=1e-6)
    assert losses["direction"].item() == pytest.approx(0, abs=1e-6)


def test_in_balance_a_class_counts_by_its_own_positives():
    car = AnchorClass("car", (4.0, 1.7, 1.5), -1.0, (0.6, 0.45), (0.6, 0.1))
    person = AnchorClass("person", (0.8, 0.6, 1.7), -0.9, (0.5, 0.35), (0.6, 0.15))
    labels = box_labels(BOXES, CLASSES, VELOCITY)
    classes = {}
    for name, anchors in (("car", (car,)), ("person", (person,)), ("both", (car, person))):
        for balance in (False, True):
            head = AnchorHead(8, PLACE, IDS, AnchorHeadConfig(anchors, balance=balance))
            shape = (1, len(anchors), 2, *PLACE.shape)
            output = AnchorOutput(torch.zeros(shape), torch.zeros(*shape, 9), torch.zeros(*shape, 2))
            classes[name, balance] = head.loss(output, [labels])["class"].item()
    alone = [classes[name, False] for name in ("car", "person")]
    assert [classes[name, True] for name in ("car", "person")] == alone
    assert classes["both", True] == pytest.approx(sum(alone))
    assert classes["both", False] < classes["both", True]


def test_residuals_of_a_second_stage_mend_a_proposal():
    rois = BOXES + torch.tensor([0.4, -0.3, 0.1, 0.2, -0.1, 0.1, 0.3])
    assert torch.allclose(decode_roi(encode_roi(BOXES, rois), rois), BOXES, atol=1e-5)
    turned = replace_yaw(rois, rois[:, 6] + math.pi)
    assert encode_roi(BOXES, turned)[:, 6].abs().max() < 0.4  # the proposal's way is kept


def replace_yaw(boxes, yaw):
    return torch.cat([boxes[:, :6], yaw[:, None]], dim=1)


def test_clusters_move_the_class_loss_alone():
    config = CenterHeadConfig((("car", "person"),), {})
    head = CenterHead(8, PLACE, IDS, config)
    labels = box_labels(BOXES, CLASSES, VELOCITY)
    more = replace(labels, cluster_class=torch.tensor([4]), cluster_center=torch.tensor([[0.0, 0, 0]]))
    more = replace(more, cluster_points=torch.tensor([7]))
    output = head(torch.randn(1, 8, *PLACE.shape, generator=torch.Generator().manual_seed(0)))
    without, with_cluster = head.loss(output, [labels]), head.loss(output, [more])
    assert torch.equal(without["box"], with_cluster["box"])
    assert not torch.equal(without["heat"], with_cluster["heat"])


@pytest.mark.parametrize("channels", [0, 16])
def test_a_fresh_anchor_head_believes_that_almost_everywhere_is_nothing(channels):
    car = AnchorClass("car", (4.0, 1.7, 1.5), -1.0, (0.6, 0.45), (0.6, 0.1))
    head = AnchorHead(8, PLACE, IDS, AnchorHeadConfig((car,), channels))
    output = head(torch.randn(2, 8, *PLACE.shape))
    assert output.residuals.shape == (2, 1, 2, *PLACE.shape, 9)
    assert output.logits.sigmoid().mean().item() == pytest.approx(0.01, rel=0.1)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in head.modules()) == 1 + (channels > 0)
