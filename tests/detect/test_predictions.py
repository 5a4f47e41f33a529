"""Predictions of a batch."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pointsam.detect.predictions import at_least  # noqa: E402


@pytest.mark.parametrize(("threshold", "places"), [(0.5, [(0, 1), (1, 0)]), (0.0, [(0, 0), (0, 1), (1, 0), (1, 1)])])
def test_scores_of_at_least_a_threshold(threshold, places):
    row, column = at_least(torch.tensor([[0.0, 0.5], [0.9, torch.nan]]), threshold)
    assert list(zip(row.tolist(), column.tolist(), strict=True)) == places
