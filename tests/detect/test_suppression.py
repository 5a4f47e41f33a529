"""Suppression in rounds keeps what the greedy loop keeps, box by box."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")
geometry = pytest.importorskip("shapely.geometry", reason="needs shapely")
affinity = pytest.importorskip("shapely.affinity")

from pointsam.detect import suppression  # noqa: E402
from pointsam.detect.boxes import iou_bev  # noqa: E402
from pointsam.detect.suppression import nms_bev, rank_in_group  # noqa: E402

UNIT = [0.0, 0.0, 0.0, 4.0, 2.0, 1.0, 0.0]


def boxes(rng, n, spread=6.0, at=0.0):
    """float32, as a network gives them."""
    place = np.column_stack([at + rng.uniform(-spread, spread, (n, 2)), rng.uniform(-1, 1, n)])
    size = rng.uniform(0.3, 6.0, (n, 3))
    return torch.from_numpy(np.column_stack([place, size, rng.uniform(-7, 7, n)]).astype(np.float32))


def polygon(box):
    x, y, _, length, width, _, yaw = box
    flat = geometry.box(-length / 2, -width / 2, length / 2, width / 2)
    return affinity.translate(affinity.rotate(flat, yaw, origin=(0, 0), use_radians=True), x, y)


def plain(overlap, scores, threshold, most=None, group=None):
    """The greedy loop over a table of all overlaps."""
    kept, counts = [], {}
    for k in sorted(range(len(scores)), key=lambda k: (-scores[k].item(), k)):
        own = 0 if group is None else group[k].item()
        rivals = [r for r in kept if group is None or group[r] == own]
        if counts.get(own, 0) != most and all(overlap[k][r] <= threshold for r in rivals):
            kept.append(k)
            counts[own] = counts.get(own, 0) + 1
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.7])
def test_suppression_keeps_what_a_plain_loop_over_polygons_keeps(threshold, rng_of):
    some, scores = boxes(rng_of(6), 60), torch.from_numpy(rng_of(7).choice(20, 60) / 20)
    polygons = [polygon(box) for box in some.tolist()]
    overlap = [[p.intersection(q).area / p.union(q).area for q in polygons] for p in polygons]
    kept = plain(overlap, scores, threshold)
    assert nms_bev(some, scores, threshold).tolist() == kept
    assert nms_bev(some, scores, threshold, most=3).tolist() == kept[:3]


@pytest.mark.parametrize("threshold", [0.01, 0.2, 0.8])
@pytest.mark.parametrize("most", [None, 1, 4, 60])
@pytest.mark.parametrize("at", [0.0, 70.0])
@pytest.mark.parametrize("block", [10, 512])
def test_groups_are_suppressed_together_as_alone(threshold, most, at, block, rng_of, monkeypatch):
    monkeypatch.setattr(suppression, "_PAIRS", 1000)
    monkeypatch.setattr(suppression, "_BLOCK", block)
    rng = rng_of(3)
    some = torch.cat([boxes(rng, 80, at=at), boxes(rng, 60, 1.0, at=at)])
    some = torch.cat([some, some[:60] + 0.05 * torch.randn(60, 7, generator=torch.Generator().manual_seed(0))])
    scores, group = torch.from_numpy(rng.random(200).astype(np.float32)), torch.from_numpy(rng.integers(0, 3, 200) * 5)
    kept = nms_bev(some, scores, threshold, most, group).tolist()
    assert kept == plain(iou_bev(some, some).tolist(), scores, threshold, most, group)
    for own in (0, 5, 10):
        mine = (group == own).nonzero()[:, 0]
        alone = mine[nms_bev(some[mine], scores[mine], threshold, most)]
        assert alone.tolist() == [k for k in kept if group[k] == own]


def test_no_box_stays_none():
    for most in (None, 3):
        assert len(nms_bev(torch.zeros(0, 7), torch.zeros(0), 0.5, most)) == 0


@pytest.mark.parametrize(("threshold", "kept"), [(0.34, [1, 0]), (0.33, [1])])
def test_a_box_is_suppressed_by_more_than_the_threshold(threshold, kept):
    pair = torch.tensor([UNIT, [2.0, 0, 0, 4, 2, 1, 0]])  # a third of the union
    assert nms_bev(pair, torch.tensor([0.5, 0.6]), threshold).tolist() == kept


@pytest.mark.parametrize("length", [3, 4, 40])
def test_a_box_that_was_suppressed_suppresses_nothing(length):
    """Every other box of a chain, which takes as many rounds as it has links."""
    chain = torch.tensor([[2.0 * k, 0, 0, 4, 2, 1, 0] for k in range(length)])
    assert nms_bev(chain, -torch.arange(float(length)), 0.2).tolist() == list(range(0, length, 2))


def test_a_rank_counts_the_boxes_of_the_group_before():
    assert rank_in_group(torch.tensor([7, 2, 7, 7, 2, 9])).tolist() == [0, 0, 1, 2, 1, 0]


@pytest.mark.parametrize(("count", "waits"), [(10, 2), (25, 6)])
def test_the_host_waits_twice_for_a_block_and_twice_between_blocks(count, waits, rng_of, monkeypatch, device):
    """Numbers of pairs and of boxes that are left, and the pairs that overlap; blocks of 10 and 20 boxes."""
    monkeypatch.setattr(suppression, "_BLOCK", 10)
    some = boxes(rng_of(0), count, 60.0).to("cuda")
    scores = torch.linspace(1, 0, count).to("cuda")
    with device.counted() as counted:
        kept = nms_bev(some, scores, 0.9)
    assert len(kept) > 10 or count == 10
    assert sum(counted.stalls.values()) == waits, counted.stalls
