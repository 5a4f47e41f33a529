"""In double precision two processes are one with twice the batch, step after step, to the last digits of a loss.

In single precision they part at once: where a unit is all but 0, rounding decides whether it is on, and Adam makes as
much of small gradients as of large ones.
"""

from dataclasses import replace
from itertools import islice

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.recipes import tiny  # noqa: E402
from helpers.training import CLASSES  # noqa: E402

from pointsam.detect import train as loop  # noqa: E402
from pointsam.detect.data.loader import cut_bank  # noqa: E402
from pointsam.detect.data.paste import PasteConfig  # noqa: E402
from pointsam.detect.data.training_set import TrainingSet  # noqa: E402
from pointsam.detect.detector import Detector  # noqa: E402

STEPS = 2


class Precise(Detector):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.double()

    def map(self, points):
        return super().map([own.double() for own in points])


def reports(recipe, world, budget, labels, rank=0, processes=1):
    """Losses and the norm of the gradient of the first steps."""
    data = TrainingSet(world, budget, labels, CLASSES, recipe.detector.grid.range_m, recipe.data)
    if recipe.data.paste.counts:
        data.bank = cut_bank(data, 0)
    trainer = loop.Trainer(recipe, data, world.taxonomy, torch.device("cpu"), rank, processes)
    return [{**report.losses, "gradient": report.grad_norm} for report in islice(trainer.run(), STEPS)]


def _process(rank, port, recipe, parts, queue):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    queue.put((rank, reports(recipe, *parts, rank, 2)))
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("kind", "pastes"), [("center-voxel", True), ("second", True), ("center-pillar", True), ("center-pillar", False)]
)
def test_two_processes_are_one_with_twice_the_batch(kind, pastes, world, budget, labels, free_port, monkeypatch):
    """Also where there is nothing pasted, so that a class may have fewer boxes in a step than there are processes."""
    monkeypatch.setattr(loop, "Detector", Precise)
    whole, half = (tiny(kind, batch_size=size) for size in (4, 2))
    if not pastes:
        whole, half = (replace(some, data=replace(some.data, paste=PasteConfig())) for some in (whole, half))
    alone = reports(whole, world, budget, labels)
    context = torch.multiprocessing.get_context("fork")
    queue = context.Queue()
    args = (free_port, half, (world, budget, labels), queue)
    workers = [context.Process(target=_process, args=(rank, *args), daemon=True) for rank in range(2)]
    for worker in workers:
        worker.start()
    losses_of_rank = dict(queue.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join(60)
    assert len(alone) == len(losses_of_rank[0]) == STEPS
    for step, (a, b, both) in enumerate(zip(losses_of_rank[0], losses_of_rank[1], alone, strict=True)):
        for name, value in both.items():
            assert (a[name] + b[name]) / 2 == pytest.approx(value, rel=1e-5), (step, name)
