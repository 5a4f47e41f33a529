"""Names of scenes can name folders of labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pointsam.base.errors import SchemaError
from pointsam.checks.base import Problem, Rule
from pointsam.store.layout import encode_scene
from pointsam.types import Frame


def _check(frames: Sequence[Frame]) -> Iterator[Problem]:
    for frame in frames[:1]:
        try:
            encode_scene(frame.scene)
        except SchemaError as error:
            yield Problem(frame.frame_id, error.message)


RULE = Rule(
    id="scene-names",
    severity="error",
    title="Names of scenes can name folders.",
    remedy="Shorten the name of the scene to 200 bytes; characters other than letters and digits count as three.",
    of_scene=_check,
)
