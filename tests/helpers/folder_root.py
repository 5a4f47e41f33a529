"""Tiny plain folders of a made-up drive: cars on a road, seen by LiDARs and by cameras that draw them."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.spatial.transform import Rotation

from pointsam.datasets.folder.calibration import (
    BoxesEntry,
    Calibration,
    CameraEntry,
    Files,
    Intrinsics,
    LidarEntry,
    PosesEntry,
    calibration_text,
)
from pointsam.datasets.folder.transforms import Transform
from pointsam.geometry.se3 import SE3

START_US = 1_700_000_000_000_000
PERIOD_US = 100_000
WIDTH, HEIGHT, FOCAL = 320, 192, 200.0
AXES = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""From the axes of a camera to those of the vehicle."""


def yawed(degrees, position, axes=None):
    turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    return SE3(turn if axes is None else turn @ axes, np.array(position, dtype=float))


LIDARS = {"top": yawed(5, (0.2, 0.1, 1.8)), "side": yawed(-40, (0.5, -0.8, 1.0))}
CAMERAS = {
    "front": yawed(0, (1.5, 0.0, 1.5), AXES),
    "left": yawed(60, (1.0, 0.5, 1.5), AXES),
    "right": yawed(-60, (1.0, -0.5, 1.5), AXES),
}
CAMERA_LATE_US = 20_000


def pose(t_us):
    """world_SE3_vehicle: 8 m/s, in a slight turn."""
    seconds = (t_us - START_US) * 1e-6
    return yawed(3 * seconds, (100 + 8 * seconds, 50 + 0.2 * seconds, 0.0))


@dataclass
class Car:
    """A box of the world: centre, length, width, height, yaw in degrees."""

    x: float
    y: float
    yaw: float
    lwh: tuple = (4.4, 1.9, 1.6)
    name: str = "car"
    colour: tuple = (200, 40, 40)

    @property
    def pose(self):
        return yawed(self.yaw, (self.x, self.y, self.lwh[2] / 2))


def cars(count=14, seed=3):
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        side = (-1) ** k
        found.append(
            Car(
                104 + 3.4 * k,
                50 + side * rng.uniform(5, 16),
                rng.uniform(20, 70),
                name=("car", "Pedestrian", "vehicle.truck")[k % 3] if k % 5 else "car",
                lwh=(4.4, 1.9, 1.6) if k % 3 != 1 or not k % 5 else (0.8, 0.6, 1.7),
                colour=tuple(int(v) for v in rng.integers(30, 255, 3)),
            )
        )
    return found


@dataclass
class Drive:
    """Options of a drive; see `make_folder`."""

    frames: int = 6
    lidars: tuple = ("top",)
    cameras: tuple = ("front", "left", "right")
    unit: str = "us"
    suffix: str = ".bin"
    poses: str = "tum"
    boxes: str = "json"
    boxes_frame: str = "world"
    offsets_us: dict = field(default_factory=dict)
    match: str = "stamp"
    start_us: int = START_US
    points: int = 2500
    things: list = field(default_factory=cars)


def name_of(t_us, unit, k):
    """Stem of a file."""
    return {"us": f"{t_us}", "ns": f"{t_us}000", "ms": f"{t_us / 1000}", "s": f"{t_us / 1e6:.6f}", "index": f"{k:06d}"}[
        unit
    ]


def make_folder(root, drives=("",), edit=None, **options):
    """A folder with drives; returns the calibration that was written.

    Args:
        root: the folder to make.
        drives: names of the drives; "" for a root that is the drive.
        edit: called with the calibration, to spoil it; what it returns is written (a text as it is).
        options: of `Drive`.
    """
    root, made = Path(root), Drive(**options)
    if made.match == "index":
        made.unit = "index"
    for name in drives:
        _write_drive(root / name, made)
    calibration = calibration_of(made)
    written = calibration if edit is None else edit(calibration)
    text = written if isinstance(written, str) else calibration_text(written)
    (root / "calibration.yaml").write_text(text)
    return calibration


