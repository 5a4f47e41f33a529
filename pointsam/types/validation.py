"""Checks of the values of this package when they are constructed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError


def check_shapes(owner: object, **arrays: tuple[NDArray[np.generic], tuple[int | None, ...]]) -> None:
    """Compare each array's shape with the required one; None matches any length.

    Raises:
        SchemaError: SCH003 naming the field.
    """
    for name, (array, shape) in arrays.items():
        fits = array.ndim == len(shape) and all(w in (None, h) for h, w in zip(array.shape, shape, strict=True))
        if not fits:
            raise SchemaError(
                "SCH003",
                f"{type(owner).__name__}.{name} must have shape {shape}, got {array.shape}",
                "pass arrays of matching lengths",
            )


def check_row(fits: bool, message: str) -> None:
    """Refuse a row whose fields contradict each other.

    Args:
        fits: whether the fields are consistent.
        message: error message if they are not.

    Raises:
        SchemaError: SCH003 with the message.
    """
    if not fits:
        raise SchemaError("SCH003", message, "build rows from one frame's results only")


def check_status(owner: str, status: str, error_code: str) -> None:
    """Refuse a failed row without an error code, an ok row with one, and any other status."""
    check_row(
        status in ("ok", "failed") and (status == "failed") == bool(error_code),
        f"{owner} has status {status!r} and error_code {error_code!r}: need ok without a code, or failed with one",
    )
