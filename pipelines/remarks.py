"""What users of labels should know of them, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.documents import ClustersDocument
from pointsam.base.words import counted
from pointsam.calibration.correction import corrects
from pointsam.store.reader import Labels

_SHOWN = 8
"""Lines on scenes that are shown."""


def label_notes(labels: Labels, scene: str | None = None) -> tuple[str, ...]:
    """The calibration that labels were made with, and the remarks of their stage on scenes.

    Args:
        labels: reader of the folder.
        scene: the only scene of interest, None for all.
    """
    wrong = labels.metadata("clusters").calibration_perturbation
    corrected = corrects(labels.document(ClustersDocument).calibration)
    notes = [] if wrong == "none" else [f"the labels were made with a calibration error: {wrong}"]
    notes += ["the labels were made with a corrected calibration"] if corrected else []
    remarks = {name: texts for name, texts in labels.remarks().items() if scene in (None, name)}
    return (*notes, *scene_lines(remarks))


def scene_lines(remarks: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A line for each remark on scenes; scenes with the same one share a line.

    Args:
        remarks: remarks by scene.
    """
    scenes: dict[str, list[str]] = {}
    for scene, texts in remarks.items():
        for text in texts:
            scenes.setdefault(text, []).append(scene)
    lines = [f"{_named(its)}: {text}" for text, its in scenes.items()]
    if len(lines) > _SHOWN:
        left = counted(len(lines) - _SHOWN, "further remark")
        lines = [*lines[:_SHOWN], f"{left} on scenes: OUT/run.json has all of them"]
    return tuple(lines)


def _named(scenes: Sequence[str]) -> str:
    if len(scenes) == 1:
        return f"scene {scenes[0]!r}"
    return f"{counted(len(scenes), 'scene')}, for example {scenes[0]!r}"
