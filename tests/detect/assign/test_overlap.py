"""Overlap of boxes and clusters, by the sets themselves."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pointsam.detect.assign.overlap import iou_of_counts  # noqa: E402
from pointsam.detect.boxes import beyond_faces  # noqa: E402


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_overlap_of_two_sets_of_points(seed, rng_of):
    rng = rng_of(seed)
    xyz = torch.from_numpy(rng.uniform(-5, 5, (800, 3)))
    boxes = np.column_stack([rng.uniform(-2, 2, (150, 3)), rng.uniform(2, 9, (150, 3)), rng.uniform(-4, 4, 150)])
    ids = torch.from_numpy(rng.integers(-1, 9, 800))
    inside = beyond_faces(xyz, torch.from_numpy(boxes)[:, None]) <= 0
    clusters = ids == torch.arange(9)[:, None]
    shared = (inside[:, None] & clusters).sum(dim=2)
    overlap = iou_of_counts(shared, inside.sum(dim=1)[:, None], clusters.sum(dim=1))
    for b in range(len(boxes)):
        held = set(inside[b].nonzero()[:, 0].tolist())
        for m in range(9):
            cluster = set((ids == m).nonzero()[:, 0].tolist())
            expected = len(held & cluster) / (len(held | cluster) + 1e-6)
            assert overlap[b, m].item() == pytest.approx(expected, abs=1e-6)
    assert inside.sum(dim=0).max() > 30  # no cap on the boxes of a point


def test_background_inside_of_the_box_counts_against_it():
    assert iou_of_counts(*torch.tensor([2, 4, 2])).item() == pytest.approx(0.5)


def test_nothing_in_common_is_no_overlap():
    assert iou_of_counts(*torch.tensor([0, 0, 0])).item() == 0
