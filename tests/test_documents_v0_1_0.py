"""Documents of version 0.1.0 still open (tests/data/v0_1_0/README.md says how they were made)."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.commands import label
from helpers.masks import write_masks
from helpers.nuscenes_root import make_root
from helpers.segmenters import Scissors

from pipelines.documents import ClustersDocument, MasksDocument
from pipelines.robustness.cells import NoiseDocument
from pipelines.robustness.counts import read_counts
from pointsam.base.document import json_values
from pointsam.calibration.file import read_correction
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.detect.data.budget_file import read_budget
from pointsam.semantics.mapping import load_mapping
from pointsam.store.reader import Labels

FOLDER = Path(__file__).parent / "data" / "v0_1_0"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The data that the run folder was made of."""
    return make_root(
        tmp_path_factory.mktemp("v0_1_0") / "root",
        scenes=("scene-0061", "scene-0103"),
        samples_per_scene=1,
        boxes_per_sample=2,
    )


@pytest.fixture
def out(tmp_path):
    """A copy of the run folder, which a command may go on with."""
    return shutil.copytree(FOLDER / "labels", tmp_path / "labels")


@pytest.fixture(autouse=True)
def scissors(monkeypatch):
    monkeypatch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())


def test_labels_and_masks_of_a_run_folder_open():
    labels = Labels(FOLDER / "labels")
    assert labels.stages == ("clusters", "masks")
    assert labels.taxonomy.names[:2] == ("car", "truck")
    found = [labels.labels(frame_id) for frame_id in labels.frame_ids()]
    assert [len(frame.clusters) for frame in found] == [2, 1]
    assert [int((frame.labels.instance_id >= 0).sum()) for frame in found] == [4, 5]
    assert [sum(len(image.masks) for image in labels.masks(frame_id).values()) for frame_id in labels.frame_ids()] == [
        2,
        2,
    ]


def test_the_documents_of_a_run_are_read_as_they_were_written():
    written = json.loads((FOLDER / "labels" / "run.json").read_text())["stages"]
    labels = Labels(FOLDER / "labels")
    for kind in (MasksDocument, ClustersDocument):
        before = {k: v for k, v in written[kind.stage]["document"].items() if k not in ("plan", "schema_version")}
        config = json_values(labels.document(kind))["config"]
        later = {name: config.pop(name) for name in ("limit", "grow") if kind is ClustersDocument}
        assert not any(part["enabled"] for part in later.values())
        assert {**json_values(labels.document(kind)), "config": config} == before
        assert json_values(labels.metadata(kind.stage)) == written[kind.stage]["metadata"]


def test_a_run_folder_is_evaluated_shown_and_exported(root, out, tmp_path):
    assert label("eval", out, root).exit_code == 0
    assert label("inspect", out, "0", "--data", root, "--png", tmp_path / "frame.png").exit_code == 0
    assert label("export", out, root, "--to", "coco", "--dest", tmp_path / "coco").exit_code == 0
    assert label("report", out, root, "--dest", tmp_path / "page").exit_code == 0


def test_labels_without_probability_say_so(root, out, tmp_path):
    result = label("eval", out, root, "--json", tmp_path / "eval.json", "--parquet", tmp_path / "rows.parquet")
    assert "the labels have no probability: an older version made them" in result.output
    assert "does probability tell" not in result.output
    (figures,) = json.loads((tmp_path / "eval.json").read_text())
    assert (figures["probability"]["num_clusters"], figures["probability"]["ece"]) == (0, None)
    rows = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    assert {(row["probability"], row["confidence"] is None) for row in rows if row["kind"] == "cluster"} == {
        (None, False)
    }
    shown = json.loads(label("inspect", out, "0", "--json", "-").stdout)
    assert [cluster["probability"] for cluster in shown["clusters"]] == [None, None]
    label("export", out, root, "--to", "coco", "--dest", tmp_path / "coco")
    exported = json.loads(next((tmp_path / "coco").glob("*.json")).read_text())
    confidence = {
        round(one.confidence, 4) for frame in map(Labels(out).labels, Labels(out).frame_ids()) for one in frame.clusters
    }
    assert {one["score"] for one in exported["annotations"]} <= confidence


def test_finished_masks_stay_and_clusters_of_the_former_schema_are_not_mixed_with_new_ones(root, out, tmp_path):
    write_masks(NuScenes(root), tmp_path / "masks")
    before = {path: path.read_bytes() for path in out.rglob("*.parquet")}
    precomputed = ("--semantics", "precomputed", "--masks-dir", tmp_path / "masks")
    assert label("masks", root, "--out", out, *precomputed).exit_code == 0
    result = label("run", root, "--out", out, *precomputed)
    assert result.exit_code == 2
    assert "OUT001" in result.output
    assert "schema_version: 2 -> 4" in result.output
    assert {path: path.read_bytes() for path in out.rglob("*.parquet")} == before


def test_clusters_are_made_anew_from_its_masks_with_the_same_former_columns(root, tmp_path):
    result = label("clusters", root, "--out", tmp_path / "again", "--masks-from", FOLDER / "labels")
    assert result.exit_code == 0, result.output
    for name in ("points", "clusters", "frames"):
        for path in (FOLDER / "labels" / name).rglob("*.parquet"):
            again = tmp_path / "again" / path.relative_to(FOLDER / "labels")
            former = pq.ParquetFile(path).read()
            assert pq.ParquetFile(again).read().select(former.column_names).equals(former), path.name


def test_a_noise_sweep_opens():
    labels = Labels(FOLDER / "noise")
    document = labels.document(NoiseDocument)
    assert [cell.name for cell in document.cells[:2]] == ["clean", "rotation=0.1/0"]
    assert read_counts(FOLDER / "noise").num_frames == 2
    cells = list(Labels(FOLDER / "noise").cells())
    assert [scene for scene, _ in cells] == ["scene-0061", "scene-0103"]
    assert all(table.num_rows > 0 for _, table in cells)


def test_a_calibration_file_opens():
    (correction,) = read_correction(FOLDER / "calibration.json").values()
    assert list(correction.cameras) == ["CAM_FRONT"]
    np.testing.assert_allclose(correction.cameras["CAM_FRONT"], [np.deg2rad(0.5), 0, 0, 0, 0.1, 0])


def test_a_mapping_file_opens():
    mapping = load_mapping(FOLDER / "mapping.json")
    assert mapping.taxonomy.names == ("car", "docker", "bicycle")
    assert mapping.class_id("person") == 1
    assert mapping.taxonomy.classes[1].crowd


def test_a_budget_opens():
    budget = read_budget(FOLDER / "budget.parquet")
    assert budget.description.fraction == pytest.approx(0.4)
    assert len(budget.frames) == 8
    assert sum(len(boxes) for boxes in budget.frames.values()) == 18
