"""Joins nuScenes' tables into the columns that frames need, with row numbers in place of tokens.

Of the 2.6 million sample_data rows of v1.0-trainval, frames need only those of one LiDAR, or of those that the user
names, and of key frames of cameras. Other rows are dropped while the table is read, and so are ego poses that no kept
row uses.
A token that no row has is an error here, for the whole data set: tables are truncated or from different releases.
A value of single frames (a rotation, an intrinsic matrix) is stored as it is and checked with its frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pointsam.base.errors import BrokenRuleError
from pointsam.base.remote import DataPath
from pointsam.datasets.nuscenes import schema
from pointsam.datasets.nuscenes.annotations import read_boxes, read_categories, read_label_files
from pointsam.datasets.nuscenes.columns import (
    Calibrations,
    ColumnGroup,
    Images,
    Link,
    Poses,
    Rows,
    Samples,
    Sweeps,
    by_token,
    matrix,
    numbers,
    ranges,
    rows_of,
    same_token,
)
from pointsam.datasets.nuscenes.lenses import as_text
from pointsam.datasets.nuscenes.lidars import lidar_channels
from pointsam.datasets.nuscenes.tables import read_rows
from pointsam.datasets.nuscenes.versions import LABEL_TABLES, table_path

CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")
"""The published order of cameras; other cameras follow by name."""


def join(folder: DataPath, wanted: str | None = None) -> tuple[dict[str, ColumnGroup], tuple[str, ...]]:
    """Reads a version folder.

    Args:
        folder: the version folder.
        wanted: channels of the LiDARs as in `lidar_channels`.

    Returns:
        samples: `columns.Samples`, and so on: sweeps, images, calibrations, poses, boxes, categories; and the
        channels of the LiDARs.

    Raises:
        DatasetError: DAT004 or DAT011 on a table that cannot be read, DAT010 as `lidar_channels`.
        BrokenRuleError: DAT003 on a token that no row has, DAT012 on rows that contradict each other.
    """
    sensors = by_token(folder, "sensor", read_rows(folder, "sensor", schema.Sensor))
    channels = lidar_channels(folder, sensors.values(), wanted)
    calibrations, calibration_row = _calibrations(folder, sensors)
    cameras = {sensor.channel for sensor in sensors.values() if sensor.modality.lower() == "camera"}
    samples = _samples(folder)
    tokens = [sample.token for sample in samples]
    sample_row = rows_of(tokens)
    exposures, shots, unread = _exposures(folder, sample_row, calibrations, calibration_row, cameras, channels)
    pose_row = rows_of(dict.fromkeys(exposure.pose for exposure in (*exposures, *shots)))
    poses, known_poses = _poses(folder, pose_row)
    sweeps, images = _sweeps(folder, exposures, known_poses), _images(folder, shots, known_poses)
    lidar = np.full((len(tokens), len(channels)), -1, dtype=np.int32)
    for row, exposure in enumerate(exposures):
        if exposure.is_key:
            place, channel = exposure.rank
            other = lidar[exposure.sample, place]
            if other >= 0:
                raise _two_keys(folder, tokens[exposure.sample], channel, exposures[other], exposure)
            lidar[exposure.sample, place] = row
    camera_first, camera_last = ranges(np.array([shot.sample for shot in shots], dtype=np.int64), len(tokens))
    t_us = np.array([sample.t_us for sample in samples], dtype=np.int64)
    categories, category_row = read_categories(folder)
    boxes, (box_first, box_last) = read_boxes(folder, sample_row, t_us, category_row)
    labelled = dict.fromkeys(unread) | {row.token: k for k, row in enumerate(exposures) if row.is_key}
    packs = {pack: read_label_files(folder, pack, labelled, len(exposures)) for pack in LABEL_TABLES}
    of_samples: Samples = {
        "token": tokens,
        "by_token": np.array(sorted(range(len(tokens)), key=tokens.__getitem__), dtype=np.int32),
        "scene": [sample.scene for sample in samples],
        "t_us": t_us,
        "lidar": lidar,
        "camera_first": camera_first,
        "camera_last": camera_last,
        "box_first": box_first,
        "box_last": box_last,
    }
    return {
        "samples": of_samples,
        "sweeps": {**sweeps, **packs},
        "images": images,
        "calibrations": calibrations,
        "poses": poses,
        "boxes": boxes,
        "categories": categories,
    }, channels


def _calibrations(folder: DataPath, sensors: Mapping[str, schema.Sensor]) -> tuple[Calibrations, dict[str, int]]:
    """The calibrations, and the row of each token."""
    table = "calibrated_sensor"
    rows = list(by_token(folder, table, read_rows(folder, table, schema.CalibratedSensor)).values())
    link = Link(folder, "calibrated_sensor", "sensor_token", "sensor", sensors)
    distortion, lens, readout = ([fields[k] for fields in map(as_text, rows)] for k in range(3))
    columns: Calibrations = {
        "token": [row.token for row in rows],
        "channel": [link(row.token, row.sensor_token).channel for row in rows],
        "translation": matrix([numbers(row.translation, 3) for row in rows], 3),
        "rotation": matrix([numbers(row.rotation, 4) for row in rows], 4),
        "intrinsic": matrix([numbers(_flat(row.camera_intrinsic), 9) for row in rows], 9),
        "distortion": distortion,
        "lens": lens,
        "readout": readout,
    }
    return columns, rows_of(columns["token"])


def _flat(matrix: Iterable[list[float] | float]) -> list[float]:
    return [value for line in matrix for value in (line if isinstance(line, list) else [line])]


class _Sample(NamedTuple):
    scene: str
    t_us: int
    token: str


def _samples(folder: DataPath) -> list[_Sample]:
    scenes = by_token(folder, "scene", read_rows(folder, "scene", schema.Scene))
    link = Link(folder, "sample", "scene_token", "scene", scenes)
    rows = by_token(folder, "sample", read_rows(folder, "sample", schema.Sample)).values()
    return sorted(
        _Sample(link(row.token, row.scene_token).name or row.scene_token, row.timestamp, row.token) for row in rows
    )


class _Exposure(NamedTuple):
    """A kept row of sample_data; `sample` and `calibration` are row numbers. The first fields define the order."""

    sample: int
    rank: tuple[int, str]
    t_us: int
    token: str
    file: str
    calibration: int
    pose: str
    prev: str
    next: str
    is_key: bool
    width_px: int
    height_px: int


def _exposures(
    folder: DataPath,
    sample_row: dict[str, int],
    calibrations: Calibrations,
    calibration_row: dict[str, int],
    cameras: set[str],
    lidars: Sequence[str],
) -> tuple[list[_Exposure], list[_Exposure], list[str]]:
    """Exposures of the LiDARs, key frames of cameras, and the tokens of other key frames.

    Raises:
        BrokenRuleError: DAT012 if two different rows have the same token, or a sample has two key images of a camera.
    """
    to_calibration = Link(folder, "sample_data", "calibrated_sensor_token", "calibrated_sensor", calibration_row)
    to_sample = Link(folder, "sample_data", "sample_token", "sample", sample_row)
    channels = calibrations["channel"]
    place = rows_of(CAMERAS)
    rank = {channel: (place.get(channel, len(CAMERAS)), channel) for channel in cameras}
    lidar_rank = {channel: (k, channel) for k, channel in enumerate(lidars)}
    known: dict[str, _Exposure] = {}
    unread: list[str] = []
    images: dict[tuple[int, tuple[int, str]], _Exposure] = {}
    for row in read_rows(folder, "sample_data", schema.SampleData):
        calibration = to_calibration(row.token, row.calibrated_sensor_token)
        channel = channels[calibration]
        is_lidar = channel in lidar_rank
        if not (is_lidar or (row.is_key_frame and channel in rank)):
            if row.is_key_frame:
                unread.append(row.token)
            continue
        exposure = _Exposure(
            to_sample(row.token, row.sample_token),
            lidar_rank[channel] if is_lidar else rank[channel],
            row.timestamp,
            row.token,
            row.filename,
            calibration,
            row.ego_pose_token,
            row.prev,
            row.next,
            row.is_key_frame,
            row.width,
            row.height,
        )
        if known.setdefault(row.token, exposure) != exposure:
            raise same_token(folder, "sample_data", row.token)
        if not is_lidar:
            other = images.setdefault((exposure.sample, exposure.rank), exposure)
            if other != exposure:
                token = next(token for token, number in sample_row.items() if number == exposure.sample)
                raise _two_keys(folder, token, channel, other, exposure)
    sweeps = sorted(exposure for exposure in known.values() if exposure.rank[1] in lidar_rank)
    return sweeps, [images[key] for key in sorted(images)], unread


def _two_keys(folder: DataPath, sample: str, channel: str, one: _Exposure, other: _Exposure) -> BrokenRuleError:
    return BrokenRuleError(
        "DAT012",
        f"{table_path(folder, 'sample_data')}: sample {sample!r} has two key frames of {channel}, "
        f"rows {one.token!r} and {other.token!r}",
        "set is_key_frame of one of them to false",
    )


def _sweeps(folder: DataPath, rows: Sequence[_Exposure], poses: dict[str, int]) -> Sweeps:
    tokens = [row.token for row in rows]
    row_of = rows_of(tokens)
    prev, after = (Link(folder, "sample_data", field, "sample_data", row_of) for field in ("prev", "next"))
    return {
        "t_us": np.array([row.t_us for row in rows], dtype=np.int64),
        "token": tokens,
        "file": [row.file for row in rows],
        "calibration": np.array([row.calibration for row in rows], dtype=np.int64),
        "pose": _pose_rows(folder, rows, poses),
        "prev": np.array([prev(row.token, row.prev) if row.prev else -1 for row in rows], dtype=np.int32),
        "next": np.array([after(row.token, row.next) if row.next else -1 for row in rows], dtype=np.int32),
    }


def _images(folder: DataPath, rows: Sequence[_Exposure], poses: dict[str, int]) -> Images:
    return {
        "token": [row.token for row in rows],
        "file": [row.file for row in rows],
        "t_us": np.array([row.t_us for row in rows], dtype=np.int64),
        "calibration": np.array([row.calibration for row in rows], dtype=np.int64),
        "pose": _pose_rows(folder, rows, poses),
        "width_px": np.array([row.width_px for row in rows], dtype=np.int64),
        "height_px": np.array([row.height_px for row in rows], dtype=np.int64),
    }


def _pose_rows(folder: DataPath, rows: Sequence[_Exposure], poses: dict[str, int]) -> Rows:
    link = Link(folder, "sample_data", "ego_pose_token", "ego_pose", poses)
    return np.array([link(row.token, row.pose) for row in rows], dtype=np.int32)


def _poses(folder: DataPath, row_of: dict[str, int]) -> tuple[Poses, dict[str, int]]:
    """The ego poses in use, and the row of each token that the table has.

    Args:
        folder: the version folder.
        row_of: row of each token in use.
    """
    values = np.zeros((len(row_of), 7))
    found: dict[str, int] = {}
    for token, translation, rotation in read_rows(folder, "ego_pose", schema.EgoPose):
        row = row_of.get(token)
        if row is not None:
            value = [*numbers(translation, 3), *numbers(rotation, 4)]
            if token in found and not np.array_equal(values[row], value, equal_nan=True):
                raise same_token(folder, "ego_pose", token)
            values[row] = value
            found[token] = row
    return {"token": list(row_of), "translation": values[:, :3], "rotation": values[:, 3:]}, found
