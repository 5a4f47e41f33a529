"""The ground truth of a frame can be read and fits its points."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.base.errors import CalibrationError, DatasetError
from pointsam.checks.base import Probe, Problem, Rule, in_tables


def _check(probe: Probe) -> Iterator[Problem]:
    if not len(probe.points):
        return
    try:
        probe.dataset.point_truth(probe.frame.frame_id)
    except (DatasetError, CalibrationError) as error:
        yield Problem(probe.frame.frame_id, f"[{error.code}] {error.message}")


_ID = "ground-truth"

RULE = Rule(
    id=_ID,
    severity="warning",
    title="The ground truth can be read, and label files fit their clouds.",
    remedy="Correct the row or the name of the file, or unpack labels and sweeps of one release. Labelling needs no "
    "ground truth; `eval` leaves out frames whose ground truth cannot be read.",
    of_dataset=in_tables(_ID),
    of_frame=_check,
)
