"""Weighted box fusion: the detections of several networks become one box for each object.

Solovyev, Wang, Gabruseva, "Weighted boxes fusion: Ensembling boxes from different object detection models", Image and
Vision Computing 107, 2021 (arXiv 1910.13302). Non-maximum suppression keeps the box with the highest score; fusion
averages the boxes, and the score grows with the number of networks that agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.semantics.boxes import by_score, iou
from pointsam.types import Detections

_LEAST_MASS = 1e-12
"""Mass of a box with score 0, whose mean would otherwise be 0 / 0."""


def fuse(
    found: Sequence[Detections],
    weight: Sequence[float],
    min_iou: float,
    alike: frozenset[int],
    knows: Sequence[NDArray[np.bool_]] | None = None,
) -> Detections:
    """Join the detections of networks that looked at the same image.

    Boxes are taken by falling mass, which is the network's weight times the score. A box joins the object whose box
    overlaps it most, if their IoU is greater than `min_iou` and they have the same class, or two classes of `alike`;
    otherwise it is a new object. The box of an object is the mean of its boxes, weighted by mass, and its class the one
    with the most mass. Its score is the mean over the networks that know this class or found the object, weighted by
    `weight`, of the highest score that the network gives to it, or 0 if the network does not find it.

    Detections of one network without duplicates stay as they are. The result does not depend on the order of the
    detections or of the networks.

    Args:
        found: detections of each network, without masks. Equal scores of different networks should mean equal
            certainty.
        weight: positive weight of each network.
        min_iou: in [0, 1).
        alike: classes that networks confuse, such as vehicles: boxes of two of them may be one object.
        knows: for each network, (256,) whether it can find a class; None if all find the same classes.

    Returns:
        The objects by falling score.

    Raises:
        SchemaError: SCH003 if there is not one weight for each network, or detections have masks.
    """
    if not found or len(found) != len(weight) or any(one.rle is not None for one in found):
        raise SchemaError(
            "SCH003",
            f"fusion of {len(found)} networks with {len(weight)} weights, or of masks",
            "give one weight for each network, and boxes without masks",
        )
    network = np.repeat(np.arange(len(found)), [len(one) for one in found])
    box, class_id, score = (
        np.concatenate([getattr(one, name) for one in found]) for name in ("box_xyxy_px", "class_id", "score")
    )
    kind = np.where(np.isin(class_id, list(alike)), -1, class_id.astype(np.intp))
    mass = np.maximum(np.asarray(weight, dtype=np.float64)[network] * score, _LEAST_MASS)
    n = len(box)
    owner, kinds, total = np.zeros(n, dtype=np.intp), np.zeros(n, dtype=np.intp), np.zeros((n, 5))
    count = 0
    for i in np.lexsort((*box.T[::-1], class_id, -score, -mass)):
        overlap = iou(box[i : i + 1], total[:count, :4] / total[:count, 4:])[0] * (kinds[:count] == kind[i])
        owner[i] = overlap.argmax() if (overlap > min_iou).any() else count
        count = max(count, int(owner[i]) + 1)
        kinds[owner[i]] = kind[i]
        total[owner[i]] += mass[i] * np.append(box[i], 1.0)
    best, votes = np.zeros((count, len(found))), np.zeros((count, 256))
    np.maximum.at(best, (owner, network), score)
    for i in np.lexsort((mass, class_id)):  # a fixed order of the sum
        votes[owner[i], class_id[i]] += mass[i]
    mean, most = (total[:count, :4] / total[:count, 4:]).astype(np.float32), votes.argmax(axis=1).astype(np.uint8)
    counts = np.ones_like(best) if knows is None else (best > 0) | np.array(knows)[:, most].T
    # fsum is exact, so that the order of the networks does not change the last bit.
    masses, wholes = best * weight, counts * weight
    joint = np.array([math.fsum(a) / math.fsum(b) for a, b in zip(masses, wholes, strict=True)], dtype=np.float32)
    order = by_score(mean, most, joint)
    return Detections(mean[order], most[order], joint[order])
