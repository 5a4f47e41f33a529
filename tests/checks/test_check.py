"""Running the rules: which frames are opened, what is unreadable, and in which order findings come."""

import numpy as np
import pytest

from pointsam.base.errors import BackendError
from pointsam.checks.check import check
from pointsam.datasets import open_dataset

POINTS = np.random.default_rng(0).uniform((4, -8, -1, 0), (40, 8, 1, 1), (2000, 4))


@pytest.fixture
def drive(tiny_kitti):
    """A KITTI root of eight frames in front of the camera."""
    for number in range(8):
        tiny_kitti.add(f"{number:06d}", points=POINTS)
    return tiny_kitti


def ids(result):
    return [finding.rule.id for finding in result.findings]


def test_a_plausible_root_has_no_findings(drive):
    dataset = open_dataset(drive.root)
    steps = []
    result = check(dataset, dataset.frame_ids(), {"000001", "000004"}, lambda: steps.append(0))
    assert (result.frames, result.opened, result.findings, len(steps)) == (8, 2, (), 8)


def test_only_some_frames_are_opened(drive):
    dataset = open_dataset(drive.root)
    for number in range(8):
        drive.path("velodyne", f"{number:06d}").write_bytes(b"")
    result = check(dataset, dataset.frame_ids(), {"000001", "000004"})
    assert [finding.problem.where for finding in result.findings] == ["000001"]
    assert result.findings[0].problem.what.endswith("(2 frames of this kind)")
    assert result.unreadable == 2


def test_a_frame_that_cannot_be_read_is_one_warning(drive):
    dataset = open_dataset(drive.root)
    drive.path("velodyne", "000002").write_bytes(b"abc")
    drive.path("calib", "000003").unlink()
    result = check(dataset, dataset.frame_ids(), dataset.frame_ids())
    assert ids(result) == ["readable", "readable"]
    assert ["[DAT006]" in result.findings[0].problem.what, "[DAT004]" in result.findings[1].problem.what] == [
        True,
        True,
    ]
    assert result.errors() == []


def test_findings_come_in_the_order_of_the_rules_and_errors_can_be_accepted(drive):
    drive.add("000001", points=POINTS, calib=drive.path("calib").read_text().replace("-0.1", "-40.1"))
    drive.path("image_2", "000005").unlink()
    dataset = open_dataset(drive.root)
    result = check(dataset, dataset.frame_ids(), dataset.frame_ids())
    assert ids(result) == ["readable", "camera-mounting", "points-in-view"]
    assert [finding.rule.id for finding in result.errors()] == ["camera-mounting"]
    assert result.errors(["camera-mounting"]) == []


def test_an_error_of_a_plug_in_is_a_warning(drive, monkeypatch):
    dataset = open_dataset(drive.root)
    monkeypatch.setattr(dataset, "frame", lambda frame_id: {}[frame_id])
    result = check(dataset, ["000000"], ["000000"])
    assert [(f.rule.id, f.problem.what) for f in result.findings] == [("readable", "KeyError: '000000'")]


def test_an_error_that_is_not_of_a_frame_stops_the_check(drive, monkeypatch):
    dataset = open_dataset(drive.root)

    def broken(frame_id):
        raise BackendError("BCK001", "no such device", "choose another")

    monkeypatch.setattr(dataset, "frame", broken)
    with pytest.raises(BackendError):
        check(dataset, dataset.frame_ids(), dataset.frame_ids())
