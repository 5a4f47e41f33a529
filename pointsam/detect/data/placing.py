"""Where objects are pasted vertically, and which of them: the road of a frame, and levels of difficulty.

Source: OpenPCDet's KITTI configurations, which MixSup uses (docs/method.md B.4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset, HasRatedBoxes, HasRoadPlanes
from pointsam.geometry.ground import height_above_ground_m
from pointsam.geometry.level import is_level

Road = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""(N,) z of the road at (N,3) points, map frame, metres."""
RoadKind = Literal["none", "planes", "points"]
_NEIGHBOURS = 5
"""The ground at a place is the median over so many nearest points."""
_WAY_OUT = "put objects on the ground that the points show: --set data.paste.road=points"


def road_of(dataset: Dataset, kind: RoadKind, frame_id: str, xyz_m: FloatArray) -> Road | None:
    """The road of a frame; None if pasted objects keep their height, and where there are no points to show it.

    Args:
        dataset: the data set.
        kind: as in `PasteConfig`.
        frame_id: the frame.
        xyz_m: (P,3) finite points of its key sweep, map frame.
    """
    if kind == "points" and len(xyz_m):
        return partial(ground_z_m, xyz_m)
    if kind == "planes" and isinstance(dataset, HasRoadPlanes):
        return partial(dataset.road_z_m, frame_id)
    return None


def require_road(dataset: Dataset, kind: RoadKind, frame_ids: Iterable[str]) -> None:
    """Refuse a data set without the planes that `kind` needs.

    Raises:
        SchemaError: SCH005 if the data set has no planes, or if a LiDAR is tilted: heights of planes are along its z.
        DatasetError: DAT004 or DAT011 on the first frame without one.
    """
    if kind != "planes":
        return
    if not isinstance(dataset, HasRoadPlanes):
        raise SchemaError("SCH005", f"data.paste.road is 'planes', which {dataset.name} does not have", _WAY_OUT)
    for frame_id in frame_ids:
        if not is_level(read_cloud_frame(dataset, frame_id).sweep.ego_SE3_lidar):
            raise SchemaError(
                "SCH005", f"data.paste.road is 'planes', but the LiDAR of frame {frame_id!r} is tilted", _WAY_OUT
            )
        try:
            dataset.road_z_m(frame_id, np.zeros((0, 3)))
        except DatasetError as error:
            hint = f"add the road planes that users of OpenPCDet share, or {_WAY_OUT}"
            raise DatasetError(error.code, error.message, hint) from error


def ground_z_m(xyz_m: FloatArray, at_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) z of the ground at (N,3) points, from a sweep; beneath objects it is interpolated (geometry.ground).

    Args:
        xyz_m: (P,3) finite points of one sweep, z up.
        at_m: (N,3) points; only x and y count.
    """
    xyz = np.asarray(xyz_m, dtype=np.float64)
    ground = xyz[:, 2] - height_above_ground_m(xyz)
    far = np.linalg.norm(xyz[None, :, :2] - at_m[:, None, :2], axis=2)
    count = min(_NEIGHBOURS, len(xyz))
    nearest = np.argpartition(far, count - 1, axis=1)[:, :count]
    z_m: NDArray[np.float64] = np.median(ground[nearest], axis=1)
    return z_m


def rated(dataset: Dataset, frame_id: str, tokens: Iterable[str]) -> NDArray[np.bool_]:
    """(B,) whether each of some boxes of a frame belongs to a level of difficulty; all do if there are no levels."""
    tokens = list(tokens)
    levels = dataset.rated(frame_id) if isinstance(dataset, HasRatedBoxes) else None
    boxes = None if levels is None else dataset.boxes(frame_id)
    if levels is None or boxes is None:
        return np.ones(len(tokens), dtype=bool)
    level = dict(zip(boxes.token, levels, strict=True))
    return np.array([level[token] for token in tokens], dtype=bool)
