"""Which scenes of a run can be followed over time, and what is wrong with the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pointsam.base.words import counted
from pointsam.datasets.base import Dataset
from pointsam.store.document import by_scene
from pointsam.store.reader import Labels
from pointsam.types import FrameRow

_NAMED = 4
"""Frames that a remark names."""


@dataclass(frozen=True)
class Scenes:
    """The scenes of a run.

    Args:
        ready: scene -> frames, all of them labelled.
        waiting: scene -> number of frames that are not labelled yet.
        timeless: scene -> why its objects cannot be followed.
        unordered: scene that is ready -> its frames that share their time with another one. They are not followed.
    """

    ready: dict[str, list[str]]
    waiting: dict[str, int]
    timeless: dict[str, str]
    unordered: dict[str, tuple[str, ...]]

    def waits(self, done: str) -> tuple[str, ...]:
        """A remark if scenes wait for frames.

        Args:
            done: what happens to a scene, such as "tracked".
        """
        if not self.waiting:
            return ()
        scene, left = next(iter(self.waiting.items()))
        return (
            f"{counted(len(self.waiting), 'scene')} not {done} yet: clusters are missing, for example of "
            f"{counted(left, 'frame')} of {scene!r}; the call that finds all of them goes on",
        )

    def remarks(self, dataset: Dataset) -> dict[str, tuple[str, ...]]:
        """Remarks by scene: gaps, frames without an order, and why there are no tracks.

        Args:
            dataset: the data set.
        """
        found = {scene: list[str]() for scene in (*self.ready, *self.timeless)}
        whole = Counter(dataset.scene(frame_id) for frame_id in dataset.frame_ids(None))
        for scene, ids in self.ready.items():
            if len(ids) < whole[scene]:
                found[scene].append(
                    f"there are gaps: {len(ids)} of its {whole[scene]} frames are in the run (--frames, --sample); "
                    "objects are followed better through all frames"
                )
        for scene, shared in self.unordered.items():
            found[scene].append(
                f"{_same_time(shared)}: they are not followed, the other frames are. Correct their times, then label "
                "again with another --out"
            )
        for scene, why in self.timeless.items():
            found[scene].append(f"there are no tracks: {why}")
        return {scene: tuple(texts) for scene, texts in found.items() if texts}


def scenes_of(labels: Labels) -> Scenes:
    """The scenes of the labels of a folder."""
    done = {frame.frame_id: frame for frame in labels.frames()}
    found = Scenes({}, {}, {}, {})
    for scene, frame_ids in by_scene(labels.selection(labels.stage)).items():
        left = sum(frame_id not in done for frame_id in frame_ids)
        good = [done[frame_id] for frame_id in frame_ids if frame_id in done and done[frame_id].status == "ok"]
        count = Counter(row.t_us for row in good)
        shared = tuple(row.frame_id for row in good if count[row.t_us] > 1)
        # Of data without times, no frame has to wait for the others.
        if (len(good) > 1 and len(count) == 1) or (not left and len(good) - len(shared) < 2):
            found.timeless[scene] = _timeless(frame_ids, good, shared)
        elif left:
            found.waiting[scene] = left
        else:
            found.ready[scene] = frame_ids
            if shared:
                found.unordered[scene] = shared
    return found


def _timeless(frame_ids: Sequence[str], good: Sequence[FrameRow], shared: Sequence[str]) -> str:
    if len(frame_ids) == 1:
        return "one frame of it is in the run"
    if len(good) < 2:
        return f"{counted(len(good), 'frame')} of its {len(frame_ids)} could be labelled"
    if not any(row.t_us for row in good):
        return "its frames have no times"
    return f"{_same_time(shared)}, so that too few are left. Correct their times, then label again with another --out"


def _same_time(frame_ids: Sequence[str]) -> str:
    names = ", ".join(repr(frame_id) for frame_id in frame_ids[:_NAMED])
    more = f" and {len(frame_ids) - _NAMED} more" if len(frame_ids) > _NAMED else ""
    return f"frames {names}{more} have the time of another frame, and no order"
