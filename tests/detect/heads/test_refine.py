"""The last stage: grids in the frames of boxes, half turns, and what it learns."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.detect_labels import box_labels, joined  # noqa: E402
from helpers.recipes import CENTER  # noqa: E402

from pointsam.base.errors import SchemaError  # noqa: E402
from pointsam.detect.detector import DetectorConfig  # noqa: E402
from pointsam.detect.heads import refine  # noqa: E402
from pointsam.detect.heads.refine import RefineConfig, RefineHead  # noqa: E402
from pointsam.detect.nets.encoders import EncoderConfig, NeckConfig  # noqa: E402
from pointsam.detect.nets.grid import Grid  # noqa: E402
from pointsam.detect.predictions import Predictions  # noqa: E402

GRID = Grid((-12.0, -8.0, -3.0, 12.0, 8.0, 1.0), (0.5, 0.5, 4.0))
SMALL = RefineConfig(cells=(6, 3), samples=3, channels=8, passes=2)


def head_of(config=SMALL, classes=(4, 2)):
    torch.manual_seed(0)
    return RefineHead(GRID, classes, config).eval()


def cloud(rng, count=4000):
    """(P,5) points in and beyond the grid's range."""
    xyz = rng.uniform((-13, -9, -3), (13, 9, 1.5), (count, 3))
    return torch.from_numpy(np.column_stack([xyz, np.zeros((count, 2))])).float()


def some_boxes(rng, count):
    center = rng.uniform((-11, -7, -1.5), (11, 7, -0.5), (count, 3))
    size = rng.uniform((1, 0.6, 1), (5, 2, 2), (count, 3))
    return torch.from_numpy(np.column_stack([center, size, rng.uniform(-math.pi, math.pi, count)])).float()


def found(boxes, class_id=4):
    count = len(boxes)
    classes = torch.full((count,), class_id, device=boxes.device)
    return Predictions(boxes, boxes.new_zeros(count), classes, boxes.new_zeros(count, 2))


def half_turned(boxes):
    return torch.cat([boxes[:, :6], boxes[:, 6:] + math.pi], dim=1)


def plain_grid(points, box, config):
    """Sample by sample: the highest point of the map's cell below its top, as a fraction of the box's height."""
    u, v, s = *config.cells, config.samples
    x, y, z, length, width, height, yaw = (float(value) for value in box)
    tops = {}
    for px, py, pz in points[:, :3].double().tolist():
        cell = math.floor((px + 12.0) / config.cell_m), math.floor((py + 8.0) / config.cell_m)
        if pz < GRID.range_m[5]:
            tops[cell] = max(pz, tops.get(cell, -math.inf))
    out = np.zeros((3, u, v))
    for i in range(u):
        for j in range(v):
            shares = []
            for a in range(s):
                for b in range(s):
                    along = ((i * s + a + 0.5) / (u * s) - 0.5) * config.enlarge * length
                    aside = ((j * s + b + 0.5) / (v * s) - 0.5) * config.enlarge * width
                    px = x + math.cos(yaw) * along - math.sin(yaw) * aside
                    py = y + math.sin(yaw) * along + math.cos(yaw) * aside
                    cell = math.floor((px + 12.0) / config.cell_m), math.floor((py + 8.0) / config.cell_m)
                    if -12 <= px < 12 and -8 <= py < 8 and cell in tops:
                        share = (tops[cell] - z) / height + 0.5
                        shares += [share] if 0.1 < share < 1.3 else []
            out[:, i, j] = (max(shares), min(shares), 1) if shares else 0
    return out


def test_the_grid_of_a_box_has_the_heights_of_the_points_around_it(rng_of):
    rng = rng_of(0)
    clouds, boxes = [cloud(rng), cloud(rng, 300)], some_boxes(rng, 12)
    sample = torch.arange(12) % 2
    head = head_of()
    grids = head._grids(head._heights(clouds), sample, boxes).numpy()
    plain = np.stack([plain_grid(clouds[k], box, SMALL) for k, box in zip(sample, boxes, strict=True)])
    assert set(plain[:, 2].flat) == {0, 1}
    differ = np.abs(grids - plain).max(axis=1) > 1e-5
    assert differ.mean() < 0.01  # a sample on the border of two cells may go to either


def test_half_a_turn_of_a_box_changes_nothing(rng_of):
    rng = rng_of(1)
    head, points, boxes = head_of(), [cloud(rng)], some_boxes(rng, 20)
    one, other = (head.predict(points, [found(b)])[0].boxes for b in (boxes, half_turned(boxes)))
    near = torch.isclose(one, other, atol=1e-3).all(dim=1)
    assert near.float().mean() >= 0.9  # a sample on the border of two cells may go to either
    assert not torch.isclose(one, boxes, atol=1e-3).all(dim=1).any()
    assert ((one[:, 6] > -math.pi) & (one[:, 6] <= math.pi)).all()


