"""Edges of objects in the cloud fall on edges in the images; an offset between them means a wrong calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter
from scipy.spatial import cKDTree

from pointsam.checks.base import Probe, Problem, Rule, Survey
from pointsam.datasets.io import read_image
from pointsam.geometry.projection import Projection

_WIDTH_PX = 1600.0
"""Lengths in pixels are those of images of this width."""
_READ_WIDTH_PX = 700.0
"""Images are averaged to about this width."""
_STEP_PX, _REACH_PX = 6.0, 48.0
_OFFSETS_PX = np.arange(-_REACH_PX, _REACH_PX + 1, _STEP_PX)
_ENOUGH, _MOST_FRAMES, _LEAST_FRAMES = 2500, 12, 3
"""Edge points of a camera after which no more frames are read, frames that are read at most, and at least."""
_LEAST = 1500
_PEAK, _ABOVE, _FAR_PX = 4.0, 2.5, 24.0
"""Robust standard deviations of the best offset, and by how much it is better than none; its distance."""
_CONTRAST = 0.2
"""Strength of the edges at the best offset above the usual one; 0.03 to 0.1 in images of noise."""
_MOVED_M = 5.0
"""Frames of a vehicle that stands still show the same edges again."""
_DEPTH_M = 50.0


@dataclass
class _Camera:
    points: int = 0
    frames: int = 0
    place: NDArray[np.float64] | None = None
    score: NDArray[np.float64] = field(default_factory=lambda: np.zeros((len(_OFFSETS_PX),) * 2))


class _Edges(Survey):
    def __init__(self) -> None:
        self._cameras: dict[str, _Camera] = {}

    def open(self, probe: Probe) -> None:
        for view in probe.frame.cameras:
            camera = self._cameras.setdefault(view.name, _Camera())
            if camera.points >= _ENOUGH or camera.frames >= _MOST_FRAMES:
                continue
            place = view.world_SE3_ego.translation_m
            known = camera.place
            if known is not None and place.any() and np.linalg.norm(place - known) < _MOVED_M:
                continue
            camera.place = place
            width = view.camera.width_px
            edges = edge_points(probe.projection(view), width)
            camera.frames += 1
            if len(edges):
                camera.points += len(edges)
                camera.score += edge_scores(edges, read_image(view.source), width)

    def problems(self) -> Iterator[Problem]:
        for name, camera in self._cameras.items():
            if camera.frames < _LEAST_FRAMES or camera.points < _LEAST:
                continue
            score = camera.score - np.median(camera.score)
            contrast = float(score.max()) / camera.points
            score /= 1.4826 * np.median(np.abs(score)) + 1e-9
            row, column = np.unravel_index(int(score.argmax()), score.shape)
            centre = len(_OFFSETS_PX) // 2
            here = float(score[centre - 1 : centre + 2, centre - 1 : centre + 2].max())
            dx, dy = _OFFSETS_PX[column], _OFFSETS_PX[row]
            if (
                contrast > _CONTRAST
                and score[row, column] > _PEAK
                and score[row, column] - here > _ABOVE
                and np.hypot(dx, dy) >= _FAR_PX
            ):
                yield Problem(
                    name,
                    f"edges in {camera.frames} clouds fit those in the images best if moved by {dx / _WIDTH_PX:+.1%} "
                    f"(right) and {dy / _WIDTH_PX:+.1%} (down) of the image's width",
                )


def edge_points(projection: Projection, width_px: int) -> NDArray[np.float64]:
    """(E,2) pixels of points that have points far behind them close by in the image.

    Args:
        projection: the points in the image.
        width_px: width of the image.
    """
    uv, depth = projection.uv_px[projection.valid], projection.depth_m[projection.valid]
    if len(uv) < 200:
        return np.zeros((0, 2))
    distance, index = cKDTree(uv).query(uv, k=9)
    near = distance < 0.015 * width_px
    behind = ((depth[index] > 1.15 * depth[:, None] + 1.0) & near).sum(axis=1)
    return np.asarray(uv[(behind >= 2) & (behind <= 6) & (depth < _DEPTH_M)])


def edge_scores(uv_px: NDArray[np.float64], image: NDArray[np.uint8], width_px: int) -> NDArray[np.float64]:
    """(D,D) strength of the image's edges at E pixels moved by each offset, rows down and columns to the right.

    Args:
        uv_px: (E,2) pixels.
        image: (H,W,3) RGB.
        width_px: width of the image.
    """
    block = max(1, round(width_px / _READ_WIDTH_PX))
    height, width = (size // block * block for size in image.shape[:2])
    grey = image[:height, :width].mean(axis=2, dtype=np.float32)
    grey = grey.reshape(height // block, block, width // block, block).mean(axis=(1, 3))
    unit = width_px / block / _WIDTH_PX
    down, right = np.gradient(gaussian_filter(grey, 2 * unit))
    edges = np.hypot(down, right)
    edges = np.minimum(edges / (uniform_filter(edges, round(100 * unit)) + 0.5), 4)
    offsets = unit * _OFFSETS_PX
    rows = uv_px[:, 1] / block + offsets[:, None, None]
    columns = uv_px[:, 0] / block + offsets[None, :, None]
    at = np.broadcast_arrays(rows, columns)
    return np.asarray(map_coordinates(edges, at, order=1, mode="nearest").sum(axis=2), dtype=np.float64)


RULE = Rule(
    id="projection-edges",
    severity="warning",
    title="Edges of objects in the clouds fall on edges in the images.",
    remedy="Draw a frame with `pointsam-label inspect` and compare points and pixels. If they are apart, correct the "
    "extrinsic calibration or the time stamps; `pointsam-label calibrate` finds small errors.",
    survey=_Edges,
)
