"""Targets put in place of outputs decode to the boxes that they were made from."""

import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from dataclasses import replace  # noqa: E402

from helpers.detect_labels import box_labels, joined  # noqa: E402

from pointsam.detect.assign.anchor import anchor_targets, encode_boxes  # noqa: E402
from pointsam.detect.assign.anchor_map import AnchorClass  # noqa: E402
from pointsam.detect.assign.center import center_targets  # noqa: E402
from pointsam.detect.boxes import iou_3d  # noqa: E402
from pointsam.detect.heads.anchor import AnchorHead, AnchorHeadConfig, AnchorOutput, half_turn  # noqa: E402
from pointsam.detect.heads.center import CenterHead, CenterHeadConfig  # noqa: E402
from pointsam.detect.heads.roi_code import decode_roi, encode_roi  # noqa: E402
from pointsam.detect.nets.grid import MapShape  # noqa: E402

MAP_SHAPE = MapShape((-16.0, -12.8), (0.8, 0.8), (32, 40))
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


def center_output(peak=9.0, **options):
    """A centre head, and its output where it has learned the boxes, with a logit of their peaks."""
    head = CenterHead(8, MAP_SHAPE, IDS, CenterHeadConfig((("car",), ("person",)), {"person": 2}, **options))
    output, targets = [], center_targets(joined(box_labels(BOXES, CLASSES, VELOCITY)), head.map)
    for group in range(2):
        mine = targets.group == group
        numbers = targets.code[mine].nan_to_num(0)
        if head.config.heading == "axis":
            yaw, front = torch.atan2(numbers[:, 7], numbers[:, 6]), 30 * numbers[:, 6:8]
            doubled = torch.stack([(2 * yaw).cos(), (2 * yaw).sin()], dim=1)
            numbers = torch.cat([numbers[:, :6], doubled, numbers[:, 8:], front], dim=1)
        code = torch.zeros(1, numbers.shape[1], *MAP_SHAPE.shape)
        code[0, :, targets.row[mine], targets.column[mine]] = numbers.T
        output.append((torch.where(targets.heat[:, group : group + 1] == 1, peak, -9.0), code))
    return head, output


def anchor_output(peak=9.0, **options):
    """As `center_output`, of an anchor head."""
    car = AnchorClass("car", (4.0, 1.7, 1.5), -1.0, (0.6, 0.45), (0.6, 0.1))
    person = AnchorClass("person", (0.8, 0.6, 1.7), -0.9, (0.5, 0.35), (0.6, 0.15))
    head = AnchorHead(8, MAP_SHAPE, IDS, AnchorHeadConfig((car, person), **options))
    boxed, box = boxed_anchors(head)
    residuals, bins = torch.zeros(*boxed.shape, 9), torch.zeros(*boxed.shape, 2)
    residuals[boxed] = torch.cat([encode_boxes(BOXES[box], head.anchors[boxed]), VELOCITY[box].nan_to_num(0)], dim=1)
    residuals[boxed, 6] += math.pi * (torch.arange(len(box)) % 3)  # the sine does not see half turns
    bins[boxed, half_turn(BOXES[box, 6])] = 30.0
    logits = torch.where(boxed, peak, -9.0)
    return head, AnchorOutput(logits[None], residuals[None], bins[None])


def boxed_anchors(head):
    targets = anchor_targets(joined(box_labels(BOXES, CLASSES, VELOCITY)), head.map)
    boxed = targets.box[0] >= 0
    return boxed, targets.box[0, boxed]


@pytest.mark.parametrize("heading", ["vector", "axis"])
def test_a_centre_head_decodes_its_targets_to_the_boxes(heading):
    head, output = center_output(heading=heading)
    labels = box_labels(BOXES, CLASSES, VELOCITY)
    predictions = head.predict(output)[0]
    best = agree(predictions)
    assert len(predictions) == 3
    assert torch.equal(predictions.class_id[best], CLASSES)
    assert torch.allclose(predictions.velocity[best[:2]], VELOCITY[:2])
    losses = head.loss(output, joined(labels))
    assert losses["box"].item() == pytest.approx(0, abs=1e-5)
    assert losses.get("facing", torch.zeros(())).item() == pytest.approx(0, abs=1e-6)


def test_an_anchor_head_decodes_its_targets_to_the_boxes():
    head, output = anchor_output()
    labels = box_labels(BOXES, CLASSES, VELOCITY)
    predictions = head.predict(output)[0]
    best = agree(predictions)
    assert len(predictions) == 3
    assert torch.equal(predictions.class_id[best], CLASSES)
    assert torch.allclose(predictions.velocity[best[:2]], VELOCITY[:2])
    losses = head.loss(output, joined(labels))
    assert losses["box"].item() == pytest.approx(0, abs=1e-6)
    assert losses["direction"].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("output_of", [center_output, anchor_output])
class TestSelection:
    def test_proposals_have_no_threshold_and_predictions_one(self, output_of):
        head, output = output_of(-3.0)
        assert len(head.predict(output)[0]) == 0
        proposals = head.propose(output).every
        assert agree(proposals).max() < 3  # they come first
        assert 3 < len(proposals) <= 256
        head, output = output_of(-3.0, score_threshold=0.04)
        assert len(head.predict(output)[0]) == 3

    def test_a_score_at_the_threshold_is_kept(self, output_of):
        head, output = output_of(0.0, score_threshold=0.5)
        assert len(head.predict(output)[0]) == 3

    def test_so_many_boxes_and_proposals_are_given(self, output_of):
        head, output = output_of(most=2, proposals=4)
        assert (len(head.predict(output)[0]), len(head.propose(output).every)) == (2, 4)

    def test_only_the_best_candidates_are_decoded(self, output_of):
        """Of each group of a centre head, of all anchors together."""
        head, output = output_of(candidates=1)
        assert len(head.predict(output)[0]) == (2 if output_of is center_output else 1)

    def test_there_may_be_fewer_outputs_than_candidates(self, output_of):
        head, output = output_of(candidates=10**6)
        assert len(head.predict(output)[0]) == 3


