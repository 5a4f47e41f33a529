"""nuScenes' categories as classes, and its label packs as ground truth of points."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray, IntArray
from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath, read_bytes
from pointsam.geometry.boxes import box_members
from pointsam.taxonomy import BACKGROUND, NUSCENES, ClassSpec, LabelMapping, Taxonomy
from pointsam.types import NO_INSTANCE, Boxes, PointLabels, PointTruth

CATEGORIES = LabelMapping(
    NUSCENES,
    {
        "vehicle.car": "car",
        "vehicle.truck": "truck",
        "vehicle.trailer": "trailer",
        "vehicle.bus.bendy": "bus",
        "vehicle.bus.rigid": "bus",
        "vehicle.construction": "construction_vehicle",
        "vehicle.bicycle": "bicycle",
        "vehicle.motorcycle": "motorcycle",
        "human.pedestrian.adult": "pedestrian",
        "human.pedestrian.child": "pedestrian",
        "human.pedestrian.construction_worker": "pedestrian",
        "human.pedestrian.police_officer": "pedestrian",
        "movable_object.trafficcone": "traffic_cone",
        "movable_object.barrier": "barrier",
    },
)
"""Maps categories to the ten detection classes."""

STUFF = frozenset(
    {
        "flat.driveable_surface",
        "flat.other",
        "flat.sidewalk",
        "flat.terrain",
        "static.manmade",
        "static.vegetation",
    }
)
"""Categories that are certainly no object. All others (noise, animals, strollers, the ego vehicle, ...) are void."""

NOISE = frozenset(
    {
        "animal",
        "human.pedestrian.personal_mobility",
        "human.pedestrian.stroller",
        "human.pedestrian.wheelchair",
        "movable_object.debris",
        "movable_object.pushable_pullable",
        "noise",
        "static.other",
        "static_object.bicycle_rack",
        "vehicle.ego",
        "vehicle.emergency.ambulance",
        "vehicle.emergency.police",
    }
)
"""Categories of nuScenes that are void on purpose."""

UNLABELLED = -1
"""Label of points of a sweep that has no label file; they are void."""

_INSTANCES_PER_CATEGORY = 1000
_NO_PACK = "unpack the label pack into the root, or remove its table (panoptic.json, lidarseg.json) to work without it"


def is_known(category: str) -> bool:
    """Whether a category is one of nuScenes, whatever its case."""
    return CATEGORIES.lists(category) or category.lower() in STUFF | NOISE


def labels_of_sweeps(
    files: Sequence[DataPath | None], counts: Sequence[int], read: Callable[[DataPath, int], NDArray[np.int32]]
) -> NDArray[np.int32]:
    """(N,) labels of the sweeps of a frame, one after another; UNLABELLED where a sweep has no label file.

    Args:
        files: label file of each sweep.
        counts: number of points of each sweep.
        read: `read_panoptic` or `read_lidarseg`.

    Raises:
        DatasetError: as `read`.
    """
    parts = zip(files, counts, strict=True)
    return np.concatenate([read(file, n) if file else np.full(n, UNLABELLED, dtype=np.int32) for file, n in parts])


def read_panoptic(path: DataPath, num_points: int) -> NDArray[np.int32]:
    """(N,) labels, category index * 1000 + instance, of an .npz with the key `data`.

    Raises:
        DatasetError: DAT004 if the file cannot be opened, DAT011 if it is malformed or does not have `num_points`
            labels.
    """
    content = read_bytes(path, "label file", _NO_PACK)
    try:
        arrays = np.load(io.BytesIO(content), allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise ValueError("it holds one bare array")
        labels: NDArray[np.int32] = arrays["data"].astype(np.int32)
    except (LookupError, ValueError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(
            "DAT011", f"{path} is not a panoptic label file: {error}", "unpack the panoptic labels again"
        ) from error
    return _fitting(path, labels, num_points)


def read_lidarseg(path: DataPath, num_points: int) -> NDArray[np.int32]:
    """(N,) category index of every point, of a file with one byte per point.

    Raises:
        DatasetError: DAT004 if the file cannot be opened, DAT011 if it does not have `num_points` labels.
    """
    labels = np.frombuffer(read_bytes(path, "label file", _NO_PACK), dtype=np.uint8).astype(np.int32)
    return _fitting(path, labels, num_points)


def _fitting(path: DataPath, labels: NDArray[np.int32], num_points: int) -> NDArray[np.int32]:
    if labels.shape != (num_points,):
        raise DatasetError(
            "DAT011",
            f"{path}: labels of shape {labels.shape} for a sweep of {num_points} points",
            "labels and sweeps are from different releases: unpack both again",
        )
    return labels


def with_categories(names: Sequence[str], listed: Iterable[str]) -> LabelMapping:
    """Categories to classes, with some categories as classes of their own, after the ten.

    Args:
        names: names of these classes, compared to categories as `LabelMapping` compares labels.
        listed: the categories of the data set; names of others are left out.
    """
    finer = Taxonomy(NUSCENES.name, (*NUSCENES.classes, *(ClassSpec(name) for name in names)))
    wanted = LabelMapping(finer, {name: name for name in names})
    class_id = {category: wanted.class_id(category) for category in listed if wanted.lists(category)}
    own = tuple(finer.classes[k] for k in sorted(set(class_id.values())))
    classes = {category: finer.names[k] for category, k in class_id.items()}
    return LabelMapping(Taxonomy(finer.name, (*NUSCENES.classes, *own)), {**CATEGORIES.classes, **classes})


def panoptic_truth(
    labels: NDArray[np.int32], category_names: Mapping[int, str], classes: LabelMapping = CATEGORIES
) -> PointTruth:
    """Ground truth from panoptic labels.

    Things of the ten classes are instances. Void are all other categories that are not `STUFF`, and points of a thing
    with instance 0: they are in no box or in several. The devkit counts the latter as one more object. The label names
    an object: the packs give it the same one in all frames of a scene.

    Args:
        labels: (N,) category index * 1000 + instance, or UNLABELLED.
        category_names: name of the category of each index.
        classes: categories to classes.

    Raises:
        DatasetError: DAT011 on an index without category.
    """
    class_id, stuff = _semantics(labels // _INSTANCES_PER_CATEGORY, category_names, classes)
    thing = (class_id != BACKGROUND) & (labels % _INSTANCES_PER_CATEGORY > 0)
    instance_id = np.full(len(labels), NO_INSTANCE, dtype=np.int32)
    objects, of_point = np.unique(labels[thing], return_inverse=True)
    instance_id[thing] = of_point.reshape(-1)
    names = {k: str(label) for k, label in enumerate(objects.tolist())}
    return replace(_truth(instance_id, class_id, ~thing & ~stuff, "panoptic"), names=names)


def lidarseg_truth(
    category: NDArray[np.int32],
    category_names: Mapping[int, str],
    xyz_lidar_m: FloatArray,
    boxes: Boxes,
    box_category: IntArray,
    classes: LabelMapping = CATEGORIES,
) -> PointTruth:
    """Ground truth from categories of points and boxes, as the panoptic labels were made.

    A point belongs to the box that contains it and has its category. It is void if there are several such boxes or
    none, and as in `panoptic_truth`. The instance is the index of the box.

    Args:
        category: (N,) category index of each point, or UNLABELLED.
        category_names: name of the category of each index.
        xyz_lidar_m: (N,3) points, metres, LiDAR frame.
        boxes: M boxes, LiDAR frame.
        box_category: (M,) category index of each box.
        classes: categories to classes.

    Raises:
        DatasetError: DAT011 on an index without category.
    """
    class_id, stuff = _semantics(category, category_names, classes)
    point, box = box_members(xyz_lidar_m, boxes)
    same = (category[point] == box_category[box]) & (class_id[point] != BACKGROUND)
    point, box = point[same], box[same]
    thing = np.bincount(point, minlength=len(category)) == 1
    instance_id = np.full(len(category), NO_INSTANCE, dtype=np.int32)
    instance_id[point] = box
    return _truth(np.where(thing, instance_id, np.int32(NO_INSTANCE)), class_id, ~thing & ~stuff, "lidarseg")


def _semantics(
    category: NDArray[np.int32], category_names: Mapping[int, str], classes: LabelMapping
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """(N,) class of each point, and (N,) whether it is stuff."""
    present, inverse = np.unique(category, return_inverse=True)
    unknown = [int(index) for index in present if index != UNLABELLED and int(index) not in category_names]
    if unknown:
        raise DatasetError(
            "DAT011",
            f"labels have category index {unknown[0]}, which category.json does not list",
            "use the category.json that comes with the label pack (nuScenes-lidarseg or -panoptic)",
        )
    names = [None if index == UNLABELLED else category_names[int(index)] for index in present]
    class_id = np.array([BACKGROUND if name is None else classes.class_id(name) for name in names], dtype=np.uint8)
    stuff = np.array([name in STUFF for name in names], dtype=bool)
    inverse = inverse.reshape(-1)
    return class_id[inverse], stuff[inverse]


def _truth(
    instance_id: NDArray[np.int32], class_id: NDArray[np.uint8], void: NDArray[np.bool_], source: str
) -> PointTruth:
    class_id = np.where(instance_id == NO_INSTANCE, np.uint8(BACKGROUND), class_id)
    return PointTruth(PointLabels(instance_id, class_id), void, source)
