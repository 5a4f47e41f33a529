"""Runs the rules on a data set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pointsam.base.errors import PointSamError
from pointsam.checks.base import Probe, Problem, Rule
from pointsam.checks.rules import RULES, readable
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.types import Frame


@dataclass(frozen=True)
class Finding:
    """A problem and the rule that found it."""

    rule: Rule
    problem: Problem


@dataclass(frozen=True)
class CheckResult:
    """What a check looked at and found.

    Args:
        frames: number of frames whose tables were checked.
        opened: number of frames whose sensor files were opened.
        unreadable: number of the opened frames that could not be read.
        findings: the problems, in the order of the rules.
    """

    frames: int
    opened: int
    unreadable: int
    findings: tuple[Finding, ...]

    def errors(self, accepted: Sequence[str] = ()) -> list[Finding]:
        """Findings of rules of severity "error" that are not accepted."""
        return [f for f in self.findings if f.rule.severity == "error" and f.rule.id not in accepted]


def check(
    dataset: Dataset,
    frame_ids: Sequence[str],
    opened: Collection[str],
    progress: Callable[[], object] = lambda: None,
) -> CheckResult:
    """Check frames: times, poses and calibration of all, and the sensor files of some.

    Args:
        dataset: the data set; nothing of it is changed.
        frame_ids: the frames to check, in (scene, time) order.
        opened: those of them whose sensor files are opened.
        progress: called after each frame.

    Raises:
        PointSamError: whatever is not of a single frame.
    """
    findings: list[Finding] = []
    for _, ids in groupby(frame_ids, dataset.scene):
        frames = []
        for frame_id in ids:
            try:
                frame = read_frame(dataset, frame_id)
            except Exception as error:  # a plug-in's own errors too: the run quarantines such frames
                findings.append(_unreadable(frame_id, error))
            else:
                frames.append(frame)
                if frame_id in opened:
                    findings.extend(_of_frame(Probe(frame, dataset)))
            progress()
        findings.extend(_of_scene(frames))
    unreadable = {found.problem.where for found in findings if found.rule == readable.RULE}
    findings.sort(key=lambda found: RULES.index(found.rule))
    return CheckResult(len(frame_ids), len(opened), len(unreadable.intersection(opened)), tuple(findings))


def _of_frame(probe: Probe) -> Iterator[Finding]:
    unreadable: set[str] = set()
    for rule in RULES:
        if rule.of_frame is None:
            continue
        try:
            for problem in rule.of_frame(probe):
                yield Finding(rule, problem)
        except Exception as error:  # likewise
            if str(error) not in unreadable:  # every rule meets the same damaged file
                unreadable.add(str(error))
                yield _unreadable(probe.frame.frame_id, error)


def _of_scene(frames: Sequence[Frame]) -> Iterator[Finding]:
    for rule in RULES:
        if rule.of_scene is not None:
            for problem in rule.of_scene(frames):
                yield Finding(rule, problem)


def _unreadable(frame_id: str, error: Exception) -> Finding:
    if not isinstance(error, PointSamError):
        return Finding(readable.RULE, Problem(frame_id, f"{type(error).__name__}: {error}"))
    if not error.of_frame:
        raise error
    return Finding(readable.RULE, Problem(frame_id, f"[{error.code}] {error.message}"))
