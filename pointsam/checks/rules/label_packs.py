"""Ground truth can be read, and label files of points fit their clouds."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.base.errors import DatasetError
from pointsam.checks.base import Probe, Problem, Rule


def _check(probe: Probe) -> Iterator[Problem]:
    _ = probe.points  # a sweep that cannot be read is not told again
    try:
        probe.dataset.point_truth(probe.frame.frame_id)
    except DatasetError as error:
        yield Problem(probe.frame.frame_id, error.message)


RULE = Rule(
    id="label-packs",
    severity="warning",
    title="Ground truth can be read, and has a label of a known class for every point of its sweep.",
    remedy="Use labels and sweeps of one release. Labelling needs no ground truth; `eval` leaves such frames out.",
    of_frame=_check,
)
