"""The classes a run labels, with the traits the method needs of each, and mappings from other label sets to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from pointsam.base.errors import SchemaError

BACKGROUND = 255
"""class_id of a pixel or point without a class."""


@dataclass(frozen=True)
class ClassSpec:
    """One class and what prompting, painting and refinement must know of it.

    Args:
        name: the class name, unique in its taxonomy.
        link_floor_m: smallest link distance of SAR (method.md A.0 min_dist_thresh).
        vehicle: may link to another vehicle class (A.0 vehicle_class).
        crowd: two masks of this class never link (A.0 cluster ignore_semantics).
        row: smaller masks overwrite larger ones when painting (A.0 generator ignore_semantics).
        role: "rider" may sit on a "ridden" one; both are then one object of the ridden class (quality.md).
        needs_rider: of a "ridden" class: it means both together, alone it is nothing (a parked bicycle is no cyclist).
    """

    name: str
    link_floor_m: float = 1.0
    vehicle: bool = False
    crowd: bool = False
    row: bool = False
    role: Literal["", "rider", "ridden"] = ""
    needs_rider: bool = False

    @property
    def large(self) -> bool:
        """Vehicles and the like: what links at a metre and more."""
        return self.link_floor_m >= 1.0


@dataclass(frozen=True)
class Taxonomy:
    """An ordered set of classes; class_id is the position.

    Raises:
        SchemaError: SCH002 on an empty or too long list, or a repeated name.
    """

    name: str
    classes: tuple[ClassSpec, ...]

    def __post_init__(self) -> None:
        names = self.names
        if not 0 < len(names) < BACKGROUND or len(set(names)) != len(names):
            raise SchemaError(
                "SCH002",
                f"taxonomy {self.name!r} needs 1 to {BACKGROUND - 1} classes with different names, got {list(names)}",
                "list every class once",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by class_id."""
        return tuple(spec.name for spec in self.classes)

    def class_id(self, name: str) -> int:
        """Position of a class.

        Raises:
            SchemaError: SCH001 if there is no such class.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise SchemaError(
                "SCH001",
                f"no class {name!r} in taxonomy {self.name!r}",
                f"use one of: {', '.join(self.names)}",
            ) from None


@dataclass(frozen=True)
class LabelMapping:
    """Takes the label names of a 2D network or data set to classes of a taxonomy.

    Args:
        taxonomy: the target.
        classes: label name -> class name; a label that is not listed is background.

    Raises:
        SchemaError: SCH001 if a target class is not in the taxonomy.
    """

    taxonomy: Taxonomy
    classes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", MappingProxyType(dict(self.classes)))
        for target in self.classes.values():
            self.taxonomy.class_id(target)

    def __reduce__(self) -> tuple[type[LabelMapping], tuple[Taxonomy, dict[str, str]]]:
        """For worker processes: a mapping proxy has no way to them."""
        return LabelMapping, (self.taxonomy, dict(self.classes))

    def class_id(self, label: str) -> int:
        """class_id of a label, BACKGROUND if the mapping leaves it out."""
        target = self.classes.get(label)
        return BACKGROUND if target is None else self.taxonomy.class_id(target)


NUSCENES = Taxonomy(
    "nuscenes",
    (
        ClassSpec("car", vehicle=True),
        ClassSpec("truck", vehicle=True),
        ClassSpec("trailer"),
        ClassSpec("bus", vehicle=True),
        ClassSpec("construction_vehicle", vehicle=True),
        ClassSpec("bicycle", link_floor_m=0.65, role="ridden"),
        ClassSpec("motorcycle", link_floor_m=0.65, role="ridden"),
        ClassSpec("pedestrian", link_floor_m=0.65, crowd=True, role="rider"),
        ClassSpec("traffic_cone", link_floor_m=0.65),
        ClassSpec("barrier", link_floor_m=0.65, crowd=True, row=True),
    ),
)
"""The ten detection classes in the published order (method.md A)."""

KITTI = Taxonomy(
    "kitti",
    (
        ClassSpec("car", vehicle=True),
        ClassSpec("truck", vehicle=True),
        ClassSpec("tram", vehicle=True),
        ClassSpec("pedestrian", link_floor_m=0.65, crowd=True, role="rider"),
        ClassSpec("cyclist", link_floor_m=0.65, role="ridden", needs_rider=True),
    ),
)
"""KITTI object classes that a camera can tell apart; Van, Person_sitting, Misc and DontCare are void in its truth."""

SEMANTICKITTI = Taxonomy(
    "semantickitti",
    (
        ClassSpec("car", vehicle=True),
        ClassSpec("truck", vehicle=True),
        ClassSpec("other_vehicle", vehicle=True),
        ClassSpec("person", link_floor_m=0.65, crowd=True, role="rider"),
        ClassSpec("bicyclist", link_floor_m=0.65, role="ridden", needs_rider=True),
        ClassSpec("motorcyclist", link_floor_m=0.65, role="ridden", needs_rider=True),
    ),
)
"""SemanticKITTI's things; a cycle without a rider is void in its truth."""

TAXONOMIES: Mapping[str, Taxonomy] = MappingProxyType({t.name: t for t in (NUSCENES, KITTI, SEMANTICKITTI)})

COCO_TO: Mapping[str, LabelMapping] = MappingProxyType(
    {
        "nuscenes": LabelMapping(
            NUSCENES,
            {
                "car": "car",
                "truck": "truck",
                "bus": "bus",
                "bicycle": "bicycle",
                "motorcycle": "motorcycle",
                "person": "pedestrian",
            },
        ),
        "kitti": LabelMapping(
            KITTI,
            {"car": "car", "truck": "truck", "train": "tram", "person": "pedestrian", "bicycle": "cyclist"},
        ),
        "semantickitti": LabelMapping(
            SEMANTICKITTI,
            {
                "car": "car",
                "truck": "truck",
                "bus": "other_vehicle",
                "train": "other_vehicle",
                "person": "person",
                "bicycle": "bicyclist",
                "motorcycle": "motorcyclist",
            },
        ),
    }
)
"""COCO label names to the built-in taxonomies; COCO has no trailer, construction vehicle, cone or barrier."""
