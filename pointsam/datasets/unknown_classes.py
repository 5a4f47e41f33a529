"""Annotated classes that a data set does not know: named with the nearest known ones, never dropped silently."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from pointsam.base.words import counted
from pointsam.datasets.base import Dataset, HasKnownClasses, HasUnknownClasses

_SHOWN = 10


def unknown_classes(dataset: Dataset, frame_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Name of each unknown class of some frames, most objects first, with the number of objects and the nearest name.

    Empty for a data set that does not tell.
    """
    if not isinstance(dataset, HasUnknownClasses):
        return []
    known = dataset.known_classes if isinstance(dataset, HasKnownClasses) else dataset.taxonomy.names
    counts = sorted(dataset.unknown_classes(frame_ids).items(), key=lambda item: (-item[1], item[0]))
    return [(name, f"{counted(count, 'object')}{_nearest(name, known)}") for name, count in counts]


def unknown_text(dataset: Dataset, frame_ids: Sequence[str]) -> str:
    """The unknown classes of some frames in one line; "" if there are none."""
    found = [f"{name!r} ({what})" for name, what in unknown_classes(dataset, frame_ids)]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"classes of the ground truth that {dataset.name} does not know: {', '.join(found[:_SHOWN])}{more}" * bool(
        found
    )


def _nearest(name: str, known: Sequence[str]) -> str:
    lower = {one.lower(): one for one in known}
    last = name.lower().rpartition(".")[2]
    near = [one for low, one in lower.items() if last in low.split(".")]
    near += [lower[low] for low in get_close_matches(name.lower(), list(lower), 2, 0.7)]
    found = list(dict.fromkeys(near))[:2]
    return f"; nearest: {', '.join(found)}" if found else ""
