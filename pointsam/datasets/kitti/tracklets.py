"""tracklet_labels.xml of KITTI raw: an object with its poses in the frames from its first one on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath, read_bytes
from pointsam.datasets.kitti.labels import UNKNOWN_OCCLUSION, kind_of
from pointsam.datasets.kitti.oxts import rotation_of
from pointsam.geometry.se3 import SE3

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_MOST_BYTES = 256 << 20
"""The largest file of the release has a few megabytes."""
_HINT = "fetch the tracklets again; without the file its drive has no ground truth"


@dataclass(frozen=True)
class TrackletBox:
    """An object in one frame.

    Args:
        track: position of the object in its file, from 0.
        kind: KITTI's type; any other name as the file has it.
        size_hwl_m: height, width, length.
        lidar_SE3_bottom: from the frame of the box (x along its length, z up, origin at the centre of its bottom face)
            to the LiDAR frame.
        occluded: 0 visible, 1 partly occluded, 2 fully occluded, 3 unknown.
    """

    track: int
    kind: str
    size_hwl_m: tuple[float, float, float]
    lidar_SE3_bottom: SE3
    occluded: int

    @property
    def lidar_SE3_box(self) -> SE3:
        """From the frame of the box with its origin at its centre to the LiDAR frame."""
        return self.lidar_SE3_bottom @ SE3(np.eye(3), np.array([0.0, 0.0, self.size_hwl_m[0] / 2]))


def read_tracklets(path: DataPath) -> Mapping[int, tuple[TrackletBox, ...]]:
    """The objects of a drive by number of the frame, in the order of the file.

    Source: KITTI raw data development kit, readTracklets.m and tracklets.h. Boost writes an
    empty document type; one with entities is refused before anything is expanded.

    Raises:
        DatasetError: DAT004 if the file cannot be read, DAT011 naming tracklet and field if it is cut off, not such
            a file or holds a value that is not possible.
    """
    found: dict[int, list[TrackletBox]] = {}
    for number, box in _boxes(path, _root(path)):
        found.setdefault(number, []).append(box)
    return {number: tuple(boxes) for number, boxes in found.items()}


def _root(path: DataPath) -> Element:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    content = read_bytes(path, "tracklets")
    if len(content) > _MOST_BYTES:
        raise DatasetError("DAT011", f"{path}: {len(content)} bytes are no file of tracklets", _HINT)
    try:
        root = fromstring(content)
    except DefusedXmlException as error:
        raise DatasetError("DAT011", f"{path}: it has entities, which no tracklets have ({error})", _HINT) from error
    except (ParseError, ValueError, LookupError) as error:  # ValueError, LookupError: an encoding that is not known
        raise DatasetError("DAT011", f"{path} is cut off, or no XML: {error}", _HINT) from error
    tracklets: Element | None = root.find("tracklets")
    if tracklets is None:
        raise DatasetError("DAT011", f"{path}: no element tracklets", _HINT)
    return tracklets


def _boxes(path: DataPath, tracklets: Element) -> Iterator[tuple[int, TrackletBox]]:
    for track, item in enumerate(_items(path, "tracklets", tracklets)):
        where = f"tracklet {track}"
        kind = kind_of(_text(path, where, item, "objectType"))
        height, width, length = (_number(path, where, item, name) for name in ("h", "w", "l"))
        if not min(height, width, length) > 0:
            raise DatasetError("DAT011", f"{path}, {where}: h, w, l = {height}, {width}, {length}", _HINT)
        first = _whole(path, where, item, "first_frame")
        poses = item.find("poses")
        if poses is None:
            raise DatasetError("DAT011", f"{path}, {where}: no element poses", _HINT)
        for k, pose in enumerate(_items(path, f"{where}, poses", poses)):
            at = f"{where}, pose {k}"
            x, y, z, about_x, about_y, about_z = (
                _number(path, at, pose, name) for name in ("tx", "ty", "tz", "rx", "ry", "rz")
            )
            bottom = SE3(rotation_of(about_x, about_y, about_z), np.array([x, y, z]))
            yield first + k, TrackletBox(track, kind, (height, width, length), bottom, _occlusion(path, at, pose))


def _items(path: DataPath, where: str, parent: Element) -> list[Element]:
    """The items of a list, whose number the file states."""
    items = parent.findall("item")
    count = _whole(path, where, parent, "count")
    if count != len(items):
        raise DatasetError("DAT011", f"{path}, {where}: {len(items)} items, but count is {count}", _HINT)
    return items


def _occlusion(path: DataPath, where: str, pose: Element) -> int:
    """Level of occlusion; -1 and absent mean unknown."""
    if pose.find("occlusion") is None:
        return UNKNOWN_OCCLUSION
    value = _number(path, where, pose, "occlusion")
    return int(value) if value in (0, 1, 2) else UNKNOWN_OCCLUSION


def _text(path: DataPath, where: str, parent: Element, name: str) -> str:
    text = (parent.findtext(name) or "").strip()
    if not text:
        raise DatasetError("DAT011", f"{path}, {where}: {name} is missing or empty", _HINT)
    return text


def _number(path: DataPath, where: str, parent: Element, name: str) -> float:
    text = _text(path, where, parent, name)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DatasetError("DAT011", f"{path}, {where}: {name} is {text[:40]!r}", _HINT)
    return value


def _whole(path: DataPath, where: str, parent: Element, name: str) -> int:
    value = _number(path, where, parent, name)
    if value < 0 or value != int(value):
        raise DatasetError("DAT011", f"{path}, {where}: {name} is {value:g}", _HINT)
    return int(value)
