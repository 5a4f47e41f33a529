"""Point prompts for SAM: LiDAR points projected onto pixels with a class, thinned by farthest-point sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require
from pointsam.geometry.level import level_SE3_lidar
from pointsam.geometry.projection import key_SE3_sweep, project
from pointsam.taxonomy import BACKGROUND
from pointsam.types import CameraView, Frame


@dataclass(frozen=True)
class PromptConfig:
    """Where prompts come from and how many there are; the defaults are the published values.

    Args:
        sweeps: offsets of the sweeps that supply prompts: 0 = the key sweep, -1 and 1 = those before and after it.
        close_m: points of neighbouring sweeps with |x| and |y| below this, in the level frame of their LiDAR, are left
            out: the vehicle's own roof.
        max_prompts: largest number of prompts per image.
        min_depth_m: smallest depth in front of the camera; nearer points are left out.

    Raises:
        SchemaError: SCH005 on a value out of range.
    """

    sweeps: tuple[int, ...] = (0, 1, -1)
    close_m: float = 1.0
    max_prompts: int = 256
    min_depth_m: float = 1.0

    def __post_init__(self) -> None:
        known = bool(self.sweeps) and set(self.sweeps) <= {-1, 0, 1}  # the neighbours that a Frame has
        require(known, "prompt.sweeps", self.sweeps, "one or more of -1, 0 and 1: the key sweep is 0")
        require(0 <= self.close_m <= 1e6, "prompt.close_m", self.close_m, "metres from 0 to a million")
        require(
            1 <= self.max_prompts <= 10**6, "prompt.max_prompts", self.max_prompts, "a whole number from 1 to a million"
        )
        require(0 < self.min_depth_m <= 1e6, "prompt.min_depth_m", self.min_depth_m, "metres above 0")


def prompt_cloud(
    frame: Frame, xyz_by_offset: Mapping[int, NDArray[np.float32]], config: PromptConfig
) -> NDArray[np.float64]:
    """The points of all sweeps that supply prompts, in the LiDAR frame of the key sweep.

    Args:
        frame: the key frame; its `neighbours` hold the poses.
        xyz_by_offset: (N,3) points in metres by sweep offset: of 0 the points of the frame, of others the points of a
            neighbour in its own LiDAR frame. An offset of `config.sweeps` without points (a data set of single sweeps)
            adds nothing.
        config: which sweeps.

    Returns:
        (M,3) float64 metres in the key sweep's LiDAR frame; the motion of objects is not compensated.

    Source: PointSAM (arXiv 2401.16305).
    """
    clouds = [np.zeros((0, 3))]
    for offset in config.sweeps:
        if offset not in xyz_by_offset:
            continue
        xyz = xyz_by_offset[offset].astype(np.float64)
        if offset != 0:
            sweep = frame.neighbours[offset]
            close = (np.abs(level_SE3_lidar(sweep.ego_SE3_lidar).apply(xyz)[:, :2]) < config.close_m).all(axis=1)
            xyz = key_SE3_sweep(frame.sweep, sweep).apply(xyz[~close])
        clouds.append(xyz)
    return np.concatenate(clouds)


def prompt(
    cloud_lidar_m: NDArray[np.float64],
    frame: Frame,
    view: CameraView,
    semantic_map: NDArray[np.uint8],
    config: PromptConfig,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """The pixels of an image that are point prompts.

    Args:
        cloud_lidar_m: (M,3) points from `prompt_cloud`, metres.
        frame: the key frame.
        view: the camera.
        semantic_map: (H,W) uint8 class of each pixel, BACKGROUND = none.
        config: how many prompts.
        rng: draws the first point of the sampling; not used if there are at most `max_prompts` pixels.

    Returns:
        (P,2) int32 distinct pixels (u, v) that have a class, P <= max_prompts: row by row without sampling, else in the
        order of sampling.

    Raises:
        SchemaError: SCH003 if the class map does not have the camera's size.

    Source: PointSAM (arXiv 2401.16305).
    """
    size = (view.camera.height_px, view.camera.width_px)
    if semantic_map.shape != size:
        raise SchemaError(
            "SCH003",
            f"{frame.frame_id} {view.name}: class map of {semantic_map.shape} for a camera of {size} pixels (H, W)",
            "calibrate the camera for the size of its image files",
        )
    u, v = project(cloud_lidar_m, frame, view, config.min_depth_m).pixels().T
    foreground = semantic_map[v, u] != BACKGROUND
    v, u = np.divmod(np.unique(v[foreground] * size[1] + u[foreground]), size[1])
    uv: NDArray[np.int32] = np.stack([u, v], axis=1).astype(np.int32)
    if len(uv) > config.max_prompts:
        uv = uv[farthest_points(uv, config.max_prompts, int(rng.integers(len(uv))))]
    return uv


def farthest_points(uv_px: NDArray[np.int32], count: int, first: int) -> NDArray[np.int64]:
    """Farthest-point sampling: choose points one after another, each as far as possible from those chosen before.

    Args:
        uv_px: (P,2) integer pixels, P >= count.
        count: how many to choose.
        first: index of the first point.

    Returns:
        (count,) indices. Squared distances are exact integers; of equally far points the lowest index is chosen.
    """
    chosen = np.empty(count, dtype=np.int64)
    chosen[0] = first
    nearest = np.full(len(uv_px), np.iinfo(np.int64).max)
    u, v = np.ascontiguousarray(uv_px.T, dtype=np.int64)
    for i in range(1, count):
        last = chosen[i - 1]
        np.minimum(nearest, (u - u[last]) ** 2 + (v - v[last]) ** 2, out=nearest)
        chosen[i] = nearest.argmax()
    return chosen
