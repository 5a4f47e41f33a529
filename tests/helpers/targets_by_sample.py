"""Targets sample by sample, head by head and class by class, over all anchors: the slow twin of `detect.assign`.

This is how targets were assigned before they were assigned once a batch. Both must agree to the last bit.
"""

from types import SimpleNamespace

import torch
from helpers.plain_boxes import iou_aligned
from torch.nn import functional

from pointsam.detect.assign.anchor import IGNORED, NEGATIVE, POSITIVE
from pointsam.detect.assign.anchor_map import ROTATIONS
from pointsam.detect.assign.center import gaussian_radius
from pointsam.detect.boxes import nearest_bev

_MOST_OBJECTS = 500


def center_targets_of_head(labels, head, group):
    """Targets of a head for a list of samples: heat, counted, number of peaks; sample, row, column, code of boxes."""
    first = sum(map(len, head.groups[:group]))
    radii = head.smallest_radius[first : first + len(head.groups[group])]
    head = SimpleNamespace(**vars(head) | {"classes": head.groups[group], "smallest_radius": radii})
    heats, counted, rows = [], [], []
    for index, sample_labels in enumerate(labels):
        location, channel, radius, box = _peaks(sample_labels, head)
        heat = splat(location, channel, radius, (len(head.classes), *head.shape))
        heats.append(heat)
        counted.append(_counted(sample_labels, head, heat))
        location, box = _regressed(location, box, head)
        at = torch.cat([torch.full_like(location[:, :1], index), location], dim=1)
        rows.append((at, _code(sample_labels, box, location, head)))
    sample, column, row = torch.cat([at for at, _ in rows]).unbind(1)
    code = torch.cat([code for _, code in rows])
    heat = torch.stack(heats)
    return SimpleNamespace(
        heat=heat,
        counted=torch.stack(counted),
        num_peaks=(heat == 1).sum(),
        sample=sample,
        row=row,
        column=column,
        code=code,
    )


def _peaks(labels, head):
    """(N,2) location x, y, (N,) channel, radius and box (-1 for a cluster) of the objects of a head, boxes first."""
    channel_of = torch.full((256,), -1, device=labels.xyz.device)
    channel_of[list(head.classes)] = torch.arange(len(head.classes), device=labels.xyz.device)
    boxed = labels.visible_center if head.peak == "visible" else labels.boxes[:, :3]
    centers = torch.cat([boxed, labels.cluster_center])
    channel = channel_of[torch.cat([labels.box_class, labels.cluster_class])]
    none = torch.full_like(labels.cluster_class, -1)
    box = torch.cat([torch.arange(len(labels.boxes), device=none.device), none])
    at_xy = (centers[:, :2] - centers.new_tensor(head.origin_m)) / centers.new_tensor(head.location_m)
    size = at_xy.new_tensor([head.shape[1], head.shape[0]])
    ours = ((channel >= 0) & ((at_xy >= 0) & (at_xy < size)).all(dim=1)).nonzero(as_tuple=True)[0][:_MOST_OBJECTS]
    at_xy, channel, box = at_xy[ours], channel[ours], box[ours]
    location = at_xy.floor().long()
    radius = torch.tensor(head.smallest_radius, device=location.device)[channel]
    of_box = box >= 0
    length, width = (labels.boxes[box[of_box], 3:5] / centers.new_tensor(head.location_m)).unbind(1)
    radius[of_box] = torch.maximum(gaussian_radius(length, width).floor().long(), radius[of_box])
    return location, channel, radius, box


def _regressed(location, box, head):
    """(K,2) locations where boxes are regressed, and (K,) their boxes.

    Each box is regressed at its peak, and within its reach where no other peak is nearer.
    """
    step = torch.arange(-head.reach, head.reach + 1, device=location.device)
    offset = torch.cartesian_prod(step, step)
    height, width = head.shape
    about = (location[:, None] + offset).flatten(0, 1)
    owner = torch.arange(len(location), device=location.device).repeat_interleave(len(offset))
    far = (offset**2).sum(dim=1).repeat(len(location))
    inside = ((about >= 0) & (about < about.new_tensor([width, height]))).all(dim=1).nonzero(as_tuple=True)[0]
    order = inside[torch.argsort(far[inside], stable=True)]
    _, group = torch.unique(about[order, 1] * width + about[order, 0], return_inverse=True)
    rank = torch.arange(len(order), device=location.device)
    nearest = torch.full_like(rank, len(order)).scatter_reduce(0, group, rank, "amin")[group] == rank
    kept = order[(nearest | (far[order] == 0)) & (box[owner[order]] >= 0)]
    return about[kept], box[owner[kept]]


def splat(location, channel, radius, shape):
    """(C,H,W) maximum over objects of a Gaussian with sigma (2r + 1) / 6, truncated at the radius r.

    Args:
        location: (N,2) location x, y of each object.
        channel: (N,) channel of each object.
        radius: (N,) radius in locations.
        shape: C, H, W.
    """
    heat = torch.zeros(shape, device=location.device)
    if len(location) == 0:
        return heat
    reach = int(radius.max())
    step = torch.arange(-reach, reach + 1, device=location.device)
    dy, dx = (d.flatten() for d in torch.meshgrid(step, step, indexing="ij"))
    x, y = location[:, :1] + dx, location[:, 1:] + dy
    sigma = (2 * radius[:, None] + 1) / 6
    bell = torch.exp(-(dx**2 + dy**2) / (2 * sigma**2))
    inside = (dx.abs() <= radius[:, None]) & (dy.abs() <= radius[:, None])
    inside &= (x >= 0) & (x < shape[2]) & (y >= 0) & (y < shape[1])
    flat = (channel[:, None] * shape[1] + y) * shape[2] + x
    heat.view(-1).scatter_reduce_(0, flat[inside], bell[inside], "amax")
    return heat


