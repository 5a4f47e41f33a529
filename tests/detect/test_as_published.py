"""Recipes whose names end in -paper compute what the published configurations state, quantity by quantity.

Published: the configurations of MixSup (BraveGroup/PointSAM-for-MixSup) and of OpenPCDet, on which they are based. The
numbers are those of the table in docs/training.md.
"""

import math
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pointsam.detect.assign.anchor import encode_boxes  # noqa: E402
from pointsam.detect.heads.anchor import AnchorOutput, half_turn  # noqa: E402
from pointsam.detect.heads.roi import RoiHead  # noqa: E402
from pointsam.detect.nets.grid import MapShape  # noqa: E402
from pointsam.detect.nets.sparse import SparseConv3d, SubMConv3d  # noqa: E402
from pointsam.detect.predictions import BatchPredictions, Predictions  # noqa: E402
from pointsam.detect.recipes import RECIPES  # noqa: E402

PLAIN = ("kitti-second-paper", "kitti-two-stage-paper", "waymo-centerpoint-paper", "waymo-second-paper")
RESIDUAL = ("nuscenes-centerpoint-voxel-paper",)
ANCHORS = ("kitti-second-paper", "kitti-two-stage-paper", "waymo-second-paper")
CENTERS = ("nuscenes-centerpoint-voxel-paper", "nuscenes-centerpoint-pillar-paper", "waymo-centerpoint-paper")
CAR, PEDESTRIAN, CYCLIST = 0, 1, 2
"""Ids of the classes of KITTI and Waymo, in the order of the recipes."""


@cache
def config_of(name):
    return RECIPES[name]().detector


def encoder_of(name):
    config = config_of(name)
    return config.encoder.build(config.grid, 5)


def convolutions(network):
    """(inputs, outputs, kernel z y x) of each sparse convolution."""
    layers = [m for m in network.modules() if isinstance(m, SubMConv3d | SparseConv3d)]
    shapes = [tuple(layer.weight.shape) for layer in layers]
    return [(shape[-1], shape[0], shape[1:4]) for shape in shapes]


def stage(before, width, blocks, convolutions_of_block):
    """A convolution of stride 2 and the submanifold ones that follow."""
    return [(before, width, (3, 3, 3))] + [(width, width, (3, 3, 3))] * blocks * convolutions_of_block


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_encoder_has_64_channels_in_its_last_stage_and_one_layer_in_its_first(name):
    """VoxelBackBone8x; published networks of KITTI have four inputs, ours a fifth, the age of a point."""
    first = [(5, 16, (3, 3, 3)), (16, 16, (3, 3, 3))]
    published = [*first, *stage(16, 32, 2, 1), *stage(32, 64, 2, 1), *stage(64, 64, 2, 1), (64, 128, (3, 1, 1))]
    assert convolutions(encoder_of(name)) == published
    assert encoder_of(name).channels == 256


@pytest.mark.parametrize("name", RESIDUAL)
def test_a_residual_encoder_has_128_channels_and_two_blocks_in_each_stage(name):
    """VoxelResBackBone8x."""
    first = [(5, 16, (3, 3, 3)), *[(16, 16, (3, 3, 3))] * 4]
    published = [*first, *stage(16, 32, 2, 2), *stage(32, 64, 2, 2), *stage(64, 128, 2, 2), (128, 128, (3, 1, 1))]
    assert convolutions(encoder_of(name)) == published
    assert encoder_of(name).channels == 256


def box(x, y, length=4.0, width=2.0):
    return [x, y, 0.0, length, width, 1.6, 0.0]


def learned(name, boxes, classes, scores, shape=(48, 48), location_m=4.0):
    """A head, and an output that is these boxes: each in its location or anchor, which must be different ones."""
    head_config = config_of(name).head
    ids = {class_name: k for k, class_name in enumerate(head_config.class_names)}
    head = head_config.build(4, MapShape((0.0, 0.0), (location_m, location_m), shape), ids)
    boxes, logits = torch.tensor(boxes), torch.tensor(scores, dtype=torch.float32).logit()
    column, row = (boxes[:, :2] / location_m).long().unbind(1)
    if head_config.kind == "center":
        output = []
        for group in head_config.groups:
            heat, code = torch.full((1, len(group), *shape), -9.0), torch.zeros(1, 10, *shape)
            for k, class_id in enumerate(classes):
                channel = class_id - ids[group[0]]
                if 0 <= channel < len(group):
                    heat[0, channel, row[k], column[k]] = logits[k]
                    at = boxes[k, :2] / location_m - torch.tensor([column[k], row[k]])
                    code[0, :, row[k], column[k]] = torch.tensor(
                        [*at, boxes[k, 2], *boxes[k, 3:6].log(), boxes[k, 6].cos(), boxes[k, 6].sin(), 0, 0]
                    )
            output.append((heat, code))
    else:
        at = (torch.tensor(classes), torch.zeros_like(row), row, column)
        size = head.anchors.shape[:-1]
        heat, residuals, direction = torch.full(size, -9.0), torch.zeros(*size, 9), torch.zeros(*size, 2)
        heat[at] = logits
        residuals[(*at, slice(0, 7))] = encode_boxes(boxes, head.anchors[at])
        direction[(*at, half_turn(boxes[:, 6]))] = 9.0
        output = AnchorOutput(heat[None], residuals[None], direction[None])
    return head, output


