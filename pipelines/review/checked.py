"""What the labels of a run show of their own quality, without ground truth: for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.opened import OpenedRun
from pipelines.review.calibration_drift import (
    CalibrationDrift,
    DriftChange,
    compare_drifts,
    drift_of,
    drift_table,
)
from pipelines.review.followed import FollowedFrames
from pointsam.base.tables import Table, format_value, without_nan
from pointsam.base.words import counted
from pointsam.evaluate.bootstrap import FEWEST_SCENES
from pointsam.evaluate.selfcheck import FIGURES, Change, SelfCheck, compare, self_check

_BLOCK = 5
"""Frames of a unit of the bootstrap where scenes are few."""
_WORSE = {1: "if it rises", -1: "if it falls", 0: "either way"}


@dataclass(frozen=True, eq=False)
class CheckedRun:
    """The figures of a run that need no ground truth.

    Args:
        out: its folder.
        stage: the stage whose labels were read.
        check: the counts.
        drift: how far its calibration is off.
        notes: what of the checks is missing.
    """

    out: Path
    stage: str
    check: SelfCheck
    drift: CalibrationDrift
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """JSON values, with null for a figure that nothing was asked for."""
        counts = self.check.counts.sum(axis=0).tolist()
        values = self.check.figures.tolist()
        return without_nan(
            {
                "stage": self.stage,
                "num_frames": len(self.check.frame_ids),
                "figures": {
                    one.name: {"value": value, "part": part, "whole": whole, "of": one.of, "worse": one.worse}
                    for one, value, (part, whole) in zip(FIGURES, values, counts, strict=True)
                },
                "scenes": {
                    scene: dict(zip((one.name for one in FIGURES), of_scene.tolist(), strict=True))
                    for scene, of_scene in self.check.of_scenes()
                },
                "calibration": self.drift.as_dict(),
                "notes": list(self.notes),
            }
        )

    def tables(self) -> list[Table]:
        """The figures, and the calibration of each camera if it could be looked at."""
        return [self._figures(), *([self.drift.table(str(self.out))] if self.drift.cameras else [])]

    def _figures(self) -> Table:
        """The figures; those that nothing was asked for are left out."""
        counts = self.check.counts.sum(axis=0).tolist()
        values = self.check.figures.tolist()
        rows = [
            (one.name, value, _number(part), _number(whole), f"{_unit(one.per)} {one.of}", _WORSE[one.worse])
            for one, value, (part, whole) in zip(FIGURES, values, counts, strict=True)
            if whole
        ]
        absent = [one.name for one, (_, whole) in zip(FIGURES, counts, strict=True) if not whole]
        note = "none of these figures is a quality: compare them with those of another run (--against)"
        if absent:
            note += f"\nnot known here: {', '.join(absent)}"
        title = f"{self.out}: what the labels show without ground truth, {counted(len(self.check.frame_ids), 'frame')}"
        return Table(title, ("figure", "value", "part", "whole", "of", "worse"), rows, note)


def check_run(run: OpenedRun) -> CheckedRun:
    """Count what the labels of a run show."""
    frames = FollowedFrames(run)
    check = self_check(frames, run.labels.taxonomy)
    notes = frames.notes()
    if run.labels.stage != "tracks":
        notes.append("labels of single frames have no tracks: figures of tracks are not known (pointsam-label tracks)")
    drift = drift_of(run)
    notes += [f"how far the calibration is off is not known: {drift.why}"] if drift.why else []
    return CheckedRun(run.labels.out, run.labels.stage, check, drift, (*notes, *drift.notes))


@dataclass(frozen=True, eq=False)
class CheckedPair:
    """Two runs on the frames that both have.

    Args:
        ours, other: their folders.
        changes: each figure.
        drifts: each camera whose calibration both know.
        frames: number of frames that both have.
        unit: what the bootstrap draws, for people.
    """

    ours: Path
    other: Path
    changes: tuple[Change, ...]
    drifts: tuple[DriftChange, ...]
    frames: int
    unit: str

    def as_dict(self) -> dict[str, object]:
        """JSON values."""
        rows = {
            one.figure.name: {
                "ours": one.ours,
                "other": one.other,
                **dict(zip(("difference", "low", "high"), one.difference, strict=True)),
                "verdict": one.verdict,
            }
            for one in self.changes
        }
        about = {"out": str(self.other), "num_frames": self.frames, "unit": self.unit}
        return without_nan({**about, "changes": rows, "calibration": [one.as_dict() for one in self.drifts]})

    def tables(self) -> list[Table]:
        """The figures side by side, and the calibration of each camera."""
        return [self._figures(), *([drift_table(self.drifts)] if self.drifts else [])]

    def _figures(self) -> Table:
        rows = [
            (one.figure.name, one.ours, one.other, *one.difference, one.verdict or "-", _WORSE[one.figure.worse])
            for one in self.changes
            if one.ours == one.ours or one.other == one.other
        ]
        said = {word: [one.figure.name for one in self.changes if one.verdict == word] for word in ("worse", "better")}
        for word, names in said.items():
            cameras = sum(one.verdict == word for one in self.drifts)
            names += [f"calibration of {counted(cameras, 'camera')}"] if cameras else []
        note = (
            "; ".join(f"{word}: {', '.join(names) or 'no figure'}" for word, names in said.items())
            + f"\n{counted(self.frames, 'frame')} in both; low and high: 95 % of the bootstrap draws of {self.unit}; "
            "without a verdict the band holds 0"
        )
        header = ("figure", "value", "other", "+/-", "low", "high", "verdict", "worse")
        return Table(f"without ground truth: {self.ours} against {self.other}", header, rows, note)


def compare_runs(ours: CheckedRun, other: CheckedRun) -> CheckedPair:
    """Did a run get worse?"""
    theirs = set(zip(other.check.scenes, other.check.frame_ids, strict=True))
    both = [key for key in zip(ours.check.scenes, ours.check.frame_ids, strict=True) if key in theirs]
    scenes = len({scene for scene, _ in both})
    length = None if scenes >= FEWEST_SCENES else _BLOCK
    unit = "scenes" if length is None else f"blocks of {_BLOCK} frames"
    changes, drifts = compare(ours.check, other.check, length), compare_drifts(ours.drift, other.drift)
    return CheckedPair(ours.out, other.out, changes, drifts, len(both), unit)


def _number(count: float) -> str:
    return str(int(count)) if count == int(count) else format_value(count)


def _unit(per: float) -> str:
    return "% of" if per == 100 else "per"
