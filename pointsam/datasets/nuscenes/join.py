"""Joins nuScenes' tables into the columns that frames need, every token resolved to a row number.

Of the 2.6 million sample_data rows of v1.0-trainval a frame needs the LIDAR_TOP chain and the camera key frames only;
the other rows are dropped while they stream by, and so are the ego poses that none of the kept rows uses.
A token that points nowhere is refused here, for the whole data set: the tables do not belong together or were cut.
A value that concerns single frames (a rotation, an intrinsic matrix) is stored as it is and judged with its frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath
from pointsam.datasets.nuscenes.annotations import LABEL_TABLES, read_boxes, read_categories, read_label_files
from pointsam.datasets.nuscenes.columns import Columns, Link, add_ranges, matrix, numbers, rows_of
from pointsam.datasets.nuscenes.tables import read_rows, table_path

LIDAR = "LIDAR_TOP"
CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")
"""The published camera order (method.md part A); other cameras follow by name."""

REQUIRED = ("sensor", "calibrated_sensor", "scene", "sample", "sample_data", "ego_pose")

_SAMPLE_DATA = {
    "token": str,
    "sample_token": str,
    "calibrated_sensor_token": str,
    "ego_pose_token": str,
    "timestamp": int,
    "is_key_frame": bool,
    "width": int,
    "height": int,
    "filename": str,
    "prev": str,
    "next": str,
}


def join(folder: DataPath) -> dict[str, Columns]:
    """Reads a version folder.

    Returns:
        samples: token, by_token (rows in the order of their tokens), scene, t_us, lidar (row of `sweeps`, -1 = none),
            camera_first/_last (rows of `images`), box_first/_last (rows of `boxes`), panoptic, lidarseg (label file,
            "" = none); by (scene, time).
        sweeps: token, file, t_us, calibration, pose, prev, next (rows, -1 = end of chain).
        images: token, file, t_us, calibration, pose, width_px, height_px.
        calibrations: token, channel, translation (N,3), rotation (N,4), intrinsic (N,9).
        poses: token, translation, rotation.
        boxes: token, translation, size_wlh, rotation, category, velocity (N,3; NaN = unknown),
            visibility (level from 0, -1 = unknown); in the world frame.
        categories: name, index (-1 = the table gives none).

    Raises:
        DatasetError: DAT003 on a token that points nowhere, DAT004 or DAT011 on a table that cannot be read.
    """
    calibrations, calibration_row, cameras = _calibrations(folder)
    samples, sample_row = _samples(folder)
    sweeps, images = _sample_data(folder, samples, sample_row, calibrations, calibration_row, cameras)
    poses = _poses(folder, sweeps, images)
    categories, category_row = read_categories(folder)
    boxes = read_boxes(folder, samples, sample_row, category_row)
    for table in LABEL_TABLES:
        samples[table] = read_label_files(folder, table, samples, sweeps)
    return {
        "samples": samples,
        "sweeps": sweeps,
        "images": images,
        "calibrations": calibrations,
        "poses": poses,
        "boxes": boxes,
        "categories": categories,
    }


def _calibrations(folder: DataPath) -> tuple[Columns, dict[str, int], set[str]]:
    sensors = {
        token: (channel, modality)
        for token, channel, modality in read_rows(folder, "sensor", {"token": str, "channel": str, "modality": str})
    }
    fields = {"token": str, "sensor_token": str, "translation": list, "rotation": list, "camera_intrinsic": list}
    rows = list(read_rows(folder, "calibrated_sensor", fields))
    link = Link(folder, "calibrated_sensor", "sensor_token", "sensor", sensors)
    tokens = [row[0] for row in rows]
    columns: Columns = {
        "token": tokens,
        "channel": [link(token, sensor)[0] for token, sensor, *_ in rows],
        "translation": matrix([numbers(row[2], 3) for row in rows], 3),
        "rotation": matrix([numbers(row[3], 4) for row in rows], 4),
        "intrinsic": matrix([numbers(_flat(row[4]), 9) for row in rows], 9),
    }
    return columns, rows_of(tokens), {channel for channel, modality in sensors.values() if modality == "camera"}


def _flat(matrix: list[Any]) -> list[Any]:
    return [value for line in matrix for value in (line if isinstance(line, list) else [line])]


def _samples(folder: DataPath) -> tuple[Columns, dict[str, int]]:
    scenes = dict(read_rows(folder, "scene", {"token": str, "name": str}))
    link = Link(folder, "sample", "scene_token", "scene", scenes)
    fields = {"token": str, "timestamp": int, "scene_token": str}
    rows = sorted((link(token, scene), t_us, token) for token, t_us, scene in read_rows(folder, "sample", fields))
    row_of = rows_of(token for _, _, token in rows)
    if len(row_of) < len(rows):
        raise DatasetError(
            "DAT011",
            f"{table_path(folder, 'sample')}: a token stands in two rows",
            "give every sample a token of its own",
        )
    tokens = list(row_of)
    columns: Columns = {
        "token": tokens,
        "by_token": np.array(sorted(row_of.values(), key=tokens.__getitem__), dtype=np.int32),
        "scene": [scene for scene, _, _ in rows],
        "t_us": np.array([t_us for _, t_us, _ in rows], dtype=np.int64),
    }
    return columns, row_of


def _sample_data(
    folder: DataPath,
    samples: Columns,
    sample_row: dict[str, int],
    calibrations: Columns,
    calibration_row: dict[str, int],
    cameras: set[str],
) -> tuple[Columns, Columns]:
    """The LiDAR chain and the camera key frames; adds each sample's rows of both to `samples`."""
    to_calibration = Link(folder, "sample_data", "calibrated_sensor_token", "calibrated_sensor", calibration_row)
    to_sample = Link(folder, "sample_data", "sample_token", "sample", sample_row)
    channels: list[str] = calibrations["channel"]
    rank = {channel: (rows_of(CAMERAS).get(channel, len(CAMERAS)), channel) for channel in cameras}
    sweeps = []
    images = {}
    for token, sample, calibration, pose, t_us, key, width, height, file, prev, after in read_rows(
        folder, "sample_data", _SAMPLE_DATA
    ):
        calibrated = to_calibration(token, calibration)
        channel = channels[calibrated]
        if channel == LIDAR:
            sweeps.append((to_sample(token, sample), t_us, token, file, calibrated, pose, prev, after, key))
        elif key and channel in rank:
            row = to_sample(token, sample)
            images[row, rank[channel]] = (token, file, t_us, calibrated, pose, width, height)
    sweeps.sort()
    owner = np.array([row[0] for row in sweeps], dtype=np.int64)
    is_key = np.array([row[8] for row in sweeps], dtype=bool)
    samples["lidar"] = np.full(len(sample_row), -1, dtype=np.int32)
    samples["lidar"][owner[is_key]] = np.flatnonzero(is_key)
    keys = sorted(images)
    add_ranges(samples, "camera", np.array([row for row, _ in keys], dtype=np.int64))
    names = ("token", "file", "t_us", "calibration", "pose", "width_px", "height_px")
    return _chain(folder, sweeps), _transpose(names, [images[key] for key in keys])


