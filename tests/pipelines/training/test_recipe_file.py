"""Recipes as documents: one head, stated by its kind; errors name the field as `--set` takes it."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pipelines.training.recipe_file import document_of, load_recipe, upgraded  # noqa: E402
from pointsam.base.errors import SchemaError  # noqa: E402
from pointsam.detect.heads.refine import RefineConfig  # noqa: E402

OLD = Path(__file__).parents[2] / "data" / "v0_1_0" / "detect"


def old(name, **detector):
    """A document of version 0.1.0, with fields of its detector changed."""
    document = json.loads((OLD / f"{name}.json").read_text())
    return {**document, "detector": {**document["detector"], **detector}}


LATER = {
    "data.coarse.grown": True,
    "data.coarse.min_probability": 0.0,
    "data.count": "drawn",
    "data.paste.of_two": "first",
    "data.paste.rated_only": False,
    "data.paste.road": "none",
    "data.points.repeat_missing": False,
    "detector.encoder.first_layers": 2,
    "detector.refine": None,
    "detector.sparse": "torch",
    "train.deterministic": True,
}
"""Fields that documents of 0.1.0 lack, and the values that stand for what it did."""
LATER_OF_HEAD = {
    "center": {"heading": "vector", "facing_weight": 0.25, "heat_bias": pytest.approx(-4.59512), "most_of_group": None},
    "anchor": {
        "nms_across": False,
        "places": "centers",
        "proposal_candidates": None,
        "test_proposal_candidates": None,
        "test_proposal_nms_iou": None,
    },
}


def flat(document, prefix=""):
    """The values of a document by their dotted names."""
    named = ((f"{prefix}{name}", value) for name, value in document.items())
    parts = (flat(value, f"{name}.") if isinstance(value, dict) and value else {name: value} for name, value in named)
    return {name: value for part in parts for name, value in part.items()}


@pytest.fixture
def load(tmp_path):
    """A function that loads a document as a user's file."""

    def call(document):
        (tmp_path / "old.json").write_text(json.dumps(document))
        return load_recipe(str(tmp_path / "old.json"))

    return call


@pytest.mark.parametrize("kind", ["center", "anchor"])
def test_the_head_of_an_old_document_keeps_its_fields_and_gets_its_kind(kind, load):
    before = old(kind)
    document = upgraded(before, "old.json")
    assert document["detector"]["head"] == {"kind": kind, **before["detector"][kind]}
    later = LATER | {f"detector.head.{name}": value for name, value in LATER_OF_HEAD[kind].items()}
    assert flat(document_of(load(before))) == flat(document) | later
    assert flat(document).keys().isdisjoint(later)
    assert before == old(kind)


def test_a_document_of_today_stays_as_it_is():
    document = document_of(load_recipe("synthetic-small"))
    assert upgraded(document, "new.json") == document


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (old("center", anchor=old("anchor")["detector"]["anchor"]), "old.json: detector has 2 heads"),
        (old("center", center=None), "old.json: detector has 0 heads"),
        (old("center", center=3), r"old.json: detector.head is wrong: .*, got 3"),
        (
            old("center", head={"kind": "center", "groups": [["car"]], "smallest_radius": {}}),
            "detector.center is not a field",
        ),
        ([], "old.json is not a recipe"),
    ],
)
def test_what_is_no_recipe_of_either_version_is_refused(document, told, load):
    with pytest.raises(SchemaError, match=f"SCH005.*{told}"):
        load(document)


@pytest.mark.parametrize(
    ("name", "assignment", "today"),
    [
        ("synthetic-small", "detector.center.reach=3", "detector.head.reach=3"),
        ("synthetic-small-second", " detector.anchor.match=overlap", "detector.head.match=overlap"),
        (str(OLD / "center.json"), "detector.center.most=7", "detector.head.most=7"),
    ],
)
def test_an_old_name_of_a_field_works_and_says_the_new_one_once(name, assignment, today):
    with pytest.warns(FutureWarning, match=r"is now detector\.head\.NAME") as told:
        recipe = load_recipe(name, [assignment, assignment, "train.epochs=3"])
    assert len(told) == 1
    assert recipe == load_recipe(name, [today, "train.epochs=3"])


def test_a_recipe_of_a_file_with_the_former_threshold_says_the_new_one(load):
    document = document_of(load_recipe("synthetic-small"))
    document["data"]["coarse"]["min_confidence"] = 0.5
    with pytest.warns(FutureWarning, match=r"use data\.coarse\.min_probability"):
        load(document)


def test_the_former_threshold_of_clusters_still_works_and_says_the_new_one():
    with pytest.warns(FutureWarning, match=r"use data\.coarse\.min_probability"):
        recipe = load_recipe("synthetic-small", ["data.coarse.min_confidence=0.5"])
    assert recipe.data.coarse.min_confidence == 0.5
    assert recipe.data.coarse.min_probability == 0.0


def test_an_old_name_of_another_head_is_refused_with_the_names_of_today():
    with pytest.raises(SchemaError, match=r"detector\.anchor\.nms_iou=0\.1' names no field.*") as error:
        load_recipe("synthetic-small", ["detector.anchor.nms_iou=0.1"])
    assert "detector.head.nms_iou" in str(error.value)


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("detector.head.reach=far", r"detector\.head\.reach: .*, got 'far'"),
        ("detector.head.kind=points", r"detector\.head: .*'points'.*'center', 'anchor'$"),
        ("detector.head.kind=anchor", r"detector\.head\.anchors: Field required$"),
    ],
)
def test_a_wrong_value_is_named_as_it_is_set(assignment, told):
    with pytest.raises(SchemaError) as error:
        load_recipe("synthetic-small", [assignment])
    error.match(rf"(?m)^\[SCH005\] recipe synthetic-small: {told}")


def test_a_last_stage_is_added_and_removed():
    added = load_recipe("nuscenes-centerpoint-pillar", ["detector.refine={}"])
    assert added.detector.refine == RefineConfig()
    assert load_recipe("synthetic-small", ["detector.refine=null"]).detector.refine is None
