"""Faults planted in a plausible drive: `check` names each by its rule, and says what it found."""

import json
import math

import numpy as np
import pytest
from helpers.commands import label
from helpers.nuscenes_root import BOX_KINDS, HEIGHT_PX, WIDTH_PX, make_root, token
from PIL import Image

VERSION = "v1.0-mini"
SAMPLES = 9
CALIBRATION = {name: token("calibrated", name) for name in ("CAM_FRONT", "CAM_BACK", "LIDAR_TOP")}


def cloud(rng):
    """(8000,5) float32 x, y, z, intensity, ring: ground 1.8 m below, walls 15 m around, and the boxes."""
    ring = np.tile(np.arange(32), 250)
    azimuth = np.repeat(np.linspace(-np.pi, np.pi, 250, endpoint=False), 32)
    down = np.radians(ring - 24.0)
    reach = np.where(down < -0.1, -1.8 / np.minimum(down, -0.1), 15.0) + 0.02 * rng.standard_normal(len(ring))
    xyz = [reach * np.cos(azimuth), reach * np.sin(azimuth), reach * np.tan(down)]
    return np.column_stack([*xyz, rng.integers(0, 255, len(ring)), ring]).astype("<f4")


def turning(tables):
    """A drive on a bend at 8 m/s, with key frames every half second, and annotations that move along."""
    start = min(row["timestamp"] for row in tables["sample"])
    for name in ("sample", "sample_data", "ego_pose"):
        for row in tables[name]:
            row["timestamp"] = start + (row["timestamp"] - start) * 10 // 3
    for row in tables["ego_pose"]:
        turned = 0.1 * (row["timestamp"] - start) * 1e-6 * 2
        row["translation"] = [400 + 40 * math.sin(turned), 1100 + 40 * (1 - math.cos(turned)), 0.0]
        row["rotation"] = [math.cos(turned / 2), 0.0, 0.0, math.sin(turned / 2)]


def rows(tables, name, **fields):
    return [row for row in tables[name] if all(row[field] == value for field, value in fields.items())]


