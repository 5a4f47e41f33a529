"""KITTI raw, of made-up files, and of a root that the sample of KITTI tracking is written as."""

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.raw_root import CAM_TO_CAM, DATE, make_raw, pose, stamp, stamps, tracklet, tracklets
from helpers.tracking_root import AHEAD, FAR, make_tracking
from PIL import Image

from pointsam.base.errors import BrokenRuleError, CalibrationError, DatasetError, MissingFolderError
from pointsam.datasets import open_dataset
from pointsam.datasets.base import HasClouds, HasUnknownClasses
from pointsam.datasets.io import read_columns, read_points
from pointsam.datasets.kitti.labels import HasKittiLabels
from pointsam.datasets.kitti.raw import KittiRaw
from pointsam.datasets.kitti.tracking import KittiTracking
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.boxes import count_points
from pointsam.geometry.motion import motion_within
from pointsam.geometry.projection import cam_SE3_lidar
from pointsam.taxonomy import BACKGROUND, KITTI

DRIVE = f"{DATE}_drive_0001"
FRAMES = [f"{DRIVE}_{k:010d}" for k in range(3)]


@pytest.fixture
def raw(tmp_path):
    return make_raw(tmp_path / "raw")


@pytest.fixture
def late(tmp_path):
    """Images 50 ms after the sweeps, of a vehicle that drives 1 m in 100 ms."""
    return make_raw(tmp_path / "late", drives=("0001",), frames=4, shift_s=0.05)


def test_the_parent_of_the_dates_and_a_date_are_recognised(raw):
    for root in (raw.root, raw.date):
        data = open_dataset(root)
        assert isinstance(data, KittiRaw)
        assert isinstance(data, HasClouds)
        assert isinstance(data, HasUnknownClasses)
        assert not isinstance(data, HasKittiLabels)
        assert len(data.frame_ids()) == 6
        assert data.frame_ids()[:3] == FRAMES
    with pytest.raises(DatasetError, match=r"DAT002.*inside of a data set"):
        open_dataset(raw.path())


def test_sweeps_of_kitti_360_are_not_taken_for_raw(raw):
    for name in ("image_02", "image_03", "oxts"):
        for drive in ("0001", "0002"):
            raw.path(name, drive=drive).rename(raw.root / f"{name}{drive}")
    for file in raw.date.glob("calib_*"):
        file.unlink()
    with pytest.raises(BrokenRuleError, match=r"DAT014.*KITTI raw under other names"):
        open_dataset(raw.root)


def test_drives_that_are_not_synchronised_are_refused_or_named(raw):
    other = raw.path("x", drive="0002").parent
    other.rename(other.with_name(f"{DATE}_drive_0002_extract"))
    data = open_dataset(raw.root)
    assert {data.scene(frame_id) for frame_id in data.frame_ids()} == {DRIVE}
    assert any("drive_0002_extract" in found.what for found in data.table_problems())
    raw.path().rename(raw.root / "elsewhere")
    with pytest.raises(DatasetError, match=r"DAT002.*_extract is not synchronised") as raised:
        open_dataset(raw.root)
    assert "synced" in raised.value.hint


def test_splits_are_drives_dates_and_lists(raw):
    (raw.root / "ImageSets").mkdir()
    (raw.root / "ImageSets" / "val.txt").write_text(f"{DATE}_drive_0002_sync\n{FRAMES[1]}\n")
    (raw.root / "ImageSets" / "bad.txt").write_text("nothing\n")
    data = KittiRaw(raw.root)
    assert data.frame_ids(DRIVE) == data.frame_ids(f"{DRIVE}_sync") == FRAMES
    assert data.frame_ids(DATE) == data.frame_ids()
    assert data.frame_ids("val") == [FRAMES[1], *data.frame_ids(f"{DATE}_drive_0002")]
    with pytest.raises(DatasetError, match=r"DAT010.*'nope'.*\n.*bad, val, 2011_09_26, 2011_09_26_drive_0001"):
        data.frame_ids("nope")
    with pytest.raises(DatasetError, match=r"DAT010.*bad\.txt lists 'nothing'"):
        data.frame_ids("bad")


