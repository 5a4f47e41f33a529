"""Classes of a run under the names of a format: renamed, joined or left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from pointsam.base.errors import SchemaError
from pointsam.taxonomy import BACKGROUND, NO_CLASS, ClassSpec, LabelMapping, Taxonomy
from pointsam.types import NO_INSTANCE, Cluster, FrameLabels, PointLabels


class Renaming:
    """The classes of a run as a format names them.

    A class has the name that is stated; else its own, if the format has it (in any case); else the only class of the
    format that `truth` of the run's mapping file assigns to it.

    Args:
        taxonomy: classes of the run.
        stated: name in the format by class of the run, `NO_CLASS` to leave its objects out.
        allowed: classes of the format, empty for any.
        form: name of the format, for messages.

    Attributes:
        taxonomy: the classes under their new names; classes of the run that have one name there are joined.
        left_out: objects that were left out so far, by class.

    Raises:
        SchemaError: SCH001 on a stated class that the run or the format does not have, SCH004 on a class that the
            format does not have.
    """

    def __init__(self, taxonomy: Taxonomy, stated: Mapping[str, str], allowed: Collection[str], form: str) -> None:
        for name, target in stated.items():
            _ = taxonomy.class_id(name)
            if allowed and target not in (*allowed, NO_CLASS):
                raise SchemaError(
                    "SCH001", f"--class {name}={target}: {form} has no class {target!r}", _one_of(allowed, name)
                )
        names = [stated.get(spec.name, _name_in(spec, taxonomy, allowed)) for spec in taxonomy.classes]
        foreign = [own for own, name in zip(taxonomy.names, names, strict=True) if name is None]
        if foreign:
            raise SchemaError(
                "SCH004",
                f"{form} has no class for {', '.join(foreign)} of taxonomy {taxonomy.name!r}",
                f"say what they are there: {_one_of(allowed, *foreign)}",
            )
        kept = [name for name in dict.fromkeys(names) if name != NO_CLASS and name is not None]
        if not kept:
            raise SchemaError("SCH004", f"no class of {taxonomy.name!r} is left: --class leaves out all", "keep one")
        self._same = tuple(names) == taxonomy.names
        specs = [_renamed(taxonomy.classes[names.index(name)], name) for name in kept]
        self.taxonomy = taxonomy if self._same else Taxonomy(taxonomy.name, tuple(specs))
        self._class_id = np.full(BACKGROUND + 1, BACKGROUND, dtype=np.uint8)
        for class_id, there in enumerate(names):
            self._class_id[class_id] = kept.index(there) if there in kept else BACKGROUND
        self.left_out: Counter[str] = Counter()

    def class_id(self, class_id: int) -> int | None:
        """The class of a class of the run in the format; None if its objects are left out."""
        there = int(self._class_id[class_id])
        return None if there == BACKGROUND else there

    def __call__(self, found: FrameLabels) -> FrameLabels:
        """Labels with the names of the format; clusters that are kept are numbered anew."""
        if self._same:
            return found
        new_id = np.full(len(found.clusters) + 1, NO_INSTANCE, dtype=np.int32)  # the last: of points without a cluster
        clusters: list[Cluster] = []
        for cluster in found.clusters:
            class_id = int(self._class_id[cluster.class_id])
            if class_id == BACKGROUND:
                self.left_out[cluster.class_name] += 1
                continue
            number = len(clusters)
            new_id[cluster.cluster_id] = number
            name = self.taxonomy.names[class_id]
            clusters.append(replace(cluster, cluster_id=number, class_id=class_id, class_name=name))
        labels = PointLabels(new_id[found.labels.instance_id], self._class_id[found.labels.class_id])
        frame = replace(found.frame, num_clusters=len(clusters))
        grown = found.grown & (labels.instance_id != NO_INSTANCE)
        return replace(found, frame=frame, labels=labels, grown=grown, clusters=tuple(clusters))


def _renamed(spec: ClassSpec, name: str) -> ClassSpec:
    """The class under another name, with its own typical size."""
    return replace(spec, name=name, size_lwh_m=spec.typical_lwh_m)


def _name_in(spec: ClassSpec, taxonomy: Taxonomy, allowed: Collection[str]) -> str | None:
    """The name of a class in a format without a stated one; None if it has none."""
    if not allowed or spec.name in allowed:
        return spec.name
    theirs = Taxonomy("format", tuple(ClassSpec(name) for name in allowed))
    alike = LabelMapping(theirs, {name: name for name in allowed})
    truth = [name for name, target in (taxonomy.truth or {}).items() if target == spec.name]
    found = {alike.class_id(name) for name in ([spec.name] if alike.lists(spec.name) else truth)}
    return theirs.names[found.pop()] if len(found) == 1 and BACKGROUND not in found else None


def _one_of(allowed: Collection[str], *names: str) -> str:
    each = " ".join(f"--class {name}=NAME" for name in names)
    return f"{each} with one of: {', '.join(allowed)}; or {NO_CLASS} to leave its objects out"
