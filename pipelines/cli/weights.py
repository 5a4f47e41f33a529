"""The published weight files that `pointsam-label weights` lists and downloads."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.base import plugins
from pointsam.base.errors import BackendError, PluginError
from pointsam.masks import weight_files
from pointsam.masks.weights import WeightFile


def listing() -> Iterator[str]:
    """One line per published file of each segmenter; for a segmenter that cannot be loaded, the reason."""
    for name in plugins.names("segmenters"):
        try:
            files = weight_files(name)
        except PluginError as error:
            yield f"{name:12} {error.message}"
            continue
        for file in files:
            state, origin = "here" if file.path.exists() else "not here", file.url or "(in the package)"
            yield f"{file.name:12} {file.num_bytes / 1e6:7.0f} MB  {file.licence:11} {state:9} {origin}"


def files_of(name: str) -> tuple[WeightFile, ...]:
    """Published files of a segmenter.

    Raises:
        BackendError: BCK001 if it has none.
        SchemaError, PluginError: as `weight_files`.
    """
    files = weight_files(name)
    if not files:
        raise BackendError(
            "BCK001", f"segmenter {name} publishes no weight file", "see the documentation of its package"
        )
    return files
