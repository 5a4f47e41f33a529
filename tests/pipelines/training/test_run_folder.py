"""A trained detector reads data as its training did."""

import json

import pytest

pytest.importorskip("torch")

from pipelines.data import DataSpec, Reading
from pipelines.training.fit_document import FitDocument
from pipelines.training.recipe_file import load_recipe
from pipelines.training.run_folder import read_as_fitted
from pointsam.base.document import write_document
from pointsam.base.errors import StoreError
from pointsam.store.document import DatasetId
from pointsam.taxonomy import NUSCENES

READ = DatasetId("nuscenes", "v1.0-mini", "f", "LIDAR_CONCAT", ("x", "y", "z"))


def fitted(folder, read):
    document = FitDocument(
        load_recipe("synthetic-small", ()),
        NUSCENES,
        dataset="f",
        labels=None,
        val=None,
        processes=1,
        budget="b",
        read=read,
    )
    write_document(folder / "fit.json", document)
    return folder


def test_what_the_training_read_is_the_default(tmp_path):
    run = fitted(tmp_path, READ)
    assert read_as_fitted(run, DataSpec(tmp_path)).reading == Reading(
        "nuscenes", "v1.0-mini", "LIDAR_CONCAT", ("x", "y", "z")
    )
    given = DataSpec(tmp_path, Reading(version="v1.0-test", lidar="LIDAR_TOP"))
    assert read_as_fitted(run, given).reading == Reading("nuscenes", "v1.0-test", "LIDAR_TOP", ("x", "y", "z"))


def test_older_runs_and_other_folders_say_nothing(tmp_path):
    data = DataSpec(tmp_path, Reading("kitti"))
    assert read_as_fitted(tmp_path, data) == data
    run = fitted(tmp_path, None)
    assert "read" not in json.loads((run / "fit.json").read_text())
    assert read_as_fitted(run, data).reading == data.reading


def test_a_damaged_document_is_named(tmp_path):
    (tmp_path / "fit.json").write_text("{")
    with pytest.raises(StoreError, match=r"OUT004.*fit\.json"):
        read_as_fitted(tmp_path, DataSpec(tmp_path))
