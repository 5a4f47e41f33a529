"""The classes that a run labels, with their traits, and mappings from other sets of labels to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Literal

from pointsam.base.document import OPTIONAL
from pointsam.base.errors import SchemaError
from pointsam.base.words import did_you_mean

BACKGROUND = 255
"""class_id of a pixel or point without a class."""

NO_CLASS = "background"
"""Target of a label or of a name of ground truth that is deliberately no class."""


TYPICAL_LWH_M: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "car": (4.63, 1.97, 1.74),
        "truck": (6.93, 2.51, 2.84),
        "construction_vehicle": (6.37, 2.85, 3.19),
        "bus": (10.5, 2.94, 3.47),
        "trailer": (12.29, 2.90, 3.87),
        "barrier": (0.50, 2.53, 0.98),
        "motorcycle": (2.11, 0.77, 1.47),
        "bicycle": (1.70, 0.60, 1.28),
        "pedestrian": (0.73, 0.67, 1.77),
        "traffic_cone": (0.41, 0.41, 1.07),
        "cyclist": (1.76, 0.60, 1.73),
        "tram": (16.0, 2.6, 3.5),
        "other_vehicle": (8.0, 2.6, 3.0),
        "person": (0.73, 0.67, 1.77),
        "bicyclist": (1.76, 0.60, 1.73),
        "motorcyclist": (2.11, 0.77, 1.73),
    }
)
"""Default sizes of classes with common names. Mean sizes of annotated boxes of nuScenes, or of KITTI for classes that
nuScenes lacks; an estimate for "other_vehicle"."""


@dataclass(frozen=True)
class ClassSpec:
    """One class and its traits; docs/mapping.md describes them for users.

    Args:
        name: the class name, unique in its taxonomy.
        link_floor_m: smallest link distance of SAR (docs/method.md A.0 min_dist_thresh).
        vehicle: whether it may link to another vehicle class (docs/method.md A.0 vehicle_class).
        crowd: whether two masks of this class never link (docs/method.md A.0 ignore_semantics of the clusters).
        row: whether smaller masks overwrite larger ones when painting (docs/method.md A.0 ignore_semantics of the
            generator).
        role: a "rider" may sit on a "ridden" object; both are then one object of the ridden class (docs/mapping.md).
        needs_rider: for a "ridden" class: whether an object without a rider is background: a parked bicycle is not
            a cyclist.
        size_lwh_m: typical length, width and height, for boxes fitted to clusters; None = see `typical_lwh_m`.
        large: whether gaps between LiDAR rings widen its link distance and ground is not removed from it; None = see
            `is_large`.
        coco: labels that networks give this class: names of COCO, or other words such as "van". They are only used to
            build a mapping, so comparisons and stored documents leave them out.
    """

    name: str
    link_floor_m: float = 1.0
    vehicle: bool = False
    crowd: bool = False
    row: bool = False
    role: Literal["", "rider", "ridden"] = ""
    needs_rider: bool = False
    size_lwh_m: tuple[float, float, float] | None = field(default=None, metadata=OPTIONAL)
    large: bool | None = field(default=None, metadata=OPTIONAL)
    coco: tuple[str, ...] = field(default=(), compare=False, metadata=OPTIONAL)

    @property
    def is_large(self) -> bool:
        """`large` if it is set, otherwise whether `link_floor_m` is at least 1 m."""
        return self.link_floor_m >= 1.0 if self.large is None else self.large

    @property
    def typical_lwh_m(self) -> tuple[float, float, float] | None:
        """`size_lwh_m` if it is set, otherwise the size of this class name in `TYPICAL_LWH_M`, or None."""
        return self.size_lwh_m or TYPICAL_LWH_M.get(self.name)

    def as_dict(self) -> dict[str, object]:
        """JSON values. Traits that 0.1.0 did not have are left out at their defaults, to match its documents."""
        values = asdict(self)
        for trait in fields(self):
            if trait.name == "coco" or (trait.metadata == OPTIONAL and values[trait.name] == trait.default):
                del values[trait.name]
        return values


@dataclass(frozen=True)
class Taxonomy:
    """An ordered set of classes; class_id is the position.

    Args:
        name: name of the set.
        classes: the classes.
        truth: name of a ground-truth class or category -> name of a class here, or `NO_CLASS`; None = ground truth has
            the names of the classes. It does not change labels, so comparisons leave it out.

    Raises:
        SchemaError: SCH002 on an empty or too long list, a repeated name, or a COCO label that two classes have;
            SCH001 if `truth` names a class that is not there.
    """

    name: str
    classes: tuple[ClassSpec, ...]
    truth: Mapping[str, str] | None = field(default=None, compare=False, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        names = self.names
        if not 0 < len(names) < BACKGROUND or len(set(names)) != len(names):
            raise SchemaError(
                "SCH002",
                f"taxonomy {self.name!r} needs 1 to {BACKGROUND - 1} classes with different names, got {list(names)}",
                "list every class once",
            )
        labels = [label for spec in self.classes for label in spec.coco]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise SchemaError(
                "SCH002",
                f"taxonomy {self.name!r}: COCO label {twice[0]!r} is stated by several classes",
                "state a COCO label in the `coco` of one class",
            )
        for target in (self.truth or {}).values():
            if target != NO_CLASS:
                self.class_id(target)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by class_id."""
        return tuple(spec.name for spec in self.classes)

    @property
    def coco(self) -> dict[str, str]:
        """Class name by COCO label."""
        return {label: spec.name for spec in self.classes for label in spec.coco}

    def as_dict(self) -> dict[str, object]:
        """JSON values, as documents and tables hold them (`ClassSpec.as_dict`); `truth` is left out if it is None."""
        values: dict[str, object] = {"name": self.name, "classes": [spec.as_dict() for spec in self.classes]}
        return values if self.truth is None else {**values, "truth": dict(self.truth)}

    @property
    def truth_mapping(self) -> LabelMapping:
        """Names of ground truth to these classes: `truth`, or the names of the classes themselves."""
        return LabelMapping(self, {name: name for name in self.names} if self.truth is None else self.truth)

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
                f"no class {name!r} in taxonomy {self.name!r}{did_you_mean(name, self.names)}",
                f"use one of: {', '.join(self.names)}",
            ) from None


