"""A camera that has an image in one frame of a scene has one in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pointsam.checks.base import Problem, Rule
from pointsam.types import Frame


def _check(frames: Sequence[Frame]) -> Iterator[Problem]:
    counts = Counter(view.name for frame in frames for view in frame.cameras)
    for name, count in counts.items():
        if count < len(frames):
            first = next(frame for frame in frames if name not in {view.name for view in frame.cameras})
            yield Problem(
                f"{first.scene} {name}",
                f"no image in {len(frames) - count} of {len(frames)} frames, for example {first.frame_id}",
            )


RULE = Rule(
    id="missing-cameras",
    severity="warning",
    title="Every frame of a scene has an image of every camera of the scene.",
    remedy="Nothing, if images were dropped while recording: objects that only this camera saw get no labels. "
    "Otherwise restore the rows of the images.",
    of_scene=_check,
)
