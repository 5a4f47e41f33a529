"""KITTI tracking, in the layout of the release and in that of a root that holds the folders of sensors itself."""

import shutil

import numpy as np
import pytest
from helpers.commands import label
from helpers.tracking_root import CALIB, make_tracking, northwards, row
from helpers.training import make_labels

from pointsam.base.errors import CalibrationError, DatasetError, MissingFolderError
from pointsam.datasets import open_dataset
from pointsam.datasets.base import HasRectifiedCamera
from pointsam.datasets.io import read_points
from pointsam.datasets.kitti.labels import HasKittiLabels, read_labels
from pointsam.datasets.kitti.objects import Kitti
from pointsam.datasets.kitti.tracking import KittiTracking
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.boxes import count_points
from pointsam.geometry.motion import motion_within
from pointsam.geometry.projection import key_SE3_sweep
from pointsam.taxonomy import BACKGROUND, KITTI
from pointsam.types import NO_INSTANCE


@pytest.fixture
def release(tmp_path):
    return make_tracking(tmp_path / "release")


@pytest.fixture
def bare(tmp_path):
    """The folders of the sensors in the root, as of a sample of one sequence."""
    return make_tracking(tmp_path / "bare", "", "image_2", "label_2", ("0001",), oxts=False)


def test_both_layouts_are_recognised(release, bare, tiny_kitti):
    assert isinstance(open_dataset(release.root), KittiTracking)
    assert isinstance(open_dataset(bare.root), KittiTracking)
    assert isinstance(open_dataset(tiny_kitti.root), Kitti)


def test_sequences_are_scenes_and_ids_are_unique(release, bare):
    data = KittiTracking(release.root)
    assert data.frame_ids() == [f"{name}_{k:06d}" for name in ("0000", "0001") for k in range(3)]
    assert data.scene("0001_000002") == data.frame("0001_000002").scene == "0001"
    assert KittiTracking(bare.root).frame_ids() == ["0001_000000", "0001_000001", "0001_000002"]


def test_testing_has_ids_and_scenes_of_its_own(release):
    make_tracking(release.root, "testing", names=("0000",), frames=2, label=None)
    data = KittiTracking(release.root)
    assert len(data.frame_ids()) == 6
    assert data.frame_ids("testing") == ["testing_0000_000000", "testing_0000_000001"]
    assert data.scene("testing_0000_000001") == "testing_0000"
    assert "testing" in data.frame("testing_0000_000001").sweep.source.name
    assert data.boxes("testing_0000_000000") is None
    assert data.point_truth("testing_0000_000000") is None


def test_splits_are_sequences_or_lists_of_sequences_and_frames(release):
    make_tracking(release.root, "testing", names=("0000",), frames=1, label=None)
    (release.root / "ImageSets").mkdir()
    for name, text in {
        "val": "0001.txt\n",
        "few": "\ufeff# two\r\n0001_000001\r\n0000_000002 \r\n",
        "test": "0000\n",
    }.items():
        (release.root / "ImageSets" / f"{name}.txt").write_text(text, encoding="utf-8")
    data = KittiTracking(release.root)
    assert data.frame_ids("val") == data.frame_ids("0001") == [f"0001_{k:06d}" for k in range(3)]
    assert data.frame_ids("few") == ["0000_000002", "0001_000001"]
    assert data.frame_ids("test") == ["testing_0000_000000"]
    with pytest.raises(DatasetError, match=r"DAT010.*'nope'.*\n.*training, testing, few, test, val, 0000, 0001"):
        data.frame_ids("nope")
    (release.root / "ImageSets" / "bad.txt").write_text("0009\n")
    with pytest.raises(DatasetError, match=r"DAT010.*bad\.txt lists '0009'"):
        KittiTracking(release.root).frame_ids("bad")


@pytest.mark.parametrize("frame_id", ["0000_000009", "0009_000000", "000000", "testing_0000_000000", ""])
def test_an_unknown_frame_is_DAT010(release, frame_id):
    data = KittiTracking(release.root)
    for read in (data.frame, data.boxes, data.scene, data.point_truth):
        with pytest.raises(DatasetError, match="DAT010"):
            read(frame_id)


