"""The anchors of a detector: for each class, one per location of the feature map and rotation (0 and 90 degrees).

An anchor is, in the ground plane, the product of a span along x and a span along y, and spans repeat in all rows and
columns. Shapes: K classes, R rotations; H, W rows and columns of the feature map.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from pointsam.base.ranges import require
from pointsam.detect.nets.grid import MapShape

Places = Literal["centers", "edges"]
ROTATIONS = (0.0, torch.pi / 2)


@dataclass(frozen=True)
class AnchorClass:
    """Anchors of one class.

    Args:
        name: class name.
        size_lwh_m: length, width, height.
        center_z_m: z of their centres, map frame.
        box_iou: an anchor is positive from the first overlap with a box on, negative below the second, and ignored
            between.
        cluster_iou: likewise for the overlap of points with clusters.

    Raises:
        SchemaError: SCH005 on thresholds out of order or a size that is not positive.
    """

    name: str
    size_lwh_m: tuple[float, float, float]
    center_z_m: float
    box_iou: tuple[float, float]
    cluster_iou: tuple[float, float]

    def __post_init__(self) -> None:
        require(min(self.size_lwh_m) > 0, "detector.head.anchors.size_lwh_m", self.size_lwh_m, "lengths above 0")
        for name in ("box_iou", "cluster_iou"):
            high, low = getattr(self, name)
            field = f"detector.head.anchors.{name}"
            require(1 >= high >= low > 0, field, (high, low), "two decreasing numbers in (0, 1]")


@dataclass(frozen=True)
class AnchorMap(MapShape):
    """The positions of anchors: one for each location of a feature map.

    Args:
        origin_m, location_m, shape: as in `MapShape`.
        classes: anchors of each class.
        class_ids: class_id of each of these classes.
        places: "centers", the centres of the locations; or "edges", as published: a grid of the same size from edge to
            edge of the map, so that anchors are up to half a location off the centres.
    """

    classes: tuple[AnchorClass, ...]
    class_ids: tuple[int, ...]
    places: Places = "centers"

    def boxes(self, anchors: AnchorClass) -> Tensor:
        """(R,H,W,7) anchors of a class."""
        (x, y), (h, w) = self.centers(), self.shape
        out = torch.empty(len(ROTATIONS), h, w, 7)
        out[..., 0], out[..., 1], out[..., 2] = x[None, None, :], y[None, :, None], anchors.center_z_m
        out[..., 3:6] = out.new_tensor(anchors.size_lwh_m)
        out[..., 6] = out.new_tensor(ROTATIONS)[:, None, None]
        return out

    def centers(self) -> tuple[Tensor, Tensor]:
        """(W,) x and (H,) y of the anchors."""
        places = [torch.arange(count) for count in reversed(self.shape)]
        if self.places == "centers":
            x, y = (index + 0.5 for index in places)
        else:
            x, y = (index * (len(index) / max(len(index) - 1, 1)) for index in places)
        return self.origin_m[0] + x * self.location_m[0], self.origin_m[1] + y * self.location_m[1]


@dataclass(frozen=True, eq=False)
class Spans:
    """The anchors of a map on a device: copying them there for each batch would make the host wait.

    Args:
        x: (W,) centres along x.
        y: (H,) centres along y.
        low_x, high_x: (K,R,W) lower and upper edges along x.
        low_y, high_y: (K,R,H) lower and upper edges along y.
        kind: (256,) index of each class_id in the map's classes, -1 for none.
        box_iou, cluster_iou: (2,K) upper and lower threshold of each class.
        narrow_m: (K,) half of the shorter side.
        origin_m, end_m: (2,) lower and upper corner of the map.
    """

    x: Tensor
    y: Tensor
    low_x: Tensor
    high_x: Tensor
    low_y: Tensor
    high_y: Tensor
    kind: Tensor
    box_iou: Tensor
    cluster_iou: Tensor
    narrow_m: Tensor
    origin_m: Tensor
    end_m: Tensor


@lru_cache(maxsize=32)
def spans_of(anchor_map: AnchorMap, device: torch.device) -> Spans:
    """The anchors of a map, as spans."""
    x, y = anchor_map.centers()
    lengths = torch.tensor([some.size_lwh_m[:2] for some in anchor_map.classes])
    half_x, half_y = torch.stack([lengths, lengths.flip(1)], dim=1)[..., None].unbind(2)
    half_x, half_y = half_x / 2, half_y / 2
    kind = torch.full((256,), -1)
    kind[list(anchor_map.class_ids)] = torch.arange(len(anchor_map.class_ids))
    low = torch.tensor(anchor_map.origin_m)
    cells = torch.tensor([anchor_map.shape[1], anchor_map.shape[0]])
    values = (
        x,
        y,
        x - half_x,
        x + half_x,
        y - half_y,
        y + half_y,
        kind,
        torch.tensor([some.box_iou for some in anchor_map.classes]).T,
        torch.tensor([some.cluster_iou for some in anchor_map.classes]).T,
        torch.tensor([min(some.size_lwh_m[:2]) / 2 for some in anchor_map.classes]),
        low,
        low + torch.tensor(anchor_map.location_m) * cells,
    )
    return Spans(*(value.to(device).contiguous() for value in values))
