"""`mixsup-train fit` keeps two networks: the last one, and the best one by validation."""

import json
import warnings
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from click.testing import CliRunner  # noqa: E402
from helpers.recipes import make_inputs  # noqa: E402
from helpers.training import break_off  # noqa: E402

from pipelines.cli.train import main  # noqa: E402
from pipelines.data import DataSpec  # noqa: E402
from pipelines.training import fit as fitting  # noqa: E402
from pipelines.training.checkpoints import data_of_run, load_run  # noqa: E402
from pipelines.training.fit_document import weights_of  # noqa: E402
from pointsam.detect.checkpoint import Checkpoint  # noqa: E402

NAN = float("nan")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a root, labels, a budget and a recipe that validates after each of two epochs of four steps."""
    return make_inputs(tmp_path_factory.mktemp("best"), eval_epochs=1)


@pytest.fixture
def fit(made, tmp_path, monkeypatch):
    """A function that trains as if the validations had the given mAP, and returns the weights of each."""
    predict_frames, score = fitting.predict_frames, fitting.score

    def call(*precisions, exit_code=0):
        left, validated = list(precisions), []

        def watched(model, *arguments):
            validated.append({name: value.clone() for name, value in model.state_dict().items()})
            return predict_frames(model, *arguments)

        def scored(*arguments):
            found = score(*arguments)
            return replace(found, quality=replace(found.quality, mean_ap=left.pop(0)))

        monkeypatch.setattr(fitting, "predict_frames", watched)
        monkeypatch.setattr(fitting, "score", scored)
        options = {"data": "root", "labels": "labels", "budget": "budget.parquet"}
        paths = [part for name, value in options.items() for part in (f"--{name}", str(made / value))]
        arguments = ["fit", str(made / "tiny.json"), *paths, "--out", str(tmp_path / "run"), "--val", "mini_val"]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == exit_code, result.output
        assert not left
        call.said.append(result.output)
        return validated

    call.said = []
    return call


def kept(folder, name):
    return Checkpoint(folder / "run" / f"{name}.safetensors")


def holds(checkpoint, weights):
    return all(torch.equal(value, checkpoint._tensors[f"model.{name}"]) for name, value in weights.items())


@pytest.mark.parametrize(
    ("precisions", "best"),
    [((0.5, 0.3), 0), ((0.3, 0.5), 1), ((0.4, 0.4), 1), ((0.0, 0.0), 1), ((NAN, 0.0), 1), ((0.1, NAN), 0)],
)
def test_the_best_is_kept_beside_the_last(precisions, best, fit, tmp_path):
    """The later one of two equal networks; NaN is no score."""
    first, second = fit(*precisions)
    assert not holds(kept(tmp_path, "last"), first)
    assert holds(kept(tmp_path, "last"), second)
    assert holds(kept(tmp_path, "best"), (first, second)[best])
    assert kept(tmp_path, "best").progress.step == (4, 8)[best]
    assert kept(tmp_path, "best").progress.best == precisions[best]


def test_without_a_score_there_is_no_best(fit, made, tmp_path):
    fit(NAN, NAN)
    assert not (tmp_path / "run" / "best.safetensors").exists()
    assert "no validation of this run has a mAP" in fit.said[-1]
    assert Checkpoint(weights_of(tmp_path / "run")).progress.step == 8


@pytest.mark.parametrize(("precisions", "told"), [((0.0, 0.0), True), ((0.0, 0.2), False)])
def test_a_best_that_no_score_chose_is_named(precisions, told, fit, made, tmp_path):
    fit(*precisions)
    assert ("no validation of this run found an object" in fit.said[-1]) == told
    dataset = data_of_run(tmp_path / "run", DataSpec(made / "root"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_run(tmp_path / "run", dataset, "cpu")
        load_run(tmp_path / "run", dataset, "cpu", "last.safetensors")
    texts = [str(one.message) for one in caught]
    assert len(texts) == told
    assert all("best.safetensors, of step 8, was chosen by no score" in text for text in texts)
    assert all("It is the last network of the run as well: train longer" in text for text in texts)


def test_the_last_is_recommended_only_where_it_is_another(fit, made, tmp_path):
    fit(0.0, NAN)
    with pytest.warns(RuntimeWarning, match=r"of step 4, was.*last network, of step 8, copy last\.safetensors over"):
        load_run(tmp_path / "run", data_of_run(tmp_path / "run", DataSpec(made / "root")), "cpu")


def test_a_run_that_goes_on_remembers_the_best(fit, tmp_path, monkeypatch):
    with monkeypatch.context() as until:
        break_off(until, 6)
        (first,) = fit(0.5, exit_code=1)
    (second,) = fit(0.3)
    assert holds(kept(tmp_path, "best"), first)
    assert holds(kept(tmp_path, "last"), second)
    assert set(json.loads((tmp_path / "run" / "scores.json").read_text())) == {"4", "8"}
