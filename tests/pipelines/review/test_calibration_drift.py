"""The calibration in `pointsam-label eval --self-check`: what is estimated, compared, and said to be unknown."""

import json
import math
import shlex

import numpy as np
import pytest
from helpers.commands import label, refused
from scipy.spatial.transform import Rotation

from pipelines.review import calibration_drift
from pipelines.review.calibration_drift import CalibrationDrift, CameraDrift, compare_drifts
from pointsam.calibration.correction import rig_of
from pointsam.calibration.estimate import FLOOR_DEG
from pointsam.calibration.file import CameraResult, RigResult


@pytest.fixture(scope="module")
def wrong(tracked, tmp_path_factory):
    """Clusters of the same masks with cameras that are turned by a degree, and by another angle in every frame."""
    dataset, out, _ = tracked
    folder = tmp_path_factory.mktemp("wrong")
    for name in ("rig", "frame"):
        noise = ("--noise", "rotation_deg=1", "--noise", f"scope={name}")
        done = label("clusters", dataset.root, "--out", folder / name, "--masks-from", out, "--workers", 1, *noise)
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def known(tracked, monkeypatch):
    """An estimator that knows by how much the mountings are off; it cannot see CAM_BACK."""
    dataset, _, _ = tracked
    true = {view.name: view.ego_SE3_cam for view in dataset.frame(dataset.frame_ids()[0]).cameras}

    def rig_result(frames, _observations):
        cameras = {}
        for view in frames[0].cameras:
            step = (true[view.name].inverse() @ view.ego_SE3_cam).rotation
            turned = float(np.rad2deg(Rotation.from_matrix(step).magnitude()))
            seen = view.name != "CAM_BACK"
            status = "unknown" if not seen else "mended" if turned > FLOOR_DEG else "right"
            doubt, zero = 0.2 if seen else None, (0.0, 0.0, 0.0)
            cameras[view.name] = CameraResult(status, 30, turned, 0.05, doubt, zero, zero, None, None)
        return RigResult(len(frames), None, "unknown", 0.0, None, cameras)

    monkeypatch.setattr("pipelines.rigs.rig_result", rig_result)


def checked(tmp_path, *arguments):
    done = label("eval", *arguments, "--self-check", "--stage", "clusters", "--json", tmp_path / "e.json")
    assert done.exit_code == 0, done.output
    return json.loads((tmp_path / "e.json").read_text()), done.stdout


def test_what_the_estimator_does_not_know_is_said(tracked, tmp_path):
    dataset, out, _ = tracked
    (report,), text = checked(tmp_path, out, dataset.root)
    found = report["self_check"]["calibration"]
    assert found["why"] == ""
    assert 0 < found["frames"] <= len(dataset.frame_ids())
    assert {one["status"] for one in found["cameras"]} == {"not known"}
    assert {one["shift_deg"] for one in found["cameras"]} == {None}
    assert {one["rig"] for one in found["cameras"]} == {rig_of(dataset.frame(dataset.frame_ids()[0]))}
    assert f"calibration, from {found['frames']} frame" in text


@pytest.mark.usefixtures("known")
def test_a_turned_camera_is_worse_than_the_true_one(tracked, wrong, tmp_path):
    dataset, out, _ = tracked
    page = tmp_path / "e.md"
    given = ("--against", out, "--masks-from", out, "--markdown", page)
    (ours, other), text = checked(tmp_path, wrong / "rig", dataset.root, *given)
    by_name = {one["camera"]: one for one in ours["self_check"]["calibration"]["cameras"]}
    assert by_name["CAM_FRONT"]["shift_deg"] == pytest.approx(1.0)
    assert by_name["CAM_FRONT"]["status"] == "off"
    assert (by_name["CAM_BACK"]["status"], by_name["CAM_BACK"]["shift_deg"]) == ("not known", None)
    assert {one["status"] for one in other["self_check"]["calibration"]["cameras"]} == {"fits", "not known"}
    changes = ours["self_check_against"]["calibration"]
    assert {one["camera"] for one in changes} == {*by_name} - {"CAM_BACK"}
    assert {one["verdict"] for one in changes} == {"worse"}
    assert changes[0]["difference"] == pytest.approx(1.0)
    assert "worse: calibration of 5 cameras; better: no figure" in text
    assert "calibration, side by side" in page.read_text()
    assert "| CAM_FRONT |" in page.read_text()


