"""LiDAR points that other surfaces hide from a camera, which has another viewpoint than the LiDAR.

The LiDAR sees every point that it returns, but the camera, half a metre away, does not: a point that the LiDAR sees
over or past a nearer object projects onto that object's pixels and would take its label (docs/method.md A.9).
A depth buffer does not solve this. It must close the gaps between scan lines, and with pixels that coarse it also hides
the road and the feet of objects, because the row below is always nearer.

The order of points distinguishes the two cases. When the viewpoint moves from the LiDAR to the camera, near points
shift farther across the image than far ones. Neighbours on one surface keep their order in this shift, whereas an
occluder passes over the points that it hides. A point is therefore hidden if one of its nearest neighbours in the image
is clearly nearer and passed over it. Nearest neighbours adapt to the density of the sensor, so no size in pixels is
needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.geometry.motion import carried, twist
from pointsam.geometry.projection import Projection, cam_SE3_lidar, exposed
from pointsam.types import CameraView, Frame, FramePoints

# Depth seen from the LiDAR, for a point in front of the camera but beside or behind the LiDAR.
_MIN_LIDAR_DEPTH_M = 0.1


@dataclass(frozen=True)
class VisibilityConfig:
    """The rule by which a nearer neighbour hides a point.

    The defaults were chosen on ground-truth boxes in real images, and prefer visible in doubt: refinement can remove a
    background point, but it cannot restore a point of an object. docs/recipes.md reports the effect of this test.

    Args:
        neighbours: number of nearest points in the image that may hide a point; a larger number finds more hidden
            points, but also reaches beyond silhouettes.
        margin_m: a neighbour hides only points that are deeper by this distance ...
        margin_share: ... plus this fraction of the neighbour's depth: an object must not hide its own far side.
    """

    neighbours: int = 16
    margin_m: float = 1.0
    margin_share: float = 0.15


def occluded(
    points: FramePoints,
    projection: Projection,
    frame: Frame,
    view: CameraView,
    config: VisibilityConfig | None = None,
) -> NDArray[np.bool_]:
    """Points inside the image that a nearer LiDAR surface hides from the camera.

    Args:
        points: (N) points of the frame.
        projection: projection of these points into the view.
        frame: frame of the points.
        view: the image.
        config: rule; None = defaults.

    Returns:
        (N,) bool, False where the projection is not valid.
    """
    from scipy.spatial import cKDTree

    config = config or VisibilityConfig()
    hidden = np.zeros(len(projection.valid), dtype=bool)
    uv, depth = projection.uv_px[projection.valid], projection.depth_m[projection.valid]
    if len(uv) < 2:
        return hidden
    # The first neighbour is the point itself, or another point at exactly the same position.
    _, near = cKDTree(uv).query(uv, k=np.arange(2, min(config.neighbours + 2, len(uv) + 1)))
    seen = points.keep(projection.valid)
    own = seen.sweep_index
    # What passed a point shows from where the point was measured, whichever LiDAR measured the neighbour.
    shift = np.array([parallax(_from_sweep(seen, k), frame, view) for k in range(len(frame.sweeps))])
    pass_by = shift[own[:, None], near] - shift[own, np.arange(len(own))][:, None]
    offset = uv[near] - uv[:, None]
    # A neighbour that is at `offset` from the point was at offset - pass_by before. It passed the point if the point
    # lies between the two positions. It passed over the point, and not along the next scan line, if its shift is no
    # shorter than its smallest distance from the point.
    way2 = (pass_by**2).sum(axis=2)
    along = (pass_by * offset).sum(axis=2)
    beside = np.abs(pass_by[..., 0] * offset[..., 1] - pass_by[..., 1] * offset[..., 0])
    passed_over = (along >= 0) & (along < way2) & (beside <= way2)
    clearly_nearer = depth[near] * (1 + config.margin_share) + config.margin_m < depth[:, None]
    hidden[projection.valid] = (passed_over & clearly_nearer).any(axis=1)
    return hidden


def _from_sweep(points: FramePoints, index: int) -> FramePoints:
    """The points as if the LiDAR of one sweep had measured all."""
    return replace(points, sweep_index=np.full_like(points.sweep_index, index))


def parallax(points: FramePoints, frame: Frame, view: CameraView) -> NDArray[np.float64]:
    """(N,2) shift in pixels of points when the viewpoint moves from their own LiDAR to the camera.

    Both places are in the image as the lens distorts it. A point that the lens would not show from the LiDAR's place is
    at the end of the lens model there, so that its shift keeps its direction. With a rolling shutter, the LiDAR
    is where it was at the exposure of the row.
    """
    from_camera, seconds = exposed(points.xyz_lidar_m, frame, view)
    eye_m = np.array([cam_SE3_lidar(sweep, view).translation_m for sweep in frame.sweeps])[points.sweep_index]
    if seconds is not None:
        moved_m = carried(view.ego_SE3_cam.apply(eye_m), twist(frame, view.t_us), -seconds)
        eye_m = view.ego_SE3_cam.inverse().apply(moved_m)
    from_lidar = from_camera - eye_m
    lidar_depth = np.maximum(from_lidar[:, 2:], _MIN_LIDAR_DEPTH_M)
    camera = view.camera
    after, before = (
        camera.places(from_camera[:, :2] / from_camera[:, 2:]),
        camera.places(from_lidar[:, :2] / lidar_depth),
    )
    shift: NDArray[np.float64] = (after - before) @ camera.K[:2, :2].T
    return shift
