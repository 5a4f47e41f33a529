"""Sweeps between key frames, which the tables list, are on disk."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.base.errors import DatasetError
from pointsam.checks.base import Probe, Problem, Rule, Survey
from pointsam.checks.rules.missing_files import FolderNames, Missing
from pointsam.datasets.io import read_points
from pointsam.types import Frame, Sweep

_DEPTH = 9
"""Sweeps before an opened frame of which the files are looked for; detectors accumulate as many."""


class _Past(Survey):
    def __init__(self) -> None:
        self._missing = Missing(FolderNames())
        self._known = set[str]()
        self._damaged: list[Problem] = []

    def see(self, frame: Frame) -> None:
        self._known.update(sweep.source.name for sweep in frame.sweeps)
        before = frame.neighbours.get(-1)
        if before is not None and before.t_us < frame.sweep.t_us:
            self._look(before)

    def open(self, probe: Probe) -> None:
        past = probe.dataset.past_sweeps(probe.frame.frame_id, _DEPTH)
        for sweep in past:
            self._look(sweep)
        for sweep in {one.sensor: one for one in reversed(past)}.values():  # the latest of each LiDAR
            try:
                read_points(sweep)
            except DatasetError as error:
                if error.code != "DAT004":  # missing files are counted
                    self._damaged.append(Problem(probe.frame.frame_id, f"the sweep before it: {error.message}"))

    def _look(self, sweep: Sweep) -> None:
        if sweep.source.name not in self._known:
            self._known.add(sweep.source.name)
            self._missing.look(f"{sweep.sensor} before key frames", sweep.source)

    def problems(self) -> Iterator[Problem]:
        yield from self._missing.problems()
        yield from self._damaged


RULE = Rule(
    id="past-sweeps",
    severity="warning",
    title="The sweeps before a key frame, which detectors accumulate and `--recipe paper` prompts with, can be read.",
    remedy="Download the sweeps. Without them label with the default recipe, and train with "
    "--set data.points.past_sweeps=0.",
    survey=_Past,
)
