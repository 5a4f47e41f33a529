import shutil

import numpy as np
import pytest

from pointsam.base.errors import CalibrationError, DatasetError, MissingFolderError
from pointsam.datasets.io import read_image, read_points
from pointsam.datasets.kitti.objects import Kitti
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.boxes import count_points
from pointsam.geometry.motion import motion_within
from pointsam.geometry.projection import cam_SE3_lidar, project
from pointsam.taxonomy import BACKGROUND, KITTI
from pointsam.types import NO_INSTANCE

DONT_CARE_LEFT_HALF = "DontCare -1 -1 -10 0 0 50 80 -1 -1 -1 -1000 -1000 -1000 -10\n"
CAR_AT_10_M = "Car 0.00 0 0.0 30 20 70 60 1.5 1.6 4.0 0.0 1.0 10.0 0.0\n"
VAN_AT_10_M = CAR_AT_10_M.replace("Car", "Van")


def test_frames_are_those_of_training_sorted(tiny_kitti):
    assert Kitti(tiny_kitti.root).frame_ids() == ["000000", "000001"]
    assert Kitti(tiny_kitti.root).frame_ids("training") == ["000000", "000001"]


def test_frames_of_testing_have_ids_of_their_own(tiny_kitti):
    kitti = Kitti(tiny_kitti.root)
    assert kitti.frame_ids("testing") == ["testing_000000"]
    assert kitti.scene("testing_000000") == "testing"
    assert kitti.scene("000000") == "training"
    assert kitti.frame("testing_000000").sweep.source.path == tiny_kitti.path("velodyne", folder="testing")


def test_a_split_file_chooses_frames(tiny_kitti):
    (tiny_kitti.root / "ImageSets").mkdir()
    (tiny_kitti.root / "ImageSets" / "val.txt").write_text("000001\n")
    (tiny_kitti.root / "ImageSets" / "test.txt").write_text("000000\n")
    assert Kitti(tiny_kitti.root).frame_ids("val") == ["000001"]
    assert Kitti(tiny_kitti.root).frame_ids("test") == ["testing_000000"]


def test_an_unknown_split_is_DAT010_and_names_the_known(tiny_kitti):
    (tiny_kitti.root / "ImageSets").mkdir()
    (tiny_kitti.root / "ImageSets" / "val.txt").write_text("000001\n")
    with pytest.raises(DatasetError) as raised:
        Kitti(tiny_kitti.root).frame_ids("mini")
    assert raised.value.code == "DAT010"
    assert "training, testing, val" in raised.value.hint


def test_zero_frames_are_DAT009_and_name_the_place(tiny_kitti):
    for number in ("000000", "000001"):
        tiny_kitti.path("velodyne", number).unlink()
    with pytest.raises(DatasetError, match="training/velodyne") as raised:
        Kitti(tiny_kitti.root).frame_ids()
    assert raised.value.code == "DAT009"


def test_an_empty_split_file_is_DAT009(tiny_kitti):
    (tiny_kitti.root / "ImageSets").mkdir()
    (tiny_kitti.root / "ImageSets" / "val.txt").write_text("\n")
    with pytest.raises(DatasetError, match=r"val\.txt") as raised:
        Kitti(tiny_kitti.root).frame_ids("val")
    assert raised.value.code == "DAT009"


def test_a_missing_root_is_DAT001(tmp_path):
    with pytest.raises(DatasetError) as raised:
        Kitti(tmp_path / "gone")
    assert raised.value.code == "DAT001"


def test_another_layout_is_DAT002(tmp_path):
    with pytest.raises(DatasetError) as raised:
        Kitti(tmp_path)
    assert raised.value.code == "DAT002"


@pytest.mark.parametrize("frame_id", ["000009", "testing_000001", "nonsense", ""])
def test_an_unknown_frame_is_DAT010(tiny_kitti, frame_id):
    for read in (Kitti(tiny_kitti.root).frame, Kitti(tiny_kitti.root).boxes, Kitti(tiny_kitti.root).point_truth):
        with pytest.raises(DatasetError) as raised:
            read(frame_id)
        assert raised.value.code == "DAT010"


@pytest.mark.parametrize("part", ["image_2", "calib"])
def test_a_frame_without_image_or_calibration_is_listed_but_not_built(tiny_kitti, part):
    tiny_kitti.path(part).unlink()
    kitti = Kitti(tiny_kitti.root)
    assert "000000" in kitti.frame_ids()
    with pytest.raises(DatasetError, match=part) as raised:
        kitti.frame("000000")
    assert raised.value.code == "DAT004"


