"""Rows of nuScenes' tables, from the rows of frames."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam.datasets.nuscenes.annotations import VISIBILITY
from pointsam.datasets.nuscenes.truth import CATEGORIES as CLASSES
from pointsam.datasets.nuscenes.truth import NOISE, STUFF
from pointsam.geometry.se3 import SE3

CATEGORIES = ("noise", *sorted({*CLASSES.classes, *STUFF, *NOISE} - {"noise"}))
"""nuScenes' categories; the index is the label of a point."""
_MAP = "maps/none.png"

Row = dict[str, Any]
"""A row of a table, or of a frame: JSON values."""


@dataclass
class FrameRows:
    """What the tables hold of a frame.

    Args:
        frame_id: its id, which becomes the token of its sample.
        scene: its scene in the source. Sweeps and objects are linked within it.
        part: its scene in the tables: the same, or a part of it.
        t_us: its time.
        moves: whether the motion of the vehicle is known, so that its sweeps follow others.
        data: one row for each sensor file.
        panoptic: one row for each file of labels of points.
        boxes: one row for each box; None if it has no box labels.
    """

    frame_id: str
    scene: str
    part: str
    t_us: int
    moves: bool = True
    data: list[Row] = field(default_factory=list)
    panoptic: list[Row] = field(default_factory=list)
    boxes: list[Row] | None = None

    def add(self, t_us: int, world_SE3_ego: SE3, sensor: Row, file: str, key: bool) -> None:
        """Add a sensor file.

        Args:
            t_us: its time.
            world_SE3_ego: pose of the vehicle at that time.
            sensor: channel, modality, mounting and intrinsics, as `sensor_row` makes them.
            file: its path in the root.
            key: whether it belongs to the frame itself, not to the time before.
        """
        name = token("sample_data", self.frame_id, sensor["channel"], "key" if key else len(self.data))
        row = {"token": name, "t_us": t_us, "file": file, "key": key, "sensor": sensor, "height": 0, "width": 0}
        self.data.append({**row, **posed(world_SE3_ego)})


def sensor_row(channel: str, modality: str, ego_SE3_sensor: SE3, **more: object) -> Row:
    """A sensor and its calibration."""
    return {"channel": channel, "modality": modality, **posed(ego_SE3_sensor), "camera_intrinsic": [], **more}


def posed(pose: SE3) -> Row:
    """Translation and rotation of a row."""
    return {"translation": pose.translation_m.tolist(), "rotation": quaternion(pose.rotation)}


