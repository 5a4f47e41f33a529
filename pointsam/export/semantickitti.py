"""SemanticKITTI: one `.label` file of uint32 per sweep, class in the lower 16 bits, instance in the upper.

Layout
    DEST/sequences/NN/predictions/NNNNNN.label    of a SemanticKITTI root: where its API looks for predictions
    DEST/labels/NAME.label                        of other data; NAME is that of a sweep, also in frames of several
Each file holds (N,) little-endian uint32; 0 = unlabelled, instances from 1. After tracking, an instance is an object of
its sequence: it has the same number in all frames (`pointsam.export.objects`).

Source: SemanticKITTI API, semantic-kitti.yaml, evaluate_panoptic.py, validate_submission.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from pointsam.base.errors import SchemaError
from pointsam.export.base import Format
from pointsam.export.frame import ExportFrame, Files, require_known
from pointsam.types import NO_INSTANCE

CLASSES: Mapping[str, int] = MappingProxyType(
    {
        "car": 10,
        "bicycle": 11,
        "bus": 13,
        "motorcycle": 15,
        "tram": 16,
        "truck": 18,
        "construction_vehicle": 20,
        "trailer": 20,
        "pedestrian": 30,
        "cyclist": 31,
        "person": 30,
        "bicyclist": 31,
        "motorcyclist": 32,
        "other_vehicle": 20,
        "barrier": 99,
        "traffic_cone": 99,
    }
)
"""20 is other-vehicle, 16 on-rails, 31 bicyclist, 99 other-object."""

_LARGEST = 0xFFFF


def semantickitti(item: ExportFrame) -> Files:
    """The files of a frame: one for each sweep.

    Raises:
        SchemaError: SCH004 on a class that SemanticKITTI lacks, SCH006 on an id beyond 16 bits.
    """
    require_known(item.taxonomy, CLASSES, "SemanticKITTI")
    labels, number = item.found.labels, item.number_of_point
    if int(number.max(initial=0)) > _LARGEST:
        what = f"cluster_id {number.max() - 1}" if item.objects is None else f"number {number.max()} of an object"
        raise SchemaError(
            "SCH006",
            f"frame {item.name}: {what} does not fit SemanticKITTI's 16 bits",
            "raise the smallest number of points of a cluster",
        )
    semantic = np.zeros(256, dtype=np.uint32)
    semantic[: len(item.taxonomy.names)] = [CLASSES[name] for name in item.taxonomy.names]
    value = semantic[labels.class_id] | (number.astype(np.uint32) << 16)
    value[labels.instance_id == NO_INSTANCE] = 0
    if item.place is not None:
        return {"sequences/{}/predictions/{}.label".format(*item.place): value.astype("<u4").tobytes()}
    return {f"labels/{name}.label": part.astype("<u4").tobytes() for name, part in item.by_sweep(value).items()}


FORMAT: Format[None] = Format(lambda item, _: semantickitti(item), classes=tuple(CLASSES), every_frame=True)
