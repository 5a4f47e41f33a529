"""Every rule: silent on a plausible frame, and names the mistake that was planted."""

import io
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from pointsam.checks.base import Probe
from pointsam.checks.rules import RULES
from pointsam.datasets.io import RawPoints
from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.types import CameraView, Frame, Sweep

FORWARD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
CAMERA = Camera(np.array([[200.0, 0, 160], [0, 200, 90], [0, 0, 1]]), 320, 180)
COLUMNS = ("x", "y", "z", "intensity", "ring")


def cloud(points=4000):
    """A ground plane and a ring of walls, as a LiDAR of 32 rings 1.8 m above ground sees them."""
    rng = np.random.default_rng(0)
    azimuth = np.repeat(np.linspace(-np.pi, np.pi, points // 32, endpoint=False), 32)
    ring = np.tile(np.arange(32), points // 32)
    down = np.radians(ring - 24.0)
    reach = np.where(down < -0.04, -1.8 / np.minimum(down, -0.04), 40 + 10 * np.sin(3 * azimuth))
    reach += 0.02 * rng.standard_normal(len(reach))
    xyz = [reach * np.cos(azimuth), reach * np.sin(azimuth), reach * np.tan(down)]
    return np.column_stack([*xyz, rng.integers(0, 255, len(reach)), ring]).astype("<f4")


@dataclass(frozen=True)
class Picture:
    """An image in memory."""

    width_px: int = 320
    height_px: int = 180
    name: str = "picture"
    file_name: str = "picture.png"

    def open(self):
        stream = io.BytesIO()
        Image.new("RGB", (self.width_px, self.height_px)).save(stream, format="PNG")
        stream.seek(0)
        return stream


class NoSweeps:
    """A data set without sweeps between the key frames and without ground truth."""

    def past_sweeps(self, frame_id, count):
        return []

    def point_truth(self, frame_id):
        return None


@pytest.fixture
def scene(tmp_path):
    """Three frames at 2 Hz of a vehicle at 10 m/s, with cameras to the front, the left and the rear."""
    path = tmp_path / "cloud.bin"
    cloud().tofile(path)
    frames = []
    for i in range(3):
        pose = SE3(np.eye(3), [600 + 5.0 * i, 1600, 0])
        views = [
            CameraView(
                name,
                Picture(),
                500_000 * i + 10_000,
                CAMERA,
                SE3(Rotation.from_euler("z", yaw, degrees=True).as_matrix() @ FORWARD, [1.5, 0.2, 1.6]),
                pose,
            )
            for name, yaw in (("FRONT", 0), ("LEFT", 90), ("REAR", 178))
        ]
        sweep = Sweep(RawPoints(path, COLUMNS), 500_000 * i, SE3(np.eye(3), [0.9, 0, 1.8]), pose)
        frames.append(Frame(f"f{i}", "drive", (sweep,), {}, tuple(views)))
    return frames


def found(frames):
    """(id, where, what) of all problems of the first frame and of the scene."""
    problems = []
    for rule in RULES:
        if rule.of_frame:
            problems += [(rule.id, p.where, p.what) for p in rule.of_frame(Probe(frames[0], NoSweeps()))]
        if rule.of_scene:
            problems += [(rule.id, p.where, p.what) for p in rule.of_scene(frames)]
    return problems


def with_view(frame, **changes):
    """The frame with another first camera."""
    return replace(frame, cameras=(replace(frame.cameras[0], **changes), *frame.cameras[1:]))


def with_cloud(frame, values, columns=COLUMNS):
    """The frame with another file."""
    path = frame.sweep.source.path
    path.write_bytes(values if isinstance(values, bytes) else np.ascontiguousarray(values).tobytes())
    return replace(frame, sweeps=(replace(frame.sweep, source=RawPoints(path, columns)),))


def test_a_plausible_scene_raises_no_alarm(scene):
    assert found(scene) == []


def wide(rows, width, size):
    """The rows, followed by values from 0 to `size`, 5 `size`, 10 `size` and so on."""
    more = np.random.default_rng(0).random((len(rows), width - 5)) * size * (1 + 5 * np.arange(width - 5))
    return np.column_stack([rows, more]).astype("<f4")


def of_pcl(rows):
    """Structures of the Point Cloud Library in memory: x, y, z, 1, intensity and three values of padding."""
    return np.column_stack([rows[:, :3], np.ones(len(rows)), rows[:, 3], np.zeros((len(rows), 3))]).astype("<f4")


def integers(rows, scale, kind):
    return np.round(np.column_stack([rows[:, :3] * scale, rows[:, 3]])).astype(kind)


@pytest.mark.parametrize(
    ("change", "words", "columns"),
    [
        (lambda rows: (rows[:, :3], COLUMNS), "looks like 3 values per point", "x,y,z"),
        (lambda rows: (rows[:, :4], COLUMNS), "looks like 4 values per point", "x,y,z,intensity"),
        (lambda rows: (rows, COLUMNS[:4]), "looks like 5 values per point", "x,y,z,intensity,ring"),
        (lambda rows: (np.c_[rows[:, :4], rows[:, 3:] / 255], COLUMNS[:4]), "looks like 6", "x,y,z,intensity,_,_"),
        (lambda rows: (np.c_[rows, rows[:, 2:]], COLUMNS[:4]), "looks like 8", "x,y,z,intensity,ring,_,_,_"),
        (lambda rows: (np.c_[rows[:, :4], 0 * rows[:, :4]], COLUMNS[:4]), "looks like 8", "x,y,z,intensity,_,_,_,_"),
        (lambda rows: (np.c_[rows, 0 * rows], COLUMNS), "looks like 10", "x,y,z,intensity,ring,_,_,_,_,_"),
        (lambda rows: (wide(rows, 16, 0), COLUMNS[:4]), "looks like 16", "x,y,z,intensity,ring" + 11 * ",_"),
        (lambda rows: (wide(rows, 9, 1), COLUMNS[:4]), "looks like 9", "x,y,z,intensity,ring" + 4 * ",_"),
        (lambda rows: (wide(rows, 12, 1), COLUMNS), "looks like 12", "x,y,z,intensity,ring" + 7 * ",_"),
        (lambda rows: (of_pcl(rows), COLUMNS[:4]), "looks like 8", "x,y,z,_,intensity,_,_,_"),
        (lambda rows: (rows[:, :4].astype("<f8"), COLUMNS[:4]), "64-bit", "x:f8,y,z,intensity"),
        (lambda rows: (rows[:, :4].astype("<f2").astype("<f8"), COLUMNS[:4]), "64-bit", "x:f8,y,z,intensity"),
        (lambda rows: (rows.astype(">f4"), COLUMNS), "big-endian", "x:>f4,y,z,intensity,ring"),
        (lambda rows: (integers(rows, 1000, "<i4"), COLUMNS), "32-bit integers", "x_mm:i4,y_mm,z_mm,intensity"),
        (lambda rows: (integers(rows, 100, "<i2"), COLUMNS), "16-bit integers", "x_cm:i2,y_cm,z_cm,intensity"),
        (lambda rows: (rows[:, [3, 0, 1, 2]], COLUMNS[:4]), "no position", "intensity,x,y,z"),
        (lambda rows: (rows[:, [4, 0, 1, 2, 3]], COLUMNS), "no position", "ring,x,y,z,intensity"),
    ],
)
def test_a_cloud_of_other_columns(scene, change, words, columns):
    values, stated = change(cloud(8000))
    scene[0] = with_cloud(scene[0], values, stated)
    ((what,),) = ([what for rule, _, what in found(scene) if rule == "cloud-columns"],)
    assert words in what
    assert f"it is read as {', '.join(stated)} of 32 bits" in what
    assert what.endswith(f"--columns {columns}")
    scene[0] = with_cloud(scene[0], values, tuple(columns.split(",")))
    assert [rule for rule, *_ in found(scene)] == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"".join(b"%07.3f %07.3f\n" % (k % 90, k % 70) for k in range(4000)), "holds text"),
        (np.random.default_rng(0).bytes(64000), "no coordinates"),
    ],
)
def test_a_file_that_is_no_cloud(scene, content, words):
    scene[0] = with_cloud(scene[0], content, COLUMNS[:4])
    assert any(rule == "cloud-columns" and words in what for rule, _, what in found(scene))


