"""The documents that hold scores, of this version and of 0.1.0 (tests/data/v0_1_0/detect/README.md)."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pipelines.training.experiment_page import SettingScores, tables  # noqa: E402
from pipelines.training.official import Official  # noqa: E402
from pipelines.training.score import Score  # noqa: E402
from pipelines.training.scores import ScoreDocument, read_validations  # noqa: E402
from pipelines.training.settings import Setting  # noqa: E402
from pointsam.base.document import json_values, read_document  # noqa: E402
from pointsam.base.errors import StoreError  # noqa: E402
from pointsam.detect.data.budget import BudgetConfig  # noqa: E402
from pointsam.evaluate.detection import ClassAP, DetectionQuality  # noqa: E402
from pointsam.evaluate.failures import Failures  # noqa: E402

OLD = Path(__file__).parents[2] / "data" / "v0_1_0" / "detect" / "scored"
NAN = float("nan")


def other_world():
    return read_document(OLD / "away-888986c01a12-mini_val.json", ScoreDocument, ValueError)


LATER = ', "axis_rad": null, "turned": null'
"""What scores of 0.1.0 lack of a class."""


def test_scores_of_0_1_0_open_and_are_written_as_they_were():
    (path,) = OLD.glob("away-*.json")
    for document, before in ((read_validations(OLD / "scores.json"), OLD / "scores.json"), (other_world(), path)):
        written = json.dumps(json_values(document))
        assert LATER in written
        assert written.replace(LATER, "") == before.read_text()


def test_a_page_shows_scores_of_0_1_0():
    validations = read_validations(OLD / "scores.json")
    assert [one.epochs for one in validations.values()] == [10, 20]
    by_seed = {0: {"home": validations["40"], "other": other_world()}}
    quality, here, there, gains = tables([SettingScores(Setting("all boxes", BudgetConfig(1.0)), 1.0, by_seed)])
    assert quality.rows[0][3::4] == (pytest.approx(0.196, abs=5e-4), pytest.approx(0.026, abs=5e-4))
    names = ["NDS", "mATE", "mASE", "mAOE", "mAVE", "mAAE", "car (8)"]
    assert list(here.header)[1:8] == list(there.header)[1:8] == names
    assert here.rows[0][1:4] == pytest.approx((0.083, 0.864, 0.848), abs=5e-4)
    assert gains.rows[0][1:] == pytest.approx((0.015, 0.155, 0, 0.097, 0.423), abs=5e-4)


def test_classes_without_an_object_share_a_line():
    def of(name, count):
        return ClassAP(name, count, NAN, (NAN,) * 4, (NAN,) * 4, NAN, NAN, NAN, NAN, NAN)

    quality = DetectionQuality((of("car", 1), of("bus", 0), of("cat", 0)), NAN, 3, (), "frames")
    errors = {"car": (0, 0, 0, 0, 1), "bus": (0, 1, 0, 2, 0), "cat": (0,) * 5}
    costs = tuple(Failures(name, (NAN,) * 5, counts) for name, counts in errors.items())
    score = Score(quality, costs, Official("not run"), {})
    assert "without an object in these frames: bus (3 predictions), cat." in score.text()
    assert not [line for line in score.text().splitlines() if line.startswith(("bus", "cat"))]
    assert len([line for line in score.text().splitlines() if line.startswith("car")]) == 2
    assert [one.name for one in score.document.quality.classes] == ["car", "bus", "cat"]


def test_nan_is_none_in_a_document():
    one = ClassAP("car", 0, NAN, (NAN, 0.5), (NAN,), NAN, 0.25, NAN, 0.1, NAN)
    quality = DetectionQuality((one,), NAN, 3, (0.5, NAN), "frames")
    score = Score(quality, (Failures("car", (NAN, 0.1), (0, 1)),), Official("not run"), {"a": "torn"})
    found = score.document
    (car,) = found.quality.classes
    assert (car.ap, car.by_distance, car.by_range) == (None, (None, 0.5), (None,))
    assert (car.translation_m, car.scale, car.yaw_rad, car.axis_rad, car.turned) == (None, 0.25, None, 0.1, None)
    assert (found.quality.mean_ap, found.quality.draws, found.failures[0].gains) == (None, (0.5, None), (None, 0.1))
    assert score.as_dict()["bad"] == {"a": "torn"}


def test_a_run_without_validations_has_no_scores(tmp_path):
    assert read_validations(tmp_path / "scores.json") == {}


@pytest.mark.parametrize(
    ("damage", "field"),
    [
        (lambda text: text[:100], "not valid JSON"),
        (lambda text: text.replace('"epochs": 10', '"epochs": "10"'), "20.epochs is wrong"),
        (lambda text: text.replace('"num_frames": 4, ', "", 1), "20.quality.num_frames is missing"),
        (lambda text: text.replace('"machine"', '"host"', 1), "20.host is not a field"),
        (lambda text: text.replace('"20": {', '"last": {', 1), "the field 'last' is not the number of a step"),
        (lambda text: text.replace('"20": {', '"2²": {', 1), "the field '2²' is not the number of a step"),
        (lambda text: "{}", "it holds no validation"),
    ],
)
def test_damaged_scores_are_refused_by_their_field(tmp_path, damage, field):
    path = tmp_path / "scores.json"
    path.write_text(damage((OLD / "scores.json").read_text()))
    with pytest.raises(StoreError, match=rf"OUT004.*scores\.json is damaged: {field}"):
        read_validations(path)
