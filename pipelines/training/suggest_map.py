"""The map of a suggested recipe: its range, its voxels, and a head that fits the objects in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.training.survey import Survey
from pointsam.base.errors import SchemaError
from pointsam.detect.assign.center import CODE
from pointsam.detect.detector import DetectorConfig
from pointsam.detect.heads.anchor import AnchorHeadConfig
from pointsam.detect.heads.center import CenterHeadConfig
from pointsam.detect.nets.grid import Grid
from pointsam.detect.recipe import Recipe
from pointsam.taxonomy import ClassSpec

_INSIDE, _AHEAD = 99.0, 0.99
_OF_CLASS = 90.0
"""Of each class with some objects, so many percent are inside too, or it would hardly be trained."""
_SOME = 5
_MARGIN_Z_M = 0.5
_MORE_CELLS = 2.0
"""A map may have so many times the voxels of the base recipe; beyond that, voxels get larger."""
_COARSER = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
_LAYERS = (32, 64)
_BEYOND = 2.0
_FARTHEST_M = 1000.0
"""No LiDAR measures objects beyond it."""


@dataclass(frozen=True)
class Choice:
    """A value of the recipe: its field, the value as text, and why."""

    field: str
    value: str
    why: str


def fit_grid(
    recipe: Recipe, found: Survey, kept: NDArray[np.bool_], choices: list[Choice], warnings: list[str]
) -> tuple[Recipe, bool]:
    """The recipe with range and voxels, and whether its map has only what is ahead.

    Raises:
        SchemaError: SCH005 if objects are farther away than any LiDAR measures, as in millimetres.
    """
    detector = recipe.detector
    center, size = found.center_m[kept], found.size_lwh_m[kept]
    half = float(np.median(size[:, :2].max(axis=1))) / 2
    outer = (100 + _INSIDE) / 2  # of two sides, each may lose half of one percent
    classes = [own for k in np.unique(found.class_id[kept]) if (own := found.class_id[kept] == k).sum() >= _SOME]
    far = [np.percentile(np.abs(center[own, :2]), (100 + _OF_CLASS) / 2, axis=0) for own in classes]
    reach = np.max([np.percentile(np.abs(center[:, :2]), outer, axis=0), *far], axis=0) + half
    if reach.max() > _FARTHEST_M:
        raise SchemaError(
            "SCH005",
            f"{found.source} with points lie up to {reach.max():.0f} m away",
            "lengths are metres: state the unit of the points (--columns x_mm,y_mm,z_mm,...), with boxes in metres",
        )
    behind = center[:, 0] < 0
    forward = float(behind.mean()) < 1 - _AHEAD and all(behind[own].mean() < 1 - _OF_CLASS / 100 for own in classes)
    stride = detector.encoder.stride * math.prod(detector.neck.strides)
    voxel = np.array(detector.grid.voxel_m[:2])
    cells = math.prod(detector.grid.shape[:2])

    def counts(coarser: float) -> NDArray[np.int64]:
        sides = np.array([reach[0] if forward else 2 * reach[0], 2 * reach[1]])
        steps = np.ceil(sides / (voxel * coarser) / stride - 1e-9).clip(1)
        number: NDArray[np.int64] = (steps * stride).astype(np.int64)
        return number

    coarser = next((k for k in _COARSER if math.prod(counts(k).tolist()) <= _MORE_CELLS * cells), _COARSER[-1])
    voxel, number = (voxel * coarser).round(6), counts(coarser)
    sides = number * voxel
    z0, z1, voxel_z, why_z = _heights(detector, center, size, classes)
    x0, x1 = (0.0, float(sides[0])) if forward else (-float(sides[0]) / 2, float(sides[0]) / 2)
    y1 = float(sides[1]) / 2
    range_m = tuple(round(value, 6) for value in (x0, -y1, z0, x1, y1, z1))
    grid = Grid(range_m, (float(voxel[0]), float(voxel[1]), voxel_z))  # type: ignore[arg-type]
    ahead = "ahead only: less than one percent lie behind; " if forward else ""
    share = f"{_INSIDE:.0f} % of the {found.source} with enough points, and {_OF_CLASS:.0f} % of those of a class"
    why = f"{ahead}{share}, lie in it; {why_z}"
    choices.append(Choice("detector.grid.range_m", listed(range_m), why))
    size_m = f"{number[0]} x {number[1]} voxels, a multiple of the network's stride {stride}"
    if coarser > 1:
        size_m += f"; {coarser:g} times those of {recipe.name}, or the map would be too large"
        warnings.append(
            f"voxels are {coarser:g} times those of {recipe.name}, because objects lie far away: small "
            "objects suffer; a smaller detector.grid.range_m allows finer ones"
        )
    choices.append(Choice("detector.grid.voxel_m", listed(grid.voxel_m), size_m))
    batch = max(1, math.floor(recipe.train.batch_size * min(1.0, cells / math.prod(number.tolist()))))
    choices.append(
        Choice(
            "train.batch_size",
            str(batch),
            f"the map has {math.prod(number.tolist()) / cells:.2g} times "
            f"the voxels of {recipe.name}, which trains on {recipe.train.batch_size}",
        )
    )
    refine = detector.refine
    while refine is not None:  # its height map is finer than the grid, and may become too large
        try:
            refine.require_memory(grid)
            break
        except SchemaError:
            refine = replace(refine, cell_m=2 * refine.cell_m)
    detector = replace(detector, grid=grid, refine=refine)
    distance = float(np.percentile(np.linalg.norm(found.center_m[:, :2], axis=1), _INSIDE))
    points = float(np.linalg.norm(np.abs(found.extent_m[:, :2]).max(axis=0)))
    if distance > _BEYOND * points:
        warnings.append(
            f"{found.source} reach {distance:.0f} m, but nearly all points lie within {points:.0f} m: check the unit "
            "and the frame of both"
        )
    return replace(recipe, detector=detector, train=replace(recipe.train, batch_size=batch)), forward


def _heights(
    detector: DetectorConfig,
    center: NDArray[np.float64],
    size: NDArray[np.float64],
    classes: Sequence[NDArray[np.bool_]],
) -> tuple[float, float, float, str]:
    """Z range, height of a voxel, and why."""
    bottom, top = center[:, 2] - size[:, 2] / 2, center[:, 2] + size[:, 2] / 2
    lows = [float(np.percentile(bottom[own], 100 - _OF_CLASS)) for own in classes]
    highs = [float(np.percentile(top[own], _OF_CLASS)) for own in classes]
    low = min(float(np.percentile(bottom, 100 - _INSIDE)), *lows, np.inf)
    high = max(float(np.percentile(top, _INSIDE)), *highs, -np.inf)
    z0, z1 = math.floor((low - _MARGIN_Z_M) * 10) / 10, math.ceil((high + _MARGIN_Z_M) * 10) / 10
    why = f"bottoms and tops from z {low:.1f} to {high:.1f} m, and {_MARGIN_Z_M} m more"
    if detector.encoder.kind == "pillar":
        return z0, z1, round(z1 - z0, 6), why
    voxel_z = detector.grid.voxel_m[2]
    while (z1 - z0) / voxel_z > _LAYERS[1]:
        voxel_z *= 2
    layers = max(_LAYERS[0], 8 * math.ceil((z1 - z0) / voxel_z / 8 - 1e-9))
    return z0, round(z0 + layers * voxel_z, 6), round(voxel_z, 6), f"{why}, in {layers} layers"


def fit_head(
    detector: DetectorConfig,
    found: Survey,
    kept: NDArray[np.bool_],
    specs: Sequence[ClassSpec],
    ids: NDArray[np.int64],
    choices: list[Choice],
) -> DetectorConfig:
    """The detector with anchors of the objects' sizes, or with peaks that fit them.

    Velocities have no weight if none is known.
    """
    head = detector.head
    if isinstance(head, AnchorHeadConfig):
        anchors = []
        for one in head.anchors:
            spec = next(spec for spec in specs if spec.name == one.name)
            mine = kept & (found.class_id == ids[specs.index(spec)])
            z = float(np.median(found.center_m[mine, 2])) if mine.any() else one.center_z_m
            anchors.append(replace(one, size_lwh_m=spec.size_lwh_m or one.size_lwh_m, center_z_m=round(z, 3)))
        head = replace(head, anchors=tuple(anchors))
        text = "; ".join(f"{one.name} {listed(one.size_lwh_m)} at z {one.center_z_m:g}" for one in anchors)
        choices.append(Choice("detector.head.anchors", text, f"medians of the {found.source} with enough points"))
        if head.velocity_weight and not found.has_velocity:
            head = replace(head, velocity_weight=0.0)
            choices.append(Choice("detector.head.velocity_weight", "0", "no velocity is known"))
    elif isinstance(head, CenterHeadConfig):
        if not found.has_velocity:
            weights = [0.0 if name in ("vx", "vy") else w for name, w in zip(CODE, head.code_weights, strict=True)]
            head = replace(head, code_weights=tuple(weights))
            choices.append(Choice("detector.head.code_weights", listed(weights), "no velocity is known"))
        groups = "; ".join(", ".join(group) for group in head.groups)
        choices.append(Choice("detector.head.groups", groups, "classes of one group suppress each other"))
        radii = ", ".join(f"{name} {radius}" for name, radius in head.smallest_radius.items())
        location = detector.grid.voxel_m[0] * detector.encoder.stride * detector.neck.out_stride
        why = f"in locations of {location:g} m; {head.default_radius} for other classes"
        choices.append(Choice("detector.head.smallest_radius", radii or "-", why))
    return replace(detector, head=head)


def listed(values: Sequence[float]) -> str:
    """Numbers in brackets, as a recipe has them."""
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"
