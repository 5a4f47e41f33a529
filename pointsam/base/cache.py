"""The user's cache of files that can be made or downloaded again, such as weights and indices of tables."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from platformdirs import user_cache_path

from pointsam.base.errors import StoreError


def cache_dir(kind: str) -> Path:
    """The folder pointsam/<kind> under $POINTSAM_CACHE, else <kind> in the user's cache; it need not exist.

    Version 0.1.0 used $XDG_CACHE_HOME or ~/.cache on every system; an existing folder there is used.
    """
    if own := os.environ.get("POINTSAM_CACHE"):
        return Path(own) / "pointsam" / kind
    earlier = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pointsam" / kind
    return earlier if earlier.is_dir() else user_cache_path("pointsam", appauthor=False) / kind


def cache_error(folder: Path, error: OSError) -> StoreError:
    """OUT002 or OUT003 for an error of the operating system when it writes to the cache."""
    message = f"cannot write to the cache {folder}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError("OUT002", message, "free some space, or set POINTSAM_CACHE to a folder on another disk")
    return StoreError("OUT003", message, "set POINTSAM_CACHE to a folder that you may write, on a local disk")
