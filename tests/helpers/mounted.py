"""Roots whose LiDAR is mounted otherwise, and frames whose points come from two LiDARs."""

import json
import shutil
from dataclasses import dataclass, replace

import numpy as np
from helpers.training import make_world
from scipy.spatial.transform import Rotation

from pointsam.datasets.io import read_columns
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.geometry.se3 import SE3

BOTH = "LIDAR_TOP,LIDAR_FRONT"
COLUMNS = ("x", "y", "z", "intensity")
MOUNTS = {
    "tilted": Rotation.from_euler("y", 20, degrees=True).as_matrix(),
    "tilted both ways": Rotation.from_euler("YX", (-25, 30), degrees=True).as_matrix(),
    "inverted": Rotation.from_euler("x", 180, degrees=True).as_matrix(),
    "on its side": Rotation.from_euler("x", 90, degrees=True).as_matrix(),
}
"""level_R_lidar of LiDARs whose x axis stays above or below that of a level one."""


def remounted(world, path, level_R_lidar):
    """A copy of a root of which the LiDAR is mounted otherwise, and sees the same world."""
    shutil.copytree(world.root, path)
    folder = path / world.version
    sensors = {row["token"]: row["channel"] for row in json.loads((folder / "sensor.json").read_text())}
    rows = json.loads((folder / "calibrated_sensor.json").read_text())
    for row in rows:
        if sensors[row["sensor_token"]] == "LIDAR_TOP":
            level = SE3.from_quaternion(row["rotation"], row["translation"]).rotation
            x, y, z, w = Rotation.from_matrix(level @ level_R_lidar).as_quat().tolist()
            row["rotation"] = [w, x, y, z]
    (folder / "calibrated_sensor.json").write_text(json.dumps(rows))
    for file in path.glob("*/LIDAR_TOP/*.bin"):
        values = np.fromfile(file, "<f4").reshape(-1, 5)
        values[:, :3] = values[:, :3].astype(np.float64) @ level_R_lidar
        values.tofile(file)
    return NuScenes(path)


def make_two_lidars(path):
    """A root whose second LiDAR, upside down at the bumper, sees the points of the first at the same time."""

    def add_front(tables):
        tables["sensor"].append({"token": "s2", "channel": "LIDAR_FRONT", "modality": "lidar"})
        mounting = {"translation": [3.0, 0.5, 0.6], "rotation": [0.0, 1.0, 0.0, 0.0], "camera_intrinsic": []}
        tables["calibrated_sensor"].append({"token": "c2", "sensor_token": "s2", **mounting})
        for row in [row for row in tables["sample_data"] if "LIDAR_TOP" in row["filename"]]:
            links = {name: row[name] and f"2{row[name]}" for name in ("token", "prev", "next")}
            file = row["filename"].replace("LIDAR_TOP", "LIDAR_FRONT")
            tables["sample_data"].append({**row, **links, "calibrated_sensor_token": "c2", "filename": file})

    world = make_world(path, edit=add_front)
    top, front = (NuScenes(path, lidar=name).cloud(world.frame_ids()[0]).sweep for name in BOTH.split(","))
    front_SE3_top = front.ego_SE3_lidar.inverse() @ top.ego_SE3_lidar
    for file in path.glob("*/LIDAR_TOP/*.bin"):
        values = np.fromfile(file, "<f4").reshape(-1, 5)
        values[:, :3] = front_SE3_top.apply(values[:, :3])
        other = path / file.relative_to(path).as_posix().replace("LIDAR_TOP", "LIDAR_FRONT")
        other.parent.mkdir(exist_ok=True)
        values.tofile(other)
    return NuScenes(path, lidar=BOTH)


@dataclass(frozen=True)
class InMemory:
    """Points in memory."""

    values: np.ndarray
    name: str = "points in memory"
    columns: tuple = COLUMNS

    def read(self, columns):
        return self.values[:, [COLUMNS.index(column) for column in columns]]


class TwoLidars(NuScenes):
    """A root of which every second point is that of another LiDAR, at the same time.

    Args:
        root: the root.
        ego_SE3_other: mounting of the other LiDAR.
    """

    def __init__(self, root, ego_SE3_other):
        super().__init__(root)
        self.ego_SE3_other = ego_SE3_other

    def cloud(self, frame_id):
        frame = super().cloud(frame_id)
        return replace(frame, sweeps=self._halves(frame.sweep))

    def past_sweeps(self, frame_id, count):
        both = [self._halves(sweep) for sweep in super().past_sweeps(frame_id, count)]
        return [halves[k] for k in (0, 1) for halves in both]

    def _halves(self, sweep):
        values = read_columns(sweep, COLUMNS)
        own, other = values[::2], values[1::2].copy()
        lidar_SE3_lidar = self.ego_SE3_other.inverse() @ sweep.ego_SE3_lidar
        other[:, :3] = lidar_SE3_lidar.apply(other[:, :3])
        return (
            replace(sweep, source=InMemory(own)),
            replace(sweep, source=InMemory(other), ego_SE3_lidar=self.ego_SE3_other, sensor="LIDAR_OTHER"),
        )
