"""The fields of nuScenes' tables that are read. A field that has a default may be null, or absent from a row.

The values inside lists are not checked here: `columns.numbers` does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

_EMPTY: list[float] = []


class Sensor(NamedTuple):
    """sensor.json."""

    token: str
    channel: str
    modality: str


class CalibratedSensor(NamedTuple):
    """calibrated_sensor.json."""

    token: str
    sensor_token: str
    translation: list[float]
    rotation: list[float]
    camera_intrinsic: list[list[float]]
    camera_distortion: list[float] = _EMPTY
    camera_lens: str = "brown"
    camera_readout_s: list[float] = _EMPTY


class Scene(NamedTuple):
    """scene.json."""

    token: str
    name: str


class Sample(NamedTuple):
    """sample.json."""

    token: str
    timestamp: int
    scene_token: str


class SampleData(NamedTuple):
    """sample_data.json."""

    token: str
    sample_token: str
    calibrated_sensor_token: str
    ego_pose_token: str
    timestamp: int
    is_key_frame: bool
    width: int
    height: int
    filename: str
    prev: str
    next: str


class EgoPose(NamedTuple):
    """ego_pose.json."""

    token: str
    translation: list[float]
    rotation: list[float]


class Instance(NamedTuple):
    """instance.json."""

    token: str
    category_token: str


class SampleAnnotation(NamedTuple):
    """sample_annotation.json."""

    token: str
    sample_token: str
    instance_token: str
    translation: list[float]
    size: list[float]
    rotation: list[float]
    visibility_token: str = ""


class Category(NamedTuple):
    """category.json."""

    token: str
    name: str


@dataclass(frozen=True)
class NumberedCategory:
    """category.json of the label packs. No tuple: tuples have a method `index`."""

    token: str
    name: str
    index: int


class LabelFile(NamedTuple):
    """panoptic.json and lidarseg.json."""

    token: str
    sample_data_token: str
    filename: str