def firing(rows, beams):
    """The rows in an order in which a LiDAR may fire its beams."""
    return rows[np.argsort(rows[:, 4], kind="stable")].reshape(beams, -1, 5).swapaxes(0, 1).reshape(-1, 5)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: firing(rows, 2),
        lambda rows: firing(rows, 16),
        lambda rows: rows[np.argsort(rows[:, 4], kind="stable")],
        lambda rows: np.random.default_rng(0).permutation(rows),
        lambda rows: rows * [1, 1, 1, 0, 1],
        lambda rows: rows * [1, 1, 1, 1 / 255, 0],
        lambda rows: np.where(np.arange(len(rows))[:, None] % 5 < 2, rows, 0),
        lambda rows: np.where(np.arange(len(rows))[:, None] % 5 < 2, rows, np.nan),
        lambda rows: np.where(np.arange(len(rows))[:, None] % 2, rows, np.nan),
        lambda rows: np.where(np.arange(len(rows))[:, None] % 2, np.nan, rows),
        lambda rows: np.where(np.arange(len(rows))[:, None] % 3, rows, 0),
        lambda rows: np.where(np.arange(len(rows))[:, None] % 3, np.nan, rows),
        lambda rows: rows - [0, 0, 10, 0, 0],
        lambda rows: rows[:200],
        lambda rows: np.round(rows, 2),
    ],
)
@pytest.mark.parametrize("width", [4, 5])
def test_clouds_differ(scene, change, width):
    """Orders of firing, intensities of other ranges, rows where nothing returned, other mountings, few points."""
    rows = change(cloud(8000))[:, :width]
    scene[0] = with_cloud(scene[0], rows.astype("<f4"), COLUMNS[:width])
    assert [problem for problem in found(scene) if problem[0].startswith("cloud")] == []


