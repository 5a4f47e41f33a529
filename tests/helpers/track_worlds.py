"""A world of boxes on a plane before a wall that a vehicle drives through, as labelled frames."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from pointsam.geometry.se3 import SE3
from pointsam.stages.summarize import summarize
from pointsam.stages.tracks.config import all_rules
from pointsam.stages.tracks.scene import scene_frame
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, Frame, FrameLabels, FramePoints, FrameRow, PointLabels, Sweep

CAR, TRUCK, PEDESTRIAN = (NUSCENES.class_id(name) for name in ("car", "truck", "pedestrian"))


@dataclass(frozen=True)
class Thing:
    """An upright box.

    Args:
        xy_m: its lowest corner at time 0, world.
        velocity_mps: its velocity.
        size_m: length along x, width along y, height.
        class_id: its class.
        missed: frames in which it has no label.
        absent: frames in which it has no points.
        as_class: class of its label by frame, where it is another one.
    """

    xy_m: tuple[float, float]
    velocity_mps: tuple[float, float] = (0.0, 0.0)
    size_m: tuple[float, float, float] = (4.0, 1.8, 1.5)
    class_id: int = CAR
    missed: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    as_class: dict = field(default_factory=dict)


def shell(thing, t_s, step_m=0.25):
    """(P,3) points on the sides of a box at a time, world."""
    length, width, height = thing.size_m
    low = np.array([*thing.xy_m, 0.0]) + np.array([*thing.velocity_mps, 0.0]) * t_s
    x, y, z = (np.arange(first, one + 1e-9, step_m) for first, one in ((0, length), (0, width), (0.25, height)))
    sides = [np.array([[a, b, h] for a in x for b in (0.0, width) for h in z])]
    sides.append(np.array([[a, b, h] for a in (0.0, length) for b in y for h in z]))
    return np.unique(np.concatenate(sides), axis=0) + low


GROUND = np.array([[x, y, 0.0] for x in np.arange(-10.0, 70.0, 1.5) for y in np.arange(-15.0, 15.5, 1.5)])
WALL = np.array([[x, 14.0, z] for x in np.arange(-10.0, 70.0, 0.5) for z in np.arange(0.5, 6.0, 0.5)])


def pose(t_s, ego_mps=5.0):
    """Pose of the vehicle, which drives along x; its LiDAR is at its origin."""
    return SE3(np.eye(3), np.array([ego_mps * t_s, 0.0, 1.6]))


def world(*things, count=8, step_s=0.1, ego_mps=5.0, jumps=(), shuffle=None, extra=()):
    """[(frame, points, labels, (N,) thing of each point)] of a drive.

    Args:
        things: what is there.
        count: number of frames.
        step_s: time between them.
        ego_mps: speed of the vehicle.
        jumps: (index, metres): from this frame on, poses are off along y.
        shuffle: generator that permutes points, None for none.
        extra: (frame, (P,3) points in the world, class_id) of clusters of nothing.
    """
    out = []
    for k in range(count):
        t_s = k * step_s
        clouds = [
            np.concatenate([GROUND, WALL]),
            *(shell(one, t_s) if k not in one.absent else np.zeros((0, 3)) for one in things),
        ]
        clouds += [xyz for frame, xyz, _ in extra if frame == k]
        xyz = np.concatenate(clouds)
        which = np.repeat(np.arange(-1, len(clouds) - 1), [len(cloud) for cloud in clouds])
        ids = which.copy()
        for number, one in enumerate(things):
            if k in one.missed:
                ids[which == number] = NO_INSTANCE
        order = np.arange(len(xyz)) if shuffle is None else shuffle.permutation(len(xyz))
        xyz, which, ids = xyz[order], which[order], ids[order]
        off = sum(metres for index, metres in jumps if k >= index)
        true = pose(t_s, ego_mps)
        told = SE3(true.rotation, true.translation_m + np.array([0.0, off, 0.0]))
        classes = np.array(
            [one.as_class.get(k, one.class_id) for one in things]
            + [class_id for frame, _, class_id in extra if frame == k]
            + [BACKGROUND],
            dtype=np.uint8,
        )
        points = FramePoints.of(true.inverse().apply(xyz).astype(np.float32))
        labels = PointLabels(ids.astype(np.int32), classes[ids])
        sweep = Sweep(None, round(t_s * 1e6), SE3.identity(), told)
        frame = Frame(f"f{k:03d}", "scene", (sweep,), {}, ())
        out.append((frame, points, labelled(frame, points, labels), which))
    return out


def labelled(frame, points, labels, probability=0.8):
    """Labels of a frame of which a camera sees every point."""
    numbered, clusters = summarize(points.xyz_lidar_m, labels, (), NUSCENES)
    clusters = tuple(replace(one, probability=probability, score=0.7) for one in clusters)
    row = FrameRow(frame.frame_id, frame.scene, frame.sweep.t_us, len(points), len(clusters))
    ones = np.ones(len(points), dtype=np.uint8)
    return FrameLabels(row, numbered, ones, ones, np.zeros(len(points), dtype=np.bool_), clusters)


def scene_frames(drive):
    """The frames as tracks need them."""
    return [scene_frame(frame, points, found) for frame, points, found, _ in drive]


PARKED, AHEAD = Thing((12.0, 3.0)), Thing((20.0, -5.0))
WALKER = Thing((15.0, 0.0), (0.0, 1.4), (0.6, 0.6, 1.7), PEDESTRIAN)
DRIVER = Thing((45.0, 5.0), (-14.0, 0.0))
ON = all_rules()
FALSE = (3, np.array([[20.0 + 0.2 * k, 8.0, 1.0] for k in range(8)]), CAR)
