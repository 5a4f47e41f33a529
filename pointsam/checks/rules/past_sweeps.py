"""Sweeps between key frames, which the tables list, are on disk."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.base.errors import DatasetError
from pointsam.checks.base import Probe, Problem, Rule
from pointsam.datasets.io import read_points


def _check(probe: Probe) -> Iterator[Problem]:
    for sweep in probe.dataset.past_sweeps(probe.frame.frame_id, 1):
        try:
            read_points(sweep)
        except DatasetError as error:
            yield Problem(probe.frame.frame_id, f"the sweep before it cannot be read: {error.message}")


RULE = Rule(
    id="past-sweeps",
    severity="warning",
    title="The sweeps before a key frame, which detectors accumulate and `--recipe paper` prompts with, can be read.",
    remedy="Download the sweeps. Without them label with the default recipe, and train with "
    "--set data.points.past_sweeps=0.",
    of_frame=_check,
)