@pytest.mark.parametrize("frame_id", [f"{DRIVE}_0000000009", f"{DATE}_drive_0009_0000000000", "000000", ""])
def test_an_unknown_frame_is_DAT010(raw, frame_id):
    data = KittiRaw(raw.root)
    for read in (data.frame, data.cloud, data.boxes, data.scene, data.visibility, data.point_truth):
        with pytest.raises(DatasetError, match="DAT010"):
            read(frame_id)


def test_both_colour_cameras_are_read_and_only_those_that_are_there(raw, tmp_path):
    frame = KittiRaw(raw.root).frame(FRAMES[1])
    assert [view.name for view in frame.cameras] == ["image_02", "image_03"]
    assert [Path(view.source.name).parts[-3:] for view in frame.cameras] == [
        (name, "data", "0000000001.png") for name in ("image_02", "image_03")
    ]
    left, right = (cam_SE3_lidar(frame.sweep, view).translation_m for view in frame.cameras)
    np.testing.assert_allclose((right - left)[0], 0.46, atol=1e-9)  # (40 + 6) / 100 px
    one = make_raw(tmp_path / "one", cameras=("image_02",))
    assert [view.name for view in KittiRaw(one.root).frame(FRAMES[0]).cameras] == ["image_02"]


LEFT, BEHIND, RIGHT = (0.0, 10.0, 0.0, 0.1), (-10.0, -1e-6, 0.0, 0.1), (0.0, -10.0, 0.0, 0.1)


def around(raw, *rows):
    """The middle sweep holds other points, and the drive is that of `make_raw`: 1 m in 100 ms, straight ahead."""
    np.asarray(rows, dtype="<f4").tofile(raw.path("velodyne_points", "data", "0000000001.bin"))
    return KittiRaw(raw.root)


def test_motion_is_removed_by_the_turn_of_the_lidar(raw):
    """Clockwise: what is on the left was measured 25 ms before the stamp, what is on the right 25 ms after it."""
    frame = around(raw, AHEAD, LEFT, BEHIND, RIGHT).frame(FRAMES[1])
    assert not frame.sweep.motion_compensated
    assert motion_within(frame) == "removed"
    points = read_frame_points(frame)
    np.testing.assert_allclose(points.time_s, [0, -0.025, 0.05, 0.025], atol=1e-6)
    np.testing.assert_allclose(
        points.xyz_lidar_m, [[10, 0, 0], [-0.25, 10, 0], [-9.5, 0, 0], [0.25, -10, 0]], atol=1e-5
    )
    np.testing.assert_array_equal(read_points(frame.sweep)[1], LEFT[:3])


def test_start_and_end_of_each_sweep_give_its_times(raw):
    data = around(raw, LEFT, BEHIND)
    before = data.fingerprint()
    for name, times in (("start", [-0.04, 0.06, 0.16]), ("end", [0.056, 0.156, 0.256])):
        raw.path("velodyne_points", f"timestamps_{name}.txt").write_text(stamps(times))
    data = KittiRaw(raw.root)
    assert data.fingerprint() != before
    np.testing.assert_allclose(read_frame_points(data.frame(FRAMES[1])).time_s, [-0.016, 0.056], atol=1e-6)
    assert not any("timestamps" in found.what or "turn" in found.what for found in data.table_problems())


@pytest.mark.parametrize(
    ("start", "end"),
    [([-0.05, None, 0.15], [0.05, 0.15, 0.25]), ([0, 0.11, 0], [1, 0.15, 1]), ([0, -0.1, 0], [0, 0.15, 0]), ([0], [1])],
)
def test_times_of_a_turn_that_cannot_be_are_named_and_not_used(raw, start, end):
    around(raw, LEFT)
    for name, times in (("start", start), ("end", end)):
        raw.path("velodyne_points", f"timestamps_{name}.txt").write_text(stamps(times))
    data = KittiRaw(raw.root)
    np.testing.assert_allclose(read_frame_points(data.frame(FRAMES[1])).time_s, [-0.025], atol=1e-6)
    assert any("a turn of 0.1 s is assumed" in found.what for found in data.table_problems())