def test_a_box_without_points_stays_as_it_is(rng_of):
    boxes = some_boxes(rng_of(2), 5)
    head = head_of().train()
    (out,) = head.predict([torch.zeros(0, 5)], [found(boxes)])
    assert torch.allclose(out.boxes, boxes, atol=1e-6)
    losses = head.loss([torch.zeros(0, 5)], joined(box_labels(boxes, torch.full((5,), 4))), None)
    assert {name: value.item() for name, value in losses.items()} == {"refine": 0.0, "front": 0.0}
    sum(losses.values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())


def test_nothing_found_and_nothing_labelled(rng_of):
    head, points = head_of().train(), [cloud(rng_of(3)), cloud(rng_of(4))]
    none = some_boxes(rng_of(5), 0)
    assert [len(out) for out in head.predict(points, [found(none), found(none)])] == [0, 0]
    losses = head.loss(points, joined(*(box_labels(none, torch.zeros(0, dtype=torch.int64)),) * 2), None)
    assert all(value.item() == 0 for value in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in head.parameters())  # a process without boxes takes part in the step


def test_boxes_are_moved_along_their_own_sides(rng_of):
    rng = rng_of(11)
    boxes, draws = some_boxes(rng, 30), torch.from_numpy(rng.normal(0, 1, (30, 7))).float()
    boxes[0, 3] = 12.0  # moved by 0.6 m, not 1.3
    for box, draw, moved in zip(boxes.tolist(), draws.tolist(), refine._changed(boxes, draws).tolist(), strict=True):
        x, y, z, length, width, height, yaw = box
        along, aside = (min(0.1 + 0.1 * side, 0.6) * some for side, some in zip((length, width), draw, strict=False))
        x += math.cos(yaw) * along - math.sin(yaw) * aside
        y += math.sin(yaw) * along + math.cos(yaw) * aside
        sizes = [side * math.exp(0.08 * some) for side, some in zip(box[3:6], draw[3:6], strict=True)]
        expected = [x, y, z + 0.06 * height * draw[2], *sizes, yaw + 0.1 * draw[6]]
        assert moved == pytest.approx(expected, abs=1e-4)


def test_every_sample_has_its_own_points_and_every_class_its_own_outputs(rng_of):
    rng = rng_of(6)
    head, boxes = head_of(), some_boxes(rng, 6)
    clouds = [cloud(rng), cloud(rng)]
    both = head.predict(clouds, [found(boxes), found(boxes, 2)])
    for points, class_id, out in zip(clouds, (4, 2), both, strict=True):
        (alone,) = head.predict([points], [found(boxes, class_id)])
        assert torch.allclose(out.boxes, alone.boxes, atol=1e-5)
    (other,) = head.predict(clouds[:1], [found(boxes, 2)])
    assert not torch.allclose(both[0].boxes, other.boxes, atol=1e-3)


def wedges(rng, count):
    """Boxes far from each other, and points on objects that are low in front."""
    boxes = torch.zeros(count, 7)
    place = torch.arange(count)
    boxes[:, 0], boxes[:, 1] = (place % 3 - 1) * 7.5, (place // 3 - 0.5) * 7
    boxes[:, 2], boxes[:, 3:6] = -1.0, torch.tensor([4.0, 1.8, 1.6])
    boxes[:, 6] = torch.from_numpy(rng.uniform(-math.pi, math.pi, count)).float()
    local = torch.from_numpy(rng.uniform(-0.5, 0.5, (count, 400, 2))).float() * boxes[:, None, 3:5]
    c, s = boxes[:, 6, None].cos(), boxes[:, 6, None].sin()
    x, y = c * local[..., 0] - s * local[..., 1], s * local[..., 0] + c * local[..., 1]
    z = torch.where(local[..., 0] > 0.8, -1.0, -0.2)
    xyz = torch.stack([x + boxes[:, None, 0], y + boxes[:, None, 1], z], dim=2).flatten(0, 1)
    return boxes, torch.cat([xyz, torch.zeros(len(xyz), 2)], dim=1)


def test_it_learns_fronts_and_centres(rng_of):
    rng, draws = rng_of(7), torch.Generator().manual_seed(0)
    head, classes = head_of().train(), torch.full((6,), 4)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.005)
    for _ in range(150):
        samples = [wedges(rng, 6) for _ in range(4)]
        losses = head.loss([p for _, p in samples], joined(*(box_labels(b, classes) for b, _ in samples)), draws)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    head.eval()
    boxes, points = wedges(rng, 6)
    moved = boxes + torch.tensor([0.5, -0.3, 0.0, 0.2, 0.1, 0.0, 0.1])
    with torch.no_grad():
        outs = [head.predict([points], [found(b)])[0].boxes for b in (moved, half_turned(moved))]
    for out in outs:
        assert ((out[:, 6] - boxes[:, 6]).cos() > math.cos(0.3)).all()
        apart = torch.linalg.norm(out[:, :2] - boxes[:, :2], dim=1)
        assert apart.max() < 0.3  # 0.58 before