def test_stated_types_are_not_questioned(scene):
    scene[0] = with_cloud(scene[0], cloud()[:, :4].astype("<f8"), ("x:f8", "y", "z", "intensity"))
    assert found(scene) == []


@pytest.mark.parametrize("axes", [[1, 2, 0], [0, 2, 1], [2, 0, 1]])
def test_a_cloud_whose_z_axis_is_not_upright(scene, axes):
    rows = cloud()
    rows[:, :3] = rows[:, axes]
    scene[0] = with_cloud(scene[0], rows)
    assert any(rule == "cloud-axes" and "not upright" in what for rule, _, what in found(scene))


def test_a_lidar_may_be_mounted_in_any_way(scene):
    """The mounting states how it is turned."""
    turned = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    rows, mount = cloud(), scene[0].sweep.ego_SE3_lidar
    rows[:, :3] = rows[:, :3] @ turned
    frame = with_cloud(scene[0], rows)
    scene[0] = replace(frame, sweeps=(replace(frame.sweep, ego_SE3_lidar=SE3(turned, mount.translation_m)),))
    assert found(scene) == []


def test_a_cloud_of_gaps(scene):
    rows = cloud()
    rows[200:, 0] = np.nan
    scene[0] = with_cloud(scene[0], rows)
    assert ("cloud-gaps", "only 200 of 4000 rows have a position") not in [(r, w) for r, _, w in found(scene)]
    rows[199:, 0] = np.nan
    scene[0] = with_cloud(scene[0], rows)
    assert ("cloud-gaps", "only 199 of 4000 rows have a position") in [(r, w) for r, _, w in found(scene)]


def test_a_cloud_of_two_places(scene):
    scene[0] = with_cloud(scene[0], np.repeat(cloud()[100:102], 2000, axis=0))
    assert any(rule == "cloud-extent" and "only 2 differ in their position" in what for rule, _, what in found(scene))


def test_a_cloud_of_zeros_is_not_taken_for_64_bit_values(scene):
    rows = np.zeros((4000, 5), "<f4")
    rows[:100] = cloud()[:100]
    scene[0] = with_cloud(scene[0], rows)
    problems = found(scene)
    assert ("cloud-extent", "98% of 4000 points are at 0, 0, 0") in [(rule, what) for rule, _, what in problems]
    assert "cloud-columns" not in [rule for rule, *_ in problems]


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1000, "millimetres; state x_mm,y_mm,z_mm with --columns"),
        (100, "centimetres; state x_cm,y_cm,z_cm with --columns"),
        (15, "beyond"),
        (0.001, "within"),
    ],
)
def test_a_cloud_of_another_unit(scene, factor, words):
    rows = cloud()
    rows[:, :3] *= factor
    scene[0] = with_cloud(scene[0], rows)
    assert any(rule == "cloud-extent" and words in what for rule, _, what in found(scene))


def test_a_cloud_that_is_too_tall(scene):
    rows = cloud()
    rows[:, [0, 2]] = rows[:, [2, 0]] * 3
    scene[0] = with_cloud(scene[0], rows)
    assert any(rule == "cloud-extent" and "height" in what for rule, _, what in found(scene))


@pytest.mark.parametrize("value", [-1, 70_000])
def test_an_intensity_out_of_range(scene, value):
    rows = cloud()
    rows[7, 3] = value
    scene[0] = with_cloud(scene[0], rows)
    assert [rule for rule, _, _ in found(scene)] == ["intensity-range"]


