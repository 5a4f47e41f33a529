"""Types of arrays of more than one dtype; `NDArray` states a single dtype."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""Floats of any width."""

IntArray: TypeAlias = NDArray[np.integer[Any]]
"""Integers of any width, with or without sign."""

AnyArray: TypeAlias = NDArray[Any]
"""Values of any dtype."""
