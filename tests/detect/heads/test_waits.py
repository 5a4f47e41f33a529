"""Targets and losses of a step are few operators, and the host hardly ever waits for them.

A GPU computes such small operators faster than Python starts them, and each stall empties its queue. Both are counted
on a simulated device. Before targets were assigned once a batch, there were 5,000 to 6,000 operators and 600 stalls.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from dataclasses import replace  # noqa: E402

from helpers.detect_labels import joined, labels_of  # noqa: E402

from pointsam.detect.heads.anchor import AnchorOutput  # noqa: E402
from pointsam.detect.heads.roi import RoiHead  # noqa: E402
from pointsam.detect.nets.grid import MapShape  # noqa: E402
from pointsam.detect.recipes import RECIPES  # noqa: E402

MOST_OPERATORS, MOST_STALLS = 600, 2
BATCHES = {
    "nuscenes-centerpoint-pillar": 4,
    "nuscenes-centerpoint-voxel": 4,
    "kitti-second": 4,
    "kitti-two-stage": 2,
    "synthetic-small": 4,
    "synthetic-small-second": 4,
}


def head_of(config):
    """The head of a detector on the device, on a smaller map."""
    shape = replace(MapShape.of(config.grid, 8), origin_m=(-10.0, -8.0), location_m=(0.4, 0.4), shape=(40, 50))
    return config.head.build(4, shape, {name: k for k, name in enumerate(config.class_names)}).to("cuda")


def output_of(head, samples):
    output = head(torch.zeros(samples, 4, 40, 50, device="cuda"))
    if isinstance(output, AnchorOutput):
        return AnchorOutput(*(value.detach().requires_grad_() for value in vars(output).values()))
    return [tuple(value.detach().requires_grad_() for value in parts) for parts in output]


def labels_on_device(rng, samples, boxes, clusters):
    return joined(*(labels_of(rng, boxes, clusters) for _ in range(samples))).map(lambda value: value.to("cuda"))


@pytest.mark.parametrize(("name", "batch"), BATCHES.items())
def test_a_step_waits_for_few_numbers(name, batch, rng_of, device):
    head, rng = head_of(RECIPES[name]().detector), rng_of(0)
    output, labels = output_of(head, batch), labels_on_device(rng, batch, 8, 9)
    head.loss(output, labels)  # constants are copied to a device once
    with device.counted() as first:
        losses = head.loss(output, labels)
    assert sum(first.operators.values()) < MOST_OPERATORS
    assert sum(first.stalls.values()) <= MOST_STALLS, first.stalls
    assert all(np.isfinite(loss.item()) for loss in losses.values())
    output, labels = output_of(head, 2 * batch), labels_on_device(rng, 2 * batch, 16, 30)
    with device.counted() as second:
        head.loss(output, labels)
    assert second.operators == first.operators  # whatever the number of objects and samples


MOST_OF_TWO_STAGES, MOST_STALLS_OF_TWO_STAGES = 1400, 4
"""Of the first stage, the proposals and the second stage in sum; a third of the operators are views."""


def test_a_step_of_two_stages_waits_for_few_numbers(rng_of, device):
    """Once for the anchors of boxes, twice for the proposals that overlap, once for the points in proposals."""
    config, rng = RECIPES["kitti-two-stage"]().detector, rng_of(0)
    head = head_of(config)
    roi = RoiHead(4, 5, head.map, config.roi).to("cuda").train()

    def counted(boxes, clusters):
        x, output, labels = (
            torch.zeros(2, 4, 40, 50).to("cuda"),
            output_of(head, 2),
            labels_on_device(rng, 2, boxes, clusters),
        )
        rows = torch.cat([labels.every.xyz, torch.zeros(len(labels.every.xyz), 2, device="cuda")], dim=1)
        points = torch.split(rows, [count for *_, count in labels.counts])
        head.loss(output, labels)  # constants are copied to a device once
        with device.counted() as found:
            losses = head.loss(output, labels)
            with torch.no_grad():
                proposals = head.propose(output)
            losses |= roi.loss(x, points, proposals, labels, torch.Generator().manual_seed(0))
        assert len(losses) == 7
        assert all(np.isfinite(loss.item()) for loss in losses.values())
        return found

    first, second = counted(8, 9), counted(16, 30)
    assert sum(first.operators.values()) < MOST_OF_TWO_STAGES
    assert not any("grid_sampler" in name for name in first.operators)  # its gradient has no fixed order on CUDA
    assert sum(first.stalls.values()) <= MOST_STALLS_OF_TWO_STAGES, first.stalls
    assert second.operators == first.operators  # whatever the number of objects
    assert second.stalls == first.stalls
