"""Labels as a nuScenes-panoptic result folder that the devkit's evaluator and the benchmark server read.

Layout
    DEST/panoptic/EVAL_SET/TOKEN_panoptic.npz   `data`, (N,) uint16: challenge class * 1000 + number
    DEST/EVAL_SET/submission.json               `meta`: the task and the sensors used

TOKEN is the sample_data token of a key LiDAR sweep: with several LiDARs, there is a file for the sweep of each, and a
cluster that spans them has the same number in all. The instance field of labels of single frames names the cluster:
value % 1000 - 1 is its cluster_id. Ids are unique within a sweep and not consistent over time, so the task is
segmentation. After tracking, the field is the number of the object within its class, the same in all frames of a scene
(`pointsam.export.objects`), and the task is tracking.

Background is 0, the ignored class. The evaluator allows it in predictions and counts it as no prediction: neither a
false positive nor a correct stuff point. Scores of thing classes are not affected. Stuff classes score 0, and the mean
of the devkit over all classes includes them.

Source: nuscenes.eval.panoptic (evaluate, README).
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.export.base import Format
from pointsam.export.frame import ExportFrame, Files, require_known
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import NO_INSTANCE, PointLabels

CHALLENGE_CLASS: Mapping[str, int] = MappingProxyType(
    {
        "barrier": 1,
        "bicycle": 2,
        "bus": 3,
        "car": 4,
        "construction_vehicle": 5,
        "motorcycle": 6,
        "pedestrian": 7,
        "traffic_cone": 8,
        "trailer": 9,
        "truck": 10,
    }
)
"""Index of each thing class of the benchmark; 11 to 16 are stuff."""

_MOST = 999  # the instance field has three digits, 000 means stuff


def challenge_of_point(labels: PointLabels, taxonomy: Taxonomy) -> NDArray[np.int64]:
    """(N,) class of the benchmark, 0 = background.

    Raises:
        SchemaError: SCH004 on a class of the taxonomy or a class_id that the benchmark lacks.
    """
    require_known(taxonomy, CHALLENGE_CLASS, "nuScenes-panoptic")
    challenge_class = np.zeros(BACKGROUND + 1, dtype=np.int64)
    challenge_class[: len(taxonomy.classes)] = [CHALLENGE_CLASS[name] for name in taxonomy.names]
    foreground = labels.instance_id != NO_INSTANCE
    class_of_point = challenge_class[labels.class_id]
    if not class_of_point[foreground].all():
        unknown = labels.class_id[foreground & (class_of_point == 0)][0]
        raise SchemaError(
            "SCH004",
            f"class_id {unknown} does not exist in taxonomy {taxonomy.name!r}",
            "export with the taxonomy that the labels were made with",
        )
    return class_of_point


def panoptic_labels(
    labels: PointLabels, taxonomy: Taxonomy, number: NDArray[np.int64] | None = None
) -> NDArray[np.uint16]:
    """Panoptic label of every point.

    Args:
        labels: (N,) labels; instance_id is the cluster_id.
        taxonomy: classes of the labels, named as in the benchmark.
        number: (N,) number of the object of each point within its class, from 1; None for that of its cluster.

    Returns:
        (N,) uint16, 0 = background.

    Raises:
        SchemaError: SCH004 on a class of the taxonomy or a class_id that the benchmark lacks, SCH006 on a cluster_id
            above 998, or a number above 999.
    """
    foreground = labels.instance_id != NO_INSTANCE
    class_of_point = challenge_of_point(labels, taxonomy)
    instance = labels.instance_id.astype(np.int64) + 1 if number is None else number
    largest = int(instance.max(initial=0, where=foreground))
    if largest > _MOST and number is None:
        raise SchemaError(
            "SCH006",
            f"cluster_id {largest - 1} does not fit nuScenes-panoptic: {_MOST - 1} is the largest, "
            "the next would change the class",
            "raise the smallest number of points of a cluster, or export to a format with wider ids",
        )
    if largest > _MOST:
        raise SchemaError(
            "SCH006",
            f"object {largest} of its class in a scene does not fit nuScenes-panoptic: {_MOST} is the largest, "
            "the next would change the class",
            "export --stage clusters, whose objects are numbered in each frame, or to a format with wider ids",
        )
    return np.where(foreground, class_of_point * 1000 + instance, 0).astype(np.uint16)


def panoptic(item: ExportFrame, eval_set: str) -> Files:
    """The files of a frame.

    Args:
        item: the frame; the names of its sweeps are sample_data tokens.
        eval_set: split of the frame: train, val, test, mini_train or mini_val.

    Raises:
        SchemaError: as `panoptic_labels`.
    """
    files = {}
    number = None if item.objects is None else item.number_in_class_of_point
    for token, part in item.by_sweep(panoptic_labels(item.found.labels, item.taxonomy, number)).items():
        content = io.BytesIO()
        np.savez_compressed(content, data=part)
        files[f"panoptic/{eval_set}/{token}_panoptic.npz"] = content.getvalue()
    return files


def submission(eval_set: str, tracked: bool = False) -> Files:
    """The description that the benchmark requires; the task is tracking if objects keep their numbers through a scene.

    Labels use camera, LiDAR and 2D networks trained on other data (`use_external`).
    """
    used = {"camera": True, "lidar": True, "radar": False, "map": False, "external": True}
    meta = {"task": "tracking" if tracked else "segmentation", **{f"use_{source}": use for source, use in used.items()}}
    return {f"{eval_set}/submission.json": (json.dumps({"meta": meta}, indent=2) + "\n").encode()}


FORMAT: Format[None] = Format(
    panoptic,
    close=lambda done: submission(done.split, done.tracked),
    lidar_tokens=True,
    classes=tuple(CHALLENGE_CLASS),
    every_frame=True,
)
