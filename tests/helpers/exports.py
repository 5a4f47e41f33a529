"""A labelled frame for exporters."""

import numpy as np

from pointsam.export.frame import ExportFrame
from pointsam.geometry.se3 import SE3
from pointsam.stages.summarize import summarize
from pointsam.taxonomy import NUSCENES
from pointsam.types import Frame, FrameLabels, FrameRow, PointLabels, Sweep


def labels_of(instance_id, class_id):
    return PointLabels(np.array(instance_id, np.int32), np.array(class_id, np.uint8))


def item_of(labels, points=None, taxonomy=NUSCENES, name="abc", frame=None, masks=None, **more):
    """Points are random unless given; frame and masks are what the exporter will read."""
    if points is None:
        points = np.random.default_rng(0).normal(0, 10, (len(labels), 4)).astype(np.float32)
    labels, clusters = summarize(points[:, :3], labels, [], taxonomy)
    none = np.zeros(len(labels), dtype=np.uint8)
    row = FrameRow(name, "scene", 0, len(labels), len(clusters))
    frame = frame or Frame(name, "scene", (Sweep(None, 0, SE3.identity(), SE3.identity()),), {}, ())
    found = FrameLabels(row, labels, none, none, none > 0, clusters)
    return ExportFrame(0, name, found, taxonomy, lambda: frame, lambda: points, lambda: masks, **more)


def objects(rng, count=6, taxonomy=NUSCENES, background=50):
    """Labels and points of small boxes full of points, 10 to 30 m away."""
    sizes = rng.integers(5, 40, count)
    owner = np.repeat(np.arange(count), sizes)
    angle, range_m = rng.uniform(-3, 3, count), rng.uniform(10, 30, count)
    center = np.column_stack([range_m * np.cos(angle), range_m * np.sin(angle), np.full(count, -1.0)])
    xyz = np.concatenate([center[owner] + rng.uniform(-1, 1, (len(owner), 3)), rng.normal(0, 20, (background, 3))])
    points = np.column_stack([xyz, rng.uniform(0, 255, len(xyz))]).astype(np.float32)
    classes = rng.integers(0, len(taxonomy.names), count)
    labels = labels_of(np.append(owner, [-1] * background), np.append(classes[owner], [255] * background))
    shuffled = rng.permutation(len(points))
    return labels_of(labels.instance_id[shuffled], labels.class_id[shuffled]), points[shuffled]