def test_a_height_map_has_a_bound():
    config, wide = replace(SMALL, cell_m=0.01), Grid((-51.2, -51.2, -3.0, 51.2, 51.2, 1.0), (0.8, 0.8, 4.0))
    replace(config, cell_m=0.025).require_memory(wide)
    with pytest.raises(SchemaError, match=r"SCH005.*detector\.refine\.cell_m is 0\.01\n.*10240 x 10240 cells"):
        config.require_memory(wide)
    parts = {"grid": wide, "encoder": EncoderConfig("pillar", 8), "head": CENTER}
    with pytest.raises(SchemaError, match=r"detector\.refine\.cell_m"):
        DetectorConfig(neck=NeckConfig((1, 1), (1, 2), (8, 8), (8, 8), 1), refine=config, **parts)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_point_that_is_nowhere_hides_no_other(wrong, rng_of):
    rng = rng_of(10)
    points, boxes, head = cloud(rng), some_boxes(rng, 6), head_of()
    alone = head.predict([points], [found(boxes)])[0].boxes
    more = points.repeat(3, 1)
    for axis in range(3):
        more[len(points) * axis : len(points) * (axis + 1), axis] = wrong
    for order in ([points, more], [more, points]):
        assert torch.equal(head.predict([torch.cat(order)], [found(boxes)])[0].boxes, alone)


def test_points_above_the_grid_hide_none_below(rng_of):
    rng = rng_of(13)
    points, boxes, head = cloud(rng), some_boxes(rng, 6), head_of()
    points = points[points[:, 2] < GRID.range_m[5]]
    above = points.clone()
    above[:, 2] = GRID.range_m[5]
    alone, roofed = (head.predict([p], [found(boxes)])[0].boxes for p in (points, torch.cat([points, above])))
    assert torch.equal(roofed, alone)


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-3, 1e4, 1e30])
def test_odd_boxes_leave_losses_and_other_boxes_as_numbers(size, rng_of):
    rng = rng_of(11)
    points, boxes, head = cloud(rng), some_boxes(rng, 6), head_of().train()
    alone = head.predict([points], [found(boxes)])[0].boxes
    odd = boxes.clone()
    odd[:3, 3:6] = size
    odd[3, :2] = 1e6
    out = head.predict([points], [found(odd)])[0].boxes
    assert torch.allclose(out[4:], alone[4:], atol=1e-5)
    assert out.isfinite().all()
    losses = head.loss([points], joined(box_labels(odd, torch.full((6,), 4))), torch.Generator().manual_seed(0))
    sum(losses.values()).backward()
    assert all(value.isfinite() for value in losses.values())
    assert all(p.grad.isfinite().all() for p in head.parameters())


def test_equal_draws_give_equal_losses(rng_of):
    rng = rng_of(8)
    points, labels = [cloud(rng)], joined(box_labels(some_boxes(rng, 4), torch.full((4,), 2)))
    one, same, other = (
        head_of().loss(points, labels, torch.Generator().manual_seed(seed))["refine"].item() for seed in (0, 0, 1)
    )
    assert one == same != other


def test_the_host_waits_for_nothing(rng_of, device):
    rng = rng_of(9)
    head, points, boxes = head_of().to("cuda"), [cloud(rng).to("cuda") for _ in range(2)], some_boxes(rng, 8)
    labels = joined(*(box_labels(boxes, torch.full((8,), 4)),) * 2).map(lambda value: value.to("cuda"))
    with device.counted() as counted:
        head.loss(points, labels, torch.Generator().manual_seed(0))
    assert not counted.stalls
    assert sum(counted.operators.values()) < 500
    boxes = [found(boxes.to("cuda")) for _ in range(2)]
    with device.counted() as counted:
        head.predict(points, boxes)
    assert sum(counted.stalls.values()) <= 1, counted.stalls  # numbers of predictions of each sample
