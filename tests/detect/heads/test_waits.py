"""Targets and losses of a step are few operators, and the host hardly ever waits for them.

A GPU computes such small operators faster than Python starts them, and each stall empties its queue. Both are counted
on a CPU. Before targets were assigned once a batch, there were 5,000 to 6,000 operators and 600 stalls.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from dataclasses import replace  # noqa: E402

from helpers.detect_labels import joined, labels_of  # noqa: E402
from helpers.dispatched import Dispatched  # noqa: E402

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
    """The head of a detector, on a smaller map."""
    shape = replace(MapShape.of(config.grid, 8), origin_m=(-10.0, -8.0), location_m=(0.4, 0.4), shape=(40, 50))
    return config.head.build(4, shape, {name: k for k, name in enumerate(config.class_names)})


def output_of(head, samples):
    output = head(torch.zeros(samples, 4, 40, 50))
    if isinstance(output, AnchorOutput):
        return AnchorOutput(*(value.detach().requires_grad_() for value in vars(output).values()))
    return [tuple(value.detach().requires_grad_() for value in parts) for parts in output]


@pytest.mark.parametrize(("name", "batch"), BATCHES.items())
def test_a_step_waits_for_few_numbers(name, batch, rng_of):
    head, rng = head_of(RECIPES[name]().detector), rng_of(0)
    output, labels = output_of(head, batch), joined(*(labels_of(rng, 8, 9) for _ in range(batch)))
    head.loss(output, labels)  # constants are copied to a device once
    with Dispatched() as first:
        losses = head.loss(output, labels)
    assert sum(first.operators.values()) < MOST_OPERATORS
    assert sum(first.stalls.values()) <= MOST_STALLS, first.stalls
    assert all(np.isfinite(loss.item()) for loss in losses.values())
    output, labels = output_of(head, 2 * batch), joined(*(labels_of(rng, 16, 30) for _ in range(2 * batch)))
    with Dispatched() as second:
        head.loss(output, labels)
    assert second.operators == first.operators  # whatever the number of objects and samples


MOST_OF_TWO_STAGES, MOST_STALLS_OF_TWO_STAGES = 1360, 4
"""Of the first stage, the proposals and the second stage in sum; a third of the operators are views."""


def test_a_step_of_two_stages_waits_for_few_numbers(rng_of):
    """Once for the anchors of boxes, twice for the proposals that overlap, once for the points in proposals."""
    config, rng = RECIPES["kitti-two-stage"]().detector, rng_of(0)
    head = head_of(config)
    roi = RoiHead(4, 5, head.map, config.roi).train()

    def counted(samples, boxes, clusters):
        labels = [labels_of(rng, boxes, clusters) for _ in range(samples)]
        points = [torch.cat([own.xyz, torch.zeros(len(own.xyz), 2)], dim=1) for own in labels]
        x, output, labels = torch.zeros(samples, 4, 40, 50), output_of(head, samples), joined(*labels)
        head.loss(output, labels)  # constants are copied to a device once
        with Dispatched() as found:
            losses = head.loss(output, labels)
            with torch.no_grad():
                proposals = head.propose(output)
            losses |= roi.loss(x, points, proposals, labels, torch.Generator().manual_seed(0))
        assert len(losses) == 7
        assert all(np.isfinite(loss.item()) for loss in losses.values())
        return found

    first, second = counted(2, 8, 9), counted(2, 16, 30)
    assert sum(first.operators.values()) < MOST_OF_TWO_STAGES
    assert sum(first.stalls.values()) <= MOST_STALLS_OF_TWO_STAGES, first.stalls
    assert second.operators == first.operators  # whatever the number of objects
    assert second.stalls == first.stalls


def test_what_makes_the_host_wait_is_counted():
    values, number = torch.arange(5.0), torch.tensor([0, 1])
    waits = {
        "index": lambda: values[values > 2],
        "index_put_": lambda: values.__setitem__(values > 9, values[0]),
        "nonzero": lambda: values.nonzero(),
        "_unique2": lambda: torch.unique(values),
        "_local_scalar_dense": lambda: int(values[0]),
        "lift_fresh": lambda: values.new_tensor([1, 2]),
        "repeat_interleave": lambda: values[:2].repeat_interleave(number),
        "bincount": lambda: torch.bincount(number),
        "cpu": lambda: values.cpu().numpy(),
        "tolist": lambda: values.tolist(),
    }
    for name, wait in waits.items():
        with Dispatched() as counted:
            wait()
        assert counted.stalls[name] == 1, name
    with Dispatched() as counted:
        torch.where(values > 2, values[number].sum(), 0).masked_fill_(values > 2, 1.0)
        torch.from_numpy(np.zeros(3)).to(values.device, non_blocking=True)
    assert not counted.stalls