def predicted(*arguments, **options):
    head, output = learned(*arguments, **options)
    return head.predict(output)[0]


def proposed(training, *arguments, **options):
    head, output = learned(*arguments, **options)
    return head.train(training).propose(output).every


@pytest.mark.parametrize(
    ("name", "nms_iou"),
    [
        ("nuscenes-centerpoint-voxel-paper", 0.2),
        ("kitti-second-paper", 0.01),
        ("waymo-centerpoint-paper", 0.7),
        ("waymo-second-paper", 0.7),
    ],
)
def test_the_weaker_of_two_boxes_goes_above_the_published_overlap(name, nms_iou):
    """Two boxes of 4 x 2 m, d apart along their length, have an overlap of (4 - d) / (4 + d)."""
    for iou, count in ((nms_iou - 0.005, 2), (nms_iou + 0.005, 1)):
        apart = 4 * (1 - iou) / (1 + iou)
        boxes = [box(30.0, 30.0), box(30.0 + apart, 30.0)]
        assert len(predicted(name, boxes, [0, 0], [0.9, 0.8], location_m=0.5, shape=(80, 80))) == count, iou


@pytest.mark.parametrize("name", [*ANCHORS[::2], "waymo-centerpoint-paper"])
def test_a_box_suppresses_those_of_all_classes(name):
    boxes = [box(30.0, 30.0, 0.8, 0.6), box(30.05, 30.0, 0.8, 0.6)]
    predictions = predicted(name, boxes, [PEDESTRIAN, CYCLIST], [0.8, 0.9], location_m=0.05, shape=(640, 640))
    assert predictions.class_id.tolist() == [CYCLIST]


def test_the_second_stage_suppresses_across_classes_too():
    config = config_of("kitti-two-stage-paper").roi
    head = RoiHead(4, 5, MapShape((0.0, 0.0), (4.0, 4.0), (8, 8)), config).eval()
    with torch.no_grad():
        head.confidence.bias.fill_(2.0)
    boxes = torch.tensor([box(10.0, 10.0, 0.8, 0.6), box(10.05, 10.0, 0.8, 0.6)])
    proposals = Predictions(boxes, torch.tensor([0.8, 0.9]), torch.tensor([PEDESTRIAN, CYCLIST]), torch.zeros(2, 2))
    with torch.no_grad():
        (found,) = head.predict(torch.zeros(1, 4, 8, 8), [torch.zeros(3, 5)], BatchPredictions.join([proposals]))
    assert len(found) == 1


CROWD = [box(2.0 + 4 * x, 2.0 + 4 * y, 7.0, 7.0) for x in range(44) for y in range(44)]
"""1,936 cars that overlap their neighbours, so that fewer than 500 are left."""


def test_4096_anchors_are_candidates():
    boxes = [*CROWD, box(190.0, 190.0, 0.8, 0.6)]
    scores = [*np.linspace(0.9, 0.6, len(CROWD)), 0.5]
    predictions = predicted("kitti-second-paper", boxes, [CAR] * len(CROWD) + [PEDESTRIAN], scores)
    assert 100 < len(predictions) < 500
    assert predictions.class_id[-1] == PEDESTRIAN
    assert config_of("waymo-second-paper").head.candidates == config_of("kitti-second-paper").head.candidates == 4096


