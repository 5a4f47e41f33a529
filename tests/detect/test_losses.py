"""Losses, number by number."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pointsam.detect import losses  # noqa: E402
from pointsam.detect.losses import divisor, facing, heat_focal, masked_l1, masked_smooth_l1, sigmoid_focal  # noqa: E402


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("seed", range(3))
def test_heat_is_cornernets_focal_loss_of_the_locations_that_count(seed, rng_of):
    rng = rng_of(seed)
    logits = rng.normal(0, 4, (2, 3, 5, 6))
    heat = rng.random((2, 3, 5, 6)) ** 2
    heat[rng.random(heat.shape) < 0.1] = 1.0
    counted = rng.random((2, 3, 5, 6)) < 0.8
    total = np.zeros(3)
    for (s, c, y, x), logit in np.ndenumerate(logits):
        p = min(max(sigmoid(logit), 1e-4), 1 - 1e-4)
        if counted[s, c, y, x]:
            target = heat[s, c, y, x]
            term = (1 - p) ** 2 * math.log(p) if target == 1 else (1 - target) ** 4 * p**2 * math.log(1 - p)
            total[c] -= term
    predicted = heat_focal(torch.from_numpy(logits), torch.from_numpy(heat).float(), torch.from_numpy(counted))
    assert predicted.tolist() == pytest.approx(total, rel=1e-4)


def test_a_perfect_heat_costs_next_to_nothing_and_extremes_are_finite():
    heat = torch.tensor([[[[1.0, 0.0]]]])
    counted = torch.ones(1, 1, 1, 2, dtype=torch.bool)
    assert heat_focal(torch.tensor([[[[50.0, -50.0]]]]), heat, counted) < 1e-6
    wrong = torch.tensor([[[[-50.0, 50.0]]]], requires_grad=True)
    loss = heat_focal(wrong, heat, counted)
    loss.backward()
    assert loss.isfinite()
    assert wrong.grad.isfinite().all()


def test_what_is_not_known_is_not_regressed():
    predicted = torch.tensor([[1.0, 5.0], [2.0, 7.0]], requires_grad=True)
    target = torch.tensor([[0.0, math.nan], [4.0, 6.0]])
    weights = torch.tensor([1.0, 0.5])
    loss = masked_l1(predicted, target, weights)
    assert loss.tolist() == pytest.approx([1, 2 + 0.5])
    loss.sum().backward()
    assert predicted.grad.tolist() == [[1.0, 0.0], [-1.0, 0.5]]
    round_off = masked_smooth_l1(predicted, target, weights)
    assert round_off.sum().item() == pytest.approx(3.5 - (1 + 1 + 0.5) / 18)  # a half of 1/9 less for each
    assert masked_smooth_l1(predicted[:1] * 0 + 0.05, target[:1], weights).item() == pytest.approx(0.05**2 / 2 * 9)


def test_no_row_is_no_loss_but_keeps_its_place_in_the_graph():
    head = torch.ones(3, requires_grad=True)
    loss = masked_l1((head * 2)[None][:0], torch.zeros(0, 3), torch.ones(3)).sum()
    loss.backward()
    assert loss == 0
    assert head.grad.tolist() == [0, 0, 0]


def test_sigmoid_focal_is_retinanets(rng_of):
    logits = rng_of(0).normal(0, 3, 50)
    positive = rng_of(1).random(50) < 0.4
    predicted = sigmoid_focal(torch.from_numpy(logits), torch.from_numpy(positive))
    for value, logit, yes in zip(predicted.tolist(), logits, positive, strict=True):
        p = sigmoid(logit) if yes else 1 - sigmoid(logit)
        assert value == pytest.approx((0.25 if yes else 0.75) * (1 - p) ** 2 * -math.log(p), rel=1e-4)


@pytest.mark.parametrize(("count", "by"), [(7, 7), (1, 1), (0, 1)])
def test_one_process_counts_for_itself_and_nothing_divides_by_one(count, by):
    assert divisor(torch.tensor([count, 5])).tolist()[0] == by


@pytest.mark.parametrize(("count", "by"), [(3, 2.0), (1, 1.0), (0, 0.5)])
def test_two_processes_divide_the_count_of_both_by_two(monkeypatch, count, by):
    """The other one counts 1, or nothing where this one does; the sum over both is 1 at least."""
    monkeypatch.setattr(losses.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(losses.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(losses.distributed, "all_reduce", lambda value: value.add_(min(count, 1)))
    assert divisor(torch.tensor([count, 5])).tolist()[0] == by


def test_the_front_is_chosen_by_the_direction_of_the_vector_and_surely_by_its_length():
    direction = torch.tensor([[1.0, 0.0]])
    cost = [facing(torch.tensor([[x, y]]), direction).item() for x, y in ((0, 0), (0, 9), (1, 0), (-1, 0), (30, 0))]
    assert cost == pytest.approx([math.log(2), math.log(2), math.log1p(math.exp(-2)), math.log1p(math.exp(2)), 0.0])