def calibration_of(made):
    mounts = {**{name: LIDARS[name] for name in made.lidars}, **{name: CAMERAS[name] for name in made.cameras}}
    return Calibration(
        {
            name: CameraEntry((WIDTH, HEIGHT), Intrinsics(FOCAL, FOCAL, (WIDTH - 1) / 2, (HEIGHT - 1) / 2))
            for name in made.cameras
        },
        {name: LidarEntry() for name in made.lidars},
        tuple(Transform.of(name, "vehicle", mount) for name, mount in mounts.items()),
        files=Files(made.match, period_s=0.1) if made.match == "index" else Files(made.match, made.unit),
        poses=PosesEntry(),
        boxes=BoxesEntry(made.boxes_frame) if made.boxes in ("json", "openlabel") else BoxesEntry(),
    )


def _write_drive(folder, made):
    rng = np.random.default_rng(0)
    for k in range(made.frames):
        key_us = made.start_us + k * PERIOD_US
        for n, name in enumerate(made.lidars):
            t_us = key_us + 30_000 * n
            rows = points_of(made.things, pose(t_us - made.start_us + START_US) @ LIDARS[name], rng, made.points)
            stem = name_of(t_us + made.offsets_us.get(name, 0), made.unit, k)
            write_cloud(folder / "clouds" / name / f"{stem}{made.suffix}", rows)
        for name in made.cameras:
            t_us = key_us + (0 if made.match == "index" else CAMERA_LATE_US)
            stem = name_of(t_us + made.offsets_us.get(name, 0), made.unit, k)
            path = folder / "images" / name / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(made.things, pose(t_us - made.start_us + START_US) @ CAMERAS[name]).save(path)
    shift_us = made.start_us - START_US
    ends_us = range(START_US - 100_000, START_US + made.frames * PERIOD_US + 200_000, 50_000)
    _write_poses(folder, made, [(t_us + shift_us, pose(t_us)) for t_us in ends_us])
    _write_boxes(folder, made)


