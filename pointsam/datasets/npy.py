"""NumPy arrays of points."""

from __future__ import annotations

import io
from tokenize import TokenError

import numpy as np

from pointsam.base.arrays import AnyArray
from pointsam.datasets.headers import malformed

MAGIC = (b"\x93NUMPY",)


def rows(raw: bytes, width: int, source: str) -> AnyArray:
    """(N,width) numbers of a .npy file.

    Args:
        raw: the whole file.
        width: number of values of a point.
        source: name of the file, for errors.

    Raises:
        DatasetError: DAT006 if it holds no such array, or fewer bytes than its header states.
        MemoryError: if its header states a size beyond the memory.
    """
    if not raw.startswith(MAGIC):
        raise malformed(source, "it has no header of a NumPy array")
    try:
        values: AnyArray = np.load(io.BytesIO(raw), allow_pickle=False)
    except (LookupError, ValueError, EOFError, SyntaxError, TypeError, OverflowError, TokenError) as error:
        raise malformed(source, f"it is no array of NumPy ({error})") from error
    if values.dtype.kind not in "fiu" or values.ndim != 2:
        shape = f"shape {values.shape} and type {values.dtype}"
        raise malformed(source, f"it holds an array of {shape}, not rows of numbers")
    if values.shape[1] != width:
        found = f"its rows hold {values.shape[1]} values, and are read as {width}"
        raise malformed(source, f"{found}; state them with --columns")
    return values
