"""Each mistake that people make in a folder of their own is named by a rule."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.cloud_files import pcd
from helpers.folder_root import AXES, PERIOD_US, START_US, calibration_of, make_folder, write_cloud
from helpers.folder_root import Drive as Options
from PIL import Image
from scipy.spatial.transform import Rotation

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.checks.base import Probe
from pointsam.checks.check import check
from pointsam.checks.rules import cameras_swapped
from pointsam.datasets import open_dataset
from pointsam.datasets.folder.calibration import CameraEntry, Intrinsics
from pointsam.datasets.folder.transforms import Transform
from pointsam.geometry.se3 import SE3

FRAMES = 5


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """A drive with enough points for edges."""
    root = tmp_path_factory.mktemp("dense") / "root"
    make_folder(root, frames=12, points=20000, boxes="none", cameras=("left", "right"))
    return root


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """A drive without mistakes, to be copied."""
    root = tmp_path_factory.mktemp("drive") / "root"
    make_folder(root, frames=FRAMES, points=2500)
    return root


@pytest.fixture
def root(drive, tmp_path):
    return shutil.copytree(drive, tmp_path / "root")


def all_findings(root):
    data = open_dataset(root)
    ids = data.frame_ids()
    return check(data, ids, set(ids)).findings


def findings(root):
    return {found.rule.id: found.problem.what for found in all_findings(root)}


def calibrated(root, edit):
    from pointsam.datasets.folder.calibration import calibration_text

    (root / "calibration.yaml").write_text(calibration_text(edit(calibration_of(Options()))))
    return root


def mounted(sensor, change):
    """An edit of the transform of a sensor."""

    def edit(calibration):
        found = []
        for one in calibration.transforms:
            if one.source == sensor:
                pose = one.resolved("")[2]
                changed = change(pose)
                one = changed if isinstance(changed, Transform) else Transform.of(sensor, "vehicle", changed)
            found.append(one)
        return replace(calibration, transforms=tuple(found))

    return edit


def matrix(pose):
    return np.block([[pose.rotation, pose.translation_m[:, None]], [np.zeros(3), 1]])


def flat(values):
    return Transform("front", "vehicle", tuple(np.asarray(values).ravel().tolist()))


def as_wxyz(pose):
    xyzw = tuple(Rotation.from_matrix(pose.rotation).as_quat().tolist())
    return Transform("left", "vehicle", translation=tuple(pose.translation_m.tolist()), quaternion_wxyz=xyzw)


def test_a_drive_without_mistakes_breaks_no_rule(drive):
    assert findings(drive) == {}


@pytest.mark.parametrize(
    ("edit", "rule", "says"),
    [
        (mounted("front", SE3.inverse), "camera-mounting", "its inverse is"),
        (mounted("top", SE3.inverse), "camera-height", "5.1 m above the lowest points near the vehicle; all cameras"),
        (
            mounted("front", lambda p: SE3(p.rotation, 1000 * p.translation_m)),
            "camera-mounting",
            "probably millimetres",
        ),
        (mounted("left", as_wxyz), "points-in-view", "0 of"),
        (
            mounted("front", lambda p: SE3(Rotation.from_euler("xyz", [-90, 0, -90]).as_matrix(), p.translation_m)),
            "camera-mounting",
            "in degrees that were taken for radians",
        ),
        (
            mounted("left", lambda p: SE3(Rotation.from_euler("z", 60).as_matrix() @ AXES, p.translation_m)),
            "camera-names",
            "108 degrees from where its name says",
        ),
        (mounted("front", lambda p: SE3(np.eye(3), p.translation_m)), "camera-mounting", "rotation is the identity"),
        (
            lambda c: replace(
                c,
                cameras={**c.cameras, "front": CameraEntry((320, 192), Intrinsics(100.0, 100.0, 79.5, 47.5))},
            ),
            "principal-point",
            "25% of the width",
        ),
        (
            lambda c: replace(c, cameras={**c.cameras, "left": replace(c.cameras["left"], size=(192, 320))}),
            "image-size",
            "320 x 192",
        ),
        (
            lambda c: replace(c, cameras={**c.cameras, "left": replace(c.cameras["left"], time_offset_s=18.0)}),
            "clocks",
            "cameras.left.time_offset_s",
        ),
    ],
    ids=["camera", "lidar", "mm", "xyzw", "right angles", "degrees", "identity", "half size", "turned", "clock"],
)
def test_a_wrong_calibration_is_named(root, edit, rule, says):
    found = findings(calibrated(root, edit))
    assert rule in found
    assert says in found[rule]


@pytest.mark.parametrize(
    ("edit", "code", "says"),
    [
        (mounted("front", lambda p: flat(matrix(p).T)), "CAL003", "transforms.1 .front to vehicle.*column by column"),
        (mounted("front", lambda p: flat(matrix(p) @ np.diag([1, -1, 1, 1]))), "CAL001", "left-handed axes"),
        (lambda c: replace(c, transforms=c.transforms[:-1]), "CAL003", "cameras.right: no chain of transforms"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_refused_by_its_field(root, edit, code, says):
    with pytest.raises(CalibrationError, match=says) as caught:
        open_dataset(calibrated(root, edit))
    assert caught.value.code == code


def test_a_table_where_yaml_belongs_is_refused(root):
    (root / "calibration.yaml").write_text("camera,fx,fy\nfront,200,200\n")
    with pytest.raises(CalibrationError) as caught:
        open_dataset(root)
    assert "looks like a table (CSV)" in caught.value.hint


def exchange(root, one, other):
    for source, target in ((one, "aside"), (other, one), ("aside", other)):
        (root / "images" / source).rename(root / "images" / target)


def test_cameras_in_another_order_are_named(root):
    def edit(calibration):
        names = {"left": "right", "right": "left"}
        return replace(
            calibration,
            transforms=tuple(replace(one, source=names.get(one.source, one.source)) for one in calibration.transforms),
        )

    assert "from where its name says" in findings(calibrated(root, edit))["camera-names"]


def test_exchanged_folders_of_cameras_are_named_by_edges(dense, tmp_path, monkeypatch):
    monkeypatch.setattr(cameras_swapped, "_MOVED_M", 1.5)

    def swapped(root):
        data, survey = open_dataset(root), cameras_swapped.RULE.survey()
        for frame_id in data.frame_ids():
            survey.open(Probe(data.frame(frame_id), data))
        return list(survey.problems())

    assert swapped(dense) == []
    root = shutil.copytree(dense, tmp_path / "root")
    exchange(root, "left", "right")
    (found,) = swapped(root)
    assert found.where == "left and right"
    assert "fit the images of the other camera" in found.what


def test_a_stamp_that_is_missing_is_named(root):
    stem = f"{START_US + PERIOD_US}"
    (root / "clouds" / "top" / f"{stem}.bin").rename(root / "clouds" / "top" / "sweep.bin")
    found = findings(root)
    assert "the name states no time, for example 'sweep'" in found["file-times"] or "gap" in found["file-times"]
    assert len(open_dataset(root).frame_ids()) == FRAMES - 1


def test_two_frames_of_one_stamp_are_named(root):
    path = root / "clouds" / "top" / f"{START_US}.bin"
    shutil.copy(path, path.with_name(f"{START_US}.0.bin"))
    found = findings(root)
    assert f"1 file with the time of the file before: '{START_US}' and '{START_US}.0'" in found["file-times"]
    assert "at the time of the frame that it follows" in found["times"]


def test_unordered_and_double_stamps_of_poses_are_named(root):
    lines = (root / "poses.txt").read_text().splitlines()
    lines[4], lines[6] = lines[6], lines[4]
    (root / "poses.txt").write_text("\n".join([*lines, lines[-1]]))
    what = [p.what for p in open_dataset(root).table_problems()]
    assert what == [
        "2 poses before the one that it follows, first pose 5",
        "1 pose left out: its time is that of another pose",
    ]
    assert "file-times" in findings(root)


def test_times_of_indices_that_do_not_rise_are_named(tmp_path):
    make_folder(tmp_path, frames=4, match="index", poses="none", boxes="none", points=1500)
    (tmp_path / "times.txt").write_text("0.0\n0.2\n0.1\n0.3\n")
    found = findings(tmp_path)
    assert "1 time before the one that it follows, first that of '000002'" in found["file-times"]
    assert "times" in found


def test_a_drive_with_a_hole_is_named(tmp_path):
    make_folder(tmp_path, frames=8, points=50, cameras=("front",), boxes="none")
    for k in (3, 4, 5):
        (tmp_path / "clouds" / "top" / f"{START_US + k * PERIOD_US}.bin").unlink()
    assert findings(tmp_path)["file-times"].startswith("1 gap in its times, the longest of 0.4 s after")


def test_folders_that_are_no_drives_are_named(tmp_path):
    make_folder(tmp_path, drives=("a", "b"), frames=2, cameras=("front",))
    shutil.rmtree(tmp_path / "b" / "images")
    assert findings(tmp_path)["missing-files"] == "the folder is left out: it has clouds/ and no images/"


def test_a_drive_inside_of_a_drive_is_named(root, tmp_path):
    shutil.copytree(root, tmp_path / "more")
    (tmp_path / "more").rename(root / "monday")
    says = findings(root)["missing-files"]
    assert says.startswith("the folder is left out: the root has images/ and clouds/ of its own")


def test_a_drive_without_poses_beside_others_is_named(tmp_path):
    make_folder(tmp_path, drives=("a", "b"), frames=5, points=50, cameras=("front",), boxes="none")
    (tmp_path / "b" / "poses.txt").rename(tmp_path / "b" / "pose.txt")
    says = findings(tmp_path)["identity-poses"]
    assert (
        says == "the pose of the vehicle is the identity in all frames of 1 scene, for example 'b'; others have poses"
    )


def test_a_hole_in_the_images_is_named(tmp_path):
    make_folder(tmp_path, frames=8, points=50, cameras=("front", "left"), boxes="none")
    images = sorted((tmp_path / "images" / "left").iterdir())
    for image in images[2:6]:
        image.unlink()
    found = findings(tmp_path)
    assert "no image in 4 of 8 frames" in found["missing-cameras"]
    assert "gap" in found["file-times"]


def test_poses_of_another_clock_are_named(root):
    lines = [line.split() for line in (root / "poses.txt").read_text().splitlines()[1:]]
    shifted = [f"{float(words[0]) + 37:.6f} {' '.join(words[1:])}" for words in lines]
    (root / "poses.txt").write_text("\n".join(shifted))
    found = findings(root)
    assert "0% of them have a pose" in found["clocks"]
    assert "poses.time_offset_s -36.9" in found["clocks"]


def test_a_clock_is_named_with_the_offset_that_mends_it(tmp_path):
    make_folder(tmp_path, frames=5, offsets_us={"left": 18_000_000}, points=1500, boxes="none")
    what = findings(tmp_path)["clocks"]
    assert "0% of 5 frames have a file of left" in what
    assert "-18.02 s later" in what
    text = (tmp_path / "calibration.yaml").read_text()
    head, _, tail = text.partition("  left:")
    mended = tail.replace("time_offset_s: 0.0", "time_offset_s: -18.02", 1)
    (tmp_path / "calibration.yaml").write_text(f"{head}  left:{mended}")
    assert "clocks" not in findings(tmp_path)


def test_a_slow_camera_or_one_with_a_hole_has_no_other_clock(tmp_path):
    make_folder(tmp_path, frames=12, points=50, cameras=("front", "left", "right"), boxes="none")
    front, left, right = (sorted((tmp_path / "images" / name).iterdir()) for name in ("front", "left", "right"))
    slow = front[::4]
    for image in {*front, *left[1:8], *right[1::2]} - {*slow}:
        image.unlink()
    problems = [(found.rule.id, found.problem.where, found.problem.what) for found in all_findings(tmp_path)]
    assert "clocks" not in {rule for rule, _, _ in problems}
    told = [(where.split("/")[-1], what) for rule, where, what in problems if "key_frames.txt" in what]
    assert [where for where, _ in told] == ["front", "left"]
    assert told[0][1].startswith("25% of 12 frames have a file of front within 0.05 s")
    assert {found.rule.severity for found in all_findings(tmp_path)} == {"warning"}


def test_the_other_clock_of_a_slow_camera_is_named(tmp_path):
    make_folder(tmp_path, frames=12, points=50, offsets_us={"left": 18_000_000}, boxes="none")
    images = sorted((tmp_path / "images" / "left").iterdir())
    for image in set(images) - {*images[::4]}:
        image.unlink()
    what = findings(tmp_path)["clocks"]
    assert "0% of 12 frames have a file of left" in what
    assert "25% would if its times were -18.02 s later" in what


def test_images_with_an_exif_orientation_are_named(root):
    image = min((root / "images" / "left").iterdir())
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(image).convert("RGB").save(image.with_suffix(".jpg"), exif=exif)
    image.unlink()
    assert "turned by 90 degrees clockwise" in findings(root)["image-orientation"]


def test_clouds_with_other_columns_between_drives_are_named(tmp_path):
    make_folder(tmp_path, drives=("a", "b"), frames=2, suffix=".ply", boxes="none")
    for path in (tmp_path / "b" / "clouds" / "top").iterdir():
        rows = np.frombuffer(path.read_bytes().partition(b"end_header\n")[2], "<f4").reshape(-1, 4)
        write_cloud(path, rows, ("x", "y", "z"))
    what = findings(tmp_path)["cloud-layout"]
    assert what.startswith("its clouds have 2 sets of columns: intensity, x, y, z in")


def test_raw_clouds_with_other_columns_between_drives_are_named(tmp_path):
    make_folder(tmp_path, drives=("a", "b"), frames=2, boxes="none", points=6000)
    for path in (tmp_path / "b" / "clouds" / "top").iterdir():
        rows = np.fromfile(path, "<f4").reshape(-1, 4)
        np.column_stack([rows, np.arange(len(rows)) % 32]).astype("<f4").tofile(path)
    assert "5 values per point" in findings(tmp_path)["cloud-columns"]


def boxes_changed(root, change):
    for path in (root / "boxes").iterdir():
        rows = json.loads(path.read_text())
        for row in rows:
            change(row)
        path.write_text(json.dumps(rows))


def other_sign(row):
    row["rotation"][3] *= -1


def length_first(row):
    row["size"][:2] = row["size"][1::-1]


def at_the_bottom(row):
    row["translation"][2] -= row["size"][2] / 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (other_sign, "with a yaw of the other sign in the axes of the world, they would hold"),
        (length_first, "with length and width exchanged (or a yaw that is 90 degrees larger), they would hold"),
        (at_the_bottom, "their centres are probably those of their bottom"),
    ],
)
def test_boxes_of_another_convention_are_named(root, change, says):
    boxes_changed(root, change)
    assert says in findings(root)["box-conventions"]


def test_files_that_are_not_read_are_named(root):
    shutil.copytree(root / "images" / "left", root / "images" / "rear")
    shutil.copytree(root / "clouds" / "top", root / "clouds" / "roof")
    (root / "images" / "empty").mkdir()
    shutil.copytree(root / "images" / "left", root / "images" / ".cache")
    (root / "poses.csv").write_text("")
    (root / "label_2").mkdir()
    (root / "label_2" / f"{START_US}.txt").write_text("")
    image = min((root / "images" / "front").iterdir())
    shutil.copy(image, image.with_suffix(".PNG"))
    Image.open(image).save(image.with_suffix(".jpg"))
    told = {f.problem.where.removeprefix(f"{root}/"): f.problem.what for f in all_findings(root)}
    assert set(told) == {"images/rear", "clouds/roof", "poses.csv", str(root), "images/front"}
    assert told["images/rear"] == f"it is not read: {root / 'calibration.yaml'} does not name 'rear'"
    assert told["poses.csv"] == f"it is not read: {root / 'poses.txt'} is (poses.file)"
    assert told[str(root)] == "label_2/*.txt are not read: the boxes are those of boxes/*.json"
    assert told["images/front"].startswith("2 images not read: the name is that of another, as ")


def test_viewpoints_that_are_not_used_are_named(tmp_path):
    make_folder(tmp_path, frames=3, boxes="none", cameras=("front",), points=50)
    for k, path in enumerate(sorted((tmp_path / "clouds" / "top").iterdir())):
        rows, seen = np.fromfile(path, "<f4").reshape(-1, 4), ("0 0 0 1.0 0 0 0", "1 2 0 1 0 0 0", "a b")[k]
        content = pcd("binary", rows.tobytes(), len(rows)).replace(b"0 0 0 1 0 0 0", seen.encode())
        path.with_suffix(".pcd").write_bytes(content)
        path.unlink()
    told = findings(tmp_path)["cloud-viewpoint"]
    assert told.startswith("2 files with a VIEWPOINT, which is not used: ")
    assert told.endswith(f"{START_US + PERIOD_US}.pcd has 1 2 0 1 0 0 0")


def test_poses_with_nan_leave_the_other_frames(tmp_path):
    make_folder(tmp_path, frames=8, match="index", poses="kitti", boxes="none", cameras=("front",), points=50)
    path = tmp_path / "poses.txt"
    path.write_text("\n".join([*path.read_text().splitlines()[:2], *["nan " * 12] * 6]))
    data = open_dataset(tmp_path)
    result = check(data, data.frame_ids(), set())
    told = {found.rule.id: found.problem for found in result.findings}
    assert told["file-times"].what.startswith("6 poses left out: NaN or infinity, first in line 3;")
    assert told["calibration-values"].where == "000004"  # motion goes on for 0.2 s after 0.1 s
    assert told["calibration-values"].what.endswith("(4 frames of this kind)")
    for frame_id in data.frame_ids()[:4]:
        assert np.isfinite(data.frame(frame_id).sweep.world_SE3_ego.translation_m).all()


def test_boxes_of_no_sweep_are_named(root):
    for path in sorted((root / "boxes").iterdir())[:3]:
        path.rename(path.with_name(f"{int(path.stem) + 10**7}.json"))
    says = findings(root)["ground-truth"]
    assert says.startswith(
        f"3 of {FRAMES} files of boxes belong to no sweep of top, for example {START_US + 10**7}.json"
    )


def test_frames_of_openlabel_without_a_sweep_are_named(tmp_path):
    make_folder(tmp_path, frames=4, points=50, cameras=("front",), boxes="openlabel")
    for sweep in sorted((tmp_path / "clouds" / "top").iterdir())[2:]:
        sweep.unlink()
    assert findings(tmp_path)["ground-truth"].startswith("2 of 4 frames of boxes belong to no sweep of top")


@pytest.mark.parametrize(
    ("written", "stated"),
    [("world", "top"), ("world", "vehicle"), ("top", "vehicle"), ("front", "vehicle"), ("top", "left")],
)
def test_boxes_in_another_frame_are_named(tmp_path, written, stated):
    make_folder(
        tmp_path,
        frames=2,
        boxes_frame=written,
        points=3000,
        edit=lambda c: replace(c, boxes=replace(c.boxes, frame=stated)),
    )
    names = {"top": "LiDAR"}
    expected = f"if they were in the frame of {names.get(written, written)}, not of {stated}"
    assert expected in findings(tmp_path)["box-conventions"]


def test_boxes_are_not_judged_by_a_wrong_mounting(tmp_path):
    """Boxes that are stated in the frame of a camera, whose transform is the inverse."""
    make_folder(
        tmp_path,
        frames=2,
        boxes_frame="top",
        points=3000,
        edit=lambda c: replace(mounted("front", SE3.inverse)(c), boxes=replace(c.boxes, frame="front")),
    )
    told = findings(tmp_path)
    assert "its inverse is" in told["camera-mounting"]
    assert told["box-conventions"].endswith("not judged before front is mounted as it should be (camera-mounting)")


def test_a_field_that_is_not_completed_is_named(root):
    text = (root / "calibration.yaml").read_text()
    (root / "calibration.yaml").write_text(text.replace("fx: 200.0", "fx: TODO", 1))
    with pytest.raises(CalibrationError, match=r"to be completed: cameras\.front\.intrinsics\.fx"):
        open_dataset(root)


def test_two_calibrations_of_one_folder_are_refused(root):
    shutil.copy(root / "calibration.yaml", root / "calibration.yml")
    with pytest.raises(DatasetError, match="are both there"):
        open_dataset(root)
