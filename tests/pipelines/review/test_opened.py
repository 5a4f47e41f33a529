"""A finished run opens as it was made: its masks, and its cameras; truth stays as the data set has it."""

import numpy as np
import pytest
from helpers.commands import label

from pipelines.review.opened import Source
from pointsam.base.errors import DatasetError, SchemaError, StoreError
from pointsam.calibration.perturb import Noise, perturb
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.store.reader import Labels


@pytest.fixture(scope="module")
def turned(drive, out, tmp_path_factory):
    """Clusters of `out`'s masks, made with cameras that are turned by five degrees."""
    folder = tmp_path_factory.mktemp("turned")
    known = ("--masks-from", out, "--workers", 1, "--noise", "rotation_deg=5")
    assert label("clusters", drive[0], "--out", folder, *known).exit_code == 0
    return folder


def rotations(frame):
    return np.array([view.ego_SE3_cam.rotation for view in frame.cameras])


def test_the_run_saw_its_noise_and_truth_has_none(drive, turned):
    source, plain = Source(turned), NuScenes(drive[0])
    for frame_id in plain.frame_ids():
        true = plain.frame(frame_id)
        wrong = perturb(true, Noise(rotation_deg=5.0))
        assert np.array_equal(rotations(source.truth.frame(frame_id)), rotations(true))
        assert np.array_equal(rotations(source.dataset.frame(frame_id)), rotations(wrong))
        for before, after in zip(true.cameras, source.dataset.frame(frame_id).cameras, strict=True):
            turn = before.ego_SE3_cam.rotation.T @ after.ego_SE3_cam.rotation
            assert np.rad2deg(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(5.0)


def test_masks_are_those_that_the_clusters_were_made_of(out, turned):
    frame_id = Labels(out).frame_ids()[0]
    found = Labels(turned).labels(frame_id)
    assert Source(turned, masks_from=out).masks(found).keys() == Labels(out).masks(frame_id).keys()
    with pytest.raises(SchemaError, match="SCH004") as caught:
        Source(turned).masks(found)
    assert str(turned) in caught.value.message
    assert "--masks-from" in caught.value.hint


def test_a_folder_of_no_run_holds_no_masks(turned, tmp_path):
    with pytest.raises(StoreError, match="OUT004"):
        _ = Source(turned, masks_from=tmp_path).masks_source


def test_data_that_are_gone_are_named(turned, tmp_path):
    with pytest.raises(DatasetError, match="DAT001") as caught:
        Source(turned, tmp_path / "gone")
    assert str(tmp_path / "gone") in caught.value.message


def test_the_version_that_was_asked_for_is_opened(turned):
    with pytest.raises(DatasetError, match=r"v1\.0-other"):
        Source(turned, version="v1.0-other")
