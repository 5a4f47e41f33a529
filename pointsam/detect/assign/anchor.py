"""Anchor assignment: to boxes by the overlap of rectangles, to clusters by the overlap of points; or by centres.

Every location of the feature map has, for each class, one anchor per rotation (0 and 90 degrees). Points in anchors are
counted exactly without testing all pairs: the anchors that hold a point form a rectangle of rows and columns, so four
entries of a difference table per point, summed up, give the counts of all anchors.

Shapes: H, W rows and columns of the feature map; R rotations; A = R H W anchors of a class; M clusters and B boxes of
the class. Source: docs/method.md B.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pointsam.base.ranges import require
from pointsam.detect.boxes import iou_aligned, nearest_bev
from pointsam.detect.labels import SampleLabels
from pointsam.detect.nets.grid import MapShape

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
Match = Literal["overlap", "centers"]
Places = Literal["centers", "edges"]
_ROTATIONS = (0.0, torch.pi / 2)


@dataclass(frozen=True)
class AnchorClass:
    """Anchors of one class.

    Args:
        name: class name.
        size_lwh_m: length, width, height.
        center_z_m: z of their centres, LiDAR frame.
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
        require(min(self.size_lwh_m) > 0, "anchors.size_lwh_m", self.size_lwh_m, "lengths above 0")
        for name in ("box_iou", "cluster_iou"):
            high, low = getattr(self, name)
            require(1 >= high >= low > 0, f"anchors.{name}", (high, low), "two decreasing numbers in (0, 1]")


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

    def boxes(self, anchors: AnchorClass, device: torch.device | None = None) -> Tensor:
        """(R,H,W,7) anchors of a class."""
        (x, y), (h, w) = self.centers(device), self.shape
        out = torch.empty(len(_ROTATIONS), h, w, 7, device=device)
        out[..., 0], out[..., 1], out[..., 2] = x[None, None, :], y[None, :, None], anchors.center_z_m
        out[..., 3:6] = out.new_tensor(anchors.size_lwh_m)
        out[..., 6] = out.new_tensor(_ROTATIONS)[:, None, None]
        return out

    def centers(self, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """(W,) x and (H,) y of the anchors."""
        places = [torch.arange(count, device=device) for count in reversed(self.shape)]
        if self.places == "centers":
            x, y = (index + 0.5 for index in places)
        else:
            x, y = (index * (len(index) / max(len(index) - 1, 1)) for index in places)
        return self.origin_m[0] + x * self.location_m[0], self.origin_m[1] + y * self.location_m[1]

    def counts(self, xy: Tensor, group: Tensor, num_groups: int, anchors: AnchorClass) -> Tensor:
        """(G,R,H,W) int64 number of points of each group in each anchor's rectangle, edges included, at any height.

        Args:
            xy: (P,2) points.
            group: (P,) group of each point.
            num_groups: G.
            anchors: anchors of the class.
        """
        h, w = self.shape
        counts = []
        for yaw in _ROTATIONS:
            length, width = anchors.size_lwh_m[1::-1] if yaw else anchors.size_lwh_m[:2]
            spans = []
            for center, half, position in zip(
                self.centers(xy.device), (length / 2, width / 2), xy.unbind(1), strict=True
            ):
                position = position.to(center.dtype).contiguous()
                first = torch.searchsorted((center + half).contiguous(), position)
                spans.append((first, torch.searchsorted((center - half).contiguous(), position, right=True)))
            (x0, x1), (y0, y1) = spans
            met = (x0 < x1) & (y0 < y1)
            steps = torch.zeros(num_groups * (h + 1) * (w + 1), dtype=torch.int64, device=xy.device)
            base = group * (h + 1)
            for row, column, sign in ((y0, x0, 1), (y0, x1, -1), (y1, x0, -1), (y1, x1, 1)):
                at = ((base + row) * (w + 1) + column)[met]
                steps.index_add_(0, at, torch.full_like(at, sign))
            counts.append(steps.view(num_groups, h + 1, w + 1).cumsum(1).cumsum(2)[:, :h, :w])
        return torch.stack(counts, dim=1)


@dataclass(frozen=True, eq=False)
class AnchorTargets:
    """Targets of the anchors of one sample; K classes.

    Args:
        label: (K,R,H,W) int8 POSITIVE, NEGATIVE or IGNORED.
        box: (K,R,H,W) int64 index of the box to regress, -1 for none. An anchor that is positive for a box regresses it
            even where, in matching by overlap, a cluster overrules its label.
    """

    label: Tensor
    box: Tensor


def anchor_targets(labels: SampleLabels, anchor_map: AnchorMap, match: Match = "overlap") -> AnchorTargets:
    """Assign one sample's boxes and clusters; negative anchors that hold unknown points become ignored.

    Args:
        labels: labels of one sample.
        anchor_map: the anchors.
        match: "overlap", the published rule: the label by clusters overrules the label by boxes wherever it is not
            negative; or "centers": both kinds are matched by the centre of their visible points, as in centre heads.
    """
    rule = {"overlap": _by_overlap, "centers": _by_centers}[match]
    label_maps, boxes = [], []
    unknown = labels.xyz[labels.unknown, :2]
    for anchors, class_id in zip(anchor_map.classes, anchor_map.class_ids, strict=True):
        label, box = rule(labels, anchor_map, anchors, class_id)
        held = anchor_map.counts(unknown, torch.zeros_like(unknown[:, 0], dtype=torch.int64), 1, anchors)
        label[(label == NEGATIVE) & (held.flatten() > 0)] = IGNORED
        shape = (len(_ROTATIONS), *anchor_map.shape)
        label_maps.append(label.view(shape))
        boxes.append(box.view(shape))
    return AnchorTargets(torch.stack(label_maps), torch.stack(boxes))


def _by_overlap(
    labels: SampleLabels, anchor_map: AnchorMap, anchors: AnchorClass, class_id: int
) -> tuple[Tensor, Tensor]:
    """(A,) label and box of the anchors of a class (docs/method.md B.7)."""
    ours = (labels.box_class == class_id).nonzero(as_tuple=True)[0]
    label, owner = _matched(_box_overlap(labels.boxes[ours], anchor_map, anchors), *anchors.box_iou)
    by_cluster, _ = _matched(_cluster_overlap(labels, anchor_map, anchors, class_id), *anchors.cluster_iou)
    positive = label == POSITIVE
    box = torch.full_like(owner, -1)
    box[positive] = ours[owner[positive]]
    return torch.where(by_cluster == NEGATIVE, label, by_cluster), box


def _by_centers(
    labels: SampleLabels, anchor_map: AnchorMap, anchors: AnchorClass, class_id: int
) -> tuple[Tensor, Tensor]:
    """(A,) label and box of the anchors of a class.

    An anchor is positive within half a width of an object's visible centre, and at the location nearest to it. If
    several objects are that near, the nearest one is matched. For a box, the anchor of the rotation nearest to its
    heading is positive; for a cluster, the rotation with the largest overlap, and the other rotation is ignored. All
    other anchors that overlap an object by at least the lower threshold are ignored.
    """
    ours = (labels.box_class == class_id).nonzero(as_tuple=True)[0]
    by_box = _box_overlap(labels.boxes[ours], anchor_map, anchors)
    by_cluster = _cluster_overlap(labels, anchor_map, anchors, class_id)
    yaw, locations = labels.boxes[ours, 6], anchor_map.shape[0] * anchor_map.shape[1]
    turned = (yaw.sin().abs() > yaw.cos().abs()).long()
    best = by_cluster.view(len(_ROTATIONS), locations, -1).amax(dim=1).argmax(dim=0)
    near, owner = _near(
        torch.cat([labels.visible_center[ours], labels.cluster_center[labels.cluster_class == class_id]]),
        anchor_map,
        min(anchors.size_lwh_m[:2]) / 2,
    )
    rotation = torch.cat([turned, best])
    boxed = near & (owner < len(ours))
    label = torch.full((len(_ROTATIONS), locations), NEGATIVE, dtype=torch.int8, device=near.device)
    for overlap, (_, low) in ((by_box, anchors.box_iou), (by_cluster, anchors.cluster_iou)):
        if overlap.shape[1]:
            label[(overlap.amax(dim=1) >= low).view_as(label)] = IGNORED
    label[:, near & ~boxed] = IGNORED
    box = torch.full(label.shape, -1, device=near.device)
    if len(rotation):
        at = near.nonzero(as_tuple=True)[0]
        label[rotation[owner[at]], at] = POSITIVE
        at = boxed.nonzero(as_tuple=True)[0]
        box[rotation[owner[at]], at] = ours[owner[at]]
    return label.flatten(), box.flatten()


def _near(centers: Tensor, anchor_map: AnchorMap, radius_m: float) -> tuple[Tensor, Tensor]:
    """(H*W,) whether a location lies near one of the (N,3) centres inside the map, and the index of the nearest one."""
    x, y = anchor_map.centers(centers.device)
    at = torch.cartesian_prod(y, x).flip(1)
    if len(centers) == 0:
        none = torch.zeros(len(at), dtype=torch.int64, device=at.device)
        return none.bool(), none
    far = torch.linalg.norm(at[:, None] - centers[:, :2], dim=2)
    low, cell = at.new_tensor(anchor_map.origin_m), at.new_tensor(anchor_map.location_m)
    high = low + cell * at.new_tensor([anchor_map.shape[1], anchor_map.shape[0]])
    outside = ((centers[:, :2] < low) | (centers[:, :2] >= high)).any(dim=1)
    far[:, outside] = torch.inf
    least, owner = far.min(dim=1)
    near = (least <= radius_m) | ((far == far.amin(dim=0)) & far.isfinite()).any(dim=1)
    return near, owner


def _box_overlap(boxes: Tensor, anchor_map: AnchorMap, anchors: AnchorClass) -> Tensor:
    """(A,B) overlap of the anchors of a class and boxes, as rectangles turned to the nearest of 0 and 90 degrees."""
    rectangles = nearest_bev(anchor_map.boxes(anchors, boxes.device).view(-1, 7))
    return iou_aligned(rectangles, nearest_bev(boxes))


def _cluster_overlap(labels: SampleLabels, anchor_map: AnchorMap, anchors: AnchorClass, class_id: int) -> Tensor:
    """(A,M) overlap of the anchors and clusters of a class (docs/method.md B.6): all points, at any height."""
    ours = (labels.cluster_class == class_id).nonzero(as_tuple=True)[0]
    if len(ours) == 0:
        return labels.xyz.new_zeros(len(_ROTATIONS) * anchor_map.shape[0] * anchor_map.shape[1], 0)
    rank = torch.full((len(labels.cluster_class) + 1,), -1, device=ours.device)
    rank[ours] = torch.arange(len(ours), device=ours.device)
    owner = rank[labels.cluster_id]  # cluster_id -1 (no cluster) indexes the last entry
    member = owner >= 0
    xy = labels.xyz[:, :2]
    held = anchor_map.counts(xy, torch.zeros_like(owner), 1, anchors)
    shared = anchor_map.counts(xy[member], owner[member], len(ours), anchors)
    union = held + labels.cluster_points[ours, None, None, None] - shared
    return (shared.double() / (union.double() + 1e-6)).float().flatten(1).T


def _matched(overlap: Tensor, high: float, low: float) -> tuple[Tensor, Tensor]:
    """(A,) label and (A,) best object of each anchor; the best anchors of an object are positive if they overlap it."""
    count, objects = overlap.shape
    label = torch.full((count,), NEGATIVE, dtype=torch.int8, device=overlap.device)
    if objects == 0:
        return label, torch.full((count,), -1, device=overlap.device)
    most, owner = overlap.max(dim=1)
    best = overlap.max(dim=0).values
    label[most >= low] = IGNORED
    label[(most >= high) | ((overlap == best) & (best > 0)).any(dim=1)] = POSITIVE
    return label, owner


def sine_difference(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Values whose difference is sin(predicted - target), so that an error of 180 degrees costs nothing (SECOND)."""
    return predicted.sin() * target.cos(), predicted.cos() * target.sin()


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """(N,7) residuals of boxes to their anchors: offsets over the anchor's diagonal and height, log sizes, yaw."""
    diagonal = torch.linalg.norm(anchors[:, 3:5], dim=1, keepdim=True)
    offset = (boxes[:, :3] - anchors[:, :3]) / torch.cat([diagonal, diagonal, anchors[:, 5:6]], dim=1)
    return torch.cat([offset, (boxes[:, 3:6] / anchors[:, 3:6]).log(), boxes[:, 6:] - anchors[:, 6:]], dim=1)


def decode_boxes(residuals: Tensor, anchors: Tensor) -> Tensor:
    """(N,7) boxes of residuals: the inverse of `encode_boxes`."""
    diagonal = torch.linalg.norm(anchors[:, 3:5], dim=1, keepdim=True)
    center = residuals[:, :3] * torch.cat([diagonal, diagonal, anchors[:, 5:6]], dim=1) + anchors[:, :3]
    return torch.cat([center, residuals[:, 3:6].exp() * anchors[:, 3:6], residuals[:, 6:] + anchors[:, 6:]], dim=1)