def test_boxes_are_moved_with_the_points_that_they_were_drawn_around(raw):
    around(raw, (8.0, 3.0, -1.0, 0.1), (8.5, 3.5, -1.0, 0.1), FAR)
    raw.path("tracklet_labels.xml").write_text(tracklets(tracklet([pose(x=8.0, y=3.0) for _ in range(3)])))
    data = KittiRaw(raw.root)
    (box,) = data.boxes(FRAMES[1]).center_m
    np.testing.assert_allclose(box[:2], [8 - 10 * 0.1 * np.arctan2(3, 8) / (2 * np.pi), 3], atol=1e-5)
    points = read_frame_points(data.frame(FRAMES[1])).xyz_lidar_m
    assert count_points(points, data.boxes(FRAMES[1])).tolist() == [2]
    assert (data.point_truth(FRAMES[1]).labels.instance_id >= 0).tolist() == [True, True, False]


def test_each_sensor_has_its_own_time_and_the_pose_at_that_time(late):
    """The vehicle drives 1 m north in 100 ms, and its LiDAR looks north."""
    frame = KittiRaw(late.root).frame(FRAMES[1])
    assert [view.t_us - frame.sweep.t_us for view in frame.cameras] == [50_000, 50_000]
    ahead = frame.sweep.world_SE3_ego.inverse() @ frame.cameras[0].world_SE3_ego
    np.testing.assert_allclose(ahead.translation_m, [0.5, 0, 0], atol=1e-6)
    assert frame.neighbours[1].t_us - frame.neighbours[-1].t_us == 200_000


def test_the_last_image_is_after_the_last_pose_and_its_motion_goes_on(late):
    frame = KittiRaw(late.root).frame(f"{DRIVE}_0000000003")
    ahead = frame.sweep.world_SE3_ego.inverse() @ frame.cameras[0].world_SE3_ego
    np.testing.assert_allclose(ahead.translation_m, [0.5, 0, 0], atol=1e-6)


def test_without_oxts_nothing_pretends_to_know_the_motion(tmp_path):
    raw = make_raw(tmp_path / "raw", oxts=False)
    (raw.date / "calib_imu_to_velo.txt").unlink()
    data = KittiRaw(raw.root)
    frame = data.frame(FRAMES[1])
    assert dict(frame.neighbours) == {}
    assert motion_within(frame) == "kept: no poses"
    assert read_frame_points(frame).xyz_lidar_m.tobytes() == read_points(frame.sweep).tobytes()
    assert data.past_sweeps(FRAMES[2], 2) == []
    assert data.velocities_mps(FRAMES[1]) is None
    assert data.frame(FRAMES[2]).sweep.t_us - frame.sweep.t_us == 100_000


def test_past_sweeps_are_the_ones_before_in_the_drive(raw):
    data = KittiRaw(raw.root)
    assert [Path(sweep.source.name).name for sweep in data.past_sweeps(FRAMES[2], 5)] == [
        "0000000001.bin",
        "0000000000.bin",
    ]


