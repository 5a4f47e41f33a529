"""The pictures of an object through time: a strip of crops, and its path from above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.opened import OpenedRun
from pipelines.review.follow import Followed
from pipelines.review.objects import Sighting
from pointsam.base.errors import PointSamError
from pointsam.base.words import counted
from pointsam.datasets.io import read_image
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.projection import Projection, project
from pointsam.report.strip import draw_crop, no_crop, strip, strip_width_px
from pointsam.report.style import GROUND, ORIGIN_RGB
from pointsam.report.track_path import PathDrawing, draw_path
from pointsam.types import CameraView, Frame

MOST_CROPS = 12
_PATH_PX = (strip_width_px(), 560)


@dataclass(frozen=True, eq=False)
class _Seen:
    """The points of an object in one frame.

    Args:
        frame: the frame.
        xyz_lidar_m: (K,3) its points.
        rgb: (K,3) their colours: of the single-frame labels, or what tracking added.
    """

    frame: Frame
    xyz_lidar_m: NDArray[np.float32]
    rgb: NDArray[np.uint8]


def track_pictures(followed: Followed) -> tuple[Image.Image, Image.Image]:
    """The strip of at most 12 frames, evenly spaced, with the first and the last; and the path from above.

    A frame that cannot be read, or whose files have changed, has a tile that says so.

    Args:
        followed: the track; its data must be there.
    """
    run = followed.run
    assert run is not None
    sightings = followed.scene.sightings(followed.track.track_id)
    shown = np.unique(np.linspace(0, len(sightings) - 1, min(len(sightings), MOST_CROPS)).round().astype(int))
    tiles, clouds, colours = [], [np.zeros((0, 3))], [np.zeros((0, 3), dtype=np.uint8)]
    ahead_lidar = np.array([1.0, 0.0, 0.0])
    for k in shown:
        one = sightings[k]
        lines, edge = _lines(followed, one), ORIGIN_RGB[one.member.origin]
        try:
            seen = _read(run, one)
            tiles.append(_tile(seen, lines, one.member.origin))
            ahead_lidar = seen.frame.sweep.ego_SE3_lidar.rotation[0]
        except PointSamError as error:
            if not error.of_frame:
                raise
            tiles.append(no_crop(f"[{error.code}] cannot be read", lines, edge))
            continue
        if one.frame.frame_id in followed.poses:
            clouds.append(followed.poses[one.frame.frame_id].apply(seen.xyz_lidar_m))
            colours.append(seen.rgb)
    return strip(tiles), _path(followed, np.concatenate(clouds), np.concatenate(colours), ahead_lidar)


def stacked(above: Image.Image, below: Image.Image) -> Image.Image:
    """One picture of two."""
    picture = Image.new("RGB", (max(above.width, below.width), above.height + below.height), GROUND)
    picture.paste(above, (0, 0))
    picture.paste(below, (0, above.height))
    return picture


def _read(run: OpenedRun, one: Sighting) -> _Seen:
    """The points of a cluster."""
    frame_id = one.frame.frame_id
    run.require_unchanged(frame_id)
    tracked, frame = run.labels.tracked(frame_id), run.dataset.frame(frame_id)
    its = tracked.found.labels.instance_id == one.cluster.cluster_id
    xyz = read_frame_points(frame).xyz_lidar_m[its]
    rgb = np.array([ORIGIN_RGB["kept"], ORIGIN_RGB[one.member.origin]], dtype=np.uint8)
    return _Seen(frame, xyz, rgb[tracked.added[its].astype(int)])


def _tile(seen: _Seen, lines: list[str], origin: str) -> Image.Image:
    """The crop of the camera with most points of the object."""
    found: list[tuple[CameraView, Projection]] = [
        (view, project(seen.xyz_lidar_m, seen.frame, view)) for view in seen.frame.cameras
    ]
    view, best = max(found, key=lambda one: int(one[1].valid.sum()), default=(None, None))
    if view is None or best is None or not best.valid.any():
        return no_crop("no camera sees it", lines, ORIGIN_RGB[origin])
    lines = [*lines[:-1], f"{lines[-1]}, {view.name}"]
    return draw_crop(read_image(view.source), best.uv_px[best.valid], seen.rgb[best.valid], lines, ORIGIN_RGB[origin])


def _lines(followed: Followed, one: Sighting) -> list[str]:
    late_s = (one.frame.t_us - followed.track.first_t_us) * 1e-6
    return [
        f"{late_s:.1f} s  {one.member.origin}",
        f"{counted(one.cluster.num_points, 'point')}, {one.cluster.range_m:.0f} m",
    ]


def _path(
    followed: Followed, points_m: NDArray[np.float64], rgb: NDArray[np.uint8], ahead_lidar: NDArray[np.float64]
) -> Image.Image:
    """The path from above, and that of the vehicle while the object is labelled.

    Args:
        followed: the track.
        points_m: (P,3) some points of it, world.
        rgb: (P,3) their colours.
        ahead_lidar: (3,) forward axis of the vehicle in the LiDAR frame.
    """
    track, path = followed.track, followed.path
    origin_of = {one.frame.t_us: one.member.origin for one in followed.scene.sightings(track.track_id)}
    rows = sorted(followed.scene.frames, key=lambda row: row.t_us)
    drive = [
        followed.poses[row.frame_id]
        for row in rows
        if row.frame_id in followed.poses and track.first_t_us <= row.t_us <= track.last_t_us
    ]
    state = f"moving, {track.speed_mps:.1f} m/s" if track.moving else "standing"
    ahead = (drive[-1].rotation @ ahead_lidar)[:2] if drive else np.array([1.0, 0.0])
    drawn = PathDrawing(
        f"{track.class_name} {followed.scene.scene}:{track.track_id}, {state}",
        path.center_m,
        [origin_of[int(t_us)] for t_us in path.t_us],
        (path.t_us - track.first_t_us) * 1e-6,
        points_m,
        rgb,
        track.moving,
        np.array([pose.translation_m for pose in drive]).reshape(-1, 3) if drive else np.zeros((1, 3)),
        ahead,
    )
    return draw_path(drawn, _PATH_PX)