@pytest.mark.parametrize("name", ANCHORS)
def test_anchors_are_spread_from_edge_to_edge(name):
    """AnchorGenerator without align_center: steps of (x1 - x0) / (W - 1) from x0 on, and heights from their bottoms."""
    config = config_of(name)
    x0, y0, _, x1, y1, _ = config.grid.range_m
    width, height, _ = config.grid.shape
    shape = (height // 8, width // 8)
    map_shape = MapShape.of(config.grid, 8)
    head = config.head.build(4, map_shape, {class_name: k for k, class_name in enumerate(config.head.class_names)})
    x, y = np.arange(shape[1]) * (x1 - x0) / (shape[1] - 1) + x0, np.arange(shape[0]) * (y1 - y0) / (shape[0] - 1) + y0
    assert np.abs(head.anchors[0, 0, 0, :, 0].numpy() - x).max() < 1e-4
    assert np.abs(head.anchors[0, 0, :, 0, 1].numpy() - y).max() < 1e-4
    bottoms = head.anchors[:, 0, 0, 0, 2] - head.anchors[:, 0, 0, 0, 5] / 2
    published = [-1.78, -0.6, -0.6] if name.startswith("kitti") else [0.0, 0.0, 0.0]
    assert bottoms.tolist() == pytest.approx(published, abs=1e-6)


@pytest.mark.parametrize("name", CENTERS)
def test_the_heat_starts_at_a_tenth(name):
    head_config = config_of(name).head
    ids = {class_name: k for k, class_name in enumerate(head_config.class_names)}
    head = head_config.build(4, MapShape((0.0, 0.0), (1.0, 1.0), (4, 4)), ids)
    biases = torch.cat([heat[-1].bias for heat in head.heats])
    assert torch.equal(biases, torch.full_like(biases, -2.19))
    assert biases.sigmoid()[0].item() == pytest.approx(0.1, abs=0.001)


@pytest.mark.parametrize(("training", "left"), [(True, 2), (False, 1)])
def test_proposals_are_suppressed_at_08_in_training_and_at_07_in_prediction(training, left):
    apart = 4 * (1 - 0.75) / (1 + 0.75)
    boxes = [box(10.0, 1.0), box(10.0 + apart, 1.0)]
    proposals = proposed(training, "kitti-two-stage-paper", boxes, [CAR, CAR], [0.9, 0.8], (4, 40), 0.5)
    assert (proposals.score > 0.5).sum() == left


@pytest.mark.parametrize(("training", "count"), [(True, 512), (False, 100)])
def test_so_many_proposals_are_kept(training, count):
    """Of 9,000 candidates in training, of 1,024 in prediction."""
    apart = [box(2.0 + 4 * x, 2.0 + 4 * y) for x in range(40) for y in range(40)]
    proposals = proposed(training, "kitti-two-stage-paper", apart, [CAR] * 1600, np.linspace(0.9, 0.2, 1600))
    roi = config_of("kitti-two-stage-paper").roi
    refined = proposals if training else proposals.best(roi.test_proposals)
    assert len(refined) == count
    head = config_of("kitti-two-stage-paper").head
    assert (head.proposal_candidates, head.test_proposal_candidates) == (9000, 1024)


def test_a_group_of_nuscenes_gives_83_boxes_and_a_sample_498():
    spots = [box(2.0 + 4 * x, 2.0 + 4 * y, 1.0, 1.0) for x in range(10) for y in range(10)]
    names = config_of(CENTERS[0]).head.class_names
    first = [names.index(group[0]) for group in config_of(CENTERS[0]).head.groups]
    classes = [class_id for class_id in first for _ in spots]
    predictions = predicted(CENTERS[0], spots * 6, classes, [0.9] * len(classes))
    assert torch.bincount(predictions.class_id, minlength=len(names))[first].tolist() == [83] * 6
    assert len(predictions) == 498


@pytest.mark.parametrize("name", [*ANCHORS[::2], "waymo-centerpoint-paper"])
def test_kitti_and_waymo_give_500_boxes(name):
    spots = [box(2.0 + 4 * x, 2.0 + 4 * y, 1.0, 1.0) for x in range(30) for y in range(30)]
    predictions = predicted(name, spots, [PEDESTRIAN] * 900, [0.9] * 900)
    assert len(predictions) == 500


def test_the_last_stage_of_a_plain_encoder_costs_less_than_a_third_of_before():
    """Multiplications of a voxel in stage 4: (64 x 64 x 3) of 27 offsets against (64 x 128 + 2 x 128 x 128)."""
    ours = sum(math.prod((*shape[:2], *shape[2])) for shape in convolutions(encoder_of(PLAIN[0]))[8:11])
    before = (64 * 128 + 2 * 128 * 128) * 27
    assert ours / before == pytest.approx(0.3, abs=0.01)
