"""Frames of a scene follow each other, and images are taken near the time of the sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from pointsam.checks.base import Problem, Rule, in_tables
from pointsam.types import Frame

_ID = "times"
_APART_S = 0.5


def _check(frames: Sequence[Frame]) -> Iterator[Problem]:
    for frame in frames:
        for view in frame.cameras:
            apart = (view.t_us - frame.sweep.t_us) * 1e-6
            if abs(apart) > _APART_S:
                yield Problem(f"{frame.frame_id} {view.name}", f"image {apart:+.3g} s from the sweep")
    if not any(frame.sweep.t_us for frame in frames):  # a data set without times
        return
    for before, after in pairwise(frames):
        step = (after.sweep.t_us - before.sweep.t_us) * 1e-6
        if step <= 0:
            when = f"{-step:.3g} s before" if step else "at the time of"
            yield Problem(after.frame_id, f"{when} the frame that it follows in {after.scene}")


RULE = Rule(
    id=_ID,
    severity="error",
    title="Times rise within a scene, and images are taken within 0.5 s of their sweep.",
    remedy="Correct the time stamps (microseconds), or leave the frames out of the split.",
    of_scene=_check,
    of_dataset=in_tables(_ID),
)