def test_poses_are_those_of_oxts(release):
    """The vehicle drives a metre north a frame; the LiDAR sits 0.8 m behind the unit and turns with it."""
    data = KittiTracking(release.root)
    poses = [data.frame(f"0000_{k:06d}").sweep.world_SE3_ego for k in range(3)]
    for pose in poses:
        np.testing.assert_allclose(pose.rotation, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(poses[0].translation_m, [0.3, 0.8, 0.8], atol=1e-9)
    np.testing.assert_allclose(np.diff([pose.translation_m for pose in poses], axis=0), [[0, 1, 0]] * 2, atol=1e-6)
    frame = data.frame("0000_000001")
    before, after = (key_SE3_sweep(frame.sweep, frame.neighbours[k]).translation_m for k in (-1, 1))
    np.testing.assert_allclose([before, after], [[-1, 0, 0], [1, 0, 0]], atol=1e-6)
    assert [frame.sweep.t_us, frame.neighbours[1].t_us, frame.cameras[0].t_us] == [100_000, 200_000, 100_000]
    assert [sweep.t_us for sweep in data.past_sweeps("0000_000002", 5)] == [100_000, 0]


def test_without_oxts_nothing_pretends_to_know_the_motion(bare):
    data = KittiTracking(bare.root)
    frame = data.frame("0001_000001")
    assert dict(frame.neighbours) == {}
    assert frame.sweep.t_us == 100_000
    assert motion_within(frame) == "kept: no poses"
    assert read_frame_points(frame).xyz_lidar_m.tobytes() == read_points(frame.sweep).tobytes()
    assert data.past_sweeps("0001_000002", 3) == []
    assert data.velocities_mps("0001_000001") is None


def test_motion_within_a_sweep_is_removed(release):
    """The vehicle drives 10 m/s straight ahead; the beam passes the left side 25 ms before the front."""
    np.asarray([(0, 10, 0, 0.1), (0, -10, 0, 0.1)], dtype="<f4").tofile(release.path("velodyne", "0000", 1))
    data = KittiTracking(release.root)
    frame = data.frame("0000_000001")
    assert motion_within(frame) == "removed"
    np.testing.assert_allclose(read_frame_points(frame).xyz_lidar_m, [[-0.25, 10, 0], [0.25, -10, 0]], atol=1e-5)


def test_the_real_sweeps_are_not_compensated(kitti_tracking_root):
    """Where the range jumps, the azimuth goes on in the steps of the scanner.

    If motion were removed, points at the sides would have moved against each other by degrees: the vehicle drives
    11 m/s.
    """
    data = KittiTracking(kitti_tracking_root)

    def steps_deg(xyz):
        azimuth, range_m = np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])), np.hypot(xyz[:, 0], xyz[:, 1])
        near = np.minimum(range_m[:-1], range_m[1:]) < 15
        side = (np.abs(azimuth[:-1]) > 40) & (np.abs(azimuth[:-1]) < 140)
        step = np.diff(azimuth)
        return step[(np.abs(np.diff(range_m)) > 5) & near & side & (np.abs(step) < 4)]

    for frame_id in ("0001_000005", "0001_000009"):
        sweep = data.frame(frame_id).sweep
        assert not sweep.motion_compensated
        xyz = read_points(sweep).astype(np.float64)
        assert len(steps_deg(xyz)) > 100
        assert np.quantile(np.abs(steps_deg(xyz)), 0.95) < 0.6
        removed = xyz + np.outer(sweep.revolution.time_s(xyz[:, 0], xyz[:, 1]), [11.0, 0, 0])
        assert np.quantile(np.abs(steps_deg(removed)), 0.5) > 0.6


def test_oxts_without_the_mounting_of_its_unit_is_CAL003(release):
    path = release.path("calib")
    path.write_text(CALIB.replace("Tr_imu_velo", "Tr_other"))
    with pytest.raises(CalibrationError, match=r"CAL003.*0000\.txt: no key Tr_imu_to_velo"):
        KittiTracking(release.root).frame("0000_000000")
    path.write_text(CALIB.replace("Tr_imu_velo", "Tr_imu_to_velo:"))
    assert KittiTracking(release.root).frame("0000_000000").scene == "0000"


@pytest.mark.parametrize(
    ("line", "says"),
    [("49 8.4 110 0 0", "no 6 finite"), ("49 8.4 110 0 0 north", "north"), ("90 8 1 0 0 0", "latitude")],
)
def test_a_malformed_line_of_oxts_is_of_its_frame(release, line, says):
    lines = northwards(3).splitlines()
    lines[1] = line
    release.path("oxts").write_text("\n".join(lines))
    data = KittiTracking(release.root)
    with pytest.raises(DatasetError, match=rf"DAT011.*0000\.txt, line 2: .*{says}"):
        data.past_sweeps("0000_000002", 1)
    assert data.frame("0001_000001").scene == "0001"


