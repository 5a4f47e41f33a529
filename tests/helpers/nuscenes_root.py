"""Tiny synthetic nuScenes roots: tables, sweeps and images that all readers of the format accept."""

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

CAMERA_YAWS_DEG = {
    "CAM_BACK": 180,
    "CAM_BACK_LEFT": 110,
    "CAM_BACK_RIGHT": -110,
    "CAM_FRONT": 0,
    "CAM_FRONT_LEFT": 55,
    "CAM_FRONT_RIGHT": -55,
}
CATEGORIES = (
    "noise",
    "animal",
    *(f"human.pedestrian.{kind}" for kind in ("adult", "child", "construction_worker", "personal_mobility")),
    *(f"human.pedestrian.{kind}" for kind in ("police_officer", "stroller", "wheelchair")),
    *(f"movable_object.{kind}" for kind in ("barrier", "debris", "pushable_pullable", "trafficcone")),
    "static_object.bicycle_rack",
    *(f"vehicle.{kind}" for kind in ("bicycle", "bus.bendy", "bus.rigid", "car", "construction")),
    *(f"vehicle.{kind}" for kind in ("emergency.ambulance", "emergency.police", "motorcycle", "trailer", "truck")),
    *(f"flat.{kind}" for kind in ("driveable_surface", "other", "sidewalk", "terrain")),
    *(f"static.{kind}" for kind in ("manmade", "other", "vegetation")),
    "vehicle.ego",
)
"""In the order of the label packs: the position is the `index`."""

BOX_KINDS = ("vehicle.car", "human.pedestrian.adult", "vehicle.bicycle", "static_object.bicycle_rack")
SIZE_WLH = {
    "vehicle.car": (1.9, 4.5, 1.7),
    "human.pedestrian.adult": (0.7, 0.7, 1.8),
    "vehicle.bicycle": (0.6, 1.8, 1.4),
    "static_object.bicycle_rack": (2.0, 3.0, 1.2),
}
WIDTH_PX, HEIGHT_PX = 64, 36
START_US = 1_500_000_000_000_000
SWEEP_US = 50_000


def token(*parts):
    return hashlib.md5("/".join(map(str, parts)).encode()).hexdigest()


def yaw_quaternion(yaw_rad):
    return [float(np.cos(yaw_rad / 2)), 0.0, 0.0, float(np.sin(yaw_rad / 2))]


def make_root(
    path,
    *,
    version="v1.0-mini",
    scenes=("scene-0061",),
    samples_per_scene=2,
    sweeps_between=2,
    boxes_per_sample=4,
    numbered_categories=False,
    edit=None,
    seed=0,
):
    """Writes a root with six cameras, one LiDAR and one radar, and returns its path.

    Args:
        path: the root to make.
        version: name of the version folder.
        scenes, samples_per_scene, sweeps_between, boxes_per_sample: how much of what; `sweeps_between` LiDAR sweeps
            and camera images lie between two key frames.
        numbered_categories: give category.json the `index` of the label packs.
        edit: called with {table: rows} before they are written, to spoil them.
        seed: of the sweeps.
    """
    root = Path(path)
    tables = _fixed_tables(numbered_categories)
    for scene in scenes:
        _add_scene(tables, scene, samples_per_scene, sweeps_between, boxes_per_sample)
    _write_sensor_files(root, tables, np.random.default_rng(seed))
    if edit is not None:
        edit(tables)
    for name, rows in tables.items():
        write_table(root / version, name, rows)
    return root


def rename_last_key_sweep(name):
    """An `edit` of make_root that gives the last sample's LiDAR key frame another token."""

    def edit(tables):
        of_last = [row for row in tables["sample_data"] if row["sample_token"] == tables["sample"][-1]["token"]]
        (key,) = {row["token"] for row in of_last if row["is_key_frame"] and "LIDAR_TOP" in row["filename"]}
        for row in tables["sample_data"]:
            row.update({field: name for field in ("token", "prev", "next") if row[field] == key})

    return edit


def write_table(folder, name, rows):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(rows, indent=1))


def _fixed_tables(numbered_categories):
    cameras = {
        channel: {
            "translation": [0.5, 0.0, 1.5],
            "rotation": _camera_quaternion(np.radians(yaw)),
            "camera_intrinsic": [[40.0, 0.0, WIDTH_PX / 2], [0.0, 40.0, HEIGHT_PX / 2], [0.0, 0.0, 1.0]],
        }
        for channel, yaw in CAMERA_YAWS_DEG.items()
    }
    mounting = {"translation": [0.9, 0.0, 1.8], "rotation": yaw_quaternion(-1.5), "camera_intrinsic": []}
    channels = {**cameras, "LIDAR_TOP": mounting, "RADAR_FRONT": mounting}
    modality = {"CAM": "camera", "LIDAR": "lidar", "RADAR": "radar"}
    index = (lambda i: {"index": i}) if numbered_categories else (lambda i: {})
    return {
        "sensor": [
            {"token": token("sensor", c), "channel": c, "modality": modality[c.partition("_")[0]]} for c in channels
        ],
        "calibrated_sensor": [
            {"token": token("calibrated", c), "sensor_token": token("sensor", c), **values}
            for c, values in channels.items()
        ],
        "category": [
            {"token": token("category", name), "name": name, "description": "", **index(i)}
            for i, name in enumerate(CATEGORIES)
        ],
        "attribute": [],
        "visibility": [{"token": "4", "level": "v80-100", "description": ""}],
        "log": [{"token": token("log"), "logfile": "", "vehicle": "", "date_captured": "", "location": ""}],
        "map": [{"token": token("map"), "category": "", "filename": "maps/map.png", "log_tokens": [token("log")]}],
        **{name: [] for name in ("scene", "sample", "sample_data", "ego_pose", "instance", "sample_annotation")},
    }


