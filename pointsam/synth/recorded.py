"""Records of key frames for nuScenes' tables, as JSON values."""

from __future__ import annotations

from typing_extensions import TypedDict  # before Python 3.12 pydantic checks no other


class FileRow(TypedDict):
    """A sensor file: `t_us` and pose of its time, `key` for a key frame, `file` relative to the root."""

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
    """The box of an object; `hits` counts the returns of all key sweeps from it."""

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
    """A key frame with the sweeps before it; the first of a scene also describes the scene.

    `labels` are the files of the first LiDAR's key sweep, `other_labels` those of the others by channel.
    """

    other_labels: dict[str, dict[str, str]]

    description: str
    map_file: str