def test_a_frame_without_its_sweep_fails_when_the_points_are_read(tiny_kitti):
    tiny_kitti.path("velodyne").unlink()
    with pytest.raises(DatasetError) as raised:
        read_points(Kitti(tiny_kitti.root).frame("000000").sweep)
    assert raised.value.code == "DAT004"


def test_a_bad_calibration_fails_its_frame_only(tiny_kitti):
    tiny_kitti.path("calib").write_text("P2: 1 2 3\n")
    kitti = Kitti(tiny_kitti.root)
    with pytest.raises(CalibrationError, match=r"000000\.txt, P2"):
        kitti.frame("000000")
    assert kitti.frame("000001").frame_id == "000001"


def test_building_a_frame_reads_only_the_header_of_the_image(tiny_kitti):
    path = tiny_kitti.path("image_2")
    path.write_bytes(path.read_bytes()[:50])
    camera = Kitti(tiny_kitti.root).frame("000000").cameras[0].camera
    assert (camera.width_px, camera.height_px) == (100, 80)
    with pytest.raises(DatasetError):
        read_image(path)


def test_the_ego_frame_is_the_lidars(tiny_kitti):
    sweep = Kitti(tiny_kitti.root).frame("000000").sweep
    for pose in (sweep.ego_SE3_lidar, sweep.world_SE3_ego):
        assert pose.rotation.tolist() == np.eye(3).tolist()
        assert pose.translation_m.tolist() == [0, 0, 0]


def test_boxes_move_to_the_lidar_frame(tiny_kitti):
    """Camera z is LiDAR x, camera x is LiDAR -y: a car that points along camera x points along -y."""
    boxes = Kitti(tiny_kitti.root).boxes("000000")
    np.testing.assert_allclose(boxes.center_m, [[10.3, 0, -0.35]], atol=1e-12)
    np.testing.assert_allclose(boxes.size_lwh_m, [[4, 1.6, 1.5]])
    np.testing.assert_allclose(boxes.rotation[0], [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-12)
    assert boxes.class_id.tolist() == [KITTI.class_id("car")]


@pytest.mark.parametrize("kind", ["Van", "Person_sitting", "Misc", "Bus", "Person"])
def test_classes_outside_the_taxonomy_are_void(tiny_kitti, kind):
    tiny_kitti.add("000000", labels=CAR_AT_10_M.replace("Car", kind))
    assert Kitti(tiny_kitti.root).boxes("000000").class_id.tolist() == [BACKGROUND]


def test_unknown_types_are_counted_over_frames_and_small_letters_are_known(tiny_kitti):
    bus, car = CAR_AT_10_M.replace("Car", "Bus"), CAR_AT_10_M.replace("Car", "car")
    tiny_kitti.add("000000", labels=bus + car)
    tiny_kitti.add("000001", labels=bus + VAN_AT_10_M + DONT_CARE_LEFT_HALF)
    tiny_kitti.add("000002", labels="Bus 1 2 3\n")
    data = Kitti(tiny_kitti.root)
    assert data.unknown_classes(data.frame_ids()) == {"Bus": 2}
    assert data.boxes("000000").class_id.tolist() == [BACKGROUND, KITTI.class_id("car")]


def test_an_unknown_type_without_a_size_is_a_region(tiny_kitti):
    region = DONT_CARE_LEFT_HALF.replace("DontCare", "Ignore")
    tiny_kitti.add("000000", points=[(20, 3, 0, 0), (20, -3, 0, 0)], labels=region)
    data = Kitti(tiny_kitti.root)
    assert len(data.boxes("000000")) == len(data.visibility("000000")) == 0
    assert data.point_truth("000000").void.tolist() == [True, False]


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".PNG"])
def test_images_may_be_jpeg_in_any_letter_case(tiny_kitti, suffix):
    png = tiny_kitti.path("image_2")
    png.rename(png.with_suffix(suffix))
    view = Kitti(tiny_kitti.root).frame("000000").cameras[0]
    assert (view.source.file_name, view.stem) == (f"000000{suffix}", "000000")


@pytest.mark.parametrize("part", ["image_2", "calib"])
def test_a_folder_that_is_missing_is_named_for_the_whole_set(tiny_kitti, part):
    shutil.rmtree(tiny_kitti.root / "training" / part)
    data = Kitti(tiny_kitti.root)
    with pytest.raises(MissingFolderError, match=rf"DAT001.*training/{part}: "):
        data.frame("000000")
    if part == "image_2":
        assert len(data.boxes("000000")) == 1


def test_a_folder_of_other_clouds_says_what_it_holds(tiny_kitti):
    for number in ("000000", "000001"):
        path = tiny_kitti.path("velodyne", number)
        path.rename(path.with_suffix(".laz"))
    with pytest.raises(DatasetError, match=r"DAT009.*zero frames \(the folder holds 2 \.laz files\)"):
        Kitti(tiny_kitti.root).frame_ids()


