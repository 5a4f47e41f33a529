"""Parts of scenes, for layouts whose splits are lists of scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

from pointsam.types import Frame

REST = "rest"
"""What the part is called whose frames are in no split."""


def parts_of(frames: Sequence[Frame], splits: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """The part of its scene that each frame is in, by id, of the scenes whose frames are not all in the same splits.

    A part is named by its scene and its splits (`training-val`). No part has the name of a scene.

    Args:
        frames: the frames.
        splits: positions of the frames of each split.
    """
    splits_of: list[tuple[str, ...]] = [()] * len(frames)
    for name, places in splits.items():
        for k in places:
            splits_of[k] += (name,)
    scenes: dict[str, dict[str, tuple[str, ...]]] = {}
    for frame, its in zip(frames, splits_of, strict=True):
        scenes.setdefault(frame.scene, {})[frame.frame_id] = its
    found, taken = dict[str, str](), set(scenes)
    for scene, of_frame in scenes.items():
        names = dict.fromkeys(sorted(set(of_frame.values())), "")
        if len(names) > 1:
            for its in names:
                names[its] = _free("-".join((scene, *(its or (REST,)))), taken)
                taken.add(names[its])
            found |= {frame_id: names[its] for frame_id, its in of_frame.items()}
    return found


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken."""
    return name if name not in taken else next(other for k in count(2) if (other := f"{name}-{k}") not in taken)
