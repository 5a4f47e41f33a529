"""Training samples: frames of a budget with their boxes and coarse labels, augmented, in a random order.

Every random draw depends only on the seed, the epoch and the position in it, not on the number of workers or processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsam.base.document import OPTIONAL
from pointsam.base.errors import CalibrationError, DatasetError, SchemaError
from pointsam.base.ranges import require
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset
from pointsam.detect.data import coarse
from pointsam.detect.data.augment import AugmentConfig, augmented, cropped
from pointsam.detect.data.budget import Budget
from pointsam.detect.data.census import Census, drawn_with, require_tokens, unlabelled
from pointsam.detect.data.cloud import in_view, lidar_places_m, read_cloud
from pointsam.detect.data.coarse import CoarseConfig, CoarseLabels, trusted
from pointsam.detect.data.labelled import quarantined, require_labelled
from pointsam.detect.data.map_frame import MapFrame
from pointsam.detect.data.packed import PackedClusters
from pointsam.detect.data.paste import PasteBank, PasteConfig, pasted
from pointsam.detect.data.placing import rated, require_road, road_of
from pointsam.detect.data.resample import balanced, drawn_samples, published_samples, turns
from pointsam.detect.data.sample import PointsConfig, TrainingSample, some_of
from pointsam.detect.data.simulated import simulated_from_boxes
from pointsam.geometry.boxes import count_points, rows
from pointsam.store.reader import Labels
from pointsam.store.sources import require_unchanged
from pointsam.taxonomy import BACKGROUND
from pointsam.types import Boxes, Frame

WrapLoop = Callable[[Iterable[int]], Iterable[int]]
"""Wraps a loop to show its progress."""


MOST_REPEATS, MOST_SAMPLES = 10_000, 100_000_000
"""Limits of the length of an epoch: its order is drawn in memory."""
_NO_BOXES = Boxes(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros(0, dtype=np.uint8), ())


@dataclass(frozen=True)
class DataConfig:
    """The configuration of training data.

    Args:
        points: input points.
        coarse: source of coarse labels.
        augment: global augmentation.
        paste: copy-paste of objects from other samples.
        resample: "objects" draws frames so that every class is in equally many of them, by boxes and clusters; "boxes"
            counts boxes only, as published, and never draws a frame without a box; "none" takes each frame once.
        repeat: multiplies the number of samples of an epoch.
        samples: number of samples of an epoch, in place of `repeat`; None = the number of frames drawn times `repeat`.
        count: how long an epoch is if frames are resampled: "drawn", as many samples as there are pairs of a frame and
            a class that is drawn from; or "boxes", as many as there are pairs with a box, the published number,
            whatever is drawn. Clusters lengthen an epoch of "drawn" and not one of "boxes".
    """

    points: PointsConfig = PointsConfig()
    coarse: CoarseConfig = CoarseConfig()
    augment: AugmentConfig = AugmentConfig()
    paste: PasteConfig = field(default_factory=PasteConfig)
    resample: Literal["objects", "boxes", "none"] = "objects"
    repeat: int = 1
    samples: int | None = None
    count: Literal["drawn", "boxes"] = field(default="drawn", metadata=OPTIONAL)

    def __post_init__(self) -> None:
        require(1 <= self.repeat <= MOST_REPEATS, "data.repeat", self.repeat, f"1 to {MOST_REPEATS:,}")
        fits = self.samples is None or 1 <= self.samples <= MOST_SAMPLES
        require(fits, "data.samples", self.samples, f"1 to {MOST_SAMPLES:,}, or null")


class TrainingSet:
    """The training samples of a budget.

    Args:
        dataset: data set with the sweeps and the budget's boxes.
        budget: the frames and boxes that may be used.
        labels: labels of a labelling run; needed if coarse labels are "tables".
        classes: names of the trained classes; objects of other classes are background.
        range_m: range of the detector's grid, x0, y0, z0, x1, y1, z1.
        config: configuration.
        seed: seed of all random draws.
        wrap_loop: wraps the loop over frames that counts boxes and clusters.

    Attributes:
        frame_ids: frames that are used.
        in_map: by class, the number of boxes whose centre is inside the grid's range, and of all boxes.
        sides_m: by class, the shortest and the longest side of a box.
        leaning: number of boxes whose height is no vertical side (`Census`).
        digest: hex sha256 of the boxes that are read.
        missing: classes without a box in these frames. Their geometry cannot be trained, so they are not trained.
        num_failed: number of frames that the labelling run quarantined.
        bad: frames whose boxes cannot be read, with the reasons.

    Raises:
        SchemaError: SCH003 on a budget or labels of other data, SCH004 on labels of other classes, SCH005 if no class
            has a box; and the errors of reading.
    """

    def __init__(
        self,
        dataset: Dataset,
        budget: Budget,
        labels: Labels | None,
        classes: tuple[str, ...],
        range_m: tuple[float, ...],
        config: DataConfig,
        seed: int = 0,
        wrap_loop: WrapLoop = iter,
    ) -> None:
        self.dataset, self.budget, self.labels, self.config, self.seed = dataset, budget, labels, config, seed
        self.range_m = range_m
        self.class_ids = tuple(dataset.taxonomy.class_id(name) for name in classes)
        self._trained = np.isin(np.arange(256), self.class_ids)
        self._pasted = {dataset.taxonomy.class_id(name): count for name, count in config.paste.counts.items()}
        failed = quarantined(labels) if config.coarse.kind == "tables" else set()
        frame_ids = [frame_id for frame_id in budget.frames if frame_id not in failed]
        self._from_boxes = config.coarse.kind in ("simulated", "clicks", "centers")
        census = self._count(frame_ids, wrap_loop)
        self.bad, self.digest, boxed = census.bad, census.digest, census.boxed
        used = np.array([frame_id not in self.bad for frame_id in frame_ids], dtype=bool)
        if config.coarse.kind == "none":  # a frame without boxes may still hold objects, so it is not background
            used &= boxed.any(axis=1)
        self.frame_ids = tuple(frame_id for frame_id, keep in zip(frame_ids, used, strict=True) if keep)
        self.num_failed = len(budget.frames) - len(frame_ids)
        there = boxed.any(axis=0)
        self.missing = tuple(name for name, any_of in zip(classes, there, strict=True) if not any_of)
        if not there.any():
            raise SchemaError(
                "SCH005",
                f"{budget.name} holds no box of: {', '.join(self.missing)}",
                f"nothing can be trained: {drawn_with(budget, self.missing)}, or use a recipe of other classes",
            )
        self.in_map, self.sides_m = census.by_class(classes)
        self.leaning = census.leaning
        self._boxed, self._met = boxed[used][:, there], (boxed | census.coarsely)[used][:, there]
        self.class_ids = tuple(k for k, any_of in zip(self.class_ids, there, strict=True) if any_of)
        self._trained = np.isin(np.arange(256), self.class_ids)
        self.bank = PasteBank.join([])
        self._packed = PackedClusters()  # each worker has its own, for all epochs
        require_road(dataset, config.paste.road, self.frame_ids)

    def frames_by_class(self) -> dict[str, tuple[int, int]]:
        """Number of frames with boxes, and with boxes or clusters, of each trained class."""
        names = [self.dataset.taxonomy.names[k] for k in self.class_ids]
        columns = zip(self._boxed.sum(axis=0).tolist(), self._met.sum(axis=0).tolist(), strict=True)
        return dict(zip(names, columns, strict=True))

    def frames_with(self, name: str) -> list[str]:
        """The frames with boxes of a trained class."""
        column = self.class_ids.index(self.dataset.taxonomy.class_id(name))
        return [self.frame_ids[k] for k in np.flatnonzero(self._boxed[:, column])]

    def with_boxes(self) -> NDArray[np.int64]:
        """(N,) indices into `frame_ids` of frames whose objects may be pasted; empty if nothing is pasted."""
        wanted = any(self.config.paste.counts.values())
        return np.flatnonzero(self._boxed.any(axis=1)) if wanted else np.zeros(0, dtype=np.int64)

    def pasteable(self, index: int) -> TrainingSample:
        """A frame as `raw` gives it, with the boxes whose objects may be pasted."""
        sample = self.raw(index, 0)
        if not self.config.paste.rated_only:
            return sample
        boxes, _ = self._split(*self._read_boxes(sample.frame_id))
        return sample.keep_boxes(rated(self.dataset, sample.frame_id, boxes.token))

    def order(self, epoch: int) -> NDArray[np.int64]:
        """(N,) indices into `frame_ids` in the order of an epoch.

        Class-balanced resampling draws the same number of frames for each class; the total is the number of pairs of a
        frame and a class in it (CBGS, arXiv 1908.09492).
        """
        rng, config = np.random.default_rng((self.seed, epoch, 0)), self.config
        if config.resample == "none":
            frames = len(self.frame_ids)
            return turns(frames, frames * config.repeat if config.samples is None else config.samples, rng)
        drawn_from = self._boxed if config.resample == "boxes" else self._met
        if config.count == "boxes":
            samples = published_samples(self._boxed) * config.repeat
        else:
            samples = drawn_samples(drawn_from, config.repeat)
        return balanced(drawn_from, samples if config.samples is None else config.samples, rng)

    def sample(self, index: int, epoch: int, position: int, paste: bool = True) -> TrainingSample:
        """The augmented sample at a position of an epoch.

        Args:
            index: index of its frame.
            epoch: index of the epoch, from 0.
            position: position in the epoch's order.
            paste: whether objects are pasted.
        """
        rng = np.random.default_rng((self.seed, epoch, 1, position))
        sample = self.raw(index, epoch, position)
        config = self.config
        if paste and len(self.bank):
            xyz = sample.points[: sample.num_key, :3]
            road = road_of(self.dataset, config.paste.road, sample.frame_id, xyz)
            sample = pasted(sample, self.bank, self._pasted, config.paste, rng, road)
        sample = cropped(augmented(sample, config.augment, rng), self.range_m)
        return sample.clusters_as_boxes() if config.coarse.as_boxes else sample

    def raw(self, index: int, *draw: int) -> TrainingSample:
        """A frame with the labels that the budget allows, without augmentation.

        Args:
            index: index of the frame.
            draw: numbers that seed the coarse labels if they are redrawn at every access.
        """
        frame_id = self.frame_ids[index]
        in_view_only = self.config.points.in_view_only  # else no camera is needed
        frame = self.dataset.frame(frame_id) if in_view_only else read_cloud_frame(self.dataset, frame_id)
        if self.labels is not None and self.config.coarse.kind == "tables" and frame_id not in self._packed:
            require_unchanged(self.labels.sources("clusters", frame_id), frame, "clusters")
        cloud, num_key = read_cloud(self.dataset, frame, self.config.points)
        at = MapFrame.of(frame)
        points = at.points(cloud)
        boxes, velocity, rest = self._labels(frame_id, at)
        clusters = self._clusters(frame, points[:num_key, :3], boxes, rest, draw)
        sample = TrainingSample(frame_id, points, rows(boxes), boxes.class_id.astype(np.int64), velocity, clusters)
        sample = sample.keep_clusters(self._trained[clusters.class_id])
        if in_view_only:
            return sample.keep_points(in_view(cloud, frame))
        present = np.isfinite(points[:, 0])  # rows of the key sweep without a position keep the order of the labels
        return sample if present.all() else sample.keep_points(present)

    def _clusters(
        self, frame: Frame, xyz: NDArray[np.float32], boxes: Boxes, rest: Boxes | None, draw: tuple[int, ...]
    ) -> CoarseLabels:
        config, frame_id = self.config.coarse, frame.frame_id
        if config.kind == "none":
            return CoarseLabels.empty(len(xyz))
        if config.kind == "tables":
            packed = self._packed.get(frame_id, xyz)
            if packed is not None:
                return packed
            assert self.labels is not None  # checked when counting
            places_m = lidar_places_m(frame, frame.sweep)
            clusters = coarse.from_tables(self.labels.labels(frame_id), xyz, config, places_m)
            clusters = coarse.without_boxed(clusters, xyz, boxes)
            self._packed.add(frame_id, clusters)
            return clusters
        assert rest is not None  # the budget was drawn from boxes
        least = self.budget.description.min_points  # objects with fewer points are not candidates for a label
        rest = some_of(rest, count_points(xyz, rest) >= least)
        rng = np.random.default_rng((config.seed, *(draw if config.redraw else (0,)), *frame_id.encode()))
        return simulated_from_boxes(xyz, rest, config, rng)

    def _labels(self, frame_id: str, at: MapFrame) -> tuple[Boxes, NDArray[np.float64], Boxes | None]:
        """Boxes of the budget, their velocities, and the other boxes if coarse labels are simulated from them."""
        allowed = self.budget.boxed(frame_id)
        read, mine = self._read_boxes(frame_id)
        boxes, rest = self._split(at.boxes(read), mine)
        velocity = np.array([allowed[token] or (np.nan, np.nan) for token in boxes.token]).reshape(-1, 2)
        return boxes, velocity, rest

    def _split(self, read: Boxes, mine: NDArray[np.bool_]) -> tuple[Boxes, Boxes | None]:
        """The trained boxes of the budget, and the others if coarse labels are simulated from them."""
        trained = self._trained[read.class_id] & (read.class_id != BACKGROUND)
        return some_of(read, mine & trained), some_of(read, ~mine & trained) if self._from_boxes else None

    def _read_boxes(self, frame_id: str) -> tuple[Boxes, NDArray[np.bool_]]:
        """The boxes of a frame that may be read, LiDAR frame, of any class, and whether each is in the budget."""
        allowed = self.budget.boxed(frame_id)
        everything = self.dataset.boxes(frame_id) if allowed or self._from_boxes else _NO_BOXES
        if everything is None:
            raise unlabelled(frame_id, self.dataset.root)
        require_tokens(allowed, everything, frame_id, self.dataset.root)
        mine = np.array([token in allowed for token in everything.token], dtype=bool)
        return (everything, mine) if self._from_boxes else (some_of(everything, mine), mine[mine])

    def _count(self, frame_ids: list[str], wrap_loop: WrapLoop) -> Census:
        """Boxes and clusters of each frame and trained class."""
        names = self.dataset.taxonomy.names
        census = Census(self.budget, frame_ids, self.class_ids, names, self.range_m)
        clusters = self._table_classes(frame_ids)
        for index in wrap_loop(range(len(frame_ids))):
            try:
                read, mine = self._read_boxes(frame_ids[index])
                at = MapFrame.of(read_cloud_frame(self.dataset, frame_ids[index]))
            except (DatasetError, CalibrationError) as error:
                census.bad[frame_ids[index]] = str(error)
                continue
            census.recognise(index, read)
            boxes, rest = self._split(at.boxes(read), mine)
            others = clusters.get(frame_ids[index], set()) if rest is None else set(rest.class_id.tolist())
            census.add(index, boxes, others)
        census.require_unchanged(self.dataset.root)
        return census

    def _table_classes(self, frame_ids: list[str]) -> Mapping[str, set[int]]:
        """Classes of the clusters of each frame that are used; raises an error for frames without labels."""
        if self.config.coarse.kind != "tables":
            return {}
        if self.labels is None:
            way = "give --labels OUT, or train on boxes alone: --set data.coarse.kind=none"
            raise SchemaError("SCH005", "the recipe needs labels, but none were given", way)
        require_labelled(self.labels, self.dataset, frame_ids)
        classes: dict[str, set[int]] = {}
        for frame_id in frame_ids:
            clusters = self.labels.clusters(frame_id)
            used = trusted(frame_id, clusters, self.config.coarse)
            names = {cluster.class_name for cluster, keep in zip(clusters, used, strict=True) if keep}
            classes[frame_id] = {self.dataset.taxonomy.class_id(name) for name in names}
        return classes
