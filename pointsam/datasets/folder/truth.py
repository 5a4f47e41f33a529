"""Ground truth of a drive: its boxes in the frame of the reference LiDAR, and their velocities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.datasets.folder.boxes import BoxRow
from pointsam.datasets.folder.drive import Drive
from pointsam.datasets.nuscenes.truth import CATEGORIES
from pointsam.geometry.level import over_ground_mps
from pointsam.geometry.se3 import SE3
from pointsam.geometry.tracks import velocities
from pointsam.taxonomy import NUSCENES, ClassSpec, LabelMapping, Taxonomy
from pointsam.types import Boxes

WORLD = "world"
"""Name of the frame of the poses."""
_NAMES: Mapping[str, str] = {**{name: name for name in NUSCENES.names}, **CATEGORIES.classes, "person": "pedestrian"}
CLASSES = LabelMapping(NUSCENES, _NAMES)
"""Names of boxes to classes: the ten of nuScenes, its categories, and "person"."""


def truth_classes(names: Sequence[str]) -> LabelMapping:
    """Names of boxes to classes, with some names as classes of their own, after the ten."""
    own = [name for name in names if name not in NUSCENES.names]
    finer = Taxonomy(NUSCENES.name, (*NUSCENES.classes, *(ClassSpec(name) for name in own)))
    return LabelMapping(finer, {**_NAMES, **{name: name for name in own}})


def boxes_of(drive: Drive, stem: str, frame_id: str, classes: LabelMapping) -> Boxes | None:
    """Boxes of a frame in the frame of its reference LiDAR; names without a class are void.

    Args:
        drive: the drive.
        stem: name of the sweep.
        frame_id: id of the frame, for tokens.
        classes: names to classes.

    Raises:
        DatasetError: DAT011 naming file, box and field, or if the frame of the boxes is not known.
        CalibrationError: as `Drive.sweep`.
    """
    rows = drive.boxes.rows(stem)
    if rows is None:
        return None
    poses = _in_lidar(drive, stem, rows)
    return Boxes(
        center_m=np.array([pose.translation_m for pose in poses]).reshape(-1, 3),
        size_lwh_m=np.array([row.size_lwh_m for row in rows], dtype=np.float64).reshape(-1, 3),
        rotation=np.array([pose.rotation for pose in poses]).reshape(-1, 3, 3),
        class_id=np.array([classes.class_id(row.name) for row in rows], dtype=np.uint8),
        token=tuple(f"{frame_id}/{name}" for name in _tokens(rows)),
    )


def velocities_of(
    drive: Drive, stem: str, known: Mapping[tuple[str, str], NDArray[np.float64]]
) -> NDArray[np.float64] | None:
    """(M,2) velocities of the boxes of a frame along the ground, x and y of the map frame; None without boxes.

    Args:
        drive: the drive.
        stem: name of the sweep.
        known: those of the drive, from `velocities_in`.

    Raises:
        DatasetError, CalibrationError: as `boxes_of`.
    """
    rows = drive.boxes.rows(stem)
    if rows is None:
        return None
    sweep = drive.sweep(drive.lidars[0], drive.reference.place(stem))
    world_R_lidar = (sweep.world_SE3_ego @ sweep.ego_SE3_lidar).rotation
    unknown = np.full(3, np.nan)
    in_world = np.array([known.get((stem, row.track or ""), unknown) for row in rows]).reshape(-1, 3)
    return over_ground_mps(in_world @ world_R_lidar, sweep.ego_SE3_lidar)


def velocities_in(drive: Drive) -> dict[tuple[str, str], NDArray[np.float64]]:
    """(3,) velocity in the world by sweep and track, of all objects with a track whose frames can be read."""
    keys, times, centers = list[tuple[str, str]](), list[int](), list[NDArray[np.float64]]()
    for stem in drive.reference.stems:
        try:
            rows = drive.boxes.rows(stem) or []
            sweep = drive.sweep(drive.lidars[0], drive.reference.place(stem))
            poses = _in_lidar(drive, stem, rows)
        except (DatasetError, CalibrationError):  # reported where the frame is used
            continue
        count = Counter(row.track for row in rows)
        world_SE3_lidar = sweep.world_SE3_ego @ sweep.ego_SE3_lidar
        for row, pose in zip(rows, poses, strict=True):
            if row.track is not None and count[row.track] == 1:
                keys.append((stem, row.track))
                times.append(sweep.t_us)
                centers.append((world_SE3_lidar @ pose).translation_m)
    index = {track: k for k, track in enumerate(dict.fromkeys(track for _, track in keys))}
    objects = np.array([index[track] for _, track in keys], dtype=np.int64)
    found = velocities(np.array(centers).reshape(-1, 3), objects, np.array(times, dtype=np.int64))
    return dict(zip(keys, found, strict=True))


def box_frame_of(drive: Drive, stem: str) -> tuple[str, SE3] | None:
    """Name of the frame that the boxes of a sweep are in, and lidar_SE3_frame; None if there is not one alone.

    Raises:
        DatasetError, CalibrationError: as `boxes_of`.
    """
    names = {_frame_of(drive, row) for row in drive.boxes.rows(stem) or ()}
    if len(names) != 1:
        return None
    sweep, name = drive.sweep(drive.lidars[0], drive.reference.place(stem)), names.pop()
    return name, sweep.ego_SE3_lidar.inverse() @ _ego_SE3(drive, name, sweep.world_SE3_ego)


def _in_lidar(drive: Drive, stem: str, rows: Sequence[BoxRow]) -> list[SE3]:
    """lidar_SE3_box of each row."""
    sweep = drive.sweep(drive.lidars[0], drive.reference.place(stem))
    known = dict[str, SE3]()
    found = []
    for row in rows:
        name = _frame_of(drive, row)
        if name not in known:
            known[name] = sweep.ego_SE3_lidar.inverse() @ _ego_SE3(drive, name, sweep.world_SE3_ego)
        found.append(known[name] @ row.frame_SE3_box)
    return found


def _frame_of(drive: Drive, row: BoxRow) -> str:
    """Name of the frame that a box is in: what the calibration states, else what the box does."""
    name = drive.boxes.frame if row.frame is None or drive.calibration.boxes.frame else row.frame
    if name is None:
        raise DatasetError(
            "DAT011",
            f"{drive.folder}: the frame that boxes are in is not known",
            f"state boxes.frame: {WORLD}, or the name of a frame of `transforms`",
        )
    return name


def _ego_SE3(drive: Drive, name: str, world_SE3_ego: SE3) -> SE3:
    if name != WORLD:
        return drive.calibration.tree.pose(name, "boxes.frame")
    if drive.poses is None:
        raise DatasetError(
            "DAT011", f"{drive.folder}: boxes are in the world, and there are no poses", "add poses.txt or poses.csv"
        )
    return world_SE3_ego.inverse()


def _tokens(rows: Sequence[BoxRow]) -> list[str]:
    count = Counter(row.track for row in rows)
    return [row.track if row.track is not None and count[row.track] == 1 else f"line-{k}" for k, row in enumerate(rows)]