def keys(tables, channel):
    return [row for row in tables["sample_data"] if row["is_key_frame"] and f"/{channel}/" in row["filename"]]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A drive without faults; tests spoil its tables and files in place and repair them after."""
    root = make_root(
        tmp_path_factory.mktemp("good") / "root", samples_per_scene=SAMPLES, sweeps_between=2, edit=turning
    )
    rng = np.random.default_rng(0)
    for path in (root / "samples" / "LIDAR_TOP").iterdir():
        cloud(rng).tofile(path)
    for path in (root / "sweeps" / "LIDAR_TOP").iterdir():
        cloud(rng).tofile(path)
    return root


@pytest.fixture
def root(good, tmp_path):
    """A copy whose files are links, so that it is made quickly; a spoilt file must be replaced."""
    for path in good.rglob("*"):
        target = tmp_path / "root" / path.relative_to(good)
        if path.is_dir():
            target.mkdir(parents=True)
        else:
            target.hardlink_to(path)
    return tmp_path / "root"


def edit(root, **changes):
    """Change tables; each change gets the rows of its table."""
    for name, change in changes.items():
        path = root / VERSION / f"{name}.json"
        table = json.loads(path.read_text())
        change(table)
        path.unlink()
        path.write_text(json.dumps(table))


def checked(root, *more):
    """Exit status and output of the check with all files opened."""
    result = label("check", root, "--all", *more)
    return result.exit_code, result.output


def each(**fields):
    """A change of all rows."""
    return lambda table: [row.update(fields) for row in table]


def of(match, **fields):
    """A change of the rows whose token, or another value, is `match`."""

    def change(table):
        found = [row for row in table if match in row.values()]
        assert found
        for row in found:
            row.update(fields)

    return change


def first(n=0, /, **fields):
    return lambda table: table[n].update(fields)


def scaled(field, factor):
    return lambda table: [row.update({field: [value * factor for value in row[field]]}) for row in table]


def in_unit(divisor):
    """All times in another unit."""
    change = lambda table: [row.update(timestamp=int(row["timestamp"] / divisor)) for row in table]  # noqa: E731
    return {"sample": change, "sample_data": change, "ego_pose": change}


def key_images(channel, change):
    def changed(table):
        found = keys({"sample_data": table}, channel)
        assert found
        for row in found:
            change(row)

    return changed


def inverted(row):
    """The inverse of a pose about the z axis, and of its rotation."""
    w, _, _, z = row["rotation"]
    c, s = w * w - z * z, 2 * w * z
    x, y, _ = row["translation"]
    row.update(translation=[-(c * x + s * y), -(-s * x + c * y), 0.0], rotation=[w, 0.0, 0.0, -z])


def conjugate(row):
    w, *xyz = row["rotation"]
    row["rotation"] = [w, *(-value for value in xyz)]


CAMERA = {"x": [40.0, 0.0, 32.0], "y": [0.0, 40.0, 18.0], "z": [0.0, 0.0, 1.0]}
FRONT = CALIBRATION["CAM_FRONT"]
TABLES = {
    "a category of another naming": (
        {"category": of("vehicle.car", name="car")},
        "unknown-classes",
        (f"'car': {SAMPLES} objects; nearest: vehicle.car",),
    ),
    "categories of T4": (
        {"category": of("human.pedestrian.adult", name="own.pedestrian.adult")},
        "unknown-classes",
        ("'own.pedestrian.adult': 9 objects", "nearest: human.pedestrian.adult"),
    ),
    "an unknown modality": (
        {"sensor": of("CAM_BACK", modality="cam")},
        "unknown-channels",
        ("CAM_BACK: its modality is 'cam'",),
    ),
    "a camera without key frames": (
        {"sample_data": key_images("CAM_BACK", lambda row: row.update(is_key_frame=False))},
        "unknown-channels",
        ("CAM_BACK: no row of this camera has is_key_frame",),
    ),
    "a camera missing in one frame": (
        {"sample_data": lambda table: keys({"sample_data": table}, "CAM_BACK")[2].update(is_key_frame=False)},
        "missing-cameras",
        ("CAM_BACK: no image in 1 of 9 frames",),
    ),
    "a lens that folds inside of the image": (
        {"calibrated_sensor": of(FRONT, camera_distortion=[-1.3, 0.1, 0, 0, 0])},
        "camera-distortion",
        ("CAM_FRONT: camera_distortion [-1.3, 0.1, 0.0, 0.0, 0.0] of a brown lens", "without a ray", "folds 27."),
    ),
    "coefficients for degrees": (
        {"calibrated_sensor": of(FRONT, camera_distortion=[17.0, 5.7, 0, 0, 0])},
        "camera-distortion",
        ("times their distance from the principal point",),
    ),
    "coefficients for pixels": (
        {"calibrated_sensor": of(FRONT, camera_distortion=[-2e-7, 1e-14, 0, 0, 0])},
        "camera-distortion",
        ("moves no pixel by more than", "it may be meant for coordinates in pixels"),
    ),
    "coefficients in another order": (
        {"calibrated_sensor": of(FRONT, camera_distortion=[-0.3, 0.1, -0.08, 0.001, -0.002])},
        "camera-distortion",
        ("p1 and p2, the third and the fourth, are larger than those of a lens", "OpenCV's order"),
    ),
    "a fisheye in degrees": (
        {"calibrated_sensor": of(FRONT, camera_distortion=[-6, 1, 0, 0], camera_lens="fisheye")},
        "camera-distortion",
        ("of a fisheye lens leaves", "without a ray"),
    ),
    "three coefficients": (
        {"calibrated_sensor": of(FRONT, camera_distortion=[-0.3, 0.1, 0.2])},
        "calibration-values",
        ("[CAL002]", FRONT, "'camera_distortion' of CAM_FRONT", "a brown lens has the coefficients k1, k2, p1, p2"),
    ),
    "a fisheye without coefficients": (
        {"calibrated_sensor": of(FRONT, camera_lens="fisheye")},
        "calibration-values",
        ("'camera_distortion' of CAM_FRONT", "a fisheye lens has the coefficients k1, k2, k3, k4, got ()"),
    ),
    "a coefficient that is text": (
        {"calibrated_sensor": of(FRONT, camera_distortion=[-0.3, "0.1", 0, 0, 0])},
        "calibration-values",
        ("'camera_distortion' of CAM_FRONT", 'not a list of numbers: [-0.3, "0.1", 0, 0, 0]'),
    ),
    "a coefficient that is not finite": (
        {"calibrated_sensor": of(FRONT, camera_distortion=[math.nan, 0, 0, 0, 0])},
        "calibration-values",
        ("'camera_distortion' of CAM_FRONT", "not a list of numbers: [null, 0, 0, 0, 0]"),
    ),
    "a lens of another name": (
        {"calibrated_sensor": of(FRONT, camera_lens="Fisheye")},
        "calibration-values",
        ("'camera_lens' of CAM_FRONT", "no lens model 'Fisheye'"),
    ),
    "one row time": (
        {"calibrated_sensor": of(FRONT, camera_readout_s=[0.03])},
        "calibration-values",
        ("'camera_readout_s' of CAM_FRONT", "not two numbers: [0.03]"),
    ),
    "row times in milliseconds": (
        {"calibrated_sensor": of(FRONT, camera_readout_s=[-15, 15])},
        "row-times",
        ("CAM_FRONT: its rows are exposed from -15 to 15 s from the time stamp", "in seconds"),
    ),
    "distortion as ROS names it": (
        {"calibrated_sensor": of(FRONT, D=[-0.3, 0.1, 0, 0, 0])},
        "camera-distortion",
        ("CAM_FRONT: 'D' is [-0.3, 0.1, 0, 0, 0]", "this field is not read", "camera_distortion"),
    ),
    "a lens that is no pinhole": (
        {"calibrated_sensor": of(FRONT, camera_distortion=[0] * 5, camera_model="Fisheye")},
        "camera-distortion",
        ("CAM_FRONT: 'camera_model' is \"Fisheye\"", "camera_lens"),
    ),
    "distortion by another name": (
        {"calibrated_sensor": of(FRONT, distortion_coefficients={"k1": 0.1})},
        "camera-distortion",
        ("'distortion_coefficients'",),
    ),
    "times in milliseconds": (in_unit(1000), "time-units", ("milliseconds since 1970",)),
    "times in seconds": (in_unit(1_000_000), "time-units", ("seconds since 1970",)),
    "times in nanoseconds": (in_unit(0.001), "time-units", ("nanoseconds since 1970",)),
    "times in milliseconds from 0": (
        {
            name: lambda table: [row.update(timestamp=row["timestamp"] % 10**9 // 1000) for row in table]
            for name in ("sample", "sample_data", "ego_pose")
        },
        "time-units",
        ("microseconds apart: the times are probably milliseconds",),
    ),
    "an image a minute late": (
        {"sample_data": lambda t: keys({"sample_data": t}, "CAM_FRONT")[0].update(timestamp=1_900_000_000_000_000)},
        "times",
        ("CAM_FRONT: image", "from the sweep"),
    ),
    "samples of other times than their sweeps": (
        {"sample": lambda table: [row.update(timestamp=row["timestamp"] + 2_000_000) for row in table]},
        "times",
        ("9 of 9 key sweeps have a time more than 0.5 s from that of their sample",),
    ),
    "a pose far away": (
        {"ego_pose": first(6, translation=[1e9, 0.0, 0.0])},
        "poses",
        ("the vehicle is 1e+09 m away", "in one world frame"),
    ),
    "poses in millimetres": (
        {"ego_pose": scaled("translation", 1000)},
        "poses",
        ("the vehicle jumps", "probably in millimetres"),
    ),
    "placeholder poses": (
        {"ego_pose": each(translation=[0.0, 0.0, 0.0], rotation=[1.0, 0.0, 0.0, 0.0])},
        "identity-poses",
        ("the identity in all 9 frames",),
    ),
    "inverted poses": (
        {"ego_pose": lambda table: [inverted(row) for row in table]},
        "pose-direction",
        ("probably inverted",),
    ),
    "a quaternion of length 2": (
        {"ego_pose": first(0, rotation=[2.0, 0.0, 0.0, 0.0])},
        "calibration-values",
        ("[CAL001]", "ego_pose.json", "length 2.0000, expected 1"),
    ),
    "a pose that is not a number": (
        {"ego_pose": first(0, translation=[None, 0.0, 0.0])},
        "calibration-values",
        ("[CAL003]", "ego_pose.json"),
    ),
    "a camera matrix of zeros": (
        {"calibrated_sensor": of(FRONT, camera_intrinsic=[[0.0] * 3] * 3)},
        "calibration-values",
        ("[CAL002]", "calibrated_sensor.json", "CAM_FRONT", "(9 frames of this kind)"),
    ),
    "an identity extrinsic": (
        {"calibrated_sensor": of(FRONT, rotation=[1.0, 0.0, 0.0, 0.0])},
        "camera-mounting",
        ("CAM_FRONT: its rotation is the identity",),
    ),
    "an inverted rotation": (
        {"calibrated_sensor": lambda table: [conjugate(row) for row in table if row["token"] == FRONT]},
        "camera-mounting",
        ("CAM_FRONT: it is not upright; its inverse is",),
    ),
    "an extrinsic in millimetres": (
        {"calibrated_sensor": of(FRONT, translation=[500.0, 0.0, 1500.0])},
        "camera-mounting",
        ("CAM_FRONT: 1581 m away", "probably millimetres"),
    ),
    "a LiDAR mounted in millimetres": (
        {"calibrated_sensor": of(CALIBRATION["LIDAR_TOP"], translation=[900.0, 0.0, 1800.0])},
        "camera-mounting",
        ("LIDAR_TOP: 2012 m away", "probably millimetres"),
    ),
    "a scene name that is too long": (
        {"scene": first(0, name="x" * 300)},
        "scene-names",
        ("longer than 250 bytes",),
    ),
    "a principal point outside": (
        {"calibrated_sensor": of(FRONT, camera_intrinsic=[[40.0, 0.0, 1e6], CAMERA["y"], CAMERA["z"]])},
        "camera-intrinsics",
        ("principal point",),
    ),
    "a focal length of nothing": (
        {"calibrated_sensor": of(FRONT, camera_intrinsic=[[1e-9, 0.0, 32.0], [0.0, 1e-9, 18.0], CAMERA["z"]])},
        "camera-intrinsics",
        ("focal length",),
    ),
    "boxes in another frame": (
        {"sample_annotation": lambda table: [row["translation"].__setitem__(2, 20.0) for row in table]},
        "boxes-in-cloud",
        ("0 of 3", "boxes within 40 m of the LiDAR hold points"),
    ),
    "a box of no size": (
        {"sample_annotation": first(0, size=[0.0, 1.0, 1.0])},
        "ground-truth",
        ("[DAT011]", "sample_annotation.json", "'size'"),
    ),
    "no cameras at all in a frame": (
        {
            "sample_data": lambda table: [
                row.update(is_key_frame=False)
                for row in table
                if row["sample_token"] == table[0]["sample_token"] and "/CAM_" in row["filename"]
            ]
        },
        "readable",
        ("[DAT011]", "has no camera key frame"),
    ),
}


@pytest.mark.parametrize(("changes", "rule", "words"), TABLES.values(), ids=TABLES)
def test_a_fault_of_the_tables(root, changes, rule, words):
    edit(root, **changes)
    status, output = checked(root)
    found = output[output.index(f"[{rule}]") :] if f"[{rule}]" in output else pytest.fail(output)
    assert [word for word in words if word not in found] == []
    severity = next(line for line in output.splitlines() if f"[{rule}]" in line).split()[0].rpartition("]")[2]
    if severity == "error":
        assert status == 4
        assert f"error [{rule}]" not in checked(root, "--accept", rule)[1]


def files(root, folder, suffix=""):
    return sorted(path for path in (root / folder).iterdir() if path.name.endswith(suffix))


def replaced(path, content):
    path.unlink()
    path.write_bytes(content)


def remove(root, folder, count):
    for path in files(root, folder)[:count]:
        path.unlink()


def to_png(root):
    for path in files(root, "samples/CAM_BACK"):
        path.rename(path.with_suffix(".png"))


def resized(root):
    for path in files(root, "samples/CAM_BACK"):
        path.unlink()
        Image.new("RGB", (WIDTH_PX * 2, HEIGHT_PX * 2)).save(path)


def clouds(root, change):
    for path in files(root, "samples/LIDAR_TOP"):
        replaced(path, change(np.fromfile(path, "<f4").reshape(-1, 5)).tobytes())


def millimetres(values):
    return (values * np.array([1000, 1000, 1000, 1, 1])).astype("<f4")


def label_pack(root, points):
    tokens = [row["token"] for row in json.loads((root / VERSION / "sample_data.json").read_text())]
    sweeps = [name for name in tokens if name == token("scene-0061", "LIDAR_TOP", 0)]
    (root / "lidarseg").mkdir()
    (root / "lidarseg" / "a.bin").write_bytes(bytes(points))
    rows = [{"token": "t", "sample_data_token": sweeps[0], "filename": "lidarseg/a.bin"}]
    (root / VERSION / "lidarseg.json").write_text(json.dumps(rows))
    edit(root, category=lambda table: [row.update(index=k) for k, row in enumerate(table)])


FILES = {
    "three sweeps missing": (
        lambda root: remove(root, "samples/LIDAR_TOP", 3),
        "missing-files",
        ("LIDAR_TOP: 3 of 9 files are missing, for example", "_LIDAR_TOP__"),
    ),
    "images of one camera missing": (
        lambda root: remove(root, "samples/CAM_FRONT", 9),
        "missing-files",
        ("CAM_FRONT: 9 of 9 files are missing",),
    ),
    "images of another suffix": (to_png, "missing-files", ("CAM_BACK: 9 of 9 files are missing", ".png is there")),
    "sweeps between key frames missing": (
        lambda root: remove(root, "sweeps/LIDAR_TOP", 100),
        "past-sweeps",
        ("16 of 16 files are missing", "--set data.points.past_sweeps=0", "--recipe paper"),
    ),
    "older sweeps between key frames missing": (
        lambda root: [path.unlink() for path in files(root, "sweeps/LIDAR_TOP")[::2]],
        "past-sweeps",
        ("LIDAR_TOP before key frames: ",),
    ),
    "images of another size": (resized, "image-size", ("128 x 72 px; the tables state 64 x 36 px",)),
    "clouds of four columns": (
        lambda root: clouds(root, lambda values: np.ascontiguousarray(values[:, :4])),
        "cloud-columns",
        ("4 values per point; it is read as x, y, z, intensity, ring",),
    ),
    "clouds in millimetres": (lambda root: clouds(root, millimetres), "cloud-extent", ("millimetres",)),
    "clouds of zeros": (lambda root: clouds(root, np.zeros_like), "readable", ("at 0, 0, 0",)),
    "clouds with shifted intensities": (
        lambda root: clouds(root, lambda values: values - np.float32([0, 0, 0, 300, 0])),
        "intensity-range",
        ("intensities from -300",),
    ),
    "a truncated sweep": (
        lambda root: replaced(files(root, "samples/LIDAR_TOP")[0], b"abc"),
        "readable",
        ("[DAT006]",),
    ),
    "an image that is none": (
        lambda root: replaced(files(root, "samples/CAM_BACK")[0], b"abc"),
        "readable",
        ("[DAT005]",),
    ),
    "a label pack of another cloud": (
        lambda root: label_pack(root, 7),
        "ground-truth",
        ("[DAT011]", "labels of shape (7,) for a sweep of 8000 points"),
    ),
}


@pytest.mark.parametrize(("spoil", "rule", "words"), FILES.values(), ids=FILES)
def test_a_fault_of_the_files(root, spoil, rule, words):
    spoil(root)
    _, output = checked(root)
    found = output[output.index(f"[{rule}]") :] if f"[{rule}]" in output else pytest.fail(output)
    assert [word for word in words if word not in found] == []


def test_a_plausible_drive_raises_no_alarm(root):
    status, output = checked(root)
    assert (status, "no problem found" in output) == (0, True), output
    assert len(BOX_KINDS) == 4


def test_a_real_gap_small_rounding_and_an_extra_radar_raise_no_alarm(root):
    """True variety: a quaternion rounded to four digits, a pause of four seconds, distortion of zeros, and more."""

    def rounded(table):
        for row in table:
            row["rotation"] = [round(value, 4) for value in row["rotation"]]

    def calibrations(table):
        rounded(table)
        of(FRONT, camera_distortion=[0.0] * 5)(table)

    edit(root, ego_pose=rounded, calibrated_sensor=calibrations)
    edit(root, sensor=lambda table: table.append({"token": "r", "channel": "RADAR_REAR", "modality": "radar"}))
    status, output = checked(root)
    assert (status, "no problem found" in output) == (0, True), output


@pytest.mark.parametrize(
    ("lens", "distortion"),
    [("brown", [-0.12, 0.02, 0.001, -0.001, 0]), ("brown", [0.3, 0, 0, 0, 0, 0.5, 0, 0]), ("fisheye", [0.02, 0, 0, 0])],
)
def test_a_lens_and_row_times_raise_no_alarm(root, lens, distortion):
    stated = {"camera_distortion": distortion, "camera_lens": lens, "camera_readout_s": [-0.015, 0.015]}
    other = {"camera_distortion": None, "camera_lens": None, "camera_readout_s": None}
    cameras = [key for name, key in CALIBRATION.items() if name != "LIDAR_TOP"]
    edit(root, calibrated_sensor=lambda table: [row.update(stated) for row in table if row["token"] in cameras])
    edit(root, calibrated_sensor=of(CALIBRATION["LIDAR_TOP"], **other))
    status, output = checked(root)
    assert (status, "no problem found" in output) == (0, True), output
