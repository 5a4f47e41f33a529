"""Boxes fitted to clusters, for tools that show and edit boxes (CVAT, Xtreme1) and for evaluators.

Layout
    kitti            DEST/label_2/NAME.txt       KITTI object labels with a score, in camera 2's rectified frame; boxes
                                                 in the image are around the corners as the lens shows them
                     DEST/label_02/SCENE.txt     after tracking also: frame and track before these values, as in KITTI
                                                 tracking
    nuscenes-boxes   DEST/results_nusc.json      nuScenes detection results, world frame; after tracking with the
                                                 velocity of the track, and its instance token as `tracking_id`

The front of a box is not known, so its heading may be off by 180 degrees. Velocities of single frames are 0.

Source: KITTI object development kit, readme.txt; nuscenes.eval.detection, README.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from scipy.spatial.transform import Rotation

from pointsam.base.errors import SchemaError
from pointsam.export.base import GUESSED, Format
from pointsam.export.frame import ExportFrame, Files, require_known
from pointsam.export.nuscenes_panoptic import CHALLENGE_CLASS
from pointsam.geometry.boxes import corners
from pointsam.geometry.projection import cam_SE3_lidar

_Result: TypeAlias = "dict[str, object]"
"""A detection in the format of nuScenes' results."""

KITTI_KINDS: Mapping[str, str] = MappingProxyType(
    {"car": "Car", "truck": "Truck", "tram": "Tram", "pedestrian": "Pedestrian", "cyclist": "Cyclist"}
)
_MOST, _NEAREST_M = 500, 0.1


def kitti(item: ExportFrame) -> Files:
    """The label file of a frame, without boxes that the camera does not see; errors as of `_seen`."""
    lines = (f"{kind} 0.00 3 {values}\n" for _, kind, values in _seen(item))
    return {f"label_2/{item.name}.txt": "".join(lines).encode()}


def kitti_tracking(item: ExportFrame) -> tuple[str, str] | None:
    """Scene and lines of a frame in the label file of its scene; None for labels that are not tracked."""
    scene = item.found.frame.scene
    number = item.frame.frame_id.removeprefix(f"{scene}_")
    if item.objects is None or not number.isdecimal():
        return None
    lines = (f"{int(number)} {item.objects[k].number - 1} {kind} 0 3 {values}\n" for k, kind, values in _seen(item))
    return scene, "".join(lines)


def kitti_scenes(rows: Iterable[tuple[str, str] | None]) -> Files:
    """The label files of scenes."""
    found: dict[str, str] = {}
    for scene, lines in filter(None, rows):
        found[scene] = found.get(scene, "") + lines
    return {f"label_02/{scene}.txt": lines.encode() for scene, lines in found.items()}


def _seen(item: ExportFrame) -> list[tuple[int, str, str]]:
    """cluster_id, type, and values from alpha on, of the boxes that the camera sees.

    Raises:
        SchemaError: SCH004 on a class that KITTI lacks, or on a frame with more than one camera.
    """
    to_rect = item.rect_SE3_lidar
    assert to_rect is not None  # `Format.rectified`
    require_known(item.taxonomy, KITTI_KINDS, "KITTI")
    views = item.frame.cameras
    if len(views) != 1:
        raise SchemaError(
            "SCH004",
            f"KITTI's labels are of one camera, but frame {item.frame.frame_id} has {len(views)}",
            "--to openpcdet",
        )
    view, camera = views[0], views[0].camera
    to_camera = cam_SE3_lidar(item.frame.sweep, view)
    lines = []
    turned = corners(item.boxes)
    for k, cluster in enumerate(item.found.clusters):
        seen = to_camera.apply(turned[k])
        uv, depth = camera.project(seen)
        uv = uv[(depth > _NEAREST_M) & np.isfinite(uv[:, 0])]
        if len(uv) == 0:
            continue
        length, width, height = item.boxes.size_lwh_m[k]
        x, y, z = to_rect.apply(item.boxes.center_m[k])
        ahead = to_rect.rotation @ item.boxes.rotation[k][:, 0]
        rotation_y = float(np.arctan2(-ahead[2], ahead[0]))
        last = (camera.width_px - 1, camera.height_px - 1)
        (left, top), (right, bottom) = (np.clip(side, 0, last) for side in (uv.min(axis=0), uv.max(axis=0)))
        if left == right or top == bottom:
            continue
        alpha = float(np.arctan2(np.sin(rotation_y - np.arctan2(x, z)), np.cos(rotation_y - np.arctan2(x, z))))
        numbers = (alpha, left, top, right, bottom, height, width, length, x, y + height / 2, z, rotation_y)
        values = " ".join(f"{value:.2f}" for value in numbers)
        lines.append((k, KITTI_KINDS[cluster.class_name], f"{values} {cluster.exported_score:.4f}"))
    return lines


def nuscenes_rows(item: ExportFrame) -> list[_Result]:
    """The boxes of a frame as nuScenes results.

    Raises:
        SchemaError: SCH004 on a class that nuScenes lacks.
    """
    require_known(item.taxonomy, CHALLENGE_CLASS, "nuScenes")
    if not item.found.clusters:  # a quarantined frame may have no pose
        return []
    sweep = item.frame.sweep
    world_SE3_lidar = sweep.world_SE3_ego @ sweep.ego_SE3_lidar
    rows = []
    for k, cluster in enumerate(item.found.clusters[:_MOST]):
        x, y, z, w = Rotation.from_matrix(world_SE3_lidar.rotation @ item.boxes.rotation[k]).as_quat()
        length, width, height = item.boxes.size_lwh_m[k]
        rows.append(
            {
                "sample_token": item.frame.frame_id,
                "translation": world_SE3_lidar.apply(item.boxes.center_m[k]).tolist(),
                "size": [width, length, height],
                "rotation": [w, x, y, z],
                "velocity": item.velocity_mps(k)[:2].tolist(),
                "detection_name": cluster.class_name,
                "detection_score": cluster.exported_score,
                "attribute_name": "",
                **({} if item.objects is None else {"tracking_id": item.objects[k].token}),
            }
        )
    return rows


def results_file(rows: Mapping[str, list[_Result]]) -> Files:
    """The file of a split; its `meta` states camera, LiDAR, and 2D networks trained on other data."""
    meta = {"use_camera": True, "use_lidar": True, "use_radar": False, "use_map": False, "use_external": True}
    return {"results_nusc.json": (json.dumps({"meta": meta, "results": dict(rows)}) + "\n").encode()}


KITTI: Format[tuple[str, str] | None] = Format(
    lambda item, _: kitti(item),
    kitti_tracking,
    lambda done: kitti_scenes(done.rows),
    rectified=True,
    classes=tuple(KITTI_KINDS),
    note=GUESSED,
)
NUSCENES: Format[tuple[str, list[_Result]]] = Format(
    row=lambda item: (item.frame.frame_id, nuscenes_rows(item)),
    close=lambda done: results_file(dict(done.rows)),
    lidar_tokens=True,
    classes=tuple(CHALLENGE_CLASS),
    every_frame=True,
    note=GUESSED,
)
