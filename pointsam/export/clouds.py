"""Point clouds with cluster and class: binary PLY and PCD, one file a frame.

Layout
    DEST/NAME.ply or DEST/NAME.pcd    x, y, z, intensity, cluster (int32, -1 = none), class (uint8, 255 = none), colour
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.export.base import Format
from pointsam.export.item import Files, Item
from pointsam.report.points import cluster_colours
from pointsam.report.style import UNLABELLED
from pointsam.types import NO_INSTANCE

_FIELDS = (("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("cluster", "<i4"), ("class", "u1"))
_PLY_TYPES = {"<f4": "float", "<i4": "int", "u1": "uchar"}
_PCD_TYPES = {"<f4": ("4", "F"), "<i4": ("4", "I"), "<u4": ("4", "U"), "u1": ("1", "U")}


def ply(item: Item) -> Files:
    """A frame as PLY (Stanford triangle format, binary little-endian)."""
    fields = [*_FIELDS, ("red", "u1"), ("green", "u1"), ("blue", "u1")]
    rows = _rows(item, fields)
    for axis, name in enumerate(("red", "green", "blue")):
        rows[name] = _colours(item)[:, axis]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    head += [f"property {_PLY_TYPES[kind]} {name}" for name, kind in fields]
    return {f"{item.name}.ply": "\n".join([*head, "end_header", ""]).encode() + rows.tobytes()}


def pcd(item: Item) -> Files:
    """A frame as PCD 0.7 (Point Cloud Library, binary); the colour is packed as PCL has it."""
    fields = [*_FIELDS, ("rgb", "<u4")]
    rows = _rows(item, fields)
    colour = _colours(item).astype(np.uint32)
    rows["rgb"] = colour[:, 0] << 16 | colour[:, 1] << 8 | colour[:, 2]
    sizes = [_PCD_TYPES[kind] for _, kind in fields]
    head = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        "FIELDS " + " ".join(name for name, _ in fields),
        "SIZE " + " ".join(size for size, _ in sizes),
        "TYPE " + " ".join(kind for _, kind in sizes),
        "COUNT " + " ".join("1" for _ in fields),
        f"WIDTH {len(rows)}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {len(rows)}",
        "DATA binary",
        "",
    ]
    return {f"{item.name}.pcd": "\n".join(head).encode() + rows.tobytes()}


def _rows(item: Item, fields: list[tuple[str, str]]) -> NDArray[np.void]:
    rows = np.zeros(len(item.points), dtype=fields)
    rows["x"], rows["y"], rows["z"] = item.points[:, :3].T
    rows["intensity"] = item.points[:, 3]
    rows["cluster"], rows["class"] = item.found.labels.instance_id, item.found.labels.class_id
    return rows


def _colours(item: Item) -> NDArray[np.uint8]:
    ids = item.found.labels.instance_id
    colours = np.broadcast_to(np.array(UNLABELLED, dtype=np.uint8), (len(ids), 3)).copy()
    member = ids != NO_INSTANCE
    colours[member] = cluster_colours(ids[member])
    return colours


PLY = Format(lambda item, _: ply(item))
PCD = Format(lambda item, _: pcd(item))