@pytest.mark.usefixtures("known")
def test_rigs_that_change_with_every_frame_are_bounded_and_not_compared(tracked, wrong, tmp_path, monkeypatch):
    dataset, out, _ = tracked
    monkeypatch.setattr(calibration_drift, "MOST", 2)
    monkeypatch.setattr(calibration_drift, "_SHOWN", 7)
    (ours, _), text = checked(tmp_path, wrong / "frame", dataset.root, "--against", out, "--masks-from", out)
    found = ours["self_check"]["calibration"]
    assert found["frames"] == 2
    assert len(found["cameras"]) == 12
    assert len({one["rig"] for one in found["cameras"]}) == 1
    assert ours["self_check_against"]["calibration"] == []
    assert "rigs with fewer frames was not looked at" in text
    assert "and 5 more cameras; --json has all" in text


def test_labels_without_masks_say_where_the_masks_may_be(tracked, wrong, tmp_path):
    dataset, _, _ = tracked
    (report,), text = checked(tmp_path, wrong / "rig", dataset.root)
    assert report["self_check"]["calibration"]["cameras"] == []
    assert "how far the calibration is off is not known:" in text
    assert "pass their folder with --masks-from" in text


def test_masks_of_other_labels_are_refused(tracked, wrong):
    dataset, _, _ = tracked
    result = label("eval", wrong / "rig", dataset.root, "--self-check", "--masks-from", wrong / "frame")
    refused(result, "SCH004", wrong / "frame")


def test_the_next_command_draws_with_the_masks_of_the_other_folder(tracked, wrong, tmp_path, monkeypatch):
    dataset, out, _ = tracked
    done = label("eval", wrong / "rig", dataset.root, "--masks-from", out)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(done.stdout.partition("next: pointsam-label ")[2].splitlines()[0])
    assert label(*words).exit_code == 0
    assert (tmp_path / "frame.png").exists()


@pytest.mark.parametrize(
    ("status", "shift_deg", "doubt_deg", "said"),
    [
        ("right", 0.2, 0.3, "fits"),
        ("mended", 0.59, 0.3, "fits"),
        ("mended", 0.61, 0.3, "off"),
        ("unknown", 0.61, 0.3, "not known"),
        ("unknown", 0.0, None, "not known"),
    ],
)
def test_a_camera_is_off_if_its_shift_is_certain(status, shift_deg, doubt_deg, said):
    zero = (0.0, 0.0, 0.0)
    found = calibration_drift._camera(
        "r", "a", CameraResult(status, 30, shift_deg, 0.1, doubt_deg, zero, zero, None, None)
    )
    assert found.status == said
    assert math.isnan(found.shift_deg) == (doubt_deg is None)


def drift(*cameras):
    return CalibrationDrift(
        tuple(CameraDrift("r", name, "fits", 30, shift, 0.3, apart) for name, shift, apart in cameras), 9, ""
    )


def test_a_difference_within_the_spread_of_the_halves_is_no_verdict():
    ours, other = drift(("a", 0.6, 0.05), ("b", 0.6, 0.15)), drift(("a", 0.1, 0.05), ("b", 0.1, 0.25))
    worse, unclear = compare_drifts(ours, other)
    assert worse.difference == pytest.approx((0.5, 0.5 - FLOOR_DEG, 0.5 + FLOOR_DEG))
    assert worse.verdict == "worse"
    reach = 2 * math.hypot(0.15, 0.25)
    assert unclear.difference == pytest.approx((0.5, 0.5 - reach, 0.5 + reach))
    assert unclear.verdict == ""
    assert [one.verdict for one in compare_drifts(other, ours)] == ["better", ""]


def test_only_cameras_that_both_know_once_are_compared():
    ours = drift(("a", 0.6, 0.1), ("b", math.nan, math.nan), ("c", 0.6, 0.1), ("c", 0.6, 0.1))
    other = drift(("a", 0.6, 0.1), ("b", 0.6, 0.1), ("c", 0.6, 0.1), ("d", 0.6, 0.1))
    (same,) = compare_drifts(ours, other)
    assert (same.camera, same.difference[0], same.verdict) == ("a", 0.0, "")
