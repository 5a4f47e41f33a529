"""What the labels of a run show of their own quality, without ground truth: for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.opened import OpenedRun
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
        notes: what of the checks is missing.
    """

    out: Path
    stage: str
    check: SelfCheck
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
                "notes": list(self.notes),
            }
        )

    def table(self) -> Table:
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
    return CheckedRun(run.labels.out, run.labels.stage, check, tuple(notes))


@dataclass(frozen=True, eq=False)
class CheckedPair:
    """Two runs on the frames that both have.

    Args:
        ours, other: their folders.
        changes: each figure.
        frames: number of frames that both have.
        unit: what the bootstrap draws, for people.
    """

    ours: Path
    other: Path
    changes: tuple[Change, ...]
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
        return without_nan({"out": str(self.other), "num_frames": self.frames, "unit": self.unit, "changes": rows})

    def table(self) -> Table:
        """The figures side by side."""
        rows = [
            (one.figure.name, one.ours, one.other, *one.difference, one.verdict or "-", _WORSE[one.figure.worse])
            for one in self.changes
            if one.ours == one.ours or one.other == one.other
        ]
        said = {word: [one.figure.name for one in self.changes if one.verdict == word] for word in ("worse", "better")}
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
    return CheckedPair(ours.out, other.out, compare(ours.check, other.check, length), len(both), unit)


def _number(count: float) -> str:
    return str(int(count)) if count == int(count) else format_value(count)


def _unit(per: float) -> str:
    return "% of" if per == 100 else "per"
