"""One key frame of a scene with the sweeps before it: the content of all its files."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointsam.base.mask_files import TRUTH
from pointsam.base.seeding import generator
from pointsam.geometry.se3 import SE3
from pointsam.synth.annotate import BoxRow, boxes, point_labels, visibility_tokens
from pointsam.synth.exposure import Studio, instance_files, jpeg
from pointsam.synth.lidar import Lidar, Scan
from pointsam.synth.recorded import FileRow, ObjectRow, RecordedFrame
from pointsam.synth.rig import MountedCamera, Rig
from pointsam.synth.sensors import SWEEP_US, SWEEPS_PER_KEY
from pointsam.synth.shot import Shot
from pointsam.synth.silhouettes import Silhouettes
from pointsam.synth.tables import quaternion, token
from pointsam.synth.world import World

_MAP_PX_PER_M = 10


@dataclass(eq=False)
class Film:
    """Records a scene.

    Args:
        world: the scene.
        rig: the sensors.
        version: name of the version folder.
        name: nuScenes' scene name.
        logfile: prefix of its sensor files.
        start_us: time stamp of t = 0.
        seed: seed of all noise.
    """

    world: World
    rig: Rig
    version: str
    name: str
    logfile: str
    start_us: int
    seed: int
    _studio: Studio = field(init=False)
    _lidars: tuple[Lidar, ...] = field(init=False)

    def __post_init__(self) -> None:
        rain = self.world.weather.wetness > 0.5
        self._studio = Studio(self.world)
        self._lidars = tuple(Lidar(self.world, model, rain=rain) for model in self.rig.lidars)

    @cached_property
    def _silhouettes(self) -> Silhouettes:
        return Silhouettes(self.world)

    def record(self, frame: int) -> tuple[dict[str, bytes], RecordedFrame]:
        """Record a key frame and the sweeps since the previous one.

        Returns:
            files: path relative to the root -> content; row: data for the tables, JSON values only.
        """
        key_us = frame * SWEEPS_PER_KEY * SWEEP_US
        files: dict[str, bytes] = {}
        images = [self._image(mounted, key_us, files) for mounted in self.rig.cameras]
        between = range(min(frame, 1) * (SWEEPS_PER_KEY - 1), 0, -1)
        data, labels, scans = [row for row, _ in images], {}, []
        for lidar in self._lidars:
            model = lidar.model
            end_us = key_us - model.early_us
            data += [self._sweep(lidar, end_us - back * SWEEP_US, False, files)[0] for back in between]
            key, scan = self._sweep(lidar, end_us, True, files)
            data.append(key)
            labels[model.name] = self._labels(key, scan, files)
            scans.append(scan)
        visibility = visibility_tokens([counts for _, counts in images])
        found = boxes(self.world, key_us * 1e-6, scans[0], visibility, scans[1:])
        row: RecordedFrame = {
            "sample_token": token("sample", self.name, frame),
            "t_us": self.start_us + key_us,
            "data": data,
            "labels": labels.pop(self.rig.lidar.name),
            "boxes": [self._box(box) for box in found],
        }
        if labels:
            row["other_labels"] = labels
        return files, row

    def _image(
        self, mounted: MountedCamera, key_us: int, files: dict[str, bytes]
    ) -> tuple[FileRow, dict[int, tuple[float, float]]]:
        """Row of sample_data, and object_id -> (number of visible pixels, number of pixels)."""
        t_us = key_us - mounted.delay_us
        t_s = t_us * 1e-6
        photo = self._studio.take(mounted, t_s, generator(self.seed, self.name, mounted.name, str(t_us)))
        counts = self._silhouettes.count(photo.object_id, Shot(mounted, self.world.ego, t_s))
        stem = f"{self.logfile}__{mounted.name}__{self.start_us + t_us}"
        row = self._data(mounted.name, t_us, True, f"samples/{mounted.name}/{stem}.jpg")
        row["height"], row["width"] = mounted.camera.height_px, mounted.camera.width_px
        files[row["file"]] = jpeg(photo.rgb)
        png, entries = instance_files(self.world, photo, {k: seen / whole for k, (seen, whole) in counts.items()})
        files[f"{TRUTH}/{mounted.name}/{stem}.png"] = png
        files[f"{TRUTH}/{mounted.name}/{stem}.json"] = entries
        return row, counts

    def _sweep(self, lidar: Lidar, t_us: int, key: bool, files: dict[str, bytes]) -> tuple[FileRow, Scan]:
        channel = lidar.model.name
        scan = lidar.scan(t_us, generator(self.seed, self.name, channel, str(t_us)))
        folder = "samples" if key else "sweeps"
        name = f"{self.logfile}__{channel}__{self.start_us + t_us}.pcd.bin"
        row = self._data(channel, t_us, key, f"{folder}/{channel}/{name}")
        files[row["file"]] = scan.file_bytes()
        return row, scan

    def _labels(self, key: FileRow, scan: Scan, files: dict[str, bytes]) -> dict[str, str]:
        """Pack -> file with the labels of a key sweep."""
        category, panoptic = point_labels(self.world, scan)
        packed = io.BytesIO()
        np.savez_compressed(packed, data=panoptic)
        labels = {
            "lidarseg": f"lidarseg/{self.version}/{key['token']}_lidarseg.bin",
            "panoptic": f"panoptic/{self.version}/{key['token']}_panoptic.npz",
        }
        files[labels["lidarseg"]], files[labels["panoptic"]] = category.tobytes(), packed.getvalue()
        return labels

    def _data(self, channel: str, t_us: int, key: bool, file: str) -> FileRow:
        pose = self.world.world_SE3_ego(t_us * 1e-6)
        return {
            "token": token("sample_data", self.name, channel, t_us),
            "channel": channel,
            "t_us": self.start_us + t_us,
            "key": key,
            "file": file,
            "height": 0,
            "width": 0,
            "translation": (pose.translation_m + self._to_map).tolist(),
            "rotation": quaternion(pose.rotation),
        }

    @cached_property
    def _to_map(self) -> NDArray[np.float64]:
        """(3,) shift from world to map coordinates, which are all positive."""
        low, _ = self.world.street.bounds_m()
        return np.array([-low[0], -low[1], 0.0])

    def _box(self, box: BoxRow) -> ObjectRow:
        thing = self.world.things[box.object_id]
        length, width, height = box.size_lwh_m
        turn = SE3.from_quaternion((np.cos(box.yaw / 2), 0.0, 0.0, np.sin(box.yaw / 2)), (0.0, 0.0, 0.0))
        return {
            "object_id": box.object_id,
            "category": thing.asset.category,
            "attribute": _attribute(thing.asset.category, thing.asset.ridden, thing.moves, box.speed_mps),
            "translation": (np.array(box.center_m) + self._to_map).tolist(),
            "size_wlh": [width, length, height],
            "rotation": quaternion(turn.rotation),
            "hits": box.hits,
            "num_lidar_pts": box.num_lidar_pts,
            "visibility": box.visibility,
        }

    def map_png(self) -> bytes:
        """PNG of the drivable ground (255) at 10 pixels per metre; the origin of the map is at the bottom left."""
        low, high = self.world.street.bounds_m()
        width, height = (int(np.ceil((b - a) * _MAP_PX_PER_M)) for a, b in zip(low, high, strict=True))
        image = Image.new("L", (width, height))
        draw = ImageDraw.Draw(image)
        for outline in self.world.street.drivable_outlines_m():
            uv = (outline - low) * _MAP_PX_PER_M
            draw.polygon([(float(u), float(height - v)) for u, v in uv], fill=255)
        sink = io.BytesIO()
        image.save(sink, "PNG")
        return sink.getvalue()


def _attribute(category: str, ridden: bool, moves: bool, speed_mps: float) -> str:
    """NuScenes' attribute of an object, "" if its category has none."""
    moving = speed_mps > 0.2
    if category in ("vehicle.bicycle", "vehicle.motorcycle"):
        return "cycle.with_rider" if ridden else "cycle.without_rider"
    if category.startswith("vehicle."):
        return "vehicle.moving" if moving else "vehicle.stopped" if moves else "vehicle.parked"
    if category.startswith("human.pedestrian."):
        return "pedestrian.moving" if moving else "pedestrian.standing"
    return ""
