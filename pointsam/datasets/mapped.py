"""A data set whose ground truth has the classes of a run instead of its own (docs/mapping.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.remote import DataPath
from pointsam.datasets.base import Dataset, HasCategories
from pointsam.datasets.truth2d import ImageTruth, image_truth
from pointsam.taxonomy import BACKGROUND, LabelMapping, Taxonomy
from pointsam.types import NO_INSTANCE, Boxes, CameraView, Frame, PointLabels, PointTruth, Sweep

_ASSIGN = "`truth` of a mapping file assigns it (docs/mapping.md)"


def with_classes(dataset: Dataset, taxonomy: Taxonomy) -> Dataset:
    """The data set with the classes of a run; itself if it has these classes and none of them is mapped to another.

    Args:
        dataset: a data set with its own classes.
        taxonomy: classes of the run, with their `truth`.
    """
    classes = LabelMapping(dataset.taxonomy, {name: name for name in dataset.taxonomy.names})
    finer = [name for name in taxonomy.truth or () if not classes.lists(name)]
    if finer and isinstance(dataset, HasCategories):
        dataset = dataset.with_categories(finer)
    own = dataset.taxonomy.names
    same = own == taxonomy.names and targets(dataset.taxonomy, taxonomy) == list(range(len(own)))
    return dataset if same else MappedDataset(dataset, taxonomy)


def targets(own: Taxonomy, taxonomy: Taxonomy) -> list[int | None]:
    """class_id of a run by class_id of a data set: what `truth` says, else the class of the same name, else None.

    Case, spaces, underscores and hyphens are not distinguished. BACKGROUND = no object, on purpose.

    Args:
        own: classes of the data set.
        taxonomy: as in `with_classes`.
    """
    stated, same = taxonomy.truth_mapping, LabelMapping(taxonomy, {name: name for name in taxonomy.names})
    by = [next((one for one in (stated, same) if one.lists(name)), None) for name in own.names]
    return [None if one is None else one.class_id(name) for one, name in zip(by, own.names, strict=True)]


class MappedDataset:
    """A data set with other classes. Boxes and points of classes that are not mapped are void.

    Everything else, also what only some data sets have (tokens, label rows), is that of the data set.

    Args:
        dataset: a data set with its own classes.
        taxonomy: as in `with_classes`.

    Attributes:
        mapped: whether any class of the data set is a class of the run.
        keeps_names: whether classes are only left out: those that are mapped have the same name in both.
        unmapped: classes of the data set that no class of the run stands for.
        unknown: names in `truth` that the data set does not have.
    """

    def __init__(self, dataset: Dataset, taxonomy: Taxonomy) -> None:
        self._dataset, self._own, self._names = dataset, dataset.taxonomy, dataset.taxonomy.names
        found = targets(dataset.taxonomy, taxonomy)
        self._class_id = np.full(BACKGROUND + 1, BACKGROUND, dtype=np.uint8)
        self._void = np.zeros(BACKGROUND + 1, dtype=bool)
        for own, target in enumerate(found):
            self._class_id[own] = BACKGROUND if target is None else target
            self._void[own] = target is None
        self._left_out: dict[str, Counter[str]] = {}
        self.unmapped = tuple(name for name, target in zip(self._names, found, strict=True) if target is None)
        self.mapped = any(target not in (None, BACKGROUND) for target in found)
        names = taxonomy.names
        self.keeps_names = all(
            k is None or (k != BACKGROUND and names[k] == own) for own, k in zip(self._names, found, strict=True)
        )
        known = LabelMapping(dataset.taxonomy, {name: name for name in self._names})
        self.unknown = tuple(name for name in taxonomy.truth or () if not known.lists(name))
        self.name: str = dataset.name
        self.taxonomy = taxonomy
        self.visibility_levels = dataset.visibility_levels
        for name in dir(dataset):  # what only some data sets have; a protocol sees attributes of the instance
            if not name.startswith("_") and not hasattr(self, name):
                setattr(self, name, getattr(dataset, name))

    @property
    def root(self) -> DataPath:
        """The folder that the user gave."""
        return self._dataset.root

    def frame_ids(self, split: str | None = None) -> list[str]:
        """As of the data set."""
        return self._dataset.frame_ids(split)

    def frame(self, frame_id: str) -> Frame:
        """As of the data set."""
        return self._dataset.frame(frame_id)

    def scene(self, frame_id: str) -> str:
        """As of the data set."""
        return self._dataset.scene(frame_id)

    def boxes(self, frame_id: str) -> Boxes | None:
        """Ground-truth boxes with the classes of the run; boxes of other classes are void."""
        boxes = self._dataset.boxes(frame_id)
        if boxes is None:
            return None
        self._note(frame_id, boxes.class_id)
        return replace(boxes, class_id=self._class_id[boxes.class_id])

    def visibility(self, frame_id: str) -> NDArray[np.int8] | None:
        """As of the data set."""
        return self._dataset.visibility(frame_id)

    def velocities_mps(self, frame_id: str) -> NDArray[np.float64] | None:
        """As of the data set."""
        return self._dataset.velocities_mps(frame_id)

    def past_sweeps(self, frame_id: str, count: int) -> list[Sweep]:
        """As of the data set."""
        return self._dataset.past_sweeps(frame_id, count)

    def point_truth(self, frame_id: str, source: str | None = None) -> PointTruth | None:
        """Ground truth of the points with the classes of the run; points of other classes are void."""
        truth = self._dataset.point_truth(frame_id, source)
        if truth is None:
            return None
        of, class_id = truth.labels.instance_id, truth.labels.class_id
        first = np.unique(of, return_index=True)[1]
        self._note(frame_id, class_id[first])
        mapped = self._class_id[class_id]
        labels = PointLabels(np.where(mapped == BACKGROUND, np.int32(NO_INSTANCE), of), mapped)
        return replace(truth, labels=labels, void=truth.void | self._void[class_id])

    def image_truth(self, view: CameraView) -> ImageTruth | None:
        """As `truth2d.image_truth`, with the classes of the run; BACKGROUND marks void objects.

        Raises:
            DatasetError, SchemaError: as `truth2d.image_truth`.
        """
        truth = image_truth(self.root, view, self._own)
        if truth is None:
            return None
        mapped = self._class_id[truth.class_id].astype(np.int64)
        kept = (mapped != BACKGROUND) | self._void[truth.class_id]
        return ImageTruth(truth.ids, truth.instance_id[kept], mapped[kept], truth.visible[kept])

    def fingerprint(self) -> str:
        """As of the data set."""
        return self._dataset.fingerprint()

    def left_out(self) -> Mapping[str, int]:
        """Number of objects of each unmapped class in the frames that were read so far."""
        every: Counter[str] = sum(self._left_out.values(), Counter())
        return {name: every[name] for name in self.unmapped if every[name]}

    def notes(self) -> list[str]:
        """What of the ground truth is void because no class of the run stands for it."""
        notes, counts = [], self.left_out()
        if counts:
            listed = ", ".join(f"{number} {name}" for name, number in counts.items())
            notes.append(f"ground truth that no class of the labels stands for is void: {listed}; {_ASSIGN}")
        if self.unknown:
            notes.append(
                f"`truth` of the mapping names {', '.join(map(repr, self.unknown))}, which {self.name} does not have: "
                f"its classes are {', '.join(self._names)}"
            )
        return notes

    def _note(self, frame_id: str, class_id: NDArray[np.uint8]) -> None:
        void = class_id[self._void[class_id]]
        self._left_out.setdefault(frame_id, Counter(self._names[k] for k in void.tolist()))


def truth_notes(dataset: Dataset) -> list[str]:
    """What of the ground truth of a data set is void because of the classes of a run; empty for its own classes."""
    return dataset.notes() if isinstance(dataset, MappedDataset) else []
