"""nuScenes: six cameras, one LiDAR at 20 Hz or several, key frames at 2 Hz.

Layout: a version folder with the JSON tables (v1.0-mini, v1.0-trainval, v1.0-test, or any other name), samples/ and
sweeps/. Frames are samples; their ids are tokens. A malformed table, or a token that no row has, is an error when
the data set is opened. A wrong pose or camera, or a missing key sweep, is an error of its frame only.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.base.paths import require_name
from pointsam.base.remote import DataPath, data_path
from pointsam.datasets.base import TableProblem
from pointsam.datasets.nuscenes import schema
from pointsam.datasets.nuscenes.annotations import VISIBILITY
from pointsam.datasets.nuscenes.exposures import COLUMNS, Exposures
from pointsam.datasets.nuscenes.index import open_index
from pointsam.datasets.nuscenes.lidars import LIDAR
from pointsam.datasets.nuscenes.splits import SPLITS, own_splits, split_scenes
from pointsam.datasets.nuscenes.table_problems import table_problems, unknown_categories
from pointsam.datasets.nuscenes.tables import read_rows
from pointsam.datasets.nuscenes.truth import (
    CATEGORIES,
    labels_of_sweeps,
    lidarseg_truth,
    panoptic_truth,
    read_lidarseg,
    read_panoptic,
    with_categories,
)
from pointsam.datasets.nuscenes.versions import LABEL_TABLES, find_version, table_path
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.boxes import truth_from_boxes
from pointsam.geometry.level import over_ground_mps
from pointsam.taxonomy import NUSCENES
from pointsam.types import Boxes, Frame, PointTruth, Sweep

NEIGHBOURS = (-1, 1)
"""Offsets of the neighbouring sweeps that a frame holds, in revolutions."""


class NuScenes:
    """A nuScenes root.

    Args:
        root: folder that holds the version folder, samples/ and sweeps/.
        version: name of the version folder; None if there is only one.
        columns: values of a point in LiDAR files; None for nuScenes' x, y, z, intensity, ring.
        lidar: channel of the LiDAR; None for LIDAR_TOP, or for the only one. Several, with commas between them, are
            read together: frames have a sweep of each, and the first is the reference LiDAR.

    Attributes:
        lidar: the channels with commas between them, None for LIDAR_TOP alone.

    Raises:
        DatasetError: DAT001 if the root is missing, DAT002 if there is no version folder, several and none was named,
            or a table is missing; DAT010 if the LiDAR is not there or if there are several to choose from, DAT011 on a
            malformed table.
        BrokenRuleError: DAT003 on a token that no row has, DAT012 on rows that contradict each other.
        StoreError: if the index cannot be written to the cache.
    """

    name = "nuscenes"
    taxonomy = NUSCENES
    _classes = CATEGORIES
    visibility_levels: tuple[str, ...] = VISIBILITY

    def __init__(
        self,
        root: DataPath,
        version: str | None = None,
        columns: tuple[str, ...] | None = None,
        lidar: str | None = None,
    ) -> None:
        self.root = data_path(root)
        self.version = find_version(self.root, version)
        self._index = open_index(self.root / self.version, lidar)
        self.lidar = None if self._index.lidars == (LIDAR,) else ",".join(self._index.lidars)
        self._exposures = Exposures(self.root, self.root / self.version, self._index, columns or COLUMNS)

    def frame_ids(self, split: str | None = None) -> list[str]:
        """Sample tokens in (scene, time) order.

        Args:
            split: None for all; the name of a scene; a key of `splits.json` in the version folder
                ({split: [scene names]}); or train, val, test, mini_train, mini_val.

        Raises:
            DatasetError: DAT010 on an unknown split, DAT009 if it has no frames, DAT004 or DAT011 on a `splits.json`
                that cannot be read.
        """
        tokens: list[str] = self._index.strings("samples", "token").to_pylist()
        if split is not None:
            scenes = self._index.strings("samples", "scene").to_pylist()
            wanted = self._split_scenes(split, set(scenes))
            tokens = [token for token, scene in zip(tokens, scenes, strict=True) if scene in wanted]
        if not tokens:
            where = f"{self.root / self.version}" + (f", split {split!r}" if split else "")
            raise DatasetError(
                "DAT009",
                f"{where}: zero frames; sample.json has {self._index.num_rows('samples')} rows",
                "choose another version folder or another split",
            )
        return tokens

    def scene(self, frame_id: str) -> str:
        """Name of the scene."""
        scene: str = self._index.strings("samples", "scene")[self._sample(frame_id)].as_py()
        return scene

    @property
    def devkit_version(self) -> str:
        """Name of the version folder, as the nuScenes devkit takes it."""
        return self.version

    def lidar_token(self, frame_id: str, sweep: int = 0) -> str:
        """sample_data token of one of the frame's sweeps; nuScenes names label files by it.

        Raises:
            DatasetError: DAT010 on an unknown sample, DAT011 on one without key sweep, or if the token of any key
                sweep cannot name a file, so that the error comes before the first file is written.
        """
        return self._lidar_tokens[self._key_sweeps(frame_id)[sweep]]

    def frame(self, frame_id: str) -> Frame:
        """Paths, times and calibration of one sample; reads no sensor data.

        Raises:
            DatasetError: DAT010 on an unknown token, DAT011 on a sample without cameras or without a key sweep of each
                LiDAR, or on a channel that cannot name a file.
            CalibrationError: CAL001, CAL002 or CAL003, naming table, token and field.
        """
        cloud = self.cloud(frame_id)
        images = range(*self._range(self._sample(frame_id), "camera"))
        if not images:
            raise DatasetError(
                "DAT011",
                f"{self._table('sample_data')}: sample {frame_id!r} has no camera key frame",
                "restore the rows with is_key_frame of its cameras, or leave the frame out",
            )
        return replace(cloud, cameras=tuple(self._exposures.camera(image) for image in images))

    def cloud(self, frame_id: str) -> Frame:
        """The sample without its cameras; needs no row of a camera.

        Raises:
            DatasetError: DAT010 on an unknown token, DAT011 on a sample without a key sweep of each LiDAR.
            CalibrationError: CAL001 or CAL003, naming table, token and field.
        """
        keys = self._key_sweeps(frame_id)
        neighbours = {offset: self._exposures.sweep(self._walk(keys[0], offset)) for offset in NEIGHBOURS}
        return Frame(frame_id, self.scene(frame_id), tuple(map(self._exposures.sweep, keys)), neighbours, cameras=())

    def boxes(self, frame_id: str) -> Boxes | None:
        """Annotations at the time of the reference sweep, in its LiDAR frame; None if the version has none.

        Raises:
            DatasetError: as `frame`, and DAT011 on a size that is not three positive numbers.
            CalibrationError: CAL001 or CAL003, naming table, token and field.
        """
        if not self._index.num_rows("boxes"):
            return None
        rows = self._box_rows(frame_id)
        sweep = self._exposures.sweep(self._key_sweeps(frame_id)[0])
        lidar_SE3_world = (sweep.world_SE3_ego @ sweep.ego_SE3_lidar).inverse()
        in_world = (self._exposures.pose("boxes", "sample_annotation", row) for row in range(rows.start, rows.stop))
        poses = [lidar_SE3_world @ world_SE3_box for world_SE3_box in in_world]
        names = self._index.strings("categories", "name").to_pylist()
        classes = [self._classes.class_id(names[c]) for c in self._index.numbers("boxes", "category")[rows]]
        return Boxes(
            center_m=np.array([pose.translation_m for pose in poses]).reshape(-1, 3),
            size_lwh_m=self._box_sizes(rows),
            rotation=np.array([pose.rotation for pose in poses]).reshape(-1, 3, 3),
            class_id=np.array(classes, dtype=np.uint8),
            token=tuple(self._index.strings("boxes", "token")[rows].to_pylist()),
        )

    def visibility(self, frame_id: str) -> NDArray[np.int8] | None:
        """(M,) annotated level of each of the boxes: the fraction that all cameras together see."""
        if not self._index.num_rows("boxes"):
            return None
        level: NDArray[np.int8] = self._index.numbers("boxes", "visibility")[self._box_rows(frame_id)]
        return level

    def velocities_mps(self, frame_id: str) -> NDArray[np.float64] | None:
        """(M,2) of the boxes, map frame, from the previous and next annotations, as the devkit's `box_velocity`."""
        if not self._index.num_rows("boxes"):
            return None
        sweep = self._exposures.sweep(self._key_sweeps(frame_id)[0])
        world_R_lidar = (sweep.world_SE3_ego @ sweep.ego_SE3_lidar).rotation
        in_world: NDArray[np.float64] = self._index.numbers("boxes", "velocity")[self._box_rows(frame_id)]
        return over_ground_mps(in_world @ world_R_lidar, sweep.ego_SE3_lidar)

    def tracks(self, frame_id: str) -> tuple[str, ...] | None:
        """instance_token of each of the boxes.

        Raises:
            DatasetError: DAT010 on an unknown token, DAT004 or DAT011 if the table cannot be read again.
        """
        if not self._index.num_rows("boxes"):
            return None
        tokens = self._index.strings("boxes", "token")[self._box_rows(frame_id)].to_pylist()
        return tuple(self._instance_of[token] for token in tokens)

    def past_sweeps(self, frame_id: str, count: int) -> list[Sweep]:
        """Up to `count` sweeps of each LiDAR before its key sweep, LiDAR by LiDAR, each latest first.

        Raises:
            DatasetError, CalibrationError: as `frame`.
        """
        rows = []
        for row in self._key_sweeps(frame_id):
            for _ in range(count):
                row = int(self._index.numbers("sweeps", "prev")[row])
                if row < 0:
                    break
                rows.append(row)
        return [self._exposures.sweep(earlier) for earlier in rows]

    def point_truth(self, frame_id: str, source: str | None = None) -> PointTruth | None:
        """From panoptic labels, else from lidarseg labels and boxes, else from boxes, else None.

        Points of a sweep without a label file are void if another sweep of the frame has one.

        Args:
            frame_id: the frame.
            source: "panoptic", "lidarseg" or "boxes" to take this source only.

        Raises:
            DatasetError: as `frame` and `read_frame_points`; DAT004 on a missing label file, DAT011 on one that does
                not fit the sweep, or if category.json lacks the `index` of the label packs.
        """
        keys = self._key_sweeps(frame_id)
        panoptic, lidarseg = ([self._label_file(pack, key, source) for key in keys] for pack in LABEL_TABLES)
        boxes = None if any(panoptic) else self.boxes(frame_id)
        if not any(panoptic) and (boxes is None or source not in (None, "lidarseg" if any(lidarseg) else "boxes")):
            return None
        points = read_frame_points(self.cloud(frame_id))
        xyz, counts = points.xyz_lidar_m, np.bincount(points.sweep_index, minlength=len(keys)).tolist()
        if boxes is None:
            labels = labels_of_sweeps(panoptic, counts, read_panoptic)
            return panoptic_truth(labels, self._category_names, self._classes)
        if not any(lidarseg):
            return truth_from_boxes(xyz, boxes)
        category = labels_of_sweeps(lidarseg, counts, read_lidarseg)
        box_category = self._index.numbers("boxes", "category")[self._box_rows(frame_id)]
        numbers = self._index.numbers("categories", "index")[box_category]
        return lidarseg_truth(category, self._category_names, xyz, boxes, numbers, self._classes)

    @property
    def known_classes(self) -> tuple[str, ...]:
        """The categories of the ten classes."""
        return tuple(CATEGORIES.classes)

    def unknown_classes(self, frame_ids: Sequence[str]) -> Mapping[str, int]:
        """Categories that nuScenes does not have -> number of boxes in some frames."""
        found = unknown_categories(self._index, [self._sample(frame_id) for frame_id in frame_ids])
        return {name: count for name, count in found.items() if not self._classes.lists(name)}

    def with_categories(self, names: Sequence[str]) -> NuScenes:
        """The data set with some categories as classes of their own, after the ten."""
        other = copy.copy(self)
        other._classes = with_categories(names, self._index.strings("categories", "name").to_pylist())
        other.taxonomy = other._classes.taxonomy
        return other

    def table_problems(self) -> Iterator[TableProblem]:
        """Unknown sensors, lenses in fields that are not read, and samples whose time is not that of their sweep."""
        return table_problems(self.root / self.version, self._index)

    def fingerprint(self) -> str:
        """sha256 of everything that frames are made of; boxes and label packs do not change it."""
        return self._index.fingerprint

    def _table(self, table: str) -> DataPath:
        return table_path(self.root / self.version, table)

    def _sample(self, frame_id: str) -> int:
        row = self._index.find_sample(frame_id)
        if row is None:
            raise DatasetError(
                "DAT010",
                f"{self._table('sample')}: no sample {frame_id!r}",
                "give a token that frame_ids() lists",
            )
        return row

    def _label_file(self, pack: str, sweep: int, source: str | None) -> DataPath | None:
        """Label file of a sweep; None if it has none, or if another source of ground truth is wanted."""
        file = self._index.strings("sweeps", pack)[sweep].as_py() if source in (None, pack) else ""
        return self._exposures.file(file, pack) if file else None

    def _key_sweeps(self, frame_id: str) -> list[int]:
        """Row of the key sweep of each LiDAR."""
        rows: list[int] = self._index.numbers("samples", "lidar")[self._sample(frame_id)].tolist()
        missing = [name for name, row in zip(self._index.lidars, rows, strict=True) if row < 0]
        if missing:
            others = ", or leave this LiDAR out of --lidar" if len(rows) > 1 else ""
            raise DatasetError(
                "DAT011",
                f"{self._table('sample_data')}: sample {frame_id!r} has no {missing[0]} key frame",
                f"restore its row with is_key_frame, or leave the frame out{others}",
            )
        return rows

    @cached_property
    def _instance_of(self) -> dict[str, str]:
        """instance_token of every annotation; the index has no need of it."""
        rows = read_rows(self.root / self.version, "sample_annotation", schema.SampleAnnotation)
        return {row.token: row.instance_token for row in rows}

    @cached_property
    def _lidar_tokens(self) -> dict[int, str]:
        """Token of every key sweep, by row."""
        tokens, found = self._index.strings("sweeps", "token"), {}
        rows = self._index.numbers("samples", "lidar")
        for sample, lidar in np.argwhere(rows >= 0):
            row = int(rows[sample, lidar])
            token = found[row] = tokens[row].as_py()
            frame_id = self._index.strings("samples", "token")[int(sample)].as_py()
            where = f"{self._table('sample_data')}: key sweep of sample {frame_id!r}, field 'token'"
            require_name(token, where, "unpack the tables again, or give the row a token of letters and digits")
        return found

    def _walk(self, sweep: int, offset: int) -> int:
        links = self._index.numbers("sweeps", "next" if offset > 0 else "prev")
        for _ in range(abs(offset)):
            sweep = int(links[sweep]) if links[sweep] >= 0 else sweep
        return sweep

    def _box_rows(self, frame_id: str) -> slice:
        return slice(*self._range(self._sample(frame_id), "box"))

    def _range(self, sample: int, what: str) -> tuple[int, int]:
        first, last = (int(self._index.numbers("samples", f"{what}_{end}")[sample]) for end in ("first", "last"))
        return first, last

    def _box_sizes(self, rows: slice) -> NDArray[np.float64]:
        size_wlh: NDArray[np.float64] = self._index.numbers("boxes", "size_wlh")[rows]
        bad = np.flatnonzero(~((size_wlh > 0) & np.isfinite(size_wlh)).all(axis=1))
        if len(bad):
            token = self._index.strings("boxes", "token")[rows][int(bad[0])].as_py()
            raise DatasetError(
                "DAT011",
                f"{self._table('sample_annotation')}: row {token!r}, field 'size' is not three positive numbers",
                "write width, length and height in metres",
            )
        return size_wlh[:, [1, 0, 2]]

    def _split_scenes(self, split: str, present: set[str]) -> frozenset[str]:
        if split in present:
            return frozenset({split})
        own = own_splits(self._table("splits"))
        if split in own:
            return frozenset(own[split])
        if split in SPLITS:
            return split_scenes(split)
        raise DatasetError(
            "DAT010",
            f"{self.root / self.version}: no split {split!r}",
            f"use the name of a scene, one of {', '.join((*own, *SPLITS))}, or add it to splits.json in this folder",
        )

    @cached_property
    def _category_names(self) -> dict[int, str]:
        numbers = self._index.numbers("categories", "index")
        if (numbers < 0).any():
            raise DatasetError(
                "DAT011",
                f"{self._table('category')}: a row has no integer in its field 'index', which label files need",
                "this is the table of nuScenes without label packs: use that of nuScenes-lidarseg or nuScenes-panoptic",
            )
        return dict(zip(numbers.tolist(), self._index.strings("categories", "name").to_pylist(), strict=True))