def test_missing_sweeps_leave_their_frames_out_and_are_named(raw):
    """The release lacks sweeps of some drives; their lines of time stamps are empty, and all other numbers hold."""
    raw.path("velodyne_points", "data", "0000000001.bin").unlink()
    raw.path("velodyne_points", "timestamps.txt").write_text(stamps([0.0, None, 0.2]))
    data = KittiRaw(raw.root)
    assert data.frame_ids(DRIVE) == [FRAMES[0], FRAMES[2]]
    frame = data.frame(FRAMES[2])
    assert Path(frame.cameras[0].source.name).name == "0000000002.png"
    assert frame.sweep.t_us - data.frame(FRAMES[0]).sweep.t_us == 200_000
    (problem,) = (p for p in data.table_problems() if "image_02" in p.where)
    assert problem.rule == "missing-files"
    assert "1 image without a sweep, first 0000000001" in problem.what


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (stamps([0.0, None, 0.2]), r"line 2 is empty, but there is a file of frame 1"),
        (stamps([0.0]), r"has 1 lines?, none for frame [12]"),
        ("0.0\n0.1\n0.2\n", r"line 1: '0\.0' is no time"),
        ("1317042272\n" * 3, r"line 1: '1317042272' is no time"),
        (f"{stamp(0)}\n{stamp(0.1)[:10]}\n", r"line 2: '2011-09-26' is no time"),
    ],
)
def test_time_stamps_that_are_no_times_are_DAT011(raw, text, match):
    raw.path("velodyne_points", "timestamps.txt").write_text(text)
    with pytest.raises(DatasetError, match=rf"DAT011.*timestamps\.txt.*{match}"):
        KittiRaw(raw.root).frame(FRAMES[1])


def test_missing_time_stamps_are_DAT004(raw):
    raw.path("image_03", "timestamps.txt").unlink()
    with pytest.raises(DatasetError, match=r"DAT004.*image_03.timestamps\.txt"):
        KittiRaw(raw.root).frame(FRAMES[0])


def test_time_stamps_are_read_to_the_microsecond(raw):
    lines = [f"2011-09-26 13:02:25.{ns:09d}" for ns in (594_360_375, 697_558_500, 800_000_499)]
    for sensor in ("velodyne_points", "oxts"):
        raw.path(sensor, "timestamps.txt").write_text("\n".join(lines))
    t_us = [KittiRaw(raw.root).cloud(frame_id).sweep.t_us for frame_id in FRAMES]
    assert [t % 1_000_000 for t in t_us] == [594_360, 697_559, 800_000]
    assert t_us[0] // 1_000_000 == 1_317_042_145


def test_a_broken_packet_is_bridged_and_named(late):
    late.path("oxts", "data", "0000000001.txt").write_text("49 8.4\n")
    data = KittiRaw(late.root)
    straight = data.frame(FRAMES[0]).sweep.world_SE3_ego.inverse() @ data.frame(FRAMES[1]).sweep.world_SE3_ego
    np.testing.assert_allclose(straight.translation_m, [1, 0, 0], atol=1e-6)
    (problem,) = data.table_problems()
    assert "1 pose not used" in problem.what
    assert "0000000001.txt: no 6 finite numbers" in problem.what


def test_packets_out_of_order_are_not_used_and_named(late):
    late.path("oxts", "timestamps.txt").write_text(stamps([0.0, 0.1, 0.1, 0.3]))
    (problem,) = KittiRaw(late.root).table_problems()
    assert "line 3: not later than the packets before it" in problem.what


def test_a_frame_far_from_all_poses_is_DAT011(late):
    late.path("oxts", "timestamps.txt").write_text(stamps([0.0, 0.1, 10.2, 10.3]))
    data = KittiRaw(late.root)
    assert data.frame(FRAMES[0]).sweep.t_us
    with pytest.raises(DatasetError, match=r"DAT011.*no pose near the time of frame 000000000[23]"):
        data.cloud(f"{DRIVE}_0000000003")


def test_missing_files_are_named(raw):
    raw.path("image_03", "data", "0000000000.png").unlink()
    with pytest.raises(DatasetError, match=r"DAT004.*image_03.data.0000000000\.png"):
        KittiRaw(raw.root).frame(FRAMES[0])
    assert KittiRaw(raw.root).cloud(FRAMES[0]).cameras == ()
    (raw.date / "calib_velo_to_cam.txt").unlink()
    with pytest.raises(DatasetError, match=r"DAT004.*calib_velo_to_cam\.txt"):
        KittiRaw(raw.root).frame(FRAMES[1])
    (raw.date / "calib_cam_to_cam.txt").unlink()
    with pytest.raises(MissingFolderError, match=r"DAT001.*no date has calibration files.*\n.*2011_09_26_calib\.zip"):
        KittiRaw(raw.root).frame(FRAMES[1])


