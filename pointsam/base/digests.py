"""Digests of files of weights."""

from __future__ import annotations

from pathlib import Path

from pointsam.base.errors import BackendError


def sha256_of(path: Path) -> str:
    """sha256 of a file, 64 hexadecimal digits.

    Raises:
        BackendError: BCK001 if the file is missing or cannot be read.
    """
    import pooch

    try:
        return str(pooch.file_hash(path))
    except OSError as error:
        raise BackendError(
            "BCK001", f"no weights at {path} ({error.strerror})", "check the path given for the weights"
        ) from error
