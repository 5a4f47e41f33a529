"""Runs the rules on a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from pointsam.base.errors import CalibrationError, PointSamError
from pointsam.base.words import counted
from pointsam.checks.base import Probe, Problem, Rule, Survey
from pointsam.checks.rules import RULES, calibration_values, readable
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

    def errors(self, accepted: Sequence[str] = (), of_run: bool = False) -> list[Finding]:
        """Findings of rules of severity "error" that are not accepted.

        Args:
            accepted: ids of the accepted rules.
            of_run: leave out what a run quarantines.
        """
        return [
            found
            for found in self.findings
            if found.rule.severity == "error"
            and found.rule.id not in accepted
            and not (of_run and found.rule.quarantined)
        ]


@dataclass
class _Unreadable:
    """Frames that cannot be read, by rule and code, with an example of each."""

    frames: set[str] = field(default_factory=set)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def add(self, frame_id: str, error: Exception) -> None:
        """Count an error of a frame; raise one that is not of a frame."""
        if isinstance(error, PointSamError):
            if not error.of_frame:
                raise error
            code, text = error.code, f"[{error.code}] {error.message}"
        else:
            code, text = type(error).__name__, f"{type(error).__name__}: {error}"
        rule = calibration_values.RULE if isinstance(error, CalibrationError) else readable.RULE
        self.frames.add(frame_id)
        self.counts[rule.id, code] += 1
        self.examples.setdefault((rule.id, code), Finding(rule, Problem(frame_id, text)))

    def findings(self) -> Iterator[Finding]:
        """One for each code."""
        for key, found in self.examples.items():
            count, problem = self.counts[key], found.problem
            more = f" ({counted(count, 'frame')} of this kind)" if count > 1 else ""
            yield Finding(found.rule, Problem(problem.where, problem.what + more))


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
    unreadable = _Unreadable()
    surveys = [(rule, rule.survey()) for rule in RULES if rule.survey is not None]
    for rule in RULES:
        if rule.of_dataset is not None:
            findings += [Finding(rule, problem) for problem in rule.of_dataset(dataset, frame_ids)]
    for _, ids in groupby(frame_ids, dataset.scene):
        frames = []
        for frame_id in ids:
            try:
                frame = read_frame(dataset, frame_id)
            except Exception as error:  # a plug-in's own errors too: the run quarantines such frames
                unreadable.add(frame_id, error)
            else:
                frames.append(frame)
                for _, survey in surveys:
                    survey.see(frame)
                if frame_id in opened:
                    findings += _of_frame(Probe(frame, dataset), surveys, unreadable)
            progress()
        findings += _of_scene(frames)
    findings = [*_once(findings), *unreadable.findings()]
    findings += [Finding(rule, problem) for rule, survey in surveys for problem in survey.problems()]
    findings.sort(key=lambda found: RULES.index(found.rule))
    return CheckResult(len(frame_ids), len(opened), len(unreadable.frames.intersection(opened)), tuple(findings))


def _once(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Findings that are equal, such as those of one camera in several frames, become one."""
    for found, count in Counter(findings).items():
        problem = found.problem
        yield found if count == 1 else Finding(found.rule, Problem(problem.where, f"{problem.what} ({count} times)"))


def _of_frame(probe: Probe, surveys: Sequence[tuple[Rule, Survey]], unreadable: _Unreadable) -> Iterator[Finding]:
    met: set[str] = set()
    for rule in RULES:
        of_frame = rule.of_frame
        opening = [survey for of_rule, survey in surveys if of_rule == rule]
        try:
            for problem in of_frame(probe) if of_frame is not None else ():
                yield Finding(rule, problem)
            for survey in opening:
                survey.open(probe)
        except Exception as error:  # of a plug-in too
            if str(error) not in met:  # every rule meets the same damaged file
                met.add(str(error))
                unreadable.add(probe.frame.frame_id, error)


def _of_scene(frames: Sequence[Frame]) -> Iterator[Finding]:
    for rule in RULES:
        if rule.of_scene is not None:
            for problem in rule.of_scene(frames):
                yield Finding(rule, problem)
