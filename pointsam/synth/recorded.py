"""What is recorded of key frames for nuScenes' tables: values that JSON holds."""

from __future__ import annotations

from typing_extensions import TypedDict  # before Python 3.12 pydantic checks no other


class FileRow(TypedDict):
    """A file of a sensor: `t_us` and pose of the moment, `key` for one of a key frame, `file` relative to the root."""

    token: str
    channel: str
    t_us: int
    key: bool
    file: str
    height: int
    width: int
    translation: list[float]
    rotation: list[float]


class ObjectRow(TypedDict):
    """The box of an object; `hits` counts the returns of the key sweep that met it."""

    object_id: int
    category: str
    attribute: str
    translation: list[float]
    size_wlh: list[float]
    rotation: list[float]
    hits: int
    num_lidar_pts: int
    visibility: str


class _Frame(TypedDict):
    sample_token: str
    t_us: int
    data: list[FileRow]
    labels: dict[str, str]
    boxes: list[ObjectRow]


class RecordedFrame(_Frame, total=False):
    """A key frame with the sweeps that lead to it; the first of a scene holds what is known of the scene."""

    description: str
    map_file: str
