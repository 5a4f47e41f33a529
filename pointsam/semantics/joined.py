"""Several sources of classes as one: their boxes are joined by weighted box fusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.semantics.base import SemanticModel, is_concurrent
from pointsam.semantics.fusion import fuse
from pointsam.taxonomy import LabelMapping, Taxonomy
from pointsam.types import CameraView, Detections, Frame


@dataclass(frozen=True, eq=False)
class Member:
    """One of the sources.

    Args:
        model: the source. Its masks are not used: a fused box is the mean of several.
        weight: its weight in the fusion.
        curve: slope and offset of the logit of the probability that a box is true against that of the score (Platt,
            1999), so that the scores of sources are comparable; None leaves the scores.
        knows: (256,) whether it can find each class.
    """

    model: SemanticModel
    weight: float
    curve: tuple[float, float] | None
    knows: NDArray[np.bool_]


def known_classes(mapping: LabelMapping, labels: Sequence[str]) -> NDArray[np.bool_]:
    """(256,) the classes that labels are mapped to."""
    known = np.zeros(256, dtype=bool)
    known[[mapping.class_id(label) for label in labels if label]] = True
    return known


class JoinedSemantics:
    """The objects of several sources.

    Args:
        name: name of the plug-in.
        weights_sha256: digest of all sources.
        members: the sources.
        taxonomy: the classes; boxes of two vehicle classes may be one object.
        min_iou: boxes of a class with a higher IoU are one object.
        score_threshold: objects with a higher score are kept.
    """

    def __init__(
        self,
        name: str,
        weights_sha256: str,
        members: Sequence[Member],
        taxonomy: Taxonomy,
        min_iou: float,
        score_threshold: float,
    ) -> None:
        self.name, self.weights_sha256 = name, weights_sha256
        self.riders_apart = any(member.model.riders_apart for member in members)
        self.concurrent = all(is_concurrent(member.model) for member in members)
        self._members, self._min_iou, self._score_threshold = tuple(members), min_iou, score_threshold
        self._alike = frozenset(i for i, one in enumerate(taxonomy.classes) if one.vehicle)

    def detect(self, image_rgb: NDArray[np.uint8], frame: Frame, view: CameraView) -> Detections:
        """Objects in an (H,W,3) uint8 RGB image by falling score: boxes without masks, clipped to the image.

        Raises:
            SchemaError: SCH003 if a source gives masks of whole classes.
        """
        found = [_boxes(member.model.detect(image_rgb, frame, view), member.curve) for member in self._members]
        weights, knows = [member.weight for member in self._members], [member.knows for member in self._members]
        fused = fuse(found, weights, self._min_iou, self._alike, knows)
        keep = fused.score > self._score_threshold
        return Detections(fused.box_xyxy_px[keep], fused.class_id[keep], fused.score[keep])


def _boxes(found: Detections, curve: tuple[float, float] | None) -> Detections:
    """Detections with scores of the curve and without masks."""
    if not found.instances:
        raise SchemaError(
            "SCH003", "fusion of a network that finds classes and no objects", "fuse networks that find objects"
        )
    if curve is None:
        return replace(found, rle=None)
    slope, offset = curve
    score = np.clip(found.score.astype(np.float64), 1e-6, 1 - 1e-6)
    logit = slope * np.log(score / (1 - score)) + offset
    return replace(found, rle=None, score=(1 / (1 + np.exp(-logit))).astype(np.float32))
