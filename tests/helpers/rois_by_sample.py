"""The second stage sample by sample: the slow twin of `detect.assign.roi` and of the losses of `detect.heads.roi`.

This is how it was computed before it was computed once a batch. Both must agree to rounding.
"""

from types import SimpleNamespace

import torch
from helpers.plain_boxes import point_box_pairs
from torch.nn import functional

from pointsam.detect.boxes import iou_3d
from pointsam.detect.heads.roi import RoiHead
from pointsam.detect.heads.roi_code import corner_distance, decode_roi, encode_roi, into_boxes
from pointsam.detect.losses import masked_smooth_l1, sigmoid_focal
from pointsam.detect.nets.grid import scatter_max


def match_rois(labels, rois, roi_class):
    """Best overlap, box of the sample, and whether unknown points are inside, of the proposals of one sample."""
    volume = iou_3d(rois, labels.boxes) * (roi_class[:, None] == labels.box_class)
    point, roi = point_box_pairs(labels.xyz, rois)
    shared = box_cluster_iou(point, roi, len(rois), labels.cluster_id, labels.cluster_points)
    shared = shared * (roi_class[:, None] == labels.cluster_class)
    by_box, box = _most(volume)
    by_cluster, _ = _most(shared)
    box = torch.where((by_box > 0) & (by_cluster <= by_box), box, -1)
    unknown = torch.bincount(roi, labels.unknown[point].double(), minlength=len(rois)) > 0
    return SimpleNamespace(iou=torch.maximum(by_box, by_cluster), box=box, unknown=unknown)


def _most(overlap):
    if overlap.shape[1] == 0:
        return overlap.new_zeros(len(overlap)), torch.full((len(overlap),), -1)
    return overlap.max(dim=1)


def box_cluster_iou(point, box, num_boxes, cluster_id, cluster_points):
    """(N,M) overlap of N boxes and M clusters of one sample, from pairs of a point and a box."""
    m, owner = len(cluster_points), cluster_id[point]
    held, ours = torch.bincount(box, minlength=num_boxes), owner >= 0
    shared = torch.bincount(box[ours] * m + owner[ours], minlength=num_boxes * m).view(num_boxes, m)
    union = held[:, None] + cluster_points[None] - shared
    return shared.double().div(union.double() + 1e-6).float()


def sampled(match, config, order, draw):
    """Proposals of one sample, slot by slot.

    Args:
        match: as of `match_rois`.
        config: rule of sampling.
        order: a random number of each proposal; the lower, the sooner it is taken.
        draw: a random number of each slot, for draws with replacement.
    """
    kinds = {name: [] for name in ("boxed", "class_only", "hard", "easy")}
    for k in sorted(range(len(match.iou)), key=lambda k: order[k].item()):
        if match.iou[k] >= config.foreground_iou:
            kinds["boxed" if match.box[k] >= 0 else "class_only"].append(k)
        else:
            kinds["hard" if match.iou[k] >= config.easy_iou else "easy"].append(k)
    boxed, class_only, hard, easy = kinds.values()
    chosen = (boxed + class_only)[: config.most_foreground]
    if len(boxed) + len(class_only) > config.most_foreground:
        for slot in range(len(boxed), config.most_foreground):
            chosen[slot] = class_only[int(draw[slot] * len(class_only))]
    left, foreground = config.samples - len(chosen), list(chosen)
    num_hard = left if not easy else min(int(left * config.hard_share), len(hard))
    for slot in range(len(chosen), config.samples):
        among = hard if slot < len(foreground) + num_hard else easy
        among = among if hard or easy else foreground
        chosen.append(among[int(draw[slot] * len(among))])
    return torch.tensor(chosen)


