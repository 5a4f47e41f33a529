"""A frame has one file of points, so that there is no doubt which of them is read."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.base.remote import DataPath
from pointsam.checks.base import Probe, Problem, Rule
from pointsam.datasets.clouds import SUFFIXES, CloudFile


def _check(probe: Probe) -> Iterator[Problem]:
    for sweep in probe.frame.sweeps:
        if isinstance(sweep.source, CloudFile):
            path: DataPath = sweep.source.path
            others = [path.with_suffix(suffix) for suffix in SUFFIXES if suffix != path.suffix.lower()]
            names = [other.name for other in others if other.is_file()]
            if names:
                yield Problem(str(path), f"{', '.join(names)} of the same name is not read")


RULE = Rule(
    id="cloud-files",
    severity="warning",
    title="A sweep is in one file, not in several of different suffixes.",
    remedy="Remove the files that are not to be used.",
    of_frame=_check,
)
