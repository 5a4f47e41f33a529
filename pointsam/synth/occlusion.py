"""Ambient occlusion: visible fraction of the sky, from a few short rays on a coarse grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.synth.raycast import AnyScene
from pointsam.synth.surface import Surface, dot

F32 = NDArray[np.float32]

STEP_PX = 2
"""Spacing of the grid, pixels."""
RAYS = 4
"""Rays per grid point; the 16 points of a 4 x 4 window use different directions."""
_FAR = np.float32(1e6)


def _ways(count: int) -> F32:
    """(count,3) unit vectors evenly over the sphere (Fibonacci)."""
    k = np.arange(count) + 0.5
    z, turn = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - z * z)
    return np.column_stack([flat * np.cos(turn), flat * np.sin(turn), z]).astype(np.float32)


class OpenSky:
    """Visible fraction of the sky on a grid of every second pixel.

    Args:
        scene: the occluding surfaces.
        size_hw: rows and columns of the grid.
        indices: (N,) flat indices of the grid points that show a surface.
        at: the N surface points.
        reach_m: length of the longest ray.
    """

    def __init__(
        self, scene: AnyScene, size_hw: tuple[int, int], indices: NDArray[np.intp], at: Surface, reach_m: float
    ) -> None:
        self._height, self._width = size_hw
        count = self._height * self._width
        row, column = indices // self._width, indices % self._width
        slot = (row % 4) * 4 + column % 4
        order = np.random.default_rng(5).permutation(16 * RAYS)
        ways = _ways(16 * RAYS)[order].reshape(RAYS, 16, 3)
        reach = (reach_m * 0.08 ** np.random.default_rng(6).permutation(np.linspace(0, 1, 16 * RAYS))).astype(
            np.float32
        )
        origin = at.origin_m()
        seen = np.zeros(len(indices), np.float32)
        for k in range(RAYS):
            way = ways[k][slot]
            way += at.normal.T
            way *= (reach.reshape(RAYS, 16)[k][slot] / np.maximum(np.sqrt(np.einsum("ij,ij->i", way, way)), 0.05))[
                :, None
            ]
            seen += ~scene.blocked(origin, way, 0.0, 1.0)
        share = np.ones(count, np.float32)
        share[indices] = seen / RAYS
        depth = np.full(count, _FAR)
        depth[indices] = at.depth
        self._depth = depth
        self._share = self._smooth(share, indices, at)

    def _smooth(self, share: F32, indices: NDArray[np.intp], at: Surface) -> F32:
        """Mean over those points of the 4 x 4 window that lie in one plane."""
        height, width = self._height, self._width
        point, normal = (np.zeros((3, height, width), np.float32) for _ in range(2))
        point.reshape(3, -1)[:] = _FAR
        point.reshape(3, -1)[:, indices] = at.point_m
        normal.reshape(3, -1)[:, indices] = at.normal
        near = (0.03 + 0.01 * np.minimum(self._depth, 1000)).reshape(height, width)
        share = share.reshape(height, width)
        total, weight = share.copy(), np.ones_like(share)
        for dy in range(-2, 2):
            for dx in range(-2, 2):
                if dx == dy == 0:
                    continue
                here = (slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx)))
                there = (slice(max(0, dy), height + min(0, dy)), slice(max(0, dx), width + min(0, dx)))
                gap = dot(normal[:, here[0], here[1]], point[:, there[0], there[1]] - point[:, here[0], here[1]])
                same = np.abs(gap) < near[here]
                weight[here] += same
                total[here] += same * share[there]
        return (total / weight).ravel()

    def at(self, u_px: F32, v_px: F32, depth: F32) -> F32:
        """(N,) fraction at pixels, from those of the four adjacent grid points that have a similar depth."""
        depth = np.minimum(depth, _FAR)
        x = np.clip(u_px / STEP_PX, 0, self._width - 1)
        y = np.clip(v_px / STEP_PX, 0, self._height - 1)
        left, top = x.astype(np.intp), y.astype(np.intp)
        fx, fy = x - left, y - top
        right = np.minimum(left + 1, self._width - 1)
        top *= self._width
        below = np.minimum(top + self._width, (self._height - 1) * self._width)
        sum_w: F32 = np.zeros(len(depth), np.float32)
        total: F32 = np.zeros(len(depth), np.float32)
        slack = np.float32(0.01) * depth
        for corner, w in (
            (top + left, (1 - fx) * (1 - fy)),
            (top + right, fx * (1 - fy)),
            (below + left, (1 - fx) * fy),
            (below + right, fx * fy),
        ):
            w = (w + np.float32(1e-4)) / (slack + np.abs(self._depth[corner] - depth))
            sum_w += w
            total += w * self._share[corner]
        total /= sum_w
        return total
