"""Tables with equally many rows for each sample."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pointsam.detect.padding import Padding  # noqa: E402


def test_rows_of_samples_one_after_another():
    padding = Padding.of_counts([2, 0, 3], torch.device("cpu"))
    table = padding.table(torch.arange(10).view(5, 2), -1)
    assert table.tolist() == [
        [[0, 1], [2, 3], [-1, -1]],
        [[-1, -1]] * 3,
        [[4, 5], [6, 7], [8, 9]],
    ]
    assert torch.equal(padding.rows(table), torch.arange(10).view(5, 2))


def test_rows_of_samples_in_any_order():
    values = torch.tensor([5.0, 6, 7, 8])
    padding = Padding.of_samples(torch.tensor([1, 0, 1, 1]), 2, 4)
    assert padding.table(values).tolist() == [[6, 0, 0, 0], [5, 7, 8, 0]]
    assert torch.equal(padding.rows(padding.table(values)), values)


def test_a_table_without_rows_has_one_for_each_sample():
    empty = torch.zeros(0, dtype=torch.int64)
    for padding in (Padding.of_counts([0, 0], torch.device("cpu")), Padding.of_samples(empty, 2, 0)):
        assert padding.table(torch.zeros(0, 7), -1).shape == (2, 1, 7)
        assert padding.rows(torch.zeros(2, 1, 7)).shape == (0, 7)


def test_a_table_passes_gradients_on():
    values = torch.randn(3, 2, requires_grad=True)
    padding = Padding.of_counts([1, 2], torch.device("cpu"))
    (padding.rows(padding.table(values)) * torch.tensor([[1.0], [2], [3]])).sum().backward()
    assert values.grad.tolist() == [[1, 1], [2, 2], [3, 3]]
