"""Samples whose points and clusters can be identified after any transform."""

import numpy as np

from pointsam.detect.data.coarse import of_points
from pointsam.detect.data.sample import TrainingSample, oriented
from pointsam.geometry.boxes import box_members


def sample_of(seed=0, boxes=5, clusters=7, background=300, past=120):
    """Points have unique intensities, clusters unique classes; objects are at least 12 m apart."""
    rng = np.random.default_rng(seed)
    places = rng.permutation([(x, y) for x in range(-36, 37, 12) for y in range(-36, 37, 12)])[: boxes + clusters]
    center = np.column_stack([places + rng.uniform(-2, 2, places.shape), rng.uniform(-1, 0, len(places))])
    size = rng.uniform((1, 0.6, 1), (6, 2.5, 2.5), (len(places), 3))
    yaw = rng.uniform(-4, 4, len(places))
    rows = np.column_stack([center, size, yaw])
    turn = oriented(rows).rotation
    points, owner = [np.column_stack([rng.uniform(-45, 45, (background, 2)), rng.uniform(-3, 2, background)])], []
    for k in range(len(places)):
        count = int(rng.integers(6, 40))
        points.append(center[k] + (rng.uniform(-0.45, 0.45, (count, 3)) * size[k]) @ turn[k].T)
        owner += [k] * count
    ids = np.concatenate([np.full(background, -1), owner]).astype(np.int32)
    xyz = np.concatenate(points)
    ids[box_members(xyz, oriented(rows[:boxes]))[0]] = -1
    ids = np.where(ids >= boxes, ids - boxes, -1).astype(np.int32)
    later = np.column_stack([rng.uniform(-45, 45, (past, 2)), rng.uniform(-3, 2, past)])
    every = np.concatenate([xyz, later])
    tag = (np.arange(len(every)) + 1) / len(every) / 2
    age = np.append(np.zeros(len(xyz)), np.full(past, 0.05))
    cloud = np.column_stack([every, tag, age]).astype(np.float32)
    labels = of_points(cloud[: len(xyz), :3], ids, np.arange(clusters, dtype=np.uint8), rng.random(len(xyz)) < 0.1)
    return TrainingSample("frame", cloud, rows[:boxes], rng.integers(0, 3, boxes), rng.normal(0, 3, (boxes, 2)), labels)


def owners(sample):
    """Cluster (by its class) and unknown of each point of the key sweep, by the point's intensity."""
    classes = np.append(sample.clusters.class_id.astype(int), -1)[sample.clusters.cluster_id]
    tags = sample.points[: sample.num_key, 3].tolist()
    return dict(zip(tags, zip(classes.tolist(), sample.clusters.unknown.tolist(), strict=True), strict=True))


def in_boxes(sample):
    """Points (by intensity) in each box."""
    point, box = box_members(sample.points[:, :3], oriented(sample.boxes))
    return [set(sample.points[point[box == k], 3].tolist()) for k in range(len(sample.boxes))]