def test_names_are_as_people_have_them(tiny_kitti):
    names = ["7", "a b", "v1.2_x", "première", "長い" * 30]
    for name in names:
        tiny_kitti.add(name)
    (tiny_kitti.root / "training" / "velodyne" / "._7.bin").write_bytes(b"x")
    (tiny_kitti.root / "training" / "image_2" / "Thumbs.db").write_bytes(b"x")
    data = Kitti(tiny_kitti.root)
    assert data.frame_ids() == ["000000", "000001", *sorted(names)]
    for name in names:
        assert data.frame(name).cameras[0].stem == name
        assert data.point_truth(name).labels.instance_id.tolist() == [0, NO_INSTANCE]


def test_dont_care_has_no_box(tiny_kitti):
    tiny_kitti.add("000000", labels=DONT_CARE_LEFT_HALF)
    assert len(Kitti(tiny_kitti.root).boxes("000000")) == 0


def test_unlabelled_frames_have_no_truth(tiny_kitti):
    assert Kitti(tiny_kitti.root).boxes("testing_000000") is None
    assert Kitti(tiny_kitti.root).point_truth("testing_000000") is None


def test_truth_is_what_boxes_hold_and_background_elsewhere(tiny_kitti):
    truth = Kitti(tiny_kitti.root).point_truth("000000")
    assert truth.labels.instance_id.tolist() == [0, NO_INSTANCE]
    assert truth.void.tolist() == [False, False]
    assert truth.source == "boxes"


def test_what_the_camera_does_not_see_is_void(tiny_kitti):
    beside_and_behind = [(10, 40, 0, 0), (-10, 0, 0, 0)]
    tiny_kitti.add("000000", points=beside_and_behind)
    assert Kitti(tiny_kitti.root).point_truth("000000").void.tolist() == [True, True]


def test_points_just_off_a_box_are_void(tiny_kitti):
    face = 10.3 - 0.8
    tiny_kitti.add("000000", points=[(face - 0.25, 0, 0, 0), (face - 0.35, 0, 0, 0)])
    truth = Kitti(tiny_kitti.root).point_truth("000000")
    assert truth.void.tolist() == [True, False]
    assert truth.labels.instance_id.tolist() == [NO_INSTANCE] * 2


def test_points_seen_in_a_dont_care_region_are_void_unless_in_a_box(tiny_kitti):
    in_box_left, behind_left, behind_right = (10, 0.5, 0, 0), (20, 3, 0, 0), (20, -3, 0, 0)
    tiny_kitti.add("000000", points=[in_box_left, behind_left, behind_right], labels=CAR_AT_10_M + DONT_CARE_LEFT_HALF)
    truth = Kitti(tiny_kitti.root).point_truth("000000")
    assert truth.void.tolist() == [False, True, False]
    assert truth.labels.instance_id.tolist() == [0, NO_INSTANCE, NO_INSTANCE]


def test_points_in_a_void_box_are_void(tiny_kitti):
    tiny_kitti.add("000000", labels=VAN_AT_10_M)
    assert Kitti(tiny_kitti.root).point_truth("000000").void.tolist() == [True, False]


def test_the_fingerprint_follows_frames_and_calibration_but_not_labels_or_replaced_files(tiny_kitti):
    kitti = Kitti(tiny_kitti.root)
    first = kitti.fingerprint()
    assert kitti.fingerprint() == first
    tiny_kitti.path("label_2").write_text("")
    assert kitti.fingerprint() == first
    tiny_kitti.path("velodyne").write_bytes(bytes(160))
    tiny_kitti.path("image_2").write_bytes(b"")
    assert kitti.fingerprint() == first
    tiny_kitti.path("velodyne").with_name("000777.bin").write_bytes(bytes(160))
    second = kitti.fingerprint()
    assert second != first
    calib = tiny_kitti.path("calib")
    calib.write_text(calib.read_text().replace("0.5", "0.6"))
    assert kitti.fingerprint() != second


REAL = ("000000", "000001", "000002")


