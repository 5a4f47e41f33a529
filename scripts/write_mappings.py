"""Write the mapping files of pointsam/semantics/data/mappings: labels of public data sets to classes of others.

python scripts/write_mappings.py [FOLDER]

A label means a kind of object, and a kind has a class in each taxonomy. A label whose kind has no class there is listed
as background. To support another data set, add its labels to VOCABULARIES (pointsam/semantics/vocabularies.py) and
KINDS, or its classes to TARGETS.
"""

import argparse
import json
from pathlib import Path

from pointsam.semantics.vocabularies import VOCABULARIES
from pointsam.taxonomy import NO_CLASS

FOLDER = Path(__file__).resolve().parents[1] / "pointsam" / "semantics" / "data" / "mappings"

PEOPLE = {"person": "person", "rider": "rider", "pedestrian": "person"}
VEHICLES = {kind: kind for kind in ("car", "truck", "bus", "train", "motorcycle", "bicycle")}
KINDS = {
    "coco": PEOPLE | VEHICLES | {"stop sign": "stop sign", "dog": "dog"},
    "cityscapes": PEOPLE | VEHICLES | {"traffic sign": "sign"},
    "bdd100k": PEOPLE | VEHICLES | {"traffic sign": "sign"},
    "nuimages": {
        "human.pedestrian.adult": "person",
        "human.pedestrian.child": "person",
        "human.pedestrian.construction_worker": "person",
        "human.pedestrian.police_officer": "person",
        "human.pedestrian.stroller": "stroller",
        "human.pedestrian.wheelchair": "wheelchair",
        "movable_object.barrier": "barrier",
        "movable_object.trafficcone": "cone",
        "vehicle.bicycle": "bicycle",
        "vehicle.bus.bendy": "bendy bus",
        "vehicle.bus.rigid": "bus",
        "vehicle.car": "car",
        "vehicle.construction": "machinery",
        "vehicle.emergency.ambulance": "emergency vehicle",
        "vehicle.emergency.police": "emergency vehicle",
        "vehicle.motorcycle": "motorcycle",
        "vehicle.trailer": "trailer",
        "vehicle.truck": "truck",
    },
    "objects365": {
        "Person": "person",
        "Car": "car",
        "SUV": "car",
        "Sports Car": "car",
        "Van": "van",
        "Pickup Truck": "pickup",
        "Truck": "truck",
        "Heavy Truck": "truck",
        "Fire Truck": "emergency vehicle",
        "Ambulance": "emergency vehicle",
        "Machinery Vehicle": "machinery",
        "Crane": "machinery",
        "Bus": "bus",
        "Train": "train",
        "Bicycle": "bicycle",
        "Motorcycle": "motorcycle",
        "Traffic cone": "cone",
        "Stroller": "stroller",
        "Wheelchair": "wheelchair",
        "Stop Sign": "stop sign",
        "Traffic Sign": "sign",
        "Speed Limit Sign": "sign",
        "Crosswalk Sign": "sign",
        "Dog": "dog",
    },
}
"""Kind of object by label; a label that is not here is left out."""

