"""run.json of a labelling run is read back, also if its plug-ins are not installed."""

import json
import shutil
from pathlib import Path

import pytest

from pipelines.documents import ClustersDocument, MasksDocument
from pointsam.base.errors import StoreError
from pointsam.stages.recipes import RECIPES
from pointsam.store.document import DatasetId
from pointsam.store.manifest import Run, plan_shards
from pointsam.store.reader import Labels
from pointsam.taxonomy import KITTI

FIXTURE = Path(__file__).parents[1] / "data" / "v0_1_0" / "labels"


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


def test_a_segmenter_that_is_not_installed_may_name_another_section(tmp_path):
    write(tmp_path, backend="theirs", red={"depth": 1})
    assert Labels(tmp_path).document(MasksDocument).config.options["red"] == {"depth": 1}


@pytest.mark.parametrize("backend", ["mobile_sam", "theirs"])
def test_a_section_that_no_back_end_names_is_refused(tmp_path, backend):
    write(tmp_path, backend=backend, promt={"close_m": 2.0}, **({} if backend == "mobile_sam" else {"theirs": {}}))
    with pytest.raises(StoreError, match=r"OUT004.*document: config\.promt is not a field"):
        Labels(tmp_path).document(MasksDocument)


@pytest.mark.parametrize(
    ("kind", "section", "name"),
    [("masks", "prompt", "close_m"), ("masks", None, "prompt"), ("clusters", None, "refine")],
)
def test_a_recorded_configuration_must_be_complete(tmp_path, kind, section, name):
    """A missing field would take the default of today's version."""
    path = shutil.copytree(FIXTURE, tmp_path / "out") / "run.json"
    run = json.loads(path.read_text())
    config = run["stages"][kind]["document"]["config"]
    del (config if section is None else config[section])[name]
    path.write_text(json.dumps(run))
    field = ".".join(part for part in ("config", section, name) if part)
    with pytest.raises(StoreError, match=rf"OUT004.*document: {field} is missing"):
        Labels(tmp_path / "out").document({"masks": MasksDocument, "clusters": ClustersDocument}[kind])


@pytest.mark.parametrize("config", [None, [], "default"])
def test_a_value_that_is_not_a_configuration_is_refused(tmp_path, config):
    write(tmp_path)
    path = tmp_path / "run.json"
    run = json.loads(path.read_text())
    run["stages"]["masks"]["document"]["config"] = config
    path.write_text(json.dumps(run))
    with pytest.raises(StoreError, match=r"OUT004.*document: config is wrong"):
        Labels(tmp_path).document(MasksDocument)
