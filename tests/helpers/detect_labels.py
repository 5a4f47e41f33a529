"""Labels of one sample for tests of assignment."""

import numpy as np
import torch

from pointsam.detect.labels import BatchLabels, SampleLabels


def joined(*labels):
    """The labels of a batch."""
    return BatchLabels.join(labels)


def labels_of(rng, boxes=4, clusters=6):
    """Objects of points with noise around them; some have boxes."""
    centers = rng.uniform((-8, -6, -1.5), (8, 6, -0.5), (boxes + clusters, 3))
    sizes = rng.uniform((0.6, 0.5, 1.2), (5, 2.2, 2.0), (boxes + clusters, 3))
    box = np.column_stack([centers[:boxes], sizes[:boxes], rng.uniform(-4, 4, boxes)])
    points, ids = [rng.uniform((-9, -7, -2), (9, 7, 1), (150, 3))], [np.full(150, -1)]
    for m in range(clusters):
        count = int(rng.integers(1, 60))
        points.append(centers[boxes + m] + rng.uniform(-0.5, 0.5, (count, 3)) * sizes[boxes + m])
        ids.append(np.full(count, m))
    points, ids = torch.from_numpy(np.concatenate(points)).float(), torch.from_numpy(np.concatenate(ids))
    return SampleLabels(
        torch.from_numpy(box).float(),
        torch.from_numpy(rng.choice([0, 1, 2], boxes)),
        torch.zeros(boxes, 2),
        torch.from_numpy(centers[:boxes]).float(),
        torch.from_numpy(rng.choice([0, 1, 2], clusters)),
        torch.from_numpy(centers[boxes:]).float(),
        torch.bincount(ids[ids >= 0], minlength=clusters),
        points,
        ids,
        torch.from_numpy(rng.random(len(points)) < 0.05),
    )


def box_labels(boxes, classes, velocity=None):
    """Boxes without points."""
    none, empty = torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3)
    velocity = torch.zeros(len(boxes), 2) if velocity is None else velocity
    return SampleLabels(boxes, classes, velocity, boxes[:, :3], none, empty, none, empty, none, none.bool())