SMALL = {"link_floor_m": 0.65}
PERSON = {**SMALL, "crowd": True, "role": "rider"}
WAYMO = {
    "name": "waymo",
    "classes": [
        {"name": "vehicle", "vehicle": True, "size_lwh_m": [4.63, 1.97, 1.74]},
        {"name": "pedestrian", **PERSON},
        {"name": "cyclist", **SMALL, "role": "ridden", "needs_rider": True},
        {"name": "sign", **SMALL, "size_lwh_m": [0.3, 0.8, 0.8]},
    ],
}
ARGOVERSE2 = {
    "name": "argoverse2",
    "classes": [
        {"name": "regular_vehicle", "vehicle": True, "size_lwh_m": [4.63, 1.97, 1.74]},
        {"name": "large_vehicle", "vehicle": True, "size_lwh_m": [6.93, 2.51, 2.84]},
        {"name": "bus", "vehicle": True},
        {"name": "articulated_bus", "vehicle": True, "size_lwh_m": [18.0, 2.94, 3.3]},
        {"name": "box_truck", "vehicle": True, "size_lwh_m": [7.5, 2.6, 3.2]},
        {"name": "truck", "vehicle": True},
        {"name": "vehicular_trailer", "size_lwh_m": [6.0, 2.3, 2.5]},
        {"name": "railed_vehicle", "vehicle": True, "size_lwh_m": [16.0, 2.6, 3.5]},
        {"name": "pedestrian", **PERSON},
        {"name": "bicycle", **SMALL, "role": "ridden"},
        {"name": "motorcycle", **SMALL, "role": "ridden"},
        {"name": "construction_cone", **SMALL, "size_lwh_m": [0.41, 0.41, 1.07]},
        {"name": "stop_sign", **SMALL, "size_lwh_m": [0.2, 0.7, 0.8]},
        {"name": "sign", **SMALL, "size_lwh_m": [0.2, 0.7, 0.8]},
        {"name": "stroller", **SMALL, "size_lwh_m": [0.9, 0.6, 1.1]},
        {"name": "wheelchair", **SMALL, "size_lwh_m": [1.0, 0.7, 1.3]},
        {"name": "dog", **SMALL, "size_lwh_m": [0.9, 0.4, 0.7]},
    ],
}
"""Classes of Argoverse 2 that labels of these data sets can mean."""

TARGETS = {
    "nuscenes": (
        "nuscenes",
        {
            "car": "car",
            "van": "car",
            "pickup": "truck",
            "truck": "truck",
            "trailer": "trailer",
            "bus": "bus",
            "bendy bus": "bus",
            "machinery": "construction_vehicle",
            "bicycle": "bicycle",
            "motorcycle": "motorcycle",
            "person": "pedestrian",
            "rider": "pedestrian",
            "cone": "traffic_cone",
            "barrier": "barrier",
        },
    ),
    "kitti": (
        "kitti",
        {
            "car": "car",
            "van": "car",
            "pickup": "car",
            "truck": "truck",
            "bus": "truck",
            "bendy bus": "truck",
            "train": "tram",
            "bicycle": "cyclist",
            "person": "pedestrian",
            "rider": "pedestrian",
        },
    ),
    "waymo": (
        WAYMO,
        dict.fromkeys(["car", "van", "pickup", "truck", "trailer", "machinery", "emergency vehicle"], "vehicle")
        | dict.fromkeys(["bus", "bendy bus", "train", "motorcycle"], "vehicle")
        | {"bicycle": "cyclist", "person": "pedestrian", "rider": "pedestrian", "stop sign": "sign", "sign": "sign"},
    ),
    "argoverse2": (
        ARGOVERSE2,
        {
            "car": "regular_vehicle",
            "van": "regular_vehicle",
            "pickup": "regular_vehicle",
            "emergency vehicle": "large_vehicle",
            "truck": "truck",
            "trailer": "vehicular_trailer",
            "bus": "bus",
            "bendy bus": "articulated_bus",
            "machinery": "large_vehicle",
            "train": "railed_vehicle",
            "bicycle": "bicycle",
            "motorcycle": "motorcycle",
            "person": "pedestrian",
            "rider": "pedestrian",
            "cone": "construction_cone",
            "stop sign": "stop_sign",
            "sign": "sign",
            "stroller": "stroller",
            "wheelchair": "wheelchair",
            "dog": "dog",
        },
    ),
}
"""Taxonomy, and class by kind of object."""


def files():
    """Text of each file by name."""
    found = {}
    for source, kinds in KINDS.items():
        for target, (taxonomy, classes) in TARGETS.items():
            labels = {label: classes.get(kinds.get(label), NO_CLASS) for label in VOCABULARIES[source] if label}
            mapped = {label: name for label, name in labels.items() if name != NO_CLASS}
            document = {"taxonomy": taxonomy, "labels": mapped | labels}  # those with a class come first
            found[f"{source}_to_{target}.json"] = json.dumps(document, indent=1) + "\n"
    return found


def main():
    """Write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