@pytest.mark.parametrize(
    ("text", "code", "match"),
    [
        (CAM_TO_CAM.replace("P_rect_03", "P_x"), "CAL003", "no key P_rect_03"),
        (CAM_TO_CAM.replace("P_rect_02: 100", "P_rect_02: -100"), "CAL002", "P_rect_02: focal length"),
        (CAM_TO_CAM.replace("R_rect_00: 1 0 0", "R_rect_00: 2 0 0"), "CAL001", "R_rect_00: not a rotation"),
        (CAM_TO_CAM.replace("R_rect_00: 1 0 0", "R_rect_00: 1 0"), "CAL003", "R_rect_00: expected 9 finite"),
    ],
)
def test_a_malformed_calibration_names_file_and_key(raw, text, code, match):
    (raw.date / "calib_cam_to_cam.txt").write_text(text)
    with pytest.raises(CalibrationError, match=rf"{code}.*calib_cam_to_cam\.txt.*{match}"):
        KittiRaw(raw.root).frame(FRAMES[0])


def test_images_of_another_size_than_the_calibration_states_are_DAT005(raw):
    """Images that are not rectified are larger."""
    Image.new("RGB", (120, 90)).save(raw.path("image_02", "data", "0000000000.png"))
    with pytest.raises(DatasetError, match=r"DAT005.*120 x 90 px, but .*calib_cam_to_cam\.txt states 100 x 80 px"):
        KittiRaw(raw.root).frame(FRAMES[0])


def test_tracklets_are_boxes_that_stand_on_their_origin(tmp_path):
    raw = make_raw(tmp_path / "raw", oxts=False)
    raw.path("tracklet_labels.xml").write_text(
        tracklets(
            tracklet([pose(10, 2, -1.7, rz=0.3, occlusion=1), pose(11, 2, -1.7)], first=1),
            tracklet([pose(20, -3, -1.5, occlusion=-1)], "Van", first=1, size=(2, 1.8, 5)),
            tracklet([pose(5, 1, -1.6, occlusion=2)], "cyclist", first=1),
            tracklet([pose(6, 1, -1.6)], "Hovercraft", first=2),
        )
    )
    data = KittiRaw(raw.root)
    boxes = data.boxes(FRAMES[1])
    np.testing.assert_allclose(boxes.center_m[0], [10, 2, -1.7 + 0.75])
    np.testing.assert_allclose(boxes.size_lwh_m[:2], [[4, 1.6, 1.5], [5, 1.8, 2]])
    np.testing.assert_allclose(np.arctan2(boxes.rotation[0, 1, 0], boxes.rotation[0, 0, 0]), 0.3)
    assert boxes.class_id.tolist() == [KITTI.class_id("car"), BACKGROUND, KITTI.class_id("cyclist")]
    assert boxes.token == tuple(f"{FRAMES[1]}/{k}" for k in range(3))
    assert [data.visibility_levels[k] if k >= 0 else "" for k in data.visibility(FRAMES[1])] == [
        "partly hidden",
        "",
        "largely hidden",
    ]
    assert len(data.boxes(FRAMES[0])) == 0
    assert data.boxes(FRAMES[2]).token == (f"{FRAMES[2]}/0", f"{FRAMES[2]}/3")
    assert data.unknown_classes(FRAMES) == {"Hovercraft": 1}
    finer = data.with_categories(["Van"])
    assert finer.taxonomy.names[finer.boxes(FRAMES[1]).class_id[1]] == "Van"


def test_velocities_follow_from_tracks_and_poses(raw):
    """A car that stays 10 m ahead of a vehicle at 10 m/s drives as fast."""
    velocity = KittiRaw(raw.root).velocities_mps(FRAMES[1])
    np.testing.assert_allclose(velocity, [[10, 0]], atol=1e-4)