def _counted(labels, head, heat):
    """(H,W) bool: all locations except those next to an unknown point and without heat of a labelled object."""
    xy = labels.xyz[labels.unknown, :2]
    location = ((xy - xy.new_tensor(head.origin_m)) / xy.new_tensor(head.location_m)).floor().long()
    inside = ((location >= 0) & (location < location.new_tensor([head.shape[1], head.shape[0]]))).all(dim=1)
    column, row = location[inside].unbind(1)
    unknown = torch.zeros(head.shape, device=heat.device)
    unknown[row, column] = 1.0
    around = functional.max_pool2d(unknown[None], 3, stride=1, padding=1)[0] > 0
    return ~(around & (heat.amax(dim=0) == 0))


def _code(labels, box, location, head):
    """(K,10) targets of boxes; the offset is relative to the location and may lie far outside of [0, 1)."""
    boxes = labels.boxes[box]
    true = (boxes[:, :2] - boxes.new_tensor(head.origin_m)) / boxes.new_tensor(head.location_m)
    yaw = boxes[:, 6:7]
    parts = [true - location, boxes[:, 2:3], boxes[:, 3:6].log(), yaw.cos(), yaw.sin(), labels.velocity[box]]
    return torch.cat(parts, dim=1)


def counts_of(anchor_map, xy, group, num_groups, anchors):
    """(G,R,H,W) int64 number of points of each group in each anchor's rectangle, edges included, at any height.

    Args:
        xy: (P,2) points.
        group: (P,) group of each point.
        num_groups: G.
        anchors: anchors of the class.
    """
    h, w = anchor_map.shape
    counts = []
    for yaw in ROTATIONS:
        length, width = anchors.size_lwh_m[1::-1] if yaw else anchors.size_lwh_m[:2]
        spans = []
        for center, half, position in zip(anchor_map.centers(), (length / 2, width / 2), xy.unbind(1), strict=True):
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


def anchor_targets_of_sample(labels, anchor_map, match="overlap"):
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
        held = counts_of(anchor_map, unknown, torch.zeros_like(unknown[:, 0], dtype=torch.int64), 1, anchors)
        label[(label == NEGATIVE) & (held.flatten() > 0)] = IGNORED
        shape = (len(ROTATIONS), *anchor_map.shape)
        label_maps.append(label.view(shape))
        boxes.append(box.view(shape))
    return torch.stack(label_maps), torch.stack(boxes)


def _by_overlap(labels, anchor_map, anchors, class_id):
    """(A,) label and box of the anchors of a class (docs/method.md B.7)."""
    ours = (labels.box_class == class_id).nonzero(as_tuple=True)[0]
    label, owner = _matched(_box_overlap(labels.boxes[ours], anchor_map, anchors), *anchors.box_iou)
    by_cluster, _ = _matched(_cluster_overlap(labels, anchor_map, anchors, class_id), *anchors.cluster_iou)
    positive = label == POSITIVE
    box = torch.full_like(owner, -1)
    box[positive] = ours[owner[positive]]
    return torch.where(by_cluster == NEGATIVE, label, by_cluster), box


def _by_centers(labels, anchor_map, anchors, class_id):
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
    best = by_cluster.view(len(ROTATIONS), locations, -1).amax(dim=1).argmax(dim=0)
    near, owner = _near(
        torch.cat([labels.visible_center[ours], labels.cluster_center[labels.cluster_class == class_id]]),
        anchor_map,
        min(anchors.size_lwh_m[:2]) / 2,
    )
    rotation = torch.cat([turned, best])
    boxed = near & (owner < len(ours))
    label = torch.full((len(ROTATIONS), locations), NEGATIVE, dtype=torch.int8, device=near.device)
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


def _near(centers, anchor_map, radius_m):
    """(H*W,) whether a location lies near one of the (N,3) centres inside the map, and the index of the nearest one."""
    x, y = anchor_map.centers()
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


def _box_overlap(boxes, anchor_map, anchors):
    """(A,B) overlap of the anchors of a class and boxes, as rectangles turned to the nearest of 0 and 90 degrees."""
    rectangles = nearest_bev(anchor_map.boxes(anchors).view(-1, 7))
    return iou_aligned(rectangles, nearest_bev(boxes))


def _cluster_overlap(labels, anchor_map, anchors, class_id):
    """(A,M) overlap of the anchors and clusters of a class (docs/method.md B.6): all points, at any height."""
    ours = (labels.cluster_class == class_id).nonzero(as_tuple=True)[0]
    if len(ours) == 0:
        return labels.xyz.new_zeros(len(ROTATIONS) * anchor_map.shape[0] * anchor_map.shape[1], 0)
    rank = torch.full((len(labels.cluster_class) + 1,), -1, device=ours.device)
    rank[ours] = torch.arange(len(ours), device=ours.device)
    owner = rank[labels.cluster_id]  # cluster_id -1 (no cluster) indexes the last entry
    member = owner >= 0
    xy = labels.xyz[:, :2]
    held = counts_of(anchor_map, xy, torch.zeros_like(owner), 1, anchors)
    shared = counts_of(anchor_map, xy[member], owner[member], len(ours), anchors)
    union = held + labels.cluster_points[ours, None, None, None] - shared
    return (shared.double() / (union.double() + 1e-6)).float().flatten(1).T


def _matched(overlap, high, low):
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