def _chain(folder: DataPath, rows: list[tuple[Any, ...]]) -> Columns:
    names = ("sample", "t_us", "token", "file", "calibration", "pose", "prev", "next", "key")
    columns = _transpose(names, rows)
    row_of = rows_of(columns["token"])
    for field in ("prev", "next"):
        link = Link(folder, "sample_data", field, "sample_data", row_of)
        pairs = zip(columns["token"], columns[field], strict=True)
        columns[field] = np.array([link(owner, token) if token else -1 for owner, token in pairs], dtype=np.int32)
    del columns["sample"], columns["key"]
    return columns


def _transpose(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Columns:
    """Rows to columns: strings stay a list, whole numbers become int64."""
    text = {"token", "file", "pose", "prev", "next"}
    columns: Columns = {}
    for index, name in enumerate(names):
        values = [row[index] for row in rows]
        columns[name] = values if name in text else np.array(values, dtype=np.int64)
    return columns


def _poses(folder: DataPath, sweeps: Columns, images: Columns) -> Columns:
    """The ego poses in use; turns the tokens of `pose` into their rows."""
    row_of: dict[str, int] = {}
    for columns in (sweeps, images):
        for token in columns["pose"]:
            row_of.setdefault(token, len(row_of))
    values = np.zeros((len(row_of), 7))
    found = set()
    for token, translation, rotation in read_rows(
        folder, "ego_pose", {"token": str, "translation": list, "rotation": list}
    ):
        row = row_of.get(token)
        if row is not None:
            values[row, :3] = numbers(translation, 3)
            values[row, 3:] = numbers(rotation, 4)
            found.add(token)
    link = Link(folder, "sample_data", "ego_pose_token", "ego_pose", {t: row_of[t] for t in found})
    for columns in (sweeps, images):
        pairs = zip(columns["token"], columns["pose"], strict=True)
        columns["pose"] = np.array([link(owner, token) for owner, token in pairs], dtype=np.int32)
    return {"token": list(row_of), "translation": values[:, :3], "rotation": values[:, 3:]}
