"""Labels against ground truth; those that know their tracks also through time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pipelines.opened import OpenedRun
from pointsam.base.errors import SchemaError
from pointsam.evaluate.judge import FrameVerdict
from pointsam.evaluate.labels import evaluate_labels
from pointsam.evaluate.quality import FolderQuality
from pointsam.evaluate.track_points import names_of_objects
from pointsam.evaluate.tracking_quality import TrackingAccumulator
from pointsam.types import FrameLabels, PointTruth


def scored(
    run: OpenedRun, truth: str | None = None, on_verdict: Callable[[FrameVerdict], None] = lambda _: None
) -> FolderQuality:
    """Score the finished frames of a run.

    Args:
        run: the run.
        truth: source of the ground truth, None for the best one.
        on_verdict: called with the verdict of every frame.

    Raises:
        SchemaError, NothingToScoreError, DatasetError: what `evaluate_labels` raises.
    """
    if run.labels.stage != "tracks":
        return evaluate_labels(run.labels, run.truth, truth, on_verdict)
    through_time = _ThroughTime(run)
    found = evaluate_labels(run.labels, run.truth, truth, on_verdict, on_scored=through_time.add)
    if through_time.why:
        return replace(found, no_tracking=through_time.why)
    return replace(found, tracking=through_time.measures.result())


class _ThroughTime:
    """Follows the true objects of a run, unless the ground truth does not let one.

    Args:
        run: the run.

    Attributes:
        measures: what was counted.
        why: why nothing can be measured; empty if it can.
    """

    def __init__(self, run: OpenedRun) -> None:
        self._run = run
        self._last: tuple[str, int] | None = None
        self.measures, self.why = TrackingAccumulator(run.labels.taxonomy), ""

    def add(self, found: FrameLabels, true: PointTruth) -> None:
        """Count the next frame."""
        if self.why:
            return
        frame = found.frame
        names = names_of_objects(self._run.truth, frame.frame_id, true)
        if names is None:
            self.why = (
                f"the ground truth ({true.source}) does not name its objects alike in all frames of a scene; frame "
                f"{frame.frame_id}"
            )
            return
        if self._last is not None and frame.scene == self._last[0] and frame.t_us <= self._last[1]:
            self.why = f"the frames of scene {frame.scene} are not in the order of time: {frame.frame_id}"
            return
        self._last = frame.scene, frame.t_us
        tracks = [member.track_id for member in self._run.labels.tracked(frame.frame_id).members]
        try:
            self.measures.add(frame.scene, frame.frame_id, found.labels, tracks, true, names)
        except SchemaError as error:  # ground truth from two sources
            self.why = error.message
