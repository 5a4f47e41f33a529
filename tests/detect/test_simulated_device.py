"""Training, validation, checkpoints and resuming on a simulated CUDA device, which refuses what CUDA refuses.

Results are those of the CPU. A step makes the host wait only so often: a stall empties the queue of the device.
"""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.recipes import make_inputs, tiny  # noqa: E402
from helpers.training import CLASSES, break_off  # noqa: E402

from pipelines.data import DataSpec  # noqa: E402
from pipelines.training.fit import fit  # noqa: E402
from pipelines.training.predict import evaluate_run  # noqa: E402
from pipelines.training.recipe_file import load_recipe  # noqa: E402
from pipelines.training.request import FitRequest  # noqa: E402
from pipelines.training.splits import split_frames  # noqa: E402
from pointsam.detect.checkpoint import Checkpoint  # noqa: E402
from pointsam.detect.data.loader import Steps, cut_bank, training_loader  # noqa: E402
from pointsam.detect.data.training_set import TrainingSet  # noqa: E402
from pointsam.detect.detector import Detector  # noqa: E402
from pointsam.detect.infer import InferConfig, detect_frames  # noqa: E402
from pointsam.detect.train import Trainer  # noqa: E402

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
KINDS = {
    "center-pillar": {},
    "center-refined": {},
    "center-voxel": {"heading": "axis"},
    "second": {},
    "second-centers": {},
    "two-stage": {},
    "two-stage-center": {"heading": "axis"},
}
"""Detectors of `helpers.recipes`, and what is changed in their heads: each head and encoder, each kind of heading."""
STALLS = {
    "center-pillar": (5, 8),
    "center-refined": (5, 9),
    "center-voxel": (13, 16),
    "second": (4, 13),
    "second-centers": (4, 13),
    "two-stage": (7, 16),
    "two-stage-center": (9, 17),
}
"""Most stalls of a step, reading of the batch and optimiser included, and of the prediction of a batch of four."""


def recipe_of(kind, **train):
    recipe = tiny(kind, **train)
    return replace(recipe, detector=replace(recipe.detector, head=replace(recipe.detector.head, **KINDS[kind])))


@pytest.fixture
def trainer_of(world, budget, labels):
    """A trainer of a recipe on a device."""

    def make(recipe, device):
        range_m = recipe.detector.grid.range_m
        data = TrainingSet(world, budget, labels, CLASSES, range_m, recipe.data, recipe.train.seed)
        data.bank = cut_bank(data, 0)
        return Trainer(recipe, data, world.taxonomy, device)

    return make


def losses(trainer, steps):
    return [report.losses for report in islice(trainer.run(), steps)]


def lines(stalls):
    """What waits, and how often."""
    return "\n".join(f"{times} {stall}" for stall, times in sorted(stalls.items()))


def same(a, b, rel=1e-4):
    """Losses of steps are those of others, to the rounding of a fused optimiser."""
    assert [list(step) for step in a] == [list(step) for step in b]
    for one, other in zip(a, b, strict=True):
        assert list(one.values()) == pytest.approx(list(other.values()), rel=rel, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_that_of_the_cpu_and_seldom_waits(kind, trainer_of, device):
    recipe = recipe_of(kind)
    steps = trainer_of(recipe, CUDA).run()
    found = [next(steps).losses]
    with device.counted() as counted:
        found.append(next(steps).losses)
    same(found, losses(trainer_of(recipe, CPU), 2))
    assert sum(counted.stalls.values()) <= STALLS[kind][0], lines(counted.stalls)


def test_batches_are_read_into_pinned_memory(trainer_of, device):
    trainer = trainer_of(recipe_of("second"), CUDA)
    items = iter(training_loader(Steps(trainer.data, 2, 0, 1), 0, CUDA))
    batch, seen = next(items).batch, []
    batch.labels.map(lambda value: seen.append(value.is_pinned()) or value)
    assert len(seen) == 13
    assert all(seen)
    assert all(points.is_pinned() for points in batch.points)


@pytest.mark.parametrize("kind", ["center-pillar", "center-voxel", "two-stage"])
def test_half_precision_is_near_single_precision(kind, trainer_of, device):
    found = losses(trainer_of(recipe_of(kind, precision="bf16"), CUDA), 1)
    single = losses(trainer_of(recipe_of(kind), CPU), 1)
    same(found, single, rel=0.05)
    assert found != single


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_those_of_the_cpu_and_seldom_wait(kind, world, device):
    recipe = recipe_of(kind)
    torch.manual_seed(0)
    network, frame_ids = Detector(recipe.detector, world.taxonomy), world.frame_ids()[:4]
    last = network.head.layers[-1] if hasattr(network.head, "layers") else network.head.heats[0][-1]
    torch.nn.init.zeros_(last.bias)  # boxes everywhere
    config = InferConfig(recipe.data.points, 4)
    expected = list(detect_frames(network, world, frame_ids, config))
    network.to(CUDA)
    with device.counted() as counted:
        found = list(detect_frames(network, world, frame_ids, config))
    for one, other in zip(found, expected, strict=True):
        assert len(one.score) > 10
        for name in ("frame_id", "boxes", "score", "class_id", "velocity"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert sum(counted.stalls.values()) <= STALLS[kind][1], lines(counted.stalls)


@pytest.mark.parametrize("kind", ["center-pillar", "two-stage"])
def test_a_run_goes_on_from_its_checkpoint_on_either_device(kind, trainer_of, device, tmp_path):
    recipe, path = recipe_of(kind), tmp_path / "c.safetensors"
    first = trainer_of(recipe, CUDA)
    steps = first.run()
    next(steps)
    first.save(path, {"recipe": {}})
    kept = first.model.state_dict()
    assert all(torch.equal(value, kept[name].cpu()) for name, value in Checkpoint(path).weights().items())
    following = [next(steps).losses, next(steps).losses]
    for where in (CUDA, CPU):
        second = trainer_of(recipe, where)
        second.load(Checkpoint(path))
        found = losses(second, 2)
        same(found, following)
        assert where == CPU or found == following


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A root, labels, a budget and a recipe."""
    return make_inputs(tmp_path_factory.mktemp("made"), precision="bf16")


def test_a_run_is_broken_off_continued_validated_and_evaluated(made, tmp_path, monkeypatch, device):
    data = DataSpec(made / "root")
    request = FitRequest(
        data=data,
        labels=made / "labels",
        budget=made / "budget.parquet",
        recipe=load_recipe(str(made / "tiny.json")),
        out=tmp_path / "run",
        val="mini_val",
        device="cuda",
    )
    with monkeypatch.context() as patch:
        break_off(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            fit(request)
    fitted = fit(request)
    assert fitted.steps == 4  # from the end of the first epoch
    on_cpu = fit(replace(request, out=tmp_path / "cpu", device="cpu"))
    assert on_cpu.score.document == fitted.score.document
    dataset = data.open()
    again = evaluate_run(request.out, dataset, split_frames(dataset, "mini_val"), "cuda", 0)
    assert again.document == fitted.score.document
    longer = replace(request.recipe, train=replace(request.recipe.train, epochs=1))
    begun = fit(replace(request, recipe=longer, out=tmp_path / "begun", init=request.out, val=None))
    assert begun.steps == 4
