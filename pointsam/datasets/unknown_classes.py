"""Messages on annotated classes that a data set does not know, with the nearest known ones."""

from __future__ import annotations

from collections.abc import Sequence

from pointsam.base.words import counted, nearest
from pointsam.datasets.base import Dataset, HasKnownClasses, HasUnknownClasses

_SHOWN = 10


def unknown_classes(dataset: Dataset, frame_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Name of each unknown class of some frames, most objects first, with the number of objects and the nearest name.

    Empty for a data set that is no `HasUnknownClasses`.
    """
    if not isinstance(dataset, HasUnknownClasses):
        return []
    known = dataset.known_classes if isinstance(dataset, HasKnownClasses) else dataset.taxonomy.names
    counts = sorted(dataset.unknown_classes(frame_ids).items(), key=lambda item: (-item[1], item[0]))
    return [(name, f"{counted(count, 'object')}{_nearest(name, known)}") for name, count in counts]


def unknown_text(dataset: Dataset, frame_ids: Sequence[str]) -> str:
    """The unknown classes of some frames in one line; "" if there are none."""
    found = [f"{name!r} ({what})" for name, what in unknown_classes(dataset, frame_ids)]
    if not found:
        return ""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"classes of the ground truth that {dataset.name} does not know: {', '.join(found[:_SHOWN])}{more}"


def _nearest(name: str, known: Sequence[str]) -> str:
    """Known names that end alike ("own.vehicle.car", "vehicle.car"), else one that is spelt alike."""
    last = name.lower().rpartition(".")[2]
    alike = [one for one in known if last in one.lower().split(".")][:2]
    found = ", ".join(alike) or nearest(name, known)
    return f"; nearest: {found}" if found else ""
