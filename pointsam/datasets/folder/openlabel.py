"""Boxes of ASAM OpenLABEL 1.0: cuboids of the objects of each frame.

A cuboid has ten values (x, y, z, qx, qy, qz, qw, sx, sy, sz), or nine with the Euler angles rx, ry, rz, applied ZYX, in
place of the quaternion. sx, sy and sz are its length, width and height. A file without frames is one frame: its objects
have the cuboids. Other parts of the file are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from pointsam.datasets.folder.boxes import Angles, BoxRow, in_radians, malformed, numbers, posed, size_of
from pointsam.geometry.se3 import SE3

_HINT = "OpenLABEL 1.0 has openlabel.frames.NUMBER.objects.ID.object_data.cuboid"


@dataclass(frozen=True)
class LabelledFrame:
    """The boxes of one frame.

    Args:
        key: name of the frame in the file, a number; "" for a file without frames, whose objects have cuboids.
        stamp: its time stamp as a text; None if it has none.
        rows: its boxes.
    """

    key: str
    stamp: str | None
    rows: tuple[BoxRow, ...]


def is_openlabel(values: object) -> bool:
    """Whether JSON values are those of OpenLABEL."""
    return isinstance(values, Mapping) and "openlabel" in values


def frames_of(values: object, where: str, angles: Angles | None) -> list[LabelledFrame]:
    """The frames of a file, in its order.

    Args:
        values: its JSON values.
        where: its name, for errors.
        angles: unit of Euler angles.

    Raises:
        DatasetError: DAT011 naming the frame and the object.
        CalibrationError: CAL001 on a quaternion that is no rotation.
    """
    root = _object(values, "openlabel", where)
    kinds = _object(root, "objects", f"{where}: openlabel", missing={})
    fixed = [uid for uid, one in kinds.items() if isinstance(one, Mapping) and _cuboids(one, f"{where}: object {uid}")]
    if "frames" not in root and fixed:
        return [_frame("", root, kinds, where, angles)]
    if fixed:
        what = f"openlabel.objects: object {fixed[0]} has a cuboid outside of the frames"
        raise malformed(where, what, "write it into each frame, where the vehicle has another pose")
    frames = _object(root, "frames", f"{where}: openlabel")
    return [_frame(str(key), frame, kinds, f"{where}: frame {key}", angles) for key, frame in frames.items()]


def _cuboids(found: object, where: str) -> list[object]:
    data = _object(found, "object_data", where, missing={})
    cuboids = data.get("cuboid") or []
    if not isinstance(cuboids, list):
        raise malformed(where, "cuboid is no list", _HINT)
    return cuboids


def _frame(key: str, frame: object, kinds: Mapping[object, object], where: str, angles: Angles | None) -> LabelledFrame:
    properties = _object(frame, "frame_properties", where, missing={})
    stamp = properties.get("timestamp")
    rows = list[BoxRow]()
    for uid, found in _object(frame, "objects", where, missing={}).items():
        cuboids = _cuboids(found, f"{where}, object {uid}")
        data = _object(found, "object_data", f"{where}, object {uid}", missing={})
        name = _kind(kinds.get(uid), data, f"{where}, object {uid}") if cuboids else ""
        for k, cuboid in enumerate(cuboids):
            rows.append(_row(cuboid, name, str(uid), f"{where}, object {uid}, cuboid {k}", angles))
    return LabelledFrame(key, None if stamp is None else str(stamp), tuple(rows))


def _row(cuboid: object, name: str, uid: str, where: str, angles: Angles | None) -> BoxRow:
    if not isinstance(cuboid, Mapping) or not isinstance(cuboid.get("val"), list):
        raise malformed(where, "it has no list `val`", _HINT)
    system = cuboid.get("coordinate_system")
    frame = system if isinstance(system, str) and system else None
    count = len(cuboid["val"])
    if count == 9:
        x, y, z, rx, ry, rz, *size = numbers(cuboid["val"], count, f"{where}, val").tolist()
        zyx = [in_radians(angle, angles, f"{where}, val") for angle in (rz, ry, rx)]
        pose = SE3(Rotation.from_euler("ZYX", zyx).as_matrix(), np.array([x, y, z]))
    else:
        values = numbers(cuboid["val"], 10, f"{where}, val")
        pose, size = posed(values[[6, 3, 4, 5]], values[:3], f"{where}, val"), values[7:].tolist()
    return BoxRow(name, pose, size_of(size, where), frame, uid)


def _kind(entry: object, data: Mapping[object, object], where: str) -> str:
    for holder in (entry, data):
        kind = holder.get("type") if isinstance(holder, Mapping) else None
        if isinstance(kind, str):
            return kind
    raise malformed(where, "openlabel.objects states no `type` of it", _HINT)


def _object(
    values: object, name: str, where: str, missing: Mapping[object, object] | None = None
) -> Mapping[object, object]:
    found = values.get(name, missing) if isinstance(values, Mapping) else None
    if not isinstance(found, Mapping):
        raise malformed(where, f"{name} is no object", _HINT)
    return found
