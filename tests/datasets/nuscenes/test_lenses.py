"""Lenses and row times in calibrated_sensor.json."""

import json

import numpy as np
import pytest
from helpers.nuscenes_root import make_root, token

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.datasets.nuscenes import index
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.geometry.projection import project
from pointsam.stages.frame import calibration_hash
from pointsam.types import RollingShutter

FRONT = token("calibrated", "CAM_FRONT")
ZEROS = {"camera_distortion": [0, 0.0, 0, 0, 0], "camera_lens": "brown", "camera_readout_s": [0, 0]}


def rooted(path, **fields):
    def state(tables):
        next(row for row in tables["calibrated_sensor"] if row["token"] == FRONT).update(fields)

    return NuScenes(make_root(path, edit=state))


def front(dataset):
    frame = dataset.frame(dataset.frame_ids()[0])
    return frame, next(view for view in frame.cameras if view.name == "CAM_FRONT")


@pytest.mark.parametrize(
    ("fields", "distortion", "lens"),
    [
        ({"camera_distortion": [-0.1, 0.02, 0.001, 0]}, (-0.1, 0.02, 0.001, 0), "brown"),
        ({"camera_distortion": [-1, 0, 0, 0, 0, 0, 0, 0.1]}, (-1, 0, 0, 0, 0, 0, 0, 0.1), "brown"),
        ({"camera_distortion": [0.1, 0, 0, 0], "camera_lens": "fisheye"}, (0.1, 0, 0, 0), "fisheye"),
        ({"camera_distortion": [0, 0, 0, 0], "camera_lens": "fisheye"}, (0, 0, 0, 0), "fisheye"),
        ({"camera_distortion": [], "camera_lens": None}, (), "brown"),
        (ZEROS, (), "brown"),
        ({"camera_distortion": [0] * 14}, (), "brown"),
        ({}, (), "brown"),
    ],
)
def test_the_lens_of_a_camera_is_read(tmp_path, fields, distortion, lens):
    frame, view = front(rooted(tmp_path / "root", **fields))
    assert (view.camera.distortion, view.camera.lens) == (distortion, lens)
    others = [other for other in frame.cameras if other is not view]
    assert {(other.camera.distortion, other.camera.lens, other.shutter) for other in others} == {((), "brown", None)}


@pytest.mark.parametrize(
    ("stated", "shutter"), [([-0.01, 0.02], RollingShutter(-0.01, 0.02)), ([1, 0], RollingShutter(1, 0)), ([], None)]
)
def test_the_row_times_of_a_camera_are_read(tmp_path, stated, shutter):
    assert front(rooted(tmp_path / "root", camera_readout_s=stated))[1].shutter == shutter


def test_points_are_projected_with_lens_and_row_times(tmp_path):
    xyz = np.array([[8.0, 1.5, -0.7], [12, -2, 1], [9, 2, 0]])[:, [1, 0, 2]]
    seen = []
    for k, fields in enumerate([{}, {"camera_distortion": [-0.2, 0, 0, 0]}, {"camera_readout_s": [0.0, 0.03]}]):
        frame, view = front(rooted(tmp_path / str(k), **fields))
        seen.append(project(xyz, frame, view))
        assert seen[-1].valid.sum() == 3
    assert np.abs(seen[1].uv_px - seen[0].uv_px).max(axis=1).min() > 0.01
    assert np.abs(seen[2].depth_m - seen[0].depth_m).min() > 0.001