def write_cloud(path, rows, fields=("x", "y", "z", "intensity")):
    """Rows of points as .bin, .npy or .ply."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, rows)
    elif path.suffix == ".ply":
        header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(rows)}\n"
        header += "".join(f"property float {name}\n" for name in fields) + "end_header\n"
        path.write_bytes(header.encode() + rows[:, : len(fields)].tobytes())
    else:
        rows.tofile(path)


def points_of(things, world_SE3_lidar, rng, count):
    """(N,4) float32 points of a LiDAR: on the road, and on the cars that hide it."""
    lidar_SE3_world = world_SE3_lidar.inverse()
    origin = world_SE3_lidar.translation_m
    angle, reach = rng.uniform(-np.pi, np.pi, count), rng.uniform(3, 45, count)
    ground = np.column_stack([origin[0] + reach * np.cos(angle), origin[1] + reach * np.sin(angle), np.zeros(count)])
    parts = [ground]
    for thing in things:
        half = np.array(thing.lwh) / 2
        local = rng.uniform(-1, 1, (160, 3))
        local[:80, 0] = np.sign(thing.pose.inverse().apply(origin[None])[0, 0])
        local[80:, 1] = np.sign(thing.pose.inverse().apply(origin[None])[0, 1])
        parts.append(thing.pose.apply(0.98 * local * half))
        inside = np.abs(thing.pose.inverse().apply(parts[0])[:, :2]) < half[:2]
        parts[0] = parts[0][~inside.all(axis=1)]
    world = np.concatenate(parts)
    xyz = lidar_SE3_world.apply(world[~hidden(things, origin, world)])
    return np.column_stack([xyz, rng.uniform(0, 1, len(xyz))]).astype("<f4")


def hidden(things, origin, points):
    """(N,) whether a car is between the origin and each point."""
    found = np.zeros(len(points), dtype=bool)
    for thing in things:
        into, half = thing.pose.inverse(), np.array(thing.lwh) / 2
        start = into.apply(origin[None])[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.stack([(side * half - start) / (into.apply(points) - start) for side in (-1, 1)])
        enter, leave = ends.min(axis=0).max(axis=1), ends.max(axis=0).min(axis=1)
        found |= (enter < leave) & (leave > 0) & (enter < 0.97)
    return found


def draw(things, world_SE3_cam):
    """The image of a camera without distortion."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (150, 180, 220))
    pen, cam_SE3_world = ImageDraw.Draw(image), world_SE3_cam.inverse()
    pen.rectangle((0, HEIGHT // 2, WIDTH, HEIGHT), fill=(95, 95, 95))
    origin = world_SE3_cam.translation_m
    sign = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    for thing in sorted(things, key=lambda one: -np.hypot(one.x - origin[0], one.y - origin[1])):
        corners = cam_SE3_world.apply(thing.pose.apply(sign * thing.lwh))
        if corners[:, 2].min() > 0.5:
            uv = FOCAL * corners[:, :2] / corners[:, 2:] + [(WIDTH - 1) / 2, (HEIGHT - 1) / 2]
            pen.polygon([tuple(p) for p in hull(uv)], fill=thing.colour)
    return image


def hull(points):
    from scipy.spatial import ConvexHull

    return points[ConvexHull(points).vertices]


def _write_poses(folder, made, poses):
    quaternions = [Rotation.from_matrix(one.rotation).as_quat() for _, one in poses]
    if made.poses == "tum":
        lines = [
            " ".join([f"{t_us / 1e6:.6f}", *(f"{v:.9f}" for v in (*one.translation_m, *q))])
            for (t_us, one), q in zip(poses, quaternions, strict=True)
        ]
        (folder / "poses.txt").write_text("# stamp tx ty tz qx qy qz qw\n" + "\n".join(lines) + "\n")
    elif made.poses == "csv":
        lines = [
            ",".join([f"{t_us}000", *(f"{v:.9f}" for v in (*q, *one.translation_m))])
            for (t_us, one), q in zip(poses, quaternions, strict=True)
        ]
        (folder / "poses.csv").write_text("time_ns,qx,qy,qz,qw,x,y,z\n" + "\n".join(lines) + "\n")
    elif made.poses == "kitti":
        rows = [pose(START_US + k * PERIOD_US) for k in range(made.frames)]
        texts = [np.column_stack([one.rotation, one.translation_m]).ravel() for one in rows]
        (folder / "poses.txt").write_text("".join(" ".join(f"{v:.9f}" for v in text) + "\n" for text in texts))


def _write_boxes(folder, made):
    frames = {}
    for k in range(made.frames):
        t_us = START_US + k * PERIOD_US
        into = {
            "world": SE3.identity(),
            "vehicle": pose(t_us).inverse(),
            "top": (pose(t_us) @ LIDARS["top"]).inverse(),
            "front": (pose(t_us) @ CAMERAS["front"]).inverse(),
        }[made.boxes_frame if made.boxes != "kitti" else "front"]
        stem = name_of(t_us - START_US + made.start_us + made.offsets_us.get("top", 0), made.unit, k)
        frames[stem] = [(n, thing, into @ thing.pose) for n, thing in enumerate(made.things)]
    if made.boxes == "json":
        for stem, rows in frames.items():
            write(folder / "boxes" / f"{stem}.json", json.dumps([json_row(*row) for row in rows]))
    elif made.boxes == "kitti":
        for stem, rows in frames.items():
            write(folder / "label_2" / f"{stem}.txt", "".join(kitti_row(*row) for row in rows))
    elif made.boxes == "openlabel":
        kinds = {str(n): {"name": f"o{n}", "type": thing.name} for n, thing in enumerate(made.things)}
        values = {str(k): openlabel_frame(rows) for k, rows in enumerate(frames.values())}
        write(folder / "openlabel.json", json.dumps({"openlabel": {"objects": kinds, "frames": values}}))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def json_row(n, thing, box):
    x, y, z, w = Rotation.from_matrix(box.rotation).as_quat().tolist()
    length, width, height = thing.lwh
    return {
        "name": thing.name,
        "track": f"o{n}",
        "translation": box.translation_m.tolist(),
        "size": [width, length, height],
        "rotation": [w, x, y, z],
    }


def kitti_row(n, thing, box):
    length, width, height = thing.lwh
    x, y, z = box.translation_m
    ahead = box.rotation[:, 0]
    angle = np.arctan2(-ahead[2], ahead[0])
    return f"{thing.name.split('.')[-1]} 0 0 0 0 0 9 9 {height} {width} {length} {x} {y + height / 2} {z} {angle}\n"


def openlabel_frame(rows):
    cuboids = {}
    for n, thing, box in rows:
        x, y, z, w = Rotation.from_matrix(box.rotation).as_quat().tolist()
        val = [*box.translation_m.tolist(), x, y, z, w, *thing.lwh]
        cuboids[str(n)] = {"object_data": {"cuboid": [{"name": "shape", "val": val}]}}
    return {"objects": cuboids}
