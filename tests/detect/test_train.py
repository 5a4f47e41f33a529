"""The training loop: the same losses after a break, in several processes, and without the boxes outside the budget."""

import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.recipes import tiny  # noqa: E402
from helpers.training import CLASSES, make_budget, make_labels, make_world, pruned_copy  # noqa: E402

from pointsam.base.errors import CalibrationError, SchemaError, TrainingError  # noqa: E402
from pointsam.detect.checkpoint import Checkpoint  # noqa: E402
from pointsam.detect.data.loader import cut_bank  # noqa: E402
from pointsam.detect.data.training_set import TrainingSet  # noqa: E402
from pointsam.detect.train import Trainer  # noqa: E402

CPU = torch.device("cpu")
KINDS = ("center-pillar", "center-refined", "center-voxel", "second", "two-stage", "two-stage-center")


def fed(recipe, world, budget, labels):
    data = TrainingSet(world, budget, labels, CLASSES, recipe.detector.grid.range_m, recipe.data, recipe.train.seed)
    data.bank = cut_bank(data, 0)
    return data


def trainer_of(recipe, world, budget, labels, rank=0, processes=1):
    return Trainer(recipe, fed(recipe, world, budget, labels), world.taxonomy, CPU, rank, processes)


def losses(trainer):
    return [report.losses for report in trainer.run()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_detector_learns_and_every_weight_is_moved(kind, world, budget, labels):
    trainer = trainer_of(tiny(kind, epochs=6, learning_rate=0.005), world, budget, labels)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    values = losses(trainer)
    assert len(values) == 24
    first, last = (sum(step["loss"] for step in some) for some in (values[:4], values[-4:]))
    assert last < 0.8 * first
    still = [name for name, p in trainer.model.named_parameters() if torch.equal(before[name], p)]
    assert [name for name in still if not name.startswith("roi.residuals")] == []  # no proposal may be good yet


@pytest.mark.parametrize("kind", ["center-pillar", "two-stage"])
def test_a_run_that_was_broken_off_goes_on_to_the_same_losses(kind, world, budget, labels, tmp_path):
    whole = losses(trainer_of(tiny(kind), world, budget, labels))
    first = trainer_of(tiny(kind), world, budget, labels)
    begun = []
    for report in first.run():
        begun.append(report.losses)
        if report.step == 3:  # amid an epoch
            first.save(tmp_path / "c.safetensors", {"recipe": {}}, best=0.5)
            break
    second = trainer_of(tiny(kind), world, budget, labels)
    second.load(Checkpoint(tmp_path / "c.safetensors"))
    assert (second.progress.step, second.progress.best) == (3, 0.5)
    assert begun + losses(second) == whole


def test_the_first_process_saves_and_the_others_know_of_it(world, budget, labels, tmp_path):
    other = trainer_of(tiny(), world, budget, labels, rank=1)
    other.save(tmp_path / "c.safetensors", {"recipe": {}})
    assert not (tmp_path / "c.safetensors").exists()
    assert other.saved.startswith("the checkpoint of step 0 is kept")


def test_equal_seeds_give_equal_losses_and_others_do_not(world, budget, labels):
    one, again, other = (losses(trainer_of(tiny(seed=seed), world, budget, labels)) for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize("kind", ["center-pillar", "second"])
def test_boxes_outside_of_the_budget_never_reach_a_loss(kind, world, budget, labels, tmp_path):
    """All of them are deleted from the tables: the same losses to the last bit."""
    kept = {token for boxes in budget.frames.values() for token in boxes}
    pruned = pruned_copy(world, tmp_path / "pruned", kept)
    assert losses(trainer_of(tiny(kind), pruned, budget, labels)) == losses(
        trainer_of(tiny(kind), world, budget, labels)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_trains(kind, world, budget, labels):
    half = losses(trainer_of(tiny(kind, epochs=1, precision="bf16"), world, budget, labels))
    full = losses(trainer_of(tiny(kind, epochs=1), world, budget, labels))
    assert half[0]["loss"] == pytest.approx(full[0]["loss"], rel=0.05)
    assert half[0] != full[0]


class TestBadInput:
    def test_a_loss_that_is_nan_stops_and_names_the_frames(self, world, budget, labels):
        trainer = trainer_of(tiny(), world, budget, labels)
        steps = trainer.run()
        next(steps)
        with torch.no_grad():
            trainer.model.head.heats[0][-1].bias.fill_(math.nan)
        frames = [trainer._steps.data.frame_ids[k] for k in trainer._steps.data.order(0)[2:4]]
        with pytest.raises(
            TrainingError, match=rf"TRN001.*step 2: NaN or infinite: heat, loss of frames {', '.join(frames)}"
        ):
            next(steps)
        weights = [p for name, p in trainer.model.named_parameters() if "heats.0" not in name]
        assert all(p.isfinite().all() for p in weights)  # the step was not taken

    @pytest.mark.parametrize("samples", [4, 6])
    def test_a_bad_frame_is_reported_and_replaced_unless_there_are_many(self, samples, tmp_path):
        world = make_world(tmp_path / "root", samples=samples)
        labels, budget = make_labels(tmp_path / "out", world), make_budget(world)
        recipe = tiny(epochs=1)
        trainer = trainer_of(recipe, world, budget, labels)
        path = world.frame(bad := world.frame_ids()[1]).sweep.source.path
        path.write_bytes(path.read_bytes()[:-3])
        if samples == 4:  # one of eight is more than a tenth, one of twelve is not
            with pytest.raises(TrainingError, match=rf"TRN002.*1 of 8 frames.*{bad}.*DAT006"):
                losses(trainer)
            return
        reports = list(trainer.run())
        assert len(reports) == 6
        reported = [frame_id for report in reports for frame_id, why in report.bad if "DAT006" in why]
        assert reported == [bad]

    def test_a_frame_whose_boxes_cannot_be_read_is_left_out(self, world, budget, labels, monkeypatch):
        bad, boxes = next(frame_id for frame_id, some in budget.frames.items() if some), world.boxes

        def spoilt(frame_id):
            if frame_id == bad:
                raise CalibrationError("CAL001", "not a rotation", "repair it")
            return boxes(frame_id)

        monkeypatch.setattr(world, "boxes", spoilt)
        data = fed(tiny(), world, budget, labels)
        assert bad not in data.frame_ids
        assert "CAL001" in data.bad[bad]

    def test_too_few_frames_for_a_step(self, world, budget, labels):
        with pytest.raises(TrainingError, match=r"TRN002.*8 samples per epoch, too few .* batch size 9 in 1 process"):
            trainer_of(tiny(batch_size=9), world, budget, labels)

    def test_a_checkpoint_of_another_network(self, world, budget, labels, tmp_path):
        trainer_of(tiny(), world, budget, labels).save(tmp_path / "c", {})
        with pytest.raises(SchemaError, match=r"SCH003.*another network"):
            trainer_of(tiny("second"), world, budget, labels).load(Checkpoint(tmp_path / "c"))

    @pytest.mark.parametrize("content", [None, b"", b"\x80\x04K\x01.", b"\x10" + bytes(7) + b'{"a":{}}        '])
    def test_a_file_that_is_no_checkpoint(self, content, tmp_path):
        if content is not None:
            (tmp_path / "c").write_bytes(content)
        with pytest.raises(SchemaError, match=r"SCH003.*no readable checkpoint"):
            Checkpoint(tmp_path / "c")


class TestSchedule:
    def test_the_rate_goes_up_and_down_once_also_after_a_break(self, world, budget, labels, tmp_path):
        recipe = tiny(epochs=6, learning_rate=0.01)
        trainer = trainer_of(recipe, world, budget, labels)
        rates = []
        for report in trainer.run():
            rates.append(report.learning_rate)
            if report.step == 15:
                trainer.save(tmp_path / "c", {})
        assert rates[0] == pytest.approx(0.001)
        top = rates.index(max(rates))
        assert max(rates) == pytest.approx(0.01, rel=0.02)
        assert top == pytest.approx(0.4 * 24, abs=2)
        assert rates[: top + 1] == sorted(rates[: top + 1])
        assert rates[top:] == sorted(rates[top:], reverse=True)
        assert rates[-1] < 1e-6
        again = trainer_of(recipe, world, budget, labels)
        again.load(Checkpoint(tmp_path / "c"))
        assert [report.learning_rate for report in again.run()] == rates[15:]

    def test_pasting_ends_before_the_last_epochs(self, world, budget, labels):
        trainer = trainer_of(tiny(epochs=3), world, budget, labels)
        pasted = {report.epoch: trainer._steps.paste for report in trainer.run()}
        assert pasted == {0: True, 1: True, 2: False}
