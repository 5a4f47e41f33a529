"""What the labels of a budget's frames hold, counted before training."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError, SchemaError
from pointsam.base.words import counted
from pointsam.detect.data.budget import Budget
from pointsam.detect.data.digests import box_digests
from pointsam.types import Boxes

_UPRIGHT = np.cos(np.deg2rad(20.0))
"""A box whose height is farther from vertical leans: no street is that steep."""


class Census:
    """Counts boxes and clusters of F frames by C classes, and compares the boxes with those that the budget drew.

    Args:
        budget: the budget.
        frame_ids: (F) frames to count.
        class_ids: (C) trained classes.
        names: class names by class_id.
        range_m: range of the detector's grid, x0, y0, z0, x1, y1, z1.

    Attributes:
        boxed, coarsely: (F,C) bool, whether each frame has boxes, and clusters, of each class.
        inside, total: (C,) number of boxes whose centre is inside the range, and of all boxes.
        shortest, longest: (C,) shortest and longest side of the boxes, metres.
        leaning: number of boxes whose height is no vertical side.
        bad: frame_id -> why its boxes cannot be read.
    """

    def __init__(
        self,
        budget: Budget,
        frame_ids: Sequence[str],
        class_ids: Sequence[int],
        names: Sequence[str],
        range_m: Sequence[float],
    ) -> None:
        self._budget, self._frame_ids, self._names = budget, frame_ids, names
        self._column = {class_id: k for k, class_id in enumerate(class_ids)}
        self._low, self._high = np.array(range_m[:3]), np.array(range_m[3:])
        self.boxed: NDArray[np.bool_] = np.zeros((len(frame_ids), len(class_ids)), dtype=bool)
        self.coarsely: NDArray[np.bool_] = np.zeros_like(self.boxed)
        self.inside, self.total = np.zeros((2, len(class_ids)), dtype=np.int64)
        self.shortest = np.full(len(class_ids), np.inf)
        self.longest = np.zeros(len(class_ids))
        self.leaning = 0
        self.bad: dict[str, str] = {}
        self._digest = hashlib.sha256()
        self._changed: list[tuple[str, str]] = []

    def recognise(self, index: int, read: Boxes) -> None:
        """Compare the boxes of a frame that are read, of any class, with those that the budget was drawn from."""
        frame_id = self._frame_ids[index]
        digests = box_digests(read, self._names)
        drawn = self._budget.digests.get(frame_id, {})
        found = zip(read.token, digests, strict=True)
        self._changed += [(frame_id, token) for token, digest in found if drawn.get(token, digest) != digest]
        self._digest.update(f"{frame_id} {' '.join(digests)}\n".encode())

    def add(self, index: int, boxes: Boxes, clusters: Collection[int]) -> None:
        """Count the trained boxes of a frame, map frame, and the classes of its clusters."""
        columns = np.array([self._column[class_id] for class_id in boxes.class_id.tolist()], dtype=np.int64)
        within = ((boxes.center_m >= self._low) & (boxes.center_m < self._high)).all(axis=1)
        self.boxed[index, columns] = True
        np.add.at(self.total, columns, 1)
        np.add.at(self.inside, columns[within], 1)
        np.minimum.at(self.shortest, columns, boxes.size_lwh_m.min(axis=1))
        np.maximum.at(self.longest, columns, boxes.size_lwh_m.max(axis=1))
        self.leaning += int((np.abs(boxes.rotation[:, 2, 2]) < _UPRIGHT).sum())
        self.coarsely[index, [self._column[c] for c in clusters if c in self._column]] = True

    def by_class(self, classes: Sequence[str]) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[float, float]]]:
        """By name of each class with boxes: (inside, total), and (shortest, longest)."""
        there = np.flatnonzero(self.total)
        counts = {classes[k]: (int(self.inside[k]), int(self.total[k])) for k in there}
        return counts, {classes[k]: (float(self.shortest[k]), float(self.longest[k])) for k in there}

    @property
    def digest(self) -> str:
        """Hex sha256 of all boxes that were read."""
        return self._digest.hexdigest()

    def require_unchanged(self, root: object) -> None:
        """Refuse labels that were edited or put in another order after the budget was drawn.

        Args:
            root: the data set, for the error.

        Raises:
            SchemaError: SCH003 with the number of boxes and the first of them.
        """
        if not self._changed:
            return
        frame_id, token = self._changed[0]
        every = sum(len(boxes) for boxes in self._budget.frames.values())
        raise SchemaError(
            "SCH003",
            f"{len(self._changed)} of {counted(every, 'box')} of {self._budget.name} are not the boxes in {root} that "
            f"it was drawn from: class, place, size or heading differ, first of box {token!r} in frame {frame_id!r}",
            "the labels were changed, put in another order, or are read otherwise (--lidar, --mapping): draw the "
            "budget again, to another file, and train in another --out",
        )


def unlabelled(frame_id: str, root: object) -> DatasetError:
    """The error for a frame of a budget without labels: it is no frame without objects."""
    return DatasetError("DAT011", f"{root}: frame {frame_id!r} has no labels", "bring its label file here")


def require_tokens(allowed: Collection[str], boxes: Boxes, frame_id: str, root: object) -> None:
    """Refuse a frame that lacks some of the tokens that a budget allows.

    Raises:
        SchemaError: SCH003 with the first of them.
    """
    unknown = set(allowed) - set(boxes.token)
    if unknown:
        raise SchemaError(
            "SCH003",
            f"frame {frame_id!r} of {root} has no box {min(unknown)!r}, which the budget names",
            "the budget was drawn from other data: draw it from this data set",
        )


def drawn_with(budget: Budget, names: Sequence[str]) -> str:
    """How a budget with boxes of some classes is drawn."""
    counts = budget.description.classes
    absent = [name for name in names if name not in counts or not counts[name].objects]
    if absent:
        return f"draw the budget from data with {', '.join(absent)} (these have no such object)"
    return "draw the budget with --rule class"
