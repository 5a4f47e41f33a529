"""`pointsam-label check`: looks for mistakes in a data set before anything is labelled."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import groupby
from shlex import quote
from typing import get_args

from pipelines.data import DataSpec
from pipelines.labelling.request import Selection
from pointsam.base.arrays import evenly
from pointsam.base.errors import BrokenRuleError, PointSamError, SchemaError
from pointsam.base.progress import progress
from pointsam.base.words import counted
from pointsam.checks.check import CheckResult, check
from pointsam.checks.rules import RULES
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset, HasLidarChannel
from pointsam.geometry.motion import SweepMotion, motion_within

_SHOWN = 3
"""Findings of each rule that are printed."""

_FIRST = 3
"""Frames whose sensor files are opened before a run."""

_MOTION = {
    "removed": "removed by the poses of the vehicle (docs/lidars.md)",
    "kept: no poses": "it stays in them, because the motion of the vehicle is not known",
    "kept: no times": "it stays in them, because their points have no times",
}


@dataclass(frozen=True)
class CheckReport:
    """What a check found, and what was accepted.

    Args:
        root: of the data set, as the user gave it.
        result: the findings.
        accepted: ids of rules whose findings do not count as errors.
        lidar: channel of the LiDAR, None for the usual one.
        motion: what becomes of the motion of the vehicle within sweeps; None if no frame could be read.
    """

    root: str
    result: CheckResult
    accepted: tuple[str, ...]
    lidar: str | None = None
    motion: SweepMotion | None = None

    @property
    def usable(self) -> bool:
        """Whether any of the opened frames can be read."""
        return self.result.unreadable < self.result.opened

    @property
    def broken(self) -> bool:
        """Whether a rule of severity "error" is broken that is not accepted."""
        return bool(self.result.errors(self.accepted))

    def text(self) -> str:
        """For the terminal."""
        lines = []
        for rule, group in groupby(self.result.findings, lambda finding: finding.rule):
            findings = list(group)
            word = "accepted" if rule.id in self.accepted else rule.severity
            lines.append(f"{word} [{rule.id}] rule violated: {rule.title}")
            lines += [f"  {found.problem.where}: {found.problem.what}" for found in findings[:_SHOWN]]
            if len(findings) > _SHOWN:
                lines.append(f"  and {len(findings) - _SHOWN} more")
            lines.append(f"  hint: {rule.remedy}")
        if self.lidar is not None:
            lines.append(f"the LiDAR is {self.lidar}")
        if self.motion is not None and self.motion != "removed by the data set":
            lines.append(f"ego motion within sweeps: {_MOTION[self.motion]}")
        return "\n".join([*lines, self._verdict()])

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return {
            "data": self.root,
            "frames": self.result.frames,
            "opened": self.result.opened,
            "lidar": self.lidar,
            "sweep_motion": self.motion,
            "accepted": list(self.accepted),
            "findings": [
                {"rule": found.rule.id, "severity": found.rule.severity, **asdict(found.problem)}
                for found in self.result.findings
            ],
        }

    def _verdict(self) -> str:
        result, errors = self.result, len(self.result.errors(self.accepted))
        text = f"checked {counted(result.frames, 'frame')} and opened the files of {result.opened}: "
        if not result.findings:
            return f"{text}no problem found"
        text += f"{counted(errors, 'error')} and {counted(len(result.findings) - errors, 'warning')}"
        return text if self.usable else f"{text}; none of the opened frames can be read"


def run_check(data: DataSpec, selection: Selection, opened: int | None, accepted: Sequence[str]) -> CheckReport:
    """Check a data set.

    Args:
        data: the data set, and its calibration.
        selection: which frames.
        opened: number of frames whose sensor files are opened, None for all.
        accepted: ids of rules that may be broken.

    Raises:
        SchemaError: SCH005 on an unknown rule.
        PointSamError: if the data set cannot be opened.
    """
    require_rules(accepted)
    dataset = data.open()
    frame_ids = [frame_id for _, frame_id in selection.of(dataset)]
    with progress(total=len(frame_ids), desc="check", unit="frame") as bar:
        result = check(dataset, frame_ids, set(evenly(frame_ids, opened)), bar.update)
    motion = sweep_motion(dataset, frame_ids)
    return CheckReport(str(data.root), result, tuple(accepted), _lidar(dataset), motion)


def sweep_motion(dataset: Dataset, frame_ids: Sequence[str]) -> SweepMotion | None:
    """What becomes of the motion of the vehicle within sweeps, as the first frames that can be read tell.

    The first frame of a scene may have no neighbour to take the motion from: several are looked at, evenly.
    """
    found = set[SweepMotion]()
    for frame_id in evenly(frame_ids, _FIRST):
        with suppress(PointSamError):
            found.add(motion_within(read_frame(dataset, frame_id)))
    return next((motion for motion in get_args(SweepMotion) if motion in found), None)


def require_no_errors(dataset: Dataset, frame_ids: Sequence[str], accepted: Sequence[str]) -> None:
    """Refuse data that break a rule: all tables, and the sensor files of the first frames. Warnings go to stderr.

    Args:
        dataset: the data set as it is on disk.
        frame_ids: frames to label.
        accepted: ids of rules that may be broken.

    Raises:
        SchemaError: SCH005 on an unknown rule.
        BrokenRuleError: DAT012 naming the rules.
    """
    require_rules(accepted)
    with progress(total=len(frame_ids), desc="check", unit="frame") as bar:
        result = check(dataset, frame_ids, set(frame_ids[:_FIRST]), bar.update)
    report = CheckReport(str(dataset.root), result, tuple(accepted), _lidar(dataset))
    if not result.errors(accepted, of_run=True):
        if result.findings or report.lidar is not None:
            print(report.text(), file=sys.stderr)
        return
    root = quote(str(dataset.root))
    raise BrokenRuleError(
        "DAT012",
        f"{dataset.root} breaks rules, so its labels would be wrong\n{report.text()}",
        f"pointsam-label check {root} looks at more frames; --accept RULE goes on although a rule is broken",
    )


def _lidar(dataset: Dataset) -> str | None:
    return dataset.lidar if isinstance(dataset, HasLidarChannel) else None


def require_rules(accepted: Sequence[str]) -> None:
    """Refuse unknown names of rules.

    Raises:
        SchemaError: SCH005.
    """
    known = [rule.id for rule in RULES]
    for rule in accepted:
        if rule not in known:
            raise SchemaError("SCH005", f"--accept {rule}: no such rule", f"use one of: {', '.join(known)}")