@pytest.mark.parametrize("frame_id", REAL)
def test_projection_is_kittis_own_on_every_point(kitti_root, frame_id):
    frame = Kitti(kitti_root).frame(frame_id)
    text = (kitti_root / "training" / "calib" / f"{frame_id}.txt").read_text()
    rows = {line.split(":")[0]: np.array(line.split()[1:], dtype=float) for line in text.splitlines() if line}
    rect = np.eye(4)
    rect[:3, :3] = rows["R0_rect"].reshape(3, 3)
    velo_to_cam = np.vstack([rows["Tr_velo_to_cam"].reshape(3, 4), [0, 0, 0, 1]])
    xyz = read_points(frame.sweep).astype(np.float64)
    uvw = np.column_stack([xyz, np.ones(len(xyz))]) @ (rows["P2"].reshape(3, 4) @ rect @ velo_to_cam).T

    ours = project(xyz, frame, frame.cameras[0])
    ahead = uvw[:, 2] > 0
    assert ahead.sum() > 50_000
    np.testing.assert_allclose(ours.depth_m, uvw[:, 2], atol=1e-12)
    np.testing.assert_allclose(ours.uv_px[ahead], uvw[ahead, :2] / uvw[ahead, 2:], atol=1e-4, rtol=1e-9)


@pytest.mark.parametrize("frame_id", REAL)
def test_real_boxes_hold_points_and_project_onto_their_2d_labels(kitti_root, frame_id):
    kitti = Kitti(kitti_root)
    frame, boxes = kitti.frame(frame_id), kitti.boxes(frame_id)
    assert (count_points(read_points(frame.sweep), boxes) > 0).all()
    rows = [line.split() for line in (kitti_root / "training" / "label_2" / f"{frame_id}.txt").open()]
    labels = [np.array(row[4:8], dtype=float) for row in rows if row[0] != "DontCare"]
    unit = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    view = frame.cameras[0]
    for m, label in enumerate(labels):
        corners = (unit * boxes.size_lwh_m[m]) @ boxes.rotation[m].T + boxes.center_m[m]
        uv, _ = view.camera.project(cam_SE3_lidar(frame.sweep, view).apply(corners))
        around = np.concatenate([uv.min(axis=0), uv.max(axis=0)])
        # People drew the labels: rigid things agree to 3 px, the arms of a near person to 10.
        np.testing.assert_allclose(around, label, atol=10 if rows[m][0] == "Pedestrian" else 3)


@pytest.mark.parametrize("frame_id", REAL)
def test_real_truth_labels_only_what_the_image_shows(kitti_root, frame_id):
    kitti = Kitti(kitti_root)
    frame, truth = kitti.frame(frame_id), kitti.point_truth(frame_id)
    seen = project(read_points(frame.sweep), frame, frame.cameras[0]).valid
    assert truth.void[~seen].all()
    assert (truth.labels.class_id[~seen] == BACKGROUND).all()
    assert not truth.void[truth.labels.class_id != BACKGROUND].any()
    assert 0.1 < truth.void.mean() < 0.95


@pytest.mark.parametrize("outside", ["../../secret", "absolute"])
def test_a_split_names_no_file_outside_the_root(tiny_kitti, tmp_path, outside):
    line = str(tmp_path / "secret") if outside == "absolute" else outside
    for suffix in ("bin", "txt"):  # ../../secret leads from training/velodyne to the root
        (tiny_kitti.root / f"secret.{suffix}").write_bytes(b"x")
        (tmp_path / f"secret.{suffix}").write_bytes(b"x")
    (tiny_kitti.root / "ImageSets").mkdir()
    (tiny_kitti.root / "ImageSets" / "own.txt").write_text(f"{line}\n")
    data = Kitti(tiny_kitti.root)
    assert data.frame_ids("own") == [line]
    with pytest.raises(DatasetError) as raised:
        data.frame(line)
    assert raised.value.code == "DAT010"


def test_motion_stays_in_sweeps_of_single_frames(tiny_kitti):
    frame = Kitti(tiny_kitti.root).frame("000000")
    assert motion_within(frame) == "kept: no poses"
    assert read_frame_points(frame).xyz_lidar_m.tobytes() == read_points(frame.sweep).tobytes()


def test_a_written_table_states_which_sweeps_have_no_motion_left(tiny_kitti):
    (tiny_kitti.root / "frames.csv").write_text("name,frame,compensated\n000000,a,yes\n000001,b,no\n")
    data = Kitti(tiny_kitti.root)
    stated = {frame_id: data.frame(frame_id).sweep for frame_id in ("000000", "000001", "testing_000000")}
    assert [sweep.motion_compensated for sweep in stated.values()] == [True, False, False]
    assert [sweep.revolution is None for sweep in stated.values()] == [True, False, False]


@pytest.mark.parametrize("text", ["", "name\n000000\n", "a,compensated\n000000,yes\n", "name,compensated\n000000\n"])
def test_other_tables_of_that_name_state_nothing(tiny_kitti, text):
    (tiny_kitti.root / "frames.csv").write_text(text)
    assert not Kitti(tiny_kitti.root).frame("000000").sweep.motion_compensated