def test_point_truth_is_that_of_boxes(raw):
    data = KittiRaw(raw.root)
    truth = data.point_truth(FRAMES[0])
    assert truth.source == "boxes"
    assert truth.labels.class_id[0] == BACKGROUND  # z = 0 is above the car, whose top is at -0.2
    raw.path("tracklet_labels.xml").write_text(tracklets(tracklet([pose(z=-0.75)])))
    assert KittiRaw(raw.root).point_truth(FRAMES[0]).labels.class_id.tolist() == [KITTI.class_id("car"), BACKGROUND]
    assert data.point_truth(FRAMES[0], "panoptic") is None


def test_a_drive_without_tracklets_has_no_ground_truth(raw):
    raw.path("tracklet_labels.xml").unlink()
    data = KittiRaw(raw.root)
    assert data.boxes(FRAMES[0]) is None
    assert data.visibility(FRAMES[0]) is None
    assert data.point_truth(FRAMES[0]) is None
    assert data.velocities_mps(FRAMES[0]) is None
    assert data.boxes(f"{DATE}_drive_0002_0000000000") is not None


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY c "&a;&a;&a;&a;&a;">]>'
GOOD = tracklets(tracklet([pose()]))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (GOOD[: len(GOOD) // 2], "is cut off, or no XML"),
        ("", "is cut off, or no XML"),
        ("<a/>", "no element tracklets"),
        (GOOD.replace("<!DOCTYPE boost_serialization>", BOMB).replace("Car", "&c;"), "it has entities"),
        (
            GOOD.replace("<!DOCTYPE boost_serialization>", '<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
            "it has entities",
        ),
        (GOOD.replace("<tracklets><count>1", "<tracklets><count>2"), "1 items, but count is 2"),
        (GOOD.replace("<poses><count>1", "<poses><count>7"), "tracklet 0, poses: 1 items, but count is 7"),
        (GOOD.replace("<h>1.5</h>", ""), "tracklet 0: h is missing"),
        (GOOD.replace("<h>1.5</h>", "<h>-1</h>"), "tracklet 0: h, w, l = -1.0"),
        (GOOD.replace("<tx>10.0</tx>", "<tx>nan</tx>"), "tracklet 0, pose 0: tx is 'nan'"),
        (GOOD.replace("<first_frame>0", "<first_frame>0.5"), "first_frame is 0.5"),
    ],
)
def test_malformed_tracklets_are_DAT011_and_frames_are_labelled_all_the_same(raw, text, match):
    assert text != GOOD
    raw.path("tracklet_labels.xml").write_text(text)
    data = KittiRaw(raw.root)
    with pytest.raises(DatasetError, match=rf"DAT011.*tracklet_labels\.xml.*{match}"):
        data.boxes(FRAMES[0])
    assert data.frame(FRAMES[0]).cameras
    assert data.unknown_classes(FRAMES) == {}


def test_the_fingerprint_follows_what_frames_are_made_of(raw):
    before = KittiRaw(raw.root).fingerprint()
    raw.path("tracklet_labels.xml").unlink()
    assert KittiRaw(raw.root).fingerprint() == before
    raw.path("oxts", "data", "0000000001.txt").write_text("49 8.4 0 0 0 0\n")
    changed = KittiRaw(raw.root).fingerprint()
    assert changed != before
    raw.path("image_02", "timestamps.txt").write_text(stamps([0.0, 0.1, 0.21]))
    assert KittiRaw(raw.root).fingerprint() != changed


@pytest.fixture(params=["made up", "sample"])
def written(request, tmp_path):
    """A root of tracking, and KITTI raw as scripts/tracking_as_raw.py writes it."""
    sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))
    try:
        from tracking_as_raw import write
    finally:
        sys.path.pop(0)
    if request.param == "sample":
        tracking = request.getfixturevalue("kitti_tracking_root")
    else:
        tracking = make_tracking(tmp_path / "tracking", names=("0000",)).root
    write(tracking, tmp_path / "raw")
    return KittiTracking(tracking), KittiRaw(tmp_path / "raw")


