"""The description of a data set that commands and workers share."""

import pickle

import numpy as np
import pytest

from pipelines.data import DataSpec
from pointsam.base.errors import SchemaError
from pointsam.calibration.correction import RigCorrection, rig_of
from pointsam.calibration.perturb import Noise
from pointsam.datasets.base import Dataset
from pointsam.datasets.nuscenes.dataset import NuScenes


@pytest.fixture(scope="module")
def plain(drive):
    return NuScenes(drive[0])


@pytest.fixture(scope="module")
def corrections(plain):
    """The front camera is ten centimetres off."""
    shift = RigCorrection({"CAM_FRONT": np.array([0.0, 0, 0, 0.1, 0, 0])})
    return {rig_of(plain.frame(frame_id)): shift for frame_id in plain.frame_ids()}


def mountings(dataset):
    frames = [dataset.frame(frame_id) for frame_id in dataset.frame_ids()]
    return np.array([view.ego_SE3_cam.translation_m for frame in frames for view in frame.cameras])


def test_a_worker_opens_the_described_data_set(plain, corrections):
    spec = DataSpec(plain.root, noise=Noise(translation_m=0.2))
    spec = pickle.loads(pickle.dumps(spec))
    assert np.array_equal(mountings(spec.plain()), mountings(plain))
    assert not np.allclose(mountings(spec.open()), mountings(plain), atol=0.1)
    corrected = pickle.loads(pickle.dumps(DataSpec(plain.root, corrections=corrections))).open()
    assert np.abs(mountings(corrected) - mountings(plain)).max() == pytest.approx(0.1)
    assert corrected.fingerprint() == plain.fingerprint()


def test_all_but_frames_is_the_data_set_s_own(plain):
    changed = DataSpec(plain.root, noise=Noise(rotation_deg=5.0, translation_m=0.5)).seen(plain)
    members = {name for name in (*vars(Dataset), *Dataset.__annotations__) if not name.startswith("_")} - {"frame"}
    assert {"boxes", "point_truth", "past_sweeps", "root", "taxonomy"} < members
    assert {name: getattr(changed, name) for name in members} == {name: getattr(plain, name) for name in members}
    frame_id = plain.frame_ids()[0]
    assert not np.allclose(mountings(changed), mountings(plain), atol=0.1)
    assert changed.frame(frame_id).frame_id == frame_id


def test_a_document_states_only_a_changed_calibration(plain, corrections):
    assert DataSpec(plain.root).calibration() == {"noise": None, "calibration": None}
    noise = Noise(rotation_deg=1.0)
    changed = DataSpec(plain.root, noise=noise, corrections=corrections).calibration()
    assert changed["noise"] == noise
    assert {rig: one.cameras["CAM_FRONT"][3] for rig, one in changed["calibration"].items()} == dict.fromkeys(
        corrections, 0.1
    )


def test_a_calibration_that_fits_no_frame_or_lacks_a_rig_is_refused(plain, corrections):
    frame_ids = plain.frame_ids()
    blind = DataSpec(plain.root, noise=Noise(dropped=6))
    with pytest.raises(SchemaError, match=r"SCH005.*this fits none of 2 frames"):
        blind.require_fit(blind.open(), frame_ids, "this")
    foreign = DataSpec(plain.root, corrections={"0" * 12: RigCorrection({})})
    with pytest.raises(SchemaError, match=r"SCH004.*is of rig"):
        foreign.require_fit(foreign.open(), frame_ids)
    known = DataSpec(plain.root, corrections=corrections)
    known.require_fit(known.open(), frame_ids)
