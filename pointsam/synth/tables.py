"""nuScenes' tables from the records of the scenes, written scene by scene so that memory does not grow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import ArrayLike

from pointsam.base.files import replacing, store_errors
from pointsam.geometry.se3 import SE3
from pointsam.synth.annotate import CATEGORIES
from pointsam.synth.recorded import ObjectRow, RecordedFrame
from pointsam.synth.rig import MountedCamera, Rig

TABLES = (
    *("sensor", "calibrated_sensor", "category", "attribute", "visibility", "log", "map", "scene", "sample"),
    *("sample_data", "ego_pose", "instance", "sample_annotation", "lidarseg", "panoptic"),
)
_ATTRIBUTES = {
    "vehicle.moving": "Vehicle is moving.",
    "vehicle.stopped": "Vehicle, with a driver, is currently stationary.",
    "vehicle.parked": "Vehicle is stationary with no intent to move.",
    "cycle.with_rider": "There is a rider on the bicycle or motorcycle.",
    "cycle.without_rider": "There is no rider on the bicycle or motorcycle.",
    "pedestrian.sitting_lying_down": "The human is sitting or lying down.",
    "pedestrian.standing": "The human is standing.",
    "pedestrian.moving": "The human is moving.",
}
_VISIBILITY = {"1": "v0-40", "2": "v40-60", "3": "v60-80", "4": "v80-100"}

_Row = Mapping[str, object]


@dataclass(frozen=True)
class SceneRecord:
    """A scene whose frames are all recorded.

    Args:
        name: nuScenes' scene name.
        logfile: prefix of its sensor files.
        description: description of the scene.
        date: capture date, year-month-day.
        map_file: file of the drivable ground, relative to the root.
        frames: records of the key frames, in order (`pointsam.synth.frame`).
    """

    name: str
    logfile: str
    description: str
    date: str
    map_file: str
    frames: Sequence[RecordedFrame]


def token(*parts: object) -> str:
    """32 hex digits that depend only on the parts."""
    return hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def write_tables(folder: Path, rig: Rig, scenes: Iterable[SceneRecord], splits: Mapping[str, Sequence[str]]) -> None:
    """Write the version folder. Every table is written atomically.

    Args:
        folder: the version folder.
        rig: the sensors.
        scenes: the scenes, consumed one by one.
        splits: split -> scene names, for splits.json.

    Raises:
        StoreError: OUT002 if the disk is full, OUT003 if the folder cannot be written.
    """
    with store_errors(folder, 0), ExitStack() as replaced:
        paths = {name: replaced.enter_context(replacing(folder / f"{name}.json")) for name in (*TABLES, "splits")}
        with ExitStack() as opened:
            files = {name: opened.enter_context(paths[name].open("w", encoding="utf-8")) for name in TABLES}
            writer = _Writer(files)
            _fixed(writer, rig)
            for scene in scenes:
                _scene(writer, scene, rig.lidar.name)
            writer.end()
            paths["splits"].write_text(json.dumps(splits, indent=1), encoding="utf-8")


class _Writer:
    """Writes rows to the open files of all tables."""

    def __init__(self, files: Mapping[str, IO[str]]) -> None:
        self._files = files
        self._empty = dict.fromkeys(files, True)

    def add(self, table: str, rows: Iterable[_Row]) -> None:
        """Append rows to a table."""
        file = self._files[table]
        for row in rows:
            file.write("[\n" if self._empty[table] else ",\n")
            json.dump(row, file)
            self._empty[table] = False

    def end(self) -> None:
        """Close the lists."""
        for name, file in self._files.items():
            file.write("[]\n" if self._empty[name] else "\n]\n")


def _fixed(writer: _Writer, rig: Rig) -> None:
    kinds = {**{m.name: "lidar" for m in rig.lidars}, **{m.name: "camera" for m in rig.cameras}}
    writer.add("sensor", ({"token": token("sensor", c), "channel": c, "modality": kinds[c]} for c in kinds))
    writer.add("calibrated_sensor", (_mounting(m.name, m.ego_SE3_lidar, []) for m in rig.lidars))
    writer.add("calibrated_sensor", (_camera(m) for m in rig.cameras))
    names = enumerate(CATEGORIES)
    writer.add("category", ({"token": _category(n), "name": n, "description": n, "index": i} for i, n in names))
    attributes = _ATTRIBUTES.items()
    writer.add("attribute", ({"token": _attribute(n), "name": n, "description": text} for n, text in attributes))
    levels = _VISIBILITY.items()
    writer.add("visibility", ({"token": k, "level": v, "description": f"visible share {v}"} for k, v in levels))


def _mounting(channel: str, pose: SE3, intrinsic: list[list[float]]) -> _Row:
    return {
        "token": token("calibrated_sensor", channel),
        "sensor_token": token("sensor", channel),
        "translation": pose.translation_m.tolist(),
        "rotation": quaternion(pose.rotation),
        "camera_intrinsic": intrinsic,
    }


def _camera(mounted: MountedCamera) -> _Row:
    """The row of a camera, with fields that nuScenes lacks if it distorts or has a rolling shutter."""
    camera, shutter = mounted.camera, mounted.shutter
    row = dict(_mounting(mounted.name, mounted.ego_SE3_cam, camera.K.tolist()))
    if camera.model is not None:
        row |= {"camera_distortion": list(camera.distortion), "camera_lens": camera.lens}
    if shutter is not None:
        row["camera_readout_s"] = [shutter.first_s, shutter.last_s]
    return row


def _scene(writer: _Writer, scene: SceneRecord, lidar: str) -> None:
    scene_token, log = token("scene", scene.name), token("log", scene.logfile)
    samples = [frame["sample_token"] for frame in scene.frames]
    writer.add(
        "log",
        [
            {
                "token": log,
                "logfile": scene.logfile,
                "vehicle": "synthetic",
                "date_captured": scene.date,
                "location": "synthetic",
            }
        ],
    )
    mask = {"token": token("map", scene.logfile), "log_tokens": [log], "category": "semantic_prior"}
    writer.add("map", [{**mask, "filename": scene.map_file}])
    writer.add(
        "scene",
        [
            {
                "token": scene_token,
                "log_token": log,
                "nbr_samples": len(samples),
                "first_sample_token": samples[0],
                "last_sample_token": samples[-1],
                "name": scene.name,
                "description": scene.description,
            }
        ],
    )
    writer.add(
        "sample",
        (
            {
                "token": frame["sample_token"],
                "timestamp": frame["t_us"],
                **_links(samples, i),
                "scene_token": scene_token,
            }
            for i, frame in enumerate(scene.frames)
        ),
    )
    _sensor_data(writer, scene, lidar)
    _annotations(writer, scene, samples)


def _sensor_data(writer: _Writer, scene: SceneRecord, lidar: str) -> None:
    chains: dict[str, list[str]] = {}
    for frame in scene.frames:
        for row in frame["data"]:
            chains.setdefault(row["channel"], []).append(row["token"])
    position = dict.fromkeys(chains, 0)
    for frame in scene.frames:
        for row in frame["data"]:
            channel = row["channel"]
            writer.add(
                "sample_data",
                [
                    {
                        "token": row["token"],
                        "sample_token": frame["sample_token"],
                        "ego_pose_token": row["token"],
                        "calibrated_sensor_token": token("calibrated_sensor", channel),
                        "timestamp": row["t_us"],
                        "fileformat": "jpg" if row["file"].endswith(".jpg") else "pcd",
                        "is_key_frame": row["key"],
                        "height": row["height"],
                        "width": row["width"],
                        "filename": row["file"],
                        **_links(chains[channel], position[channel]),
                    }
                ],
            )
            pose = {"translation": row["translation"], "rotation": row["rotation"]}
            writer.add("ego_pose", [{"token": row["token"], "timestamp": row["t_us"], **pose}])
            position[channel] += 1
        keys = {row["channel"]: row["token"] for row in frame["data"] if row["key"]}
        for channel, labels in {lidar: frame["labels"], **frame.get("other_labels", {})}.items():
            for pack, file in labels.items():
                key = keys[channel]
                writer.add(pack, [{"token": key, "sample_data_token": key, "filename": file}])


def _annotations(writer: _Writer, scene: SceneRecord, samples: Sequence[str]) -> None:
    """Annotate each object without gaps from the first to the last key frame in which the LiDAR hits it."""
    boxes = [{box["object_id"]: box for box in frame["boxes"]} for frame in scene.frames]
    met: dict[int, list[int]] = {}
    for i, frame in enumerate(boxes):
        for object_id, box in frame.items():
            if box["hits"] > 0:
                met.setdefault(object_id, []).append(i)
    for object_id, when in sorted(met.items()):
        frames = [i for i in range(when[0], when[-1] + 1) if object_id in boxes[i]]
        tokens = [token("sample_annotation", scene.name, object_id, i) for i in frames]
        instance = token("instance", scene.name, object_id)
        first = boxes[frames[0]][object_id]
        writer.add(
            "instance",
            [
                {
                    "token": instance,
                    "category_token": _category(first["category"]),
                    "nbr_annotations": len(tokens),
                    "first_annotation_token": tokens[0],
                    "last_annotation_token": tokens[-1],
                }
            ],
        )
        writer.add(
            "sample_annotation",
            (_annotation(boxes[i][object_id], tokens, k, samples[i], instance) for k, i in enumerate(frames)),
        )


def _annotation(box: ObjectRow, tokens: Sequence[str], k: int, sample: str, instance: str) -> _Row:
    return {
        "token": tokens[k],
        "sample_token": sample,
        "instance_token": instance,
        "visibility_token": box["visibility"],
        "attribute_tokens": [_attribute(box["attribute"])] if box["attribute"] else [],
        "translation": box["translation"],
        "size": box["size_wlh"],
        "rotation": box["rotation"],
        **_links(tokens, k),
        "num_lidar_pts": box["num_lidar_pts"],
        "num_radar_pts": 0,
    }


def _links(tokens: Sequence[str], i: int) -> dict[str, str]:
    return {"prev": tokens[i - 1] if i else "", "next": tokens[i + 1] if i + 1 < len(tokens) else ""}


def _category(name: str) -> str:
    return token("category", name)


def _attribute(name: str) -> str:
    return token("attribute", name)


def quaternion(rotation: ArrayLike) -> list[float]:
    """Quaternion (w, x, y, z) of a (3,3) rotation."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(np.asarray(rotation)).as_quat()
    sign = -1.0 if w < 0 else 1.0
    return [float(sign * v) for v in (w, x, y, z)]
