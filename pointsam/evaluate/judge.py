"""Computes all metrics of the labels of a folder, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.datasets.base import Dataset
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.agnostic import AgnosticAccumulator, AgnosticQuality, best_iou
from pointsam.evaluate.attributes import dimensions, members_of
from pointsam.evaluate.overlap import Overlaps, overlaps
from pointsam.evaluate.panoptic import PanopticAccumulator, PanopticQuality, match
from pointsam.evaluate.reliability import Reliability, ReliabilityAccumulator
from pointsam.evaluate.semantic import SemanticAccumulator, SemanticQuality
from pointsam.evaluate.slices import BinQuality, Members, SliceAccumulator
from pointsam.taxonomy import Taxonomy
from pointsam.types import FrameLabels, PointTruth

MIN_POINTS_PANOPTIC, MIN_POINTS_OBJECTS = 15, 5


@dataclass(frozen=True)
class Quality:
    """All metrics of a folder, by module of `pointsam.evaluate`."""

    panoptic: PanopticQuality
    agnostic: AgnosticQuality
    semantic: SemanticQuality
    confidence: Reliability
    probability: Reliability
    bins: tuple[BinQuality, ...]


@dataclass(frozen=True, eq=False)
class FrameVerdict:
    """The metrics of each segment of a frame.

    Args:
        frame_id: id of the frame.
        seen: its segments and their overlaps.
        object_iou: (T,) best IoU of each true segment.
        cluster_iou: (P,) best IoU of each cluster.
        matched_objects: (T,) bool, matched true segments of panoptic quality.
        matched_clusters: (P,) bool, matched clusters of panoptic quality.
        missed: (T,) bool, true segments that count as FN.
        false_alarm: (P,) bool, clusters that count as FP.
        confidence, probability: (P,) of the clusters; NaN without a probability.
        num_grown: (P,) number of points that growth added to them, void ones included.
        members: bins of the segments, by dimension.
        bins: names of the bins, by dimension.
        class_names: class names by class_id.
    """

    frame_id: str
    seen: Overlaps
    object_iou: NDArray[np.float64]
    cluster_iou: NDArray[np.float64]
    matched_objects: NDArray[np.bool_]
    matched_clusters: NDArray[np.bool_]
    missed: NDArray[np.bool_]
    false_alarm: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    probability: NDArray[np.float64]
    num_grown: NDArray[np.int64]
    members: dict[str, Members]
    bins: dict[str, tuple[str, ...]]
    class_names: tuple[str, ...]

    @property
    def large_clusters(self) -> NDArray[np.bool_]:
        """(P,) whether the confidence and the probability of a cluster are scored: it has at least five points."""
        return np.asarray(self.seen.pred_size >= MIN_POINTS_OBJECTS)


class Judge:
    """Sums over the frames of a folder; its memory grows by 32 bytes per cluster.

    Args:
        dataset: data set with sweeps, cameras and boxes.
        taxonomy: classes of labels and ground truth.
        cameras: names of the rig's cameras.
        sensors: names of the rig's LiDARs.
    """

    def __init__(
        self, dataset: Dataset, taxonomy: Taxonomy, cameras: tuple[str, ...], sensors: tuple[str, ...] = ()
    ) -> None:
        self._dataset, self._taxonomy, self._cameras = dataset, taxonomy, cameras
        self._panoptic = PanopticAccumulator(taxonomy, MIN_POINTS_PANOPTIC)
        self._agnostic = AgnosticAccumulator(taxonomy, MIN_POINTS_OBJECTS)
        self._semantic = SemanticAccumulator(taxonomy)
        self._confidence, self._probability = ReliabilityAccumulator(), ReliabilityAccumulator()
        self._dimensions = dimensions(cameras, dataset.visibility_levels, sensors)
        self._bins = SliceAccumulator(taxonomy, self._dimensions, MIN_POINTS_PANOPTIC, MIN_POINTS_OBJECTS)

    def add(self, found: FrameLabels, truth: PointTruth) -> FrameVerdict:
        """Count one frame. Rows without a position are void.

        Raises:
            SchemaError: SCH003 if labels and ground truth differ in their number of points, SCH004 on an unknown class.
            DatasetError: what reading the sweep raises.
        """
        frame_id = found.frame.frame_id
        frame = self._dataset.frame(frame_id)
        points = read_frame_points(frame)
        try:
            truth = truth.of_points(points.present)
            seen = overlaps(found.labels, truth, self._taxonomy)
        except SchemaError as error:
            raise SchemaError(error.code, f"frame {frame_id}: {error.message}", error.hint) from error
        members = members_of(
            seen,
            points,
            frame,
            self._cameras,
            self._dataset.boxes(frame_id),
            self._dataset.visibility(frame_id),
            len(self._dataset.visibility_levels),
        )
        members = {name: bins for name, bins in members.items() if name in self._dimensions}
        self._panoptic.add_overlaps(seen)
        self._agnostic.add_overlaps(seen)
        self._semantic.add(found.labels, truth)
        self._bins.add(seen, members)
        verdict = self._verdict(frame_id, seen, found, members)
        large = verdict.large_clusters
        iou, scene = verdict.cluster_iou[large], found.frame.scene
        self._confidence.add(verdict.confidence[large], iou, scene)
        self._probability.add(verdict.probability[large], iou, scene)
        return verdict

    def result(self) -> Quality:
        """Metrics of all frames added."""
        return Quality(
            self._panoptic.result(),
            self._agnostic.result(),
            self._semantic.result(),
            self._confidence.result(),
            self._probability.result(),
            self._bins.result(),
        )

    def _verdict(self, frame_id: str, seen: Overlaps, found: FrameLabels, members: dict[str, Members]) -> FrameVerdict:
        object_iou, cluster_iou = best_iou(seen)
        outcome = match(seen, MIN_POINTS_PANOPTIC)
        matched_objects, matched_clusters = np.zeros(len(object_iou), bool), np.zeros(len(cluster_iou), bool)
        matched_objects[seen.true_index[outcome.pair]] = True
        matched_clusters[seen.pred_index[outcome.pair]] = True
        confidence, probability = (
            np.array([getattr(cluster, name) for cluster in found.clusters], dtype=np.float64)
            for name in ("confidence", "probability")
        )
        num_grown = np.array([cluster.num_points_grown for cluster in found.clusters], dtype=np.int64)
        return FrameVerdict(
            frame_id,
            seen,
            object_iou,
            cluster_iou,
            matched_objects,
            matched_clusters,
            outcome.missed,
            outcome.false_alarm,
            confidence[seen.pred_id],
            probability[seen.pred_id],
            num_grown[seen.pred_id],
            members,
            self._dimensions,
            self._taxonomy.names,
        )
