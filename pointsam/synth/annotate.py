"""Annotations of a key frame: boxes with visibility, and a category for every point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.boxes import count_points
from pointsam.geometry.se3 import SE3
from pointsam.synth.lidar import EGO, NOTHING, Scan
from pointsam.synth.sensors import beam_delay_s
from pointsam.synth.world import Thing, World
from pointsam.types import Boxes

MARGIN_M = 0.06
"""Margin of a box around its object on all sides but the bottom, as annotators leave one."""

REACH_M = 110.0
CATEGORIES = (
    "noise",
    "animal",
    *(f"human.pedestrian.{kind}" for kind in ("adult", "child", "construction_worker", "personal_mobility")),
    *(f"human.pedestrian.{kind}" for kind in ("police_officer", "stroller", "wheelchair")),
    *(f"movable_object.{kind}" for kind in ("barrier", "debris", "pushable_pullable", "trafficcone")),
    "static_object.bicycle_rack",
    *(f"vehicle.{kind}" for kind in ("bicycle", "bus.bendy", "bus.rigid", "car", "construction")),
    *(f"vehicle.{kind}" for kind in ("emergency.ambulance", "emergency.police", "motorcycle", "trailer", "truck")),
    *(f"flat.{kind}" for kind in ("driveable_surface", "other", "sidewalk", "terrain")),
    *(f"static.{kind}" for kind in ("manmade", "other", "vegetation")),
    "vehicle.ego",
)
"""nuScenes' categories in the order of its label packs; the index is the label."""

_INSTANCES_PER_CATEGORY = 1000
_VISIBILITY = (0.4, 0.6, 0.8)


@dataclass(frozen=True)
class BoxRow:
    """One object at one key frame.

    Args:
        object_id: id of the object.
        center_m: (x, y, z) in the world.
        yaw: radians.
        size_lwh_m: length, width and height, with `MARGIN_M`.
        speed_mps: its speed.
        hits: number of returns of all key sweeps from it.
        num_lidar_pts: number of points of the first LiDAR's key sweep inside the box, from any object (nuScenes counts
            those of LIDAR_TOP).
        visibility: nuScenes' token "1" (up to 40 %) to "4" (80 to 100 %) of its pixels in all cameras.
    """

    object_id: int
    center_m: tuple[float, float, float]
    yaw: float
    size_lwh_m: tuple[float, float, float]
    speed_mps: float
    hits: int
    num_lidar_pts: int
    visibility: str


def beam_time_s(world: World, thing: Thing, t_s: float, ego_SE3_lidar: SE3) -> float:
    """Time at which the beam of the sweep that ends at `t_s` passes the centre of an object, in seconds.

    Annotators draw a box where the LiDAR measured its object, and a moving car is measured up to 50 ms before the time
    stamp of the sweep.
    """
    time = t_s
    for _ in range(3):  # the beam is much faster than any object: the second step is exact
        lidar_SE3_thing = (world.world_SE3_ego(time) @ ego_SE3_lidar).inverse() @ thing.world_SE3_thing(time)
        time = t_s - float(beam_delay_s(lidar_SE3_thing.translation_m[None, :2])[0])
    return time


def boxes(
    world: World, t_s: float, scan: Scan, visibility: dict[int, str], others: Sequence[Scan] = ()
) -> list[BoxRow]:
    """Boxes of all annotated objects within `REACH_M`, where the first LiDAR measured them.

    Args:
        world: the scene.
        t_s: end of the key sweep, seconds from the start of the scene.
        scan: the key sweep of the first LiDAR.
        visibility: object_id -> token; "1" for missing objects.
        others: key sweeps of the other LiDARs; an object that one of them hits is annotated too.
    """
    here = world.world_SE3_ego(t_s)
    near = [
        thing
        for thing in world.boxed
        if np.linalg.norm(thing.world_SE3_thing(t_s).translation_m - here.translation_m) < REACH_M
    ]
    hit = np.concatenate([s.object_id for s in (scan, *others)])
    hits = np.bincount(hit[hit >= 0], minlength=len(world.things))
    poses, rows = [], []
    for thing in near:
        time = beam_time_s(world, thing, t_s, scan.ego_SE3_lidar) if thing.moves or world.ego.moves else t_s
        pose = thing.world_SE3_thing(time)
        length, width, height = thing.asset.size_lwh_m
        size = (length + 2 * MARGIN_M, width + 2 * MARGIN_M, height + MARGIN_M)
        poses.append(SE3(pose.rotation, pose.translation_m + np.array((0.0, 0.0, size[2] / 2))))
        speed = 0.0 if thing.track is None else float(thing.track.speed.at(time))
        rows.append((thing.object_id, size, speed))
    inside = _count(scan, here @ scan.ego_SE3_lidar, poses, [size for _, size, _ in rows])
    return [
        BoxRow(
            object_id,
            (float(pose.translation_m[0]), float(pose.translation_m[1]), float(pose.translation_m[2])),
            float(np.arctan2(pose.rotation[1, 0], pose.rotation[0, 0])),
            size,
            speed,
            int(hits[object_id]),
            int(count),
            visibility.get(object_id, "1"),
        )
        for (object_id, size, speed), pose, count in zip(rows, poses, inside, strict=True)
    ]


def _count(
    scan: Scan, world_SE3_lidar: SE3, poses: list[SE3], sizes: list[tuple[float, float, float]]
) -> NDArray[np.int64]:
    back = world_SE3_lidar.inverse()
    local = [back @ pose for pose in poses]
    found = Boxes(
        np.array([pose.translation_m for pose in local]).reshape(-1, 3),
        np.array(sizes, dtype=np.float64).reshape(-1, 3),
        np.array([pose.rotation for pose in local]).reshape(-1, 3, 3),
        np.zeros(len(local), dtype=np.uint8),
        tuple(str(k) for k in range(len(local))),
    )
    return count_points(scan.xyz_lidar_m, found)


def point_labels(world: World, scan: Scan) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Labels of every point.

    Returns from the ego vehicle, and rays without a return (their points lie at the sensor), are vehicle.ego, as in
    nuScenes.

    Returns:
        category: (N,) index into CATEGORIES (lidarseg); panoptic: (N,) category * 1000 + instance.
    """
    ego = CATEGORIES.index("vehicle.ego")
    category_of = np.array([CATEGORIES.index(thing.asset.category) for thing in world.things] + [ego], dtype=np.uint8)
    instance_of = np.array([thing.instance for thing in world.things] + [0], dtype=np.uint16)
    index = np.where(np.isin(scan.object_id, (EGO, NOTHING)), len(world.things), scan.object_id)
    category = category_of[index]
    return category, category.astype(np.uint16) * np.uint16(_INSTANCES_PER_CATEGORY) + instance_of[index]


def visibility_tokens(images: Sequence[Mapping[int, tuple[float, float]]]) -> dict[int, str]:
    """object_id -> nuScenes' visibility token: the visible fraction of its pixels in all cameras.

    Args:
        images: per camera, the result of `Silhouettes.count`.
    """
    total: dict[int, NDArray[np.float64]] = {}
    for counts in images:
        for object_id, pixels in counts.items():
            total[object_id] = total.get(object_id, np.zeros(2)) + pixels
    shares = {object_id: seen / whole for object_id, (seen, whole) in total.items()}
    return {object_id: str(1 + int(np.searchsorted(_VISIBILITY, s, "right"))) for object_id, s in shares.items()}