def test_the_fingerprint_is_unchanged_where_no_lens_is_stated_and_covers_those_that_are(tmp_path, monkeypatch):
    plain = rooted(tmp_path / "plain")
    stated = [
        {"camera_distortion": [-0.2, 0, 0, 0]},
        {"camera_distortion": [-0.2, 0, 0, 0], "camera_lens": "fisheye"},
        {"camera_readout_s": [-0.01, 0.01]},
    ]
    roots = [plain, *(rooted(tmp_path / str(k), **fields) for k, fields in enumerate(stated))]
    assert len({root.fingerprint() for root in roots}) == 4
    assert len({calibration_hash(front(root)[0]) for root in roots}) == 4
    zeros = rooted(tmp_path / "zeros", **ZEROS)
    assert zeros.fingerprint() == plain.fingerprint()
    assert calibration_hash(front(zeros)[0]) == calibration_hash(front(plain)[0])
    monkeypatch.setattr(index, "_LENS_COLUMNS", ())
    assert rooted(tmp_path / "with", camera_readout_s=None).fingerprint() != plain.fingerprint()  # they do take part


def test_an_index_of_a_version_without_lenses_is_built_again(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "_LAYOUT", "5")
    dataset = rooted(tmp_path / "root", camera_distortion=[-0.1, 0, 0, 0])
    before = index.index_path(dataset.root / dataset.version)
    monkeypatch.undo()
    assert index.index_path(dataset.root / dataset.version) != before


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"camera_distortion": [0.1, 0.2]}, "camera_distortion", "k1, k2, p1, p2[, k3[, k4, k5, k6]], got (0.1, 0.2)"),
        ({"camera_distortion": [[0.1], 0, 0, 0]}, "camera_distortion", "not a list of numbers: [[0.1], 0, 0, 0]"),
        ({"camera_distortion": [True, 0, 0, 0]}, "camera_distortion", "not a list of numbers: [true, 0, 0, 0]"),
        ({"camera_lens": "omni"}, "camera_lens", "no lens model 'omni'"),
        ({"camera_readout_s": [0, 0.01, 0.02]}, "camera_readout_s", "not two numbers: [0, 0.01, 0.02]"),
        ({"camera_readout_s": ["0", "0.01"]}, "camera_readout_s", "not two numbers"),
        ({"camera_readout_s": [None, 0.01]}, "camera_readout_s", "not two numbers"),
    ],
)
def test_a_malformed_value_is_CAL002_of_its_frames(tmp_path, fields, field, says):
    dataset = rooted(tmp_path / "root", **fields)
    with pytest.raises(CalibrationError) as raised:
        front(dataset)
    assert raised.value.code == "CAL002"
    for part in ("calibrated_sensor.json", FRONT, repr(field), "CAM_FRONT", says):
        assert part in raised.value.message


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("camera_distortion", {"k1": 0.1}, "list"),
        ("camera_distortion", 0.1, "list"),
        ("camera_lens", 4, "str"),
        ("camera_readout_s", "0.03", "list"),
    ],
)
def test_a_value_of_another_type_is_DAT011_of_the_table(tmp_path, field, value, kind):
    with pytest.raises(DatasetError, match=f"field '{field}' is .*, expected {kind}") as raised:
        rooted(tmp_path / "root", **{field: value})
    assert raised.value.code == "DAT011"
    assert FRONT in raised.value.message


def test_a_required_field_may_not_be_null(tmp_path):
    with pytest.raises(DatasetError, match="field 'rotation' is None, expected list"):
        rooted(tmp_path / "root", rotation=None)


def test_row_times_need_a_second_sweep(tmp_path):
    def state(tables):
        for row in tables["calibrated_sensor"]:
            row["camera_readout_s"] = [0.0, 0.03]

    root = make_root(tmp_path / "root", samples_per_scene=1, sweeps_between=0, edit=state)
    frame, view = front(NuScenes(root))
    with pytest.raises(CalibrationError, match="rolling shutters") as raised:
        project(np.array([[1.0, 8, 0]]), frame, view)
    assert raised.value.code == "CAL004"


def test_the_tables_keep_the_fields_as_json(tmp_path):
    """A round trip of doubles: what a writer states is what a camera has, to the last bit."""
    values = [-0.1 / 3, 1e-17, 2 / 7, 0.1]
    dataset = rooted(tmp_path / "root", camera_distortion=values)
    assert list(front(dataset)[1].camera.distortion) == json.loads(json.dumps(values)) == values
