"""The images of a camera are its own: those of two cameras may be exchanged.

Where edges of the cloud do not fall on edges of a camera's image, they are tried on the images of the other cameras of
equal size.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from pointsam.checks.base import Probe, Problem, Rule, Survey
from pointsam.checks.rules.projection_edges import edge_points, edge_scores
from pointsam.datasets.io import read_image

_MOST_FRAMES, _MOST_POINTS, _LEAST_POINTS = 6, 300, 250
_WEAK, _STRONG, _EACH, _BOTH = 0.3, 0.6, 0.05, 0.4
"""Contrast of edges below which a camera may show the images of another, that of both with those images, and by how
much they must fit better: each, and both together."""
_MOVED_M = 2.0


class _Swapped(Survey):
    """Strength of the edges of image b at the edges of the cloud in camera a, by (a, b), above that of offsets."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], float] = {}
        self._points: dict[tuple[str, str], int] = {}
        self._frames = 0
        self._place: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None = None

    def open(self, probe: Probe) -> None:
        place = probe.frame.sweep.world_SE3_ego.translation_m
        still = self._place is not None and place.any() and np.linalg.norm(place - self._place) < _MOVED_M
        if self._frames >= _MOST_FRAMES or still or len(probe.frame.cameras) < 2:
            return
        self._frames, self._place = self._frames + 1, place
        views = probe.frame.cameras
        edges = {view.name: edge_points(probe.projection(view), view.camera.width_px) for view in views}
        edges = {name: points[:: 1 + len(points) // _MOST_POINTS] for name, points in edges.items()}
        images = {view.name: read_image(view.source) for view in views}
        widths = {view.name: view.camera.width_px for view in views}
        for name, points in edges.items():
            self._add(name, name, points, images[name], widths[name])
        weak = {name for name in edges if (own := self._contrast(name, name, 1)) is not None and own < _WEAK}
        for name, other in ((a, b) for a in edges for b in edges if a != b and {a, b} & weak):
            if images[name].shape != images[other].shape:
                continue
            self._add(name, other, edges[name], images[other], widths[name])

    def problems(self) -> Iterator[Problem]:
        for name, other in combinations(sorted({name for name, _ in self._sums}), 2):
            own = [self._contrast(one, one) for one in (name, other)]
            cross = [self._contrast(name, other), self._contrast(other, name)]
            values = [value for value in (*own, *cross) if value is not None]
            if len(values) < 4:
                continue
            gains = [values[2] - values[0], values[3] - values[1]]
            if sum(values[2:]) > _STRONG and min(gains) > _EACH and sum(gains) > _BOTH:
                yield Problem(
                    f"{name} and {other}",
                    f"edges of the clouds fit the images of the other camera: contrast {values[2]:.2f} and "
                    f"{values[3]:.2f}, {values[0]:.2f} and {values[1]:.2f} in their own",
                )

    def _add(
        self,
        name: str,
        other: str,
        points: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
        image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
        width_px: int,
    ) -> None:
        if not len(points):
            return
        score = edge_scores(points, image, width_px)
        centre = len(score) // 2
        here = float(score[centre - 1 : centre + 2, centre - 1 : centre + 2].max() - np.median(score))
        self._sums[name, other] = self._sums.get((name, other), 0.0) + here
        self._points[name, other] = self._points.get((name, other), 0) + len(points)

    def _contrast(self, name: str, other: str, least: int = _LEAST_POINTS) -> float | None:
        count = self._points.get((name, other), 0)
        return self._sums[name, other] / count if count >= least else None


RULE = Rule(
    id="cameras-swapped",
    severity="warning",
    title="Edges of the clouds fit the images of their own camera better than those of another.",
    remedy="Exchange the folders of the two cameras, or their entries in the calibration; `pointsam-label inspect` or "
    "`init --png` draws the points into the images.",
    survey=_Swapped,
)
