"""Overlap of boxes and clusters, by the sets themselves."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pointsam.detect.assign.overlap import box_cluster_iou  # noqa: E402
from pointsam.detect.boxes import point_box_pairs  # noqa: E402


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_overlap_of_two_sets_of_points(seed, rng_of):
    rng = rng_of(seed)
    xyz = torch.from_numpy(rng.uniform(-5, 5, (800, 3)))
    boxes = np.column_stack([rng.uniform(-2, 2, (150, 3)), rng.uniform(2, 9, (150, 3)), rng.uniform(-4, 4, 150)])
    ids = torch.from_numpy(rng.integers(-1, 9, 800))
    counts = torch.bincount(ids[ids >= 0], minlength=9)
    point, box = point_box_pairs(xyz, torch.from_numpy(boxes))
    overlap = box_cluster_iou(point, box, len(boxes), ids, counts)
    for b in range(len(boxes)):
        held = set(point[box == b].tolist())
        for m in range(9):
            cluster = set((ids == m).nonzero()[:, 0].tolist())
            expected = len(held & cluster) / (len(held | cluster) + 1e-6)
            assert overlap[b, m].item() == pytest.approx(expected, abs=1e-6)
    assert np.bincount(point.numpy()).max() > 30  # no cap on the boxes of a point


def test_background_inside_of_the_box_counts_against_it():
    xyz = torch.zeros(4, 3)
    point, box = point_box_pairs(xyz, torch.tensor([[0.0, 0, 0, 1, 1, 1, 0]]))
    assert box_cluster_iou(point, box, 1, torch.tensor([0, 0, -1, -1]), torch.tensor([2])).item() == pytest.approx(0.5)


def test_no_cluster_or_no_box_is_an_empty_table():
    none = torch.zeros(0, dtype=torch.int64)
    assert box_cluster_iou(none, none, 3, torch.tensor([-1, -1]), none).shape == (3, 0)
    assert box_cluster_iou(none, none, 0, torch.tensor([0, -1]), torch.tensor([1])).shape == (0, 1)