def test_a_frame_beyond_oxts_is_DAT011(release):
    release.path("oxts").write_text(northwards(2))
    with pytest.raises(DatasetError, match=r"DAT011.*has 2 lines, none for frame 2"):
        KittiTracking(release.root).frame("0000_000002")


def test_frames_are_the_sweeps_that_are_there_and_keep_their_numbers(release):
    """The release lacks sweeps 177 to 180 of sequence 0001."""
    release.path("velodyne", "0000", 1).unlink()
    data = KittiTracking(release.root)
    assert data.frame_ids("0000") == ["0000_000000", "0000_000002"]
    frame = data.frame("0000_000002")
    assert frame.sweep.t_us == 200_000
    assert frame.neighbours[-1].t_us == 0
    assert data.boxes("0000_000002").token == ("0000_000002/7",)


def test_boxes_have_their_track_as_token_and_void_types_no_class(release):
    rows = [
        row(1, 4, "Van"),
        row(1, -1, "DontCare"),
        row(1, 9, "Bus"),
        row(1, 7, "car"),
        row(1, 3, "Person"),
        row(1, -1, "Misc"),
    ]
    release.path(release.label).write_text("".join(rows))
    data = KittiTracking(release.root)
    boxes = data.boxes("0000_000001")
    assert boxes.token == tuple(f"0000_000001/{k}" for k in ("4", "9", "7", "3", "line-6"))
    assert boxes.class_id.tolist() == [BACKGROUND, BACKGROUND, KITTI.class_id("car"), BACKGROUND, BACKGROUND]
    np.testing.assert_allclose(boxes.center_m[0], [10.3, 0, -0.35], atol=1e-12)
    assert data.unknown_classes(data.frame_ids()) == {"Bus": 1}
    assert len(data.boxes("0000_000000")) == 0


def test_the_token_of_a_track_does_not_depend_on_the_order_of_rows(release):
    texts = [row(0, 3, z=20.0) + row(0, 5), row(0, 5) + row(0, 3, z=20.0)]
    tokens = []
    for text in texts:
        release.path(release.label).write_text(text)
        boxes = KittiTracking(release.root).boxes("0000_000000")
        tokens.append(dict(zip(boxes.token, boxes.center_m[:, 0].round(1), strict=True)))
    assert tokens[0] == tokens[1] == {"0000_000000/3": 20.3, "0000_000000/5": 10.3}


@pytest.mark.parametrize(
    "bad",
    [
        row(1, 8).replace("1.5", "0"),
        row(1, 8).replace("1.5", "tall"),
        "1 8 Car 0 0\n",
        "one " + row(1, 8)[2:],
    ],
)
def test_a_bad_row_spoils_the_truth_of_its_frame_alone(release, bad):
    release.path(release.label).write_text(row(0, 7) + row(1, 7) + bad + row(1, 9) + row(2, 7))
    data = KittiTracking(release.root)
    for read in (data.boxes, data.label_rows, data.visibility, data.point_truth, data.velocities_mps):
        with pytest.raises(DatasetError, match=r"DAT011.*0000\.txt, line 3"):
            read("0000_000001")
    assert data.frame("0000_000001").scene == "0000"
    assert [len(data.boxes(f"0000_00000{k}")) for k in (0, 2)] == [1, 1]


def test_a_row_without_a_number_spoils_the_frames_around_it(release):
    release.path(release.label).write_text(row(0, 7) + "garbage\n" + row(1, 7) + row(2, 7))
    data = KittiTracking(release.root)
    for frame_id in ("0000_000000", "0000_000001"):
        with pytest.raises(DatasetError, match="line 2"):
            data.boxes(frame_id)
    assert len(data.boxes("0000_000002")) == 1
    release.path(release.label).write_text(row(0, 7) + row(1, 7) + "garbage\n")
    data = KittiTracking(release.root)
    assert len(data.boxes("0000_000000")) == 1
    with pytest.raises(DatasetError, match="line 3"):
        data.boxes("0000_000002")


def test_velocities_follow_tracks_over_ground(release):
    """Track 7 stays ahead of a vehicle that drives 10 m/s; track 8 stands, and comes nearer by a metre a frame."""
    release.path(release.label).write_text("".join(row(k, 7) + row(k, 8, z=20.0 - k) for k in range(3)) + row(2, 9))
    found = KittiTracking(release.root).velocities_mps("0000_000001")
    np.testing.assert_allclose(found, [[10, 0], [0, 0]], atol=1e-4)
    assert np.isnan(KittiTracking(release.root).velocities_mps("0000_000002")[2]).all()
    release.path(release.label).write_text("".join(row(k, 10**30) + row(k, 10**31) for k in range(3)))
    np.testing.assert_allclose(KittiTracking(release.root).velocities_mps("0000_000001"), [[10, 0]] * 2, atol=1e-4)


