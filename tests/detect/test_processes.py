"""In double precision two processes are one with twice the batch, step after step, to the last digits of a loss.

In single precision they part at once: where a unit is all but 0, rounding decides whether it is on, and Adam makes as
much of small gradients as of large ones.
"""

from dataclasses import replace
from itertools import islice

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.recipes import tiny  # noqa: E402
from helpers.training import CLASSES, make_world  # noqa: E402

from pointsam.detect import train as loop  # noqa: E402
from pointsam.detect.data.loader import cut_bank  # noqa: E402
from pointsam.detect.data.paste import PasteConfig  # noqa: E402
from pointsam.detect.data.training_set import TrainingSet  # noqa: E402
from pointsam.detect.detector import Detector  # noqa: E402
from pointsam.detect.heads import refine  # noqa: E402

STEPS = 2


class Precise(Detector):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.double()

    def map(self, points):
        return super().map([own.double() for own in points])

    def forward(self, batch, generator=None):
        return super().forward(replace(batch, points=tuple(own.double() for own in batch.points)), generator)


def reports(recipe, world, budget, labels, rank=0, processes=1):
    """Losses and the norm of the gradient of the first steps."""
    data = TrainingSet(world, budget, labels, CLASSES, recipe.detector.grid.range_m, recipe.data)
    if recipe.data.paste.counts:
        data.bank = cut_bank(data, 0)
    trainer = loop.Trainer(recipe, data, world.taxonomy, torch.device("cpu"), rank, processes)
    return [{**report.losses, "gradient": report.grad_norm} for report in islice(trainer.run(), STEPS)]


def _process(rank, port, work, queue):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    queue.put((rank, work(rank)))
    torch.distributed.destroy_process_group()


def in_two_processes(port, work):
    """What a function of the rank gives in each of two processes."""
    context = torch.multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_process, args=(rank, port, work, queue), daemon=True) for rank in range(2)]
    for worker in workers:
        worker.start()
    found = dict(queue.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join(60)
    return found[0], found[1]


@pytest.mark.parametrize(
    ("kind", "pastes"),
    [
        ("center-voxel", True),
        ("second", True),
        ("center-pillar", True),
        ("center-pillar", False),
        ("center-refined", True),
    ],
)
def test_two_processes_are_one_with_twice_the_batch(kind, pastes, world, budget, labels, free_port, monkeypatch):
    """Also where there is nothing pasted, so that a class may have fewer boxes in a step than there are processes."""
    monkeypatch.setattr(loop, "Detector", Precise)
    monkeypatch.setattr(refine, "_changed", lambda boxes, draws: boxes + 0.05)  # each process has its own draws
    whole, half = (tiny(kind, batch_size=size) for size in (4, 2))
    if not pastes:
        whole, half = (replace(some, data=replace(some.data, paste=PasteConfig())) for some in (whole, half))
    alone = reports(whole, world, budget, labels)
    one, other = in_two_processes(free_port, lambda rank: reports(half, world, budget, labels, rank, 2))
    assert len(alone) == STEPS
    for step, (a, b, both) in enumerate(zip(one, other, alone, strict=True)):
        for name, value in both.items():
            assert a[name] == b[name] == pytest.approx(value, rel=1e-5), (step, name)


def test_a_frame_that_one_process_could_not_read_is_known_in_both(budget, labels, free_port, tmp_path, monkeypatch):
    """They know at the end of the epoch."""
    monkeypatch.setattr(loop, "MOST_BAD", 0.5)
    world, recipe = make_world(tmp_path / "root"), tiny(epochs=1)
    torn = world.frame_ids()[0]
    world.frame(torn).sweep.source.path.write_bytes(b"torn")
    data = TrainingSet(world, budget, labels, CLASSES, recipe.detector.grid.range_m, recipe.data)
    data.bank = cut_bank(data, 0)

    def bad(rank):
        run = loop.Trainer(recipe, data, world.taxonomy, torch.device("cpu"), rank, 2).run()
        return [frame_id for report in run for frame_id, _ in report.bad if report.last_of_epoch]

    assert in_two_processes(free_port, bad) == ([torn], [torn])