def losses(head: RoiHead, x, points, proposals, labels, targets):
    """The losses of a head for sampled proposals; arguments as of `RoiHead.loss`, targets of each sample."""
    config = head.config
    rois = [p.boxes[t.proposal] for p, t in zip(proposals, targets, strict=True)]
    features, logits = point_features(head, x, points)
    trunk = roi_features(head, features, points, rois)
    confidence, residuals = head.confidence(trunk)[:, 0], head.residuals(trunk)
    counted, wanted = (torch.cat([getattr(t, name) for t in targets]) for name in ("counted", "confidence"))
    cross_entropy = functional.binary_cross_entropy_with_logits(confidence, wanted, reduction="none")
    boxed = torch.cat([t.box for t in targets]) >= 0
    boxes = torch.cat([s.boxes[t.box[t.box >= 0]] for s, t in zip(labels, targets, strict=True)])
    base, predicted = torch.cat(rois)[boxed], residuals[boxed]
    apart = masked_smooth_l1(predicted, encode_roi(boxes, base), predicted.new_ones(7))
    corners = corner_distance(decode_roi(predicted, base), boxes)
    positive, known = (torch.cat(columns) for columns in zip(*map(foreground, points, labels), strict=True))
    return {
        "roi confidence": (cross_entropy * counted).sum() / max(counted.sum(), 1) * config.confidence_weight,
        "roi box": apart.sum() / max(boxed.sum(), 1) * config.box_weight,
        "roi corner": corners.sum() / max(boxed.sum(), 1) * config.corner_weight,
        "roi point": (sigmoid_focal(logits, positive) * known).sum() / max(positive.sum(), 1) * config.point_weight,
    }


def foreground(own, labels):
    """(P,) whether points are foreground, and whether they count."""
    inside, ring = torch.zeros(2, len(own), dtype=torch.bool)
    inside[point_box_pairs(own[:, :3], labels.boxes)[0]] = True
    large = torch.cat([labels.boxes[:, :3], labels.boxes[:, 3:6] + 0.2, labels.boxes[:, 6:]], dim=1)
    ring[point_box_pairs(own[:, :3], large)[0]] = True
    positive = inside | (labels.cluster_id >= 0)
    return positive, positive | ~(ring | labels.unknown)


def point_features(head, x, points):
    """Features of the points of each sample, and the logits of all points."""
    (height, width), origin_m, location_m = head.map_shape.shape, head.map_shape.origin_m, head.map_shape.location_m
    rows = []
    for k, own in enumerate(points):
        columns = [
            (own[:, axis] - origin_m[axis]) / location_m[axis] / size * 2 - 1
            for axis, size in enumerate((width, height))
        ]
        at = torch.stack(columns, dim=1)[None, None]
        beneath = functional.grid_sample(x[k : k + 1], at, align_corners=False)[0, :, 0].T
        rows.append(torch.cat([beneath, own[:, 2:]], dim=1))
    features = head.points(torch.cat(rows))
    logits = head.foreground(features)[:, 0]
    return torch.split(features * logits.sigmoid()[:, None], [len(own) for own in points]), logits


def roi_features(head, features, points, rois):
    """Features of all proposals."""
    bins, parts, owner, start = head.config.cells, [], [], 0
    for own, feature, boxes in zip(points, features, rois, strict=True):
        large = torch.cat([boxes[:, :3], boxes[:, 3:6] + head.config.enlarge_m, boxes[:, 6:]], dim=1)
        point, roi = point_box_pairs(own[:, :3], large)
        position = into_boxes(own[point, :3], large[roi]) / large[roi, 3:6] + 0.5
        at = (position * bins).long().clamp(0, bins - 1)
        owner.append((roi + start) * bins**3 + (at[:, 2] * bins + at[:, 1]) * bins + at[:, 0])
        far = torch.linalg.norm(own[point, :2], dim=1, keepdim=True) / 50
        parts.append(torch.cat([feature[point], position - 0.5, large[roi, 3:6].log(), far], dim=1))
        start += len(boxes)
    pooled = scatter_max(head.local(torch.cat(parts)), torch.cat(owner), start * bins**3)
    return head.trunk(pooled.view(start, -1))