def test_a_written_root_has_the_frames_of_tracking(written):
    tracking, raw = written
    for theirs, ours in zip(tracking.frame_ids(), raw.frame_ids(), strict=True):
        one, other = tracking.frame(theirs), raw.frame(ours)
        np.testing.assert_array_equal(read_points(one.sweep), read_points(other.sweep))
        np.testing.assert_allclose(*(read_frame_points(each).xyz_lidar_m for each in (one, other)), atol=1e-6)
        np.testing.assert_array_equal(one.cameras[0].camera.K, other.cameras[0].camera.K)
        for exact, near in zip(_matrices(one), _matrices(other), strict=True):
            np.testing.assert_allclose(near, exact, atol=1e-12)
        boxes, found = tracking.boxes(theirs), raw.boxes(ours)
        order = np.lexsort(boxes.center_m.T), np.lexsort(found.center_m.T)
        np.testing.assert_allclose(found.center_m[order[1]], boxes.center_m[order[0]], atol=1e-9)
        np.testing.assert_allclose(found.size_lwh_m[order[1]], boxes.size_lwh_m[order[0]], atol=1e-9)
        np.testing.assert_allclose(found.rotation[order[1]], boxes.rotation[order[0]], atol=1e-3)
        assert found.class_id[order[1]].tolist() == boxes.class_id[order[0]].tolist()
        xyz = read_points(one.sweep)
        assert sorted(count_points(xyz, found)) == pytest.approx(sorted(count_points(xyz, boxes)), abs=3)


def _matrices(frame):
    transform = cam_SE3_lidar(frame.sweep, frame.cameras[0])
    return transform.rotation, transform.translation_m


def test_a_written_root_is_read_by_pykitti_as_by_us(written):
    pykitti = pytest.importorskip("pykitti", reason="needs pykitti: pip install 'pointsam[dev]'")
    _, raw = written
    theirs = pykitti.raw(str(raw.root), DATE, "0001")
    assert len(theirs) == len(raw.frame_ids())
    calib = theirs.calib
    for k, frame_id in enumerate(raw.frame_ids()):
        frame = raw.frame(frame_id)
        (view,) = frame.cameras
        assert view.source.name == theirs.cam2_files[k]
        assert frame.sweep.source.name == theirs.velo_files[k]
        np.testing.assert_array_equal(read_columns(frame.sweep, ("x", "y", "z", "intensity")), theirs.get_velo(k))
        world_T_velo = theirs.oxts[k].T_w_imu @ np.linalg.inv(calib.T_velo_imu)
        np.testing.assert_allclose(frame.sweep.world_SE3_ego.rotation, world_T_velo[:3, :3], atol=1e-9)
        np.testing.assert_allclose(frame.sweep.world_SE3_ego.translation_m, world_T_velo[:3, 3], atol=1e-6)
        xyz = read_points(frame.sweep)[::97].astype(np.float64)
        xyz = xyz[xyz[:, 0] > 3]
        homogeneous = np.column_stack([xyz, np.ones(len(xyz))]).T
        uvw = calib.P_rect_20 @ calib.R_rect_00 @ calib.T_cam0_velo_unrect @ homogeneous
        uv, depth = view.camera.project(cam_SE3_lidar(frame.sweep, view).apply(xyz))
        np.testing.assert_allclose(depth, uvw[2], atol=1e-6)
        np.testing.assert_allclose(uv, (uvw[:2] / uvw[2]).T, atol=1e-6)
        seconds = (theirs.timestamps[k] - theirs.timestamps[0]).total_seconds()
        assert frame.sweep.t_us - raw.frame(raw.frame_ids()[0]).sweep.t_us == round(seconds * 1e6)


def test_a_camera_without_images_in_one_drive_does_not_stop_the_drive(raw):
    for path in raw.path("image_03", "data").iterdir():
        path.unlink()
    data = open_dataset(raw.root)
    names = {data.scene(one): [view.name for view in data.frame(one).cameras] for one in data.frame_ids()}
    assert names == {DRIVE: ["image_02"], f"{DATE}_drive_0002": ["image_02", "image_03"]}
    (problem,) = data.table_problems()
    assert problem.where.endswith("0001_sync/image_03/data")
    assert "holds no image" in problem.what
