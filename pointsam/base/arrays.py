"""Types of arrays of more than one dtype, of which `NDArray` states a single one, and a choice from a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""Floats of any width."""

IntArray: TypeAlias = NDArray[np.integer[Any]]
"""Integers of any width, with or without sign."""

AnyArray: TypeAlias = NDArray[Any]
"""Values of any dtype."""

_T = TypeVar("_T")


def evenly(items: Sequence[_T], most: int | None) -> list[_T]:
    """At most `most` items, evenly spaced from the first to the last; all for None."""
    count = len(items)
    if most is None or count <= most:
        return list(items)
    return [items[k] for k in np.linspace(0, count - 1, most).round().astype(int)]