def test_an_image_of_another_size(scene):
    scene[0] = with_view(scene[0], source=Picture(width_px=160))
    assert found(scene) == [("image-size", "picture", "160 x 180 px; the tables state 320 x 180 px")]


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [((0, 2), 1e6, "principal point"), ((0, 0), 1e-9, "field of view"), ((1, 1), 900, "factor of 2")],
)
def test_a_lens_that_does_not_exist(scene, place, value, words):
    K = CAMERA.K.copy()
    K[place] = value
    scene[0] = with_view(scene[0], camera=Camera(K, 320, 180))
    assert any(rule == "camera-intrinsics" and where == "FRONT" and words in what for rule, where, what in found(scene))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda pose: SE3(np.eye(3), pose.translation_m), "identity"),
        (lambda pose: pose.inverse(), "inverted"),
        (lambda pose: SE3(pose.rotation.T, pose.translation_m), "transposed"),
        (lambda pose: SE3(pose.rotation, 1000 * pose.translation_m), "millimetres"),
        (lambda pose: SE3(pose.rotation, pose.translation_m + np.array([40, 0, 0])), "41.53 m away"),
        (lambda pose: SE3(Rotation.from_euler("xyz", [-90, 0, -90]).as_matrix(), pose.translation_m), "degrees"),
        (lambda pose: SE3(pose.rotation @ np.diag([-1.0, -1, 1]), pose.translation_m), "180 degrees from upright"),
    ],
)
def test_a_mounting_that_cannot_be(scene, change, words):
    scene[0] = with_view(scene[0], ego_SE3_cam=change(scene[0].cameras[0].ego_SE3_cam))
    assert any(rule == "camera-mounting" and where == "FRONT" and words in what for rule, where, what in found(scene))


def test_a_camera_mounted_on_its_side_by_less_than_60_degrees_is_no_mistake(scene):
    turned = Rotation.from_euler("z", 45, degrees=True).as_matrix()
    mount = scene[0].cameras[0].ego_SE3_cam
    scene[0] = with_view(scene[0], ego_SE3_cam=SE3(mount.rotation @ turned, mount.translation_m))
    assert found(scene) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda pose: SE3(pose.rotation, 1000 * pose.translation_m), "with the translation in millimetres, "),
        (lambda pose: SE3(np.eye(3), pose.translation_m), "with the axes of a camera (z forward), "),
    ],
)
def test_a_camera_without_points_is_tried_with_the_usual_mistakes(scene, change, words):
    (rule,) = (rule for rule in RULES if rule.id == "points-in-view")
    scene[0] = with_view(scene[0], ego_SE3_cam=change(scene[0].cameras[0].ego_SE3_cam))
    (problem,) = rule.of_frame(Probe(scene[0], NoSweeps()))
    assert problem.where == "FRONT"
    assert words in problem.what
    assert int(problem.what.split(words)[1].split()[0]) > 200


def test_a_lidar_that_no_camera_fits_is_tried_too(scene):
    (rule,) = (rule for rule in RULES if rule.id == "points-in-view")
    sweep = replace(scene[0].sweep, ego_SE3_lidar=SE3(np.eye(3), [0.0, 0, 1_800]))
    problems = list(rule.of_frame(Probe(replace(scene[0], sweeps=(sweep,)), NoSweeps())))
    assert [problem.where for problem in problems] == ["FRONT", "LEFT", "REAR"]
    assert all("with the translation in millimetres of the LiDAR, " in problem.what for problem in problems)


def test_a_camera_without_points(scene):
    half = cloud()
    scene[0] = with_cloud(scene[0], half[half[:, 0] < 0])
    assert found(scene) == [("points-in-view", "FRONT", f"0 of {(half[:, 0] < 0).sum()} points are in its image")]


def at_time(frame, t_us):
    """The frame at another time."""
    cameras = tuple(replace(view, t_us=t_us) for view in frame.cameras)
    return replace(frame, sweeps=(replace(frame.sweep, t_us=t_us),), cameras=cameras)


@pytest.mark.parametrize(("t_us", "words"), [(500_000, "at the time of the frame that it"), (-500_000, "1 s before")])
def test_times_that_do_not_rise(scene, t_us, words):
    scene[2] = at_time(scene[2], t_us)
    assert [(rule, where, words in what) for rule, where, what in found(scene)] == [("times", "f2", True)]


def test_a_gap(scene):
    scene[2] = at_time(scene[2], 60_000_000)
    assert found(scene) == [("time-gaps", "f2", "59.5 s after the frame before it in drive; 0.5 s is usual")]


def test_an_image_far_from_its_sweep(scene):
    scene[1] = with_view(scene[1], t_us=500_000 + 60_000_000)
    assert [(rule, where) for rule, where, _ in found(scene)] == [("times", "f1 FRONT")]


def test_a_vehicle_that_jumps(scene):
    far = SE3(np.eye(3), [600, 3100, 0])
    assert [rule for rule, *_ in found([scene[0], with_view(scene[1], world_SE3_ego=far)])] == ["poses"]
    moved = replace(
        scene[2],
        sweeps=(replace(scene[2].sweep, world_SE3_ego=far),),
        cameras=tuple(replace(view, world_SE3_ego=far) for view in scene[2].cameras),
    )
    ((rule, where, what),) = found([scene[0], scene[1], moved])
    assert (rule, where) == ("poses", "f2")
    assert "jumps 1500 m in 0.5 s" in what
