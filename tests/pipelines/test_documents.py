"""run.json of a labelling run is read back, also if its plug-ins are not installed."""

import json

import pytest

from pipelines.documents import MasksDocument
from pointsam.base.errors import StoreError
from pointsam.stages.recipes import RECIPES
from pointsam.store.document import DatasetId
from pointsam.store.manifest import Run, plan_shards
from pointsam.store.reader import Labels
from pointsam.taxonomy import KITTI


def write(out, **config):
    """A folder whose masks are begun, with fields of the stage's configuration changed in run.json."""
    document = MasksDocument(
        tool_version="1",
        recipe="default",
        dataset=DatasetId("kitti", None, "ab"),
        taxonomy=KITTI,
        labels={"person": "pedestrian"},
        weights_sha256={"segmenter": "cd"},
        threads=1,
        device="cpu",
        config=RECIPES["default"]().masks,
    )
    Run.open(out, "masks", document, plan_shards([("drive", "000000")], 1), document.metadata({}, "none"))
    path = out / "run.json"
    run = json.loads(path.read_text())
    run["stages"]["masks"]["document"]["config"].update(config)
    path.write_text(json.dumps(run))
    return document


def test_a_document_is_read_as_it_was_written(tmp_path):
    written, read = write(tmp_path), Labels(tmp_path).document(MasksDocument)
    assert read.metadata({}, "none") == written.metadata({}, "none")
    assert read.taxonomy == KITTI
    assert read.config.semantics_options() == written.config.semantics_options()


def test_options_of_a_back_end_that_is_not_installed_are_kept(tmp_path):
    write(tmp_path, backend="theirs", theirs={"colour": "red"})
    config = Labels(tmp_path).document(MasksDocument).config
    assert (config.backend, config.options["theirs"]) == ("theirs", {"colour": "red"})


@pytest.mark.parametrize(("name", "value"), [("semantic_overlp", "score"), ("seed", "0"), ("riders", {"on": True})])
def test_a_damaged_configuration_is_refused_by_its_field(tmp_path, name, value):
    write(tmp_path, **{name: value})
    with pytest.raises(StoreError, match=rf"OUT004.*run\.json.*stages\.masks\.document: config\.(\w+\.)?{name}"):
        Labels(tmp_path).document(MasksDocument)


@pytest.mark.parametrize("config", [None, [], "default"])
def test_a_value_that_is_not_a_configuration_is_refused(tmp_path, config):
    write(tmp_path)
    path = tmp_path / "run.json"
    run = json.loads(path.read_text())
    run["stages"]["masks"]["document"]["config"] = config
    path.write_text(json.dumps(run))
    with pytest.raises(StoreError, match=r"OUT004.*document: config is wrong"):
        Labels(tmp_path).document(MasksDocument)