def quaternion(rotation: NDArray[np.float64]) -> list[float]:
    """Quaternion (w, x, y, z) of a (3,3) rotation."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(rotation).as_quat().tolist()
    return [-w, -x, -y, -z] if w < 0 else [w, x, y, z]


def token(*parts: object) -> str:
    """32 hex digits that depend only on the parts."""
    return hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def tables(frames: Sequence[FrameRows], version: str, splits: Mapping[str, Sequence[int]]) -> Mapping[str, bytes]:
    """The files of the version folder, and the map that the devkit wants.

    Args:
        frames: rows of all frames by scene and time.
        version: name of the folder.
        splits: positions of the frames of each split.
    """
    scenes, parts = dict[str, list[FrameRows]](), dict[str, list[FrameRows]]()
    for frame in frames:
        scenes.setdefault(frame.scene, []).append(frame)
        parts.setdefault(frame.part, []).append(frame)
    rows: dict[str, list[Row]] = {
        **_sensors(frames),
        **_fixed(frames),
        "log": [_log(name) for name in scenes],
        "map": [
            {
                "token": token("map"),
                "log_tokens": [token("log", name) for name in scenes],
                "category": "semantic_prior",
                "filename": _MAP,
            }
        ],
        "scene": [_scene(name, found) for name, found in parts.items()],
        "sample": [row for found in parts.values() for row in _samples(found)],
        "sample_data": [row for found in scenes.values() for row in _data(found)],
        "ego_pose": [
            {"token": one["token"], "timestamp": one["t_us"], **{k: one[k] for k in ("translation", "rotation")}}
            for frame in frames
            for one in frame.data
        ],
        "instance": [],
        "sample_annotation": [],
    }
    for name, found in scenes.items():
        _annotate(rows, name, found)
    panoptic = [{**row, "sample_data_token": row["token"]} for frame in frames for row in frame.panoptic]
    if panoptic:
        rows["panoptic"] = panoptic
    files = {f"{version}/{name}.json": _json(found) for name, found in rows.items()}
    whole = {name: sorted({frames[k].part for k in places}) for name, places in splits.items()}
    files[f"{version}/splits.json"] = json.dumps(whole, indent=1).encode()
    sink = io.BytesIO()
    Image.new("L", (1, 1)).save(sink, "PNG")
    return {**files, _MAP: sink.getvalue()}


def _json(rows: Sequence[Row]) -> bytes:
    lines = ",\n".join(json.dumps(row) for row in rows)
    return (f"[\n{lines}\n]\n" if rows else "[]\n").encode()


def _calibrated(sensor: Row) -> Row:
    values = {name: value for name, value in sensor.items() if name not in ("channel", "modality")}
    return {"token": _calibration_token(sensor), "sensor_token": token("sensor", sensor["channel"]), **values}


def _calibration_token(sensor: Row) -> str:
    return token("calibrated_sensor", json.dumps(sensor, sort_keys=True))


def _sensors(frames: Sequence[FrameRows]) -> dict[str, list[Row]]:
    sensors, calibrations = dict[str, Row](), dict[str, Row]()
    for frame in frames:
        for one in frame.data:
            sensor = one["sensor"]
            name = token("sensor", sensor["channel"])
            sensors[name] = {"token": name, "channel": sensor["channel"], "modality": sensor["modality"]}
            calibrations[_calibration_token(sensor)] = _calibrated(sensor)
    return {"sensor": list(sensors.values()), "calibrated_sensor": list(calibrations.values())}


def _fixed(frames: Sequence[FrameRows]) -> dict[str, list[Row]]:
    used = sorted({box["category"] for frame in frames for box in frame.boxes or ()} - set(CATEGORIES))
    names = enumerate((*CATEGORIES, *used))
    return {
        "category": [{"token": token("category", n), "name": n, "description": n, "index": k} for k, n in names],
        "attribute": [],
        "visibility": [{"token": str(k + 1), "level": n, "description": n} for k, n in enumerate(VISIBILITY)],
    }


def _log(scene: str) -> Row:
    unknown = {"vehicle": "unknown", "date_captured": "1970-01-01", "location": "unknown"}
    return {"token": token("log", scene), "logfile": scene, **unknown}


def _scene(name: str, frames: Sequence[FrameRows]) -> Row:
    return {
        "token": token("scene", name),
        "log_token": token("log", frames[0].scene),
        "nbr_samples": len(frames),
        "first_sample_token": frames[0].frame_id,
        "last_sample_token": frames[-1].frame_id,
        "name": name,
        "description": "",
    }


def _samples(frames: Sequence[FrameRows]) -> list[Row]:
    names = [frame.frame_id for frame in frames]
    scene = token("scene", frames[0].part)
    return [
        {"token": name, "timestamp": frame.t_us, **_links(names, k), "scene_token": scene}
        for k, (name, frame) in enumerate(zip(names, frames, strict=True))
    ]


def _data(frames: Sequence[FrameRows]) -> list[Row]:
    """Rows of sample_data; those of a sensor are linked in the order of time if the motion between them is known."""
    chains: dict[str, list[tuple[int, int, str]]] = {}
    links = {one["token"]: {"prev": "", "next": ""} for frame in frames for one in frame.data}
    for frame in (frame for frame in frames if frame.moves):
        for one in frame.data:
            chain = chains.setdefault(one["sensor"]["channel"], [])
            chain.append((one["t_us"], len(chain), one["token"]))
    for chain in chains.values():
        names = [name for _, _, name in sorted(chain)]
        links |= {name: _links(names, k) for k, name in enumerate(names)}
    return [
        {
            "token": one["token"],
            "sample_token": frame.frame_id,
            "ego_pose_token": one["token"],
            "calibrated_sensor_token": _calibration_token(one["sensor"]),
            "timestamp": one["t_us"],
            "fileformat": "pcd" if one["sensor"]["modality"] == "lidar" else one["file"].rpartition(".")[2],
            "is_key_frame": one["key"],
            "height": one["height"],
            "width": one["width"],
            "filename": one["file"],
            **links[one["token"]],
        }
        for frame in frames
        for one in frame.data
    ]


def _annotate(rows: dict[str, list[Row]], scene: str, frames: Sequence[FrameRows]) -> None:
    """Append the objects of a scene and their boxes."""
    objects: dict[str, list[tuple[str, str, Row]]] = {}
    for frame in frames:
        for k, box in enumerate(frame.boxes or ()):
            alone = box["track"] is None
            name = token("instance", scene, frame.frame_id, k) if alone else token("instance", scene, box["track"])
            objects.setdefault(name, []).append((token("sample_annotation", frame.frame_id, k), frame.frame_id, box))
    order: dict[str, Row] = {}
    for instance, found in objects.items():
        names = [name for name, _, _ in found]
        rows["instance"].append(
            {
                "token": instance,
                "category_token": token("category", found[0][2]["category"]),
                "nbr_annotations": len(names),
                "first_annotation_token": names[0],
                "last_annotation_token": names[-1],
            }
        )
        for k, (name, sample, box) in enumerate(found):
            order[name] = {
                "token": name,
                "sample_token": sample,
                "instance_token": instance,
                "visibility_token": box["visibility"],
                "attribute_tokens": [],
                **{key: box[key] for key in ("translation", "size", "rotation", "num_lidar_pts")},
                "num_radar_pts": 0,
                **_links(names, k),
            }
    for frame in frames:  # boxes of a frame keep their order
        count = len(frame.boxes or ())
        rows["sample_annotation"] += [order[token("sample_annotation", frame.frame_id, k)] for k in range(count)]


def _links(tokens: Sequence[str], k: int) -> Row:
    return {"prev": tokens[k - 1] if k else "", "next": tokens[k + 1] if k + 1 < len(tokens) else ""}
