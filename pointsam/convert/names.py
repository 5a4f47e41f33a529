"""Names of boxes in the layouts that are written."""

from __future__ import annotations

from collections.abc import Mapping

from pointsam.convert.source import SourceBox
from pointsam.datasets.kitti.labels import KINDS
from pointsam.datasets.nuscenes.truth import CATEGORIES, is_known

CATEGORY_OF: Mapping[str, str] = {
    "car": "vehicle.car",
    "truck": "vehicle.truck",
    "trailer": "vehicle.trailer",
    "bus": "vehicle.bus.rigid",
    "construction_vehicle": "vehicle.construction",
    "bicycle": "vehicle.bicycle",
    "motorcycle": "vehicle.motorcycle",
    "pedestrian": "human.pedestrian.adult",
    "person": "human.pedestrian.adult",
    "traffic_cone": "movable_object.trafficcone",
    "barrier": "movable_object.barrier",
}
"""nuScenes' category of a class whose finer name is not nuScenes' own."""
KIND_OF: Mapping[str, str] = {
    "car": "Car",
    "truck": "Truck",
    "tram": "Tram",
    "pedestrian": "Pedestrian",
    "person": "Pedestrian",
    "cyclist": "Cyclist",
}
"""KITTI's type of a class."""
NO_CATEGORY, NO_KIND = "noise", "Misc"
"""Names of void boxes whose own name is not known."""


def category_of(box: SourceBox) -> str:
    """NuScenes' category of a box: its own if it is one, else that of its class, else its own name as it is."""
    if box.category is not None and is_known(box.category):
        return box.category
    return CATEGORY_OF.get(box.kind or "", box.category or box.kind or NO_CATEGORY)


def kind_of(box: SourceBox) -> str:
    """KITTI's type of a box, without blanks; a class that KITTI does not have keeps its name."""
    if box.category in KINDS:
        return box.category or NO_KIND
    name = KIND_OF.get(box.kind or "", box.kind or box.category or NO_KIND)
    return "_".join(name.split())


def in_nuscenes(box: SourceBox) -> bool:
    """Whether the class of a box is one of nuScenes' ten under the name that is written; void boxes stay void."""
    return box.kind is None or CATEGORIES.lists(category_of(box))


def in_kitti(box: SourceBox) -> bool:
    """Whether the class of a box is one of KITTI's; void boxes stay void."""
    return box.kind is None or kind_of(box) in KIND_OF.values()