def _camera_quaternion(yaw_rad):
    """Turns z forward, x right, y down to the vehicle's axes, then by the yaw."""
    w, _, _, z = yaw_quaternion(yaw_rad)
    upright = np.array([0.5, -0.5, 0.5, -0.5])
    return [float(v) for v in _multiply(np.array([w, 0, 0, z]), upright)]


def _multiply(p, q):
    scalar = p[0] * q[0] - p[1:] @ q[1:]
    return np.concatenate([[scalar], p[0] * q[1:] + q[0] * p[1:] + np.cross(p[1:], q[1:])])


def _add_scene(tables, scene, num_samples, sweeps_between, boxes_per_sample):
    samples = [token(scene, "sample", i) for i in range(num_samples)]
    start_us = START_US + int(token(scene)[:6], 16) * 60_000_000
    for i, sample in enumerate(samples):
        tables["sample"].append(
            {
                "token": sample,
                "timestamp": start_us + i * (sweeps_between + 1) * SWEEP_US,
                "scene_token": token("scene", scene),
                **_links(samples, i),
            }
        )
        _add_boxes(tables, scene, samples, i, boxes_per_sample)
    tables["scene"].append(
        {
            "token": token("scene", scene),
            "log_token": token("log"),
            "name": scene,
            "description": "",
            "nbr_samples": num_samples,
            "first_sample_token": samples[0] if samples else "",
            "last_sample_token": samples[-1] if samples else "",
        }
    )
    for channel, lag_us in [("LIDAR_TOP", 0), ("RADAR_FRONT", 3_000), *((c, 10_000) for c in CAMERA_YAWS_DEG)]:
        _add_chain(tables, scene, channel, start_us + lag_us, samples, sweeps_between + 1)


def _links(tokens, i):
    return {"prev": tokens[i - 1] if i else "", "next": tokens[i + 1] if i + 1 < len(tokens) else ""}


def _add_chain(tables, scene, channel, start_us, samples, stride):
    """One sensor's exposures: key frames at every `stride`-th, each with an ego pose of its own."""
    suffix = {"LIDAR_TOP": "pcd.bin", "RADAR_FRONT": "pcd"}.get(channel, "jpg")
    image = suffix == "jpg"
    count = (len(samples) - 1) * stride + 1 if samples else 0
    tokens = [token(scene, channel, i) for i in range(count)]
    for i, name in enumerate(tokens):
        t_us, key = start_us + i * SWEEP_US, i % stride == 0
        folder = "samples" if key else "sweeps"
        seconds = i * SWEEP_US * 1e-6
        tables["ego_pose"].append(
            {
                "token": name,
                "timestamp": t_us,
                "translation": [400.0 + 8 * seconds, 1100.0 - seconds, 0.0],
                "rotation": yaw_quaternion(0.3 + 0.2 * seconds),
            }
        )
        tables["sample_data"].append(
            {
                "token": name,
                "sample_token": samples[i // stride],
                "ego_pose_token": name,
                "calibrated_sensor_token": token("calibrated", channel),
                "timestamp": t_us,
                "fileformat": suffix.rpartition(".")[2],
                "is_key_frame": key,
                "height": HEIGHT_PX if image else 0,
                "width": WIDTH_PX if image else 0,
                "filename": f"{folder}/{channel}/{scene}__{channel}__{t_us}.{suffix}",
                **_links(tokens, i),
            }
        )


def _add_boxes(tables, scene, samples, i, count):
    for k in range(count):
        category = BOX_KINDS[k % len(BOX_KINDS)]
        instance = token(scene, "instance", k)
        tokens = [token(scene, "box", k, j) for j in range(len(samples))]
        if i == 0:
            tables["instance"].append(
                {
                    "token": instance,
                    "category_token": token("category", category),
                    "nbr_annotations": len(samples),
                    "first_annotation_token": tokens[0],
                    "last_annotation_token": tokens[-1],
                }
            )
        bearing, distance = 0.3 + 2 * np.pi * k / count, 8.0 + k
        tables["sample_annotation"].append(
            {
                "token": tokens[i],
                "sample_token": samples[i],
                "instance_token": instance,
                "visibility_token": "4",
                "attribute_tokens": [],
                "translation": [
                    float(400 + distance * np.cos(bearing)),
                    float(1100 + distance * np.sin(bearing)),
                    SIZE_WLH[category][2] / 2,
                ],
                "size": list(SIZE_WLH[category]),
                "rotation": yaw_quaternion(0.4 * k),
                **_links(tokens, i),
                "num_lidar_pts": 1,
                "num_radar_pts": 0,
            }
        )


def _write_sensor_files(root, tables, rng):
    """Sweeps of the ground and a wall, images of noise, and a map mask."""
    for folder in {Path(row["filename"]).parent for row in (*tables["sample_data"], *tables["map"])}:
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.new("L", (1, 1)).save(root / "maps" / "map.png")
    for row in tables["sample_data"]:
        path = root / row["filename"]
        if path.suffix == ".jpg":
            pixels = rng.integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
        elif path.name.endswith(".pcd.bin"):
            path.write_bytes(_sweep(rng).tobytes())


def _sweep(rng):
    """(400,5) float32: x, y, z, intensity, ring; 1.8 m above the ground, a wall 15 m away all around."""
    bearing = rng.uniform(0, 2 * np.pi, 400)
    distance = np.where(np.arange(400) < 300, rng.uniform(3, 15, 400), 15.0)
    height = np.where(np.arange(400) < 300, -1.8, rng.uniform(-1.8, 2.0, 400))
    columns = [distance * np.cos(bearing), distance * np.sin(bearing), height, np.zeros(400), np.arange(400) % 32]
    return np.stack(columns, axis=1).astype("<f4")