def test_visibility_follows_occlusion(release):
    levels = {0: 2, 1: 1, 2: 0, 3: -1, -1: -1}
    release.path(release.label).write_text("".join(row(0, k, occluded=o) for k, o in enumerate(levels)))
    assert KittiTracking(release.root).visibility("0000_000000").tolist() == list(levels.values())


def test_truth_is_what_boxes_hold(release):
    truth = KittiTracking(release.root).point_truth("0000_000000")
    assert truth.labels.instance_id.tolist() == [0, NO_INSTANCE]
    assert truth.source == "boxes"
    assert KittiTracking(release.root).point_truth("0000_000000", "panoptic") is None


def test_labels_are_in_the_rectified_frame(release):
    data = KittiTracking(release.root)
    assert isinstance(data, HasRectifiedCamera)
    assert isinstance(data, HasKittiLabels)
    assert data.rect_SE3_lidar("0000_000000").translation_m.tolist() == [0, -0.1, -0.3]
    assert [r.track for r in data.label_rows("0000_000001")] == [7]


def test_missing_parts_are_named(release):
    release.path(release.camera, "0000", 0).unlink()
    with pytest.raises(DatasetError, match=r"DAT004.*image_02/0000/000000\.png: image is missing"):
        KittiTracking(release.root).frame("0000_000000")
    shutil.rmtree(release.root / "training" / release.camera)
    with pytest.raises(MissingFolderError, match=r"DAT001.*image_02/0000"):
        KittiTracking(release.root).frame("0000_000001")
    release.path("calib").unlink()
    with pytest.raises(DatasetError, match=r"DAT004.*calib/0000\.txt"):
        KittiTracking(release.root).boxes("0000_000001")
    release.path("calib", "0001").unlink()
    with pytest.raises(MissingFolderError, match=r"DAT001.*training/calib: "):
        KittiTracking(release.root).boxes("0000_000001")


def test_a_sweep_whose_name_is_no_number_is_of_its_frame(release):
    path = release.path("velodyne", "0000", 1)
    path.rename(path.with_name("première vue.bin"))
    data = KittiTracking(release.root)
    assert "0000_première vue" in data.frame_ids()
    with pytest.raises(DatasetError, match=r"DAT011.*'première vue' is not the number"):
        data.frame("0000_première vue")


def test_the_fingerprint_is_of_names_calibration_and_poses_but_not_labels(release):
    data = KittiTracking(release.root)
    first = data.fingerprint()
    release.path(release.label).write_text("")
    release.path("velodyne", "0000", 0).write_bytes(b"")
    assert data.fingerprint() == first
    for change in ("calib", "oxts"):
        before = data.fingerprint()
        release.path(change).write_text(release.path(change).read_text() + "\n")
        assert data.fingerprint() != before
    before = data.fingerprint()
    release.path("velodyne", "0000", 2).unlink()
    assert data.fingerprint() != before


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="DAT002"):
        KittiTracking(tmp_path)
    with pytest.raises(DatasetError, match="DAT001"):
        KittiTracking(tmp_path / "gone")


def test_labels_are_scored_and_exported_by_frame(release, tmp_path):
    out = tmp_path / "out"
    make_labels(out, KittiTracking(release.root))
    said = label("eval", out, release.root)
    assert said.exit_code == 0, said.output
    assert "6 frames against boxes" in said.output
    done = label("export", out, release.root, "--to", "kitti", "--dest", tmp_path / "dest")
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "dest" / "label_2").iterdir())) == 6
    (row_of,) = read_labels(tmp_path / "dest" / "label_2" / "0001_000002.txt")
    assert row_of.kind == "Car"


def test_real_boxes_hold_points(kitti_tracking_root):
    data = open_dataset(kitti_tracking_root)
    assert data.frame_ids() == [f"0001_{k:06d}" for k in range(10)]
    assert data.unknown_classes(data.frame_ids()) == {}
    for frame_id in data.frame_ids():
        near = np.linalg.norm(data.boxes(frame_id).center_m, axis=1) < 40
        points = count_points(read_points(data.frame(frame_id).sweep), data.boxes(frame_id))
        assert (points[near] > 0).mean() > 0.9