@pytest.mark.parametrize("kind", ["vector", "axis", "bins"])
@pytest.mark.parametrize("yaw", [-math.pi, -math.pi + 1e-4, -0.75 * math.pi, -1e-7, 0.0, math.pi / 4, math.pi / 2, 3.1])
def test_headings_are_within_half_a_turn(kind, yaw, monkeypatch):
    monkeypatch.setitem(globals(), "BOXES", replace_yaw(BOXES, torch.full((3,), yaw)))
    made = {
        "vector": lambda: center_output(heading="vector"),
        "axis": lambda: center_output(heading="axis"),
        "bins": anchor_output,
    }
    head, output = made[kind]()
    predictions = head.predict(output)[0]
    agree(predictions, BOXES)
    assert ((predictions.boxes[:, 6] > -math.pi) & (predictions.boxes[:, 6] <= math.pi)).all()


def test_all_anchors_of_a_box_decode_to_it_and_one_is_left():
    head, output = anchor_output(nms_iou=1.0, proposal_nms_iou=1.0, candidates=50)  # suppresses nothing
    _, box = boxed_anchors(head)
    predictions = head.predict(output)[0]
    assert len(predictions) == len(box) > 3
    assert len(head.propose(output).every) == 50
    for k, count in enumerate(torch.bincount(box).tolist()):
        assert (iou_3d(BOXES[k : k + 1], predictions.boxes) > 0.999).sum() == count


@pytest.mark.parametrize("dim", range(3))
def test_a_size_beyond_reason_is_not_decoded(dim):
    head, output = center_output()
    output[0][1][0, 3 + dim] = torch.where(output[0][1][0, 3 + dim] != 0, 9.0, 0.0)
    boxes = head.predict(output)[0].boxes
    assert boxes[:, 3 + dim].max().item() == pytest.approx(math.exp(4))


def test_in_balance_a_class_counts_by_its_own_positives():
    car = AnchorClass("car", (4.0, 1.7, 1.5), -1.0, (0.6, 0.45), (0.6, 0.1))
    person = AnchorClass("person", (0.8, 0.6, 1.7), -0.9, (0.5, 0.35), (0.6, 0.15))
    labels = box_labels(BOXES, CLASSES, VELOCITY)
    classes = {}
    for name, anchors in (("car", (car,)), ("person", (person,)), ("both", (car, person))):
        for balance in (False, True):
            head = AnchorHead(8, MAP_SHAPE, IDS, AnchorHeadConfig(anchors, balance=balance))
            shape = (1, len(anchors), 2, *MAP_SHAPE.shape)
            output = AnchorOutput(torch.zeros(shape), torch.zeros(*shape, 9), torch.zeros(*shape, 2))
            classes[name, balance] = head.loss(output, joined(labels))["class"].item()
    alone = [classes[name, False] for name in ("car", "person")]
    assert [classes[name, True] for name in ("car", "person")] == alone
    assert classes["both", True] == pytest.approx(sum(alone))
    assert classes["both", False] < classes["both", True]


def test_residuals_of_a_second_stage_refine_a_proposal():
    rois = BOXES + torch.tensor([0.4, -0.3, 0.1, 0.2, -0.1, 0.1, 0.3])
    assert torch.allclose(decode_roi(encode_roi(BOXES, rois), rois), BOXES, atol=1e-5)
    turned = replace_yaw(rois, rois[:, 6] + math.pi)
    assert encode_roi(BOXES, turned)[:, 6].abs().max() < 0.4  # the proposal's way is kept
    beyond = decode_roi(torch.full((3, 7), 0.4), replace_yaw(rois, torch.full((3,), 3.0)))
    assert beyond[:, 6].tolist() == pytest.approx([3.4 - 2 * math.pi] * 3, abs=1e-5)


def replace_yaw(boxes, yaw):
    return torch.cat([boxes[:, :6], yaw[:, None]], dim=1)


def test_clusters_move_the_class_loss_alone():
    config = CenterHeadConfig((("car", "person"),), {})
    head = CenterHead(8, MAP_SHAPE, IDS, config)
    labels = box_labels(BOXES, CLASSES, VELOCITY)
    more = replace(labels, cluster_class=torch.tensor([4]), cluster_center=torch.tensor([[0.0, 0, 0]]))
    more = replace(more, cluster_points=torch.tensor([7]))
    output = head(torch.randn(1, 8, *MAP_SHAPE.shape, generator=torch.Generator().manual_seed(0)))
    without, with_cluster = head.loss(output, joined(labels)), head.loss(output, joined(more))
    assert torch.equal(without["box"], with_cluster["box"])
    assert not torch.equal(without["heat"], with_cluster["heat"])


@pytest.mark.parametrize("channels", [0, 16])
def test_a_fresh_anchor_head_predicts_almost_only_background(channels):
    car = AnchorClass("car", (4.0, 1.7, 1.5), -1.0, (0.6, 0.45), (0.6, 0.1))
    head = AnchorHead(8, MAP_SHAPE, IDS, AnchorHeadConfig((car,), channels))
    output = head(torch.randn(2, 8, *MAP_SHAPE.shape))
    assert output.residuals.shape == (2, 1, 2, *MAP_SHAPE.shape, 9)
    assert output.logits.sigmoid().mean().item() == pytest.approx(0.01, rel=0.1)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in head.modules()) == 1 + (channels > 0)
