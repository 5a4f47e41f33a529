"""Clipped gradients and the momentum cycle (docs/method.md B.10)."""

import math
from itertools import islice

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.recipes import tiny  # noqa: E402
from helpers.training import CLASSES  # noqa: E402

from pointsam.detect.checkpoint import Checkpoint  # noqa: E402
from pointsam.detect.data.training_set import TrainingSet  # noqa: E402
from pointsam.detect.train import Trainer  # noqa: E402


@pytest.fixture
def trainer_of(world, budget, labels):
    def call(**train):
        recipe = tiny(**train)
        data = TrainingSet(world, budget, labels, CLASSES, recipe.detector.grid.range_m, recipe.data)
        return Trainer(recipe, data, world.taxonomy, torch.device("cpu"))

    return call


def louder(trainer, step, factor):
    """Losses of one step times a factor."""

    def scaled(_, __, losses):
        return {name: value * (factor if trainer.progress.step == step else 1) for name, value in losses.items()}

    trainer.model.register_forward_hook(scaled)
    return trainer


def trained(trainer):
    """Weights after the run, norms of the gradient before clipping, and as the optimizer took them."""
    taken = []

    def note(optimizer, *_):
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        taken.append(math.sqrt(sum(g.double().square().sum().item() for g in gradients)))

    trainer.optimizer.register_step_pre_hook(note)
    norms = [report.grad_norm for report in trainer.run()]
    return [p.detach().clone() for p in trainer.model.parameters()], norms, taken


def test_a_huge_gradient_moves_the_weights_no_further_than_one_that_is_just_clipped(trainer_of):
    """Adam keeps second moments: without clipping, one large gradient would affect all later steps."""
    plain, norms, _ = trained(trainer_of(grad_clip=0.05))
    loud, loud_norms, _ = trained(louder(trainer_of(grad_clip=0.05), 2, 1e4))
    assert min(norms) > 0.05
    assert loud_norms[2] == pytest.approx(1e4 * norms[2], rel=1e-3)
    for a, b in zip(plain, loud, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_the_optimizer_gets_gradients_of_the_largest_norm_at_most_and_smaller_ones_as_they_are(trainer_of):
    _, norms, _ = trained(trainer_of(grad_clip=1e9))
    clip = sorted(norms)[len(norms) // 2] * 1.001
    _, before, taken = trained(trainer_of(grad_clip=clip))
    assert min(before) < clip < max(before)
    assert taken == pytest.approx([min(norm, clip) for norm in before], rel=1e-4)


def cosine(start, end, share):
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def momenta(trainer):
    """Adam's first beta at each step."""
    betas = []
    trainer.optimizer.register_step_pre_hook(
        lambda optimizer, *_: betas.extend(group["betas"] for group in optimizer.param_groups)
    )
    for _ in trainer.run():
        pass
    assert {second for _, second in betas} == {0.99}
    return [first for first, _ in betas]


def test_momentum_falls_while_the_rate_rises_and_comes_back(trainer_of):
    trainer = trainer_of(epochs=5, momentum=(0.9, 0.6), warm_share=0.4)
    steps = trainer.num_steps
    top = 0.4 * steps - 1
    expected = [
        cosine(0.9, 0.6, k / top) if k <= top else cosine(0.6, 0.9, (k - top) / (steps - 1 - top)) for k in range(steps)
    ]
    momentums = momenta(trainer)
    assert momentums == pytest.approx(expected)
    assert (momentums[0], min(momentums), momentums[-1]) == pytest.approx((0.9, 0.6, 0.9))
    assert momentums.index(min(momentums)) == top == 7


def test_after_a_break_momentum_is_where_it_was(trainer_of, tmp_path):
    whole = momenta(trainer_of(epochs=3))
    first = trainer_of(epochs=3)
    for report in first.run():
        if report.step == 5:
            first.save(tmp_path / "c", {})
            break
    second = trainer_of(epochs=3)
    second.load(Checkpoint(tmp_path / "c"))
    assert momenta(second) == whole[5:]


@pytest.mark.parametrize("share", [1 / 8, 0.1])
def test_the_first_step_may_be_the_peak(trainer_of, share):
    """With one step or less before the peak; torch divides by the steps between the first one and the peak."""
    trainer = trainer_of(warm_share=share)
    assert trainer.num_steps == 8
    rates = [report.learning_rate for report in trainer.run()]
    assert rates[0] == pytest.approx(0.002, rel=0.01)
    assert rates == sorted(rates, reverse=True)


def test_a_large_seed_is_a_seed(trainer_of):
    """A date and time, as people write them."""
    one, other = (list(islice(trainer_of(seed=20260101120000 + k).run(), 2)) for k in (0, 1))
    assert [step.losses for step in one] != [step.losses for step in other]


@pytest.mark.parametrize("seed", [0, 1, 18_000_000_000])
def test_smaller_seeds_keep_their_draws(trainer_of, seed, monkeypatch):
    trainer, drawn = trainer_of(seed=seed), []
    forward = trainer.network.forward
    monkeypatch.setattr(trainer.network, "forward", lambda *given: [drawn.append(given[1]), forward(*given)][1])
    next(trainer.run())
    assert [draws.initial_seed() for draws in drawn] == [seed * 1_000_003 * 1009]