@dataclass(frozen=True)
class BringsTaxonomy:
    """The part of a data set plug-in that a mapping file needs to name it as its taxonomy.

    Args:
        taxonomy: classes of the data set.
    """

    taxonomy: Taxonomy


@dataclass(frozen=True)
class LabelMapping:
    """A mapping from the labels of a 2D network or data set to the classes of a taxonomy.

    A label is looked up as it is written first, then without regard to case, spaces, underscores and hyphens, so that
    "Traffic-Cone" is "traffic_cone". Labels that are alike in this way and mean different classes must match exactly.

    Args:
        taxonomy: the target taxonomy.
        classes: class name by label, or `NO_CLASS`; a label that is not listed is background too.

    Raises:
        SchemaError: SCH001 if a target class is not in the taxonomy.
    """

    taxonomy: Taxonomy
    classes: Mapping[str, str] = field(default_factory=dict)
    _class_id: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _alike: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", MappingProxyType(dict(self.classes)))
        class_id = {label: self._id_of(target) for label, target in self.classes.items()}
        ids: dict[str, set[int]] = {}
        for label, found in class_id.items():
            ids.setdefault(_plain(label), set()).add(found)
        object.__setattr__(self, "_class_id", class_id)
        object.__setattr__(self, "_alike", {text: min(found) for text, found in ids.items() if len(found) == 1})

    def _id_of(self, target: str) -> int:
        is_class = target != NO_CLASS or NO_CLASS in self.taxonomy.names
        return self.taxonomy.class_id(target) if is_class else BACKGROUND

    def __reduce__(self) -> tuple[type[LabelMapping], tuple[Taxonomy, dict[str, str]]]:
        """Support for pickling to worker processes: a mapping proxy cannot be pickled."""
        return LabelMapping, (self.taxonomy, dict(self.classes))

    def class_id(self, label: str) -> int:
        """class_id of a label, BACKGROUND if the mapping does not list it."""
        exact = self._class_id.get(label)
        return self._alike.get(_plain(label), BACKGROUND) if exact is None else exact

    def lists(self, label: str) -> bool:
        """Whether the mapping says what a label is; a label that it lists as `NO_CLASS` is background on purpose."""
        return label in self._class_id or _plain(label) in self._alike


def _plain(label: str) -> str:
    """A label without the differences that `LabelMapping` ignores."""
    return re.sub(r"[\s_-]+", "", label).casefold()


NUSCENES = Taxonomy(
    "nuscenes",
    (
        ClassSpec("car", vehicle=True, coco=("car",)),
        ClassSpec("truck", vehicle=True, coco=("truck",)),
        ClassSpec("trailer"),
        ClassSpec("bus", vehicle=True, coco=("bus",)),
        ClassSpec("construction_vehicle", vehicle=True),
        ClassSpec("bicycle", link_floor_m=0.65, role="ridden", coco=("bicycle",)),
        ClassSpec("motorcycle", link_floor_m=0.65, role="ridden", coco=("motorcycle",)),
        ClassSpec("pedestrian", link_floor_m=0.65, crowd=True, role="rider", coco=("person",)),
        ClassSpec("traffic_cone", link_floor_m=0.65),
        ClassSpec("barrier", link_floor_m=0.65, crowd=True, row=True),
    ),
)
"""The ten detection classes in the published order (docs/method.md A). COCO has no trailer, construction vehicle, cone
or barrier."""

KITTI = Taxonomy(
    "kitti",
    (
        ClassSpec("car", vehicle=True, coco=("car", "van")),
        ClassSpec("truck", vehicle=True, coco=("truck", "bus")),
        ClassSpec("tram", vehicle=True, coco=("train",)),
        ClassSpec("pedestrian", link_floor_m=0.65, crowd=True, role="rider", coco=("person",)),
        ClassSpec("cyclist", link_floor_m=0.65, role="ridden", needs_rider=True, coco=("bicycle",)),
    ),
)
"""KITTI object classes that a camera can distinguish; Van, Person_sitting, Misc and DontCare are void in its ground
truth. A van is a car and a bus a truck, the classes of nearest shape: what the ground truth calls a van or leaves out
is not scored, and a truck that a network takes for a bus is not lost."""

SEMANTICKITTI = Taxonomy(
    "semantickitti",
    (
        ClassSpec("car", vehicle=True, coco=("car", "van")),
        ClassSpec("truck", vehicle=True, coco=("truck",)),
        ClassSpec("other_vehicle", vehicle=True, coco=("bus", "train")),
        ClassSpec("person", link_floor_m=0.65, crowd=True, role="rider", coco=("person",)),
        ClassSpec("bicyclist", link_floor_m=0.65, role="ridden", needs_rider=True, coco=("bicycle",)),
        ClassSpec("motorcyclist", link_floor_m=0.65, role="ridden", needs_rider=True, coco=("motorcycle",)),
    ),
)
"""SemanticKITTI's thing classes; a cycle without a rider is void in its ground truth."""
