"""What class is where in an image.

The model classes load on demand, so that naming this package costs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pointsam.errors import DatasetError, SchemaError

if TYPE_CHECKING:
    from pointsam.semantics.base import SemanticModel
    from pointsam.semantics.ssd import SsdConfig
    from pointsam.taxonomy import LabelMapping

SEMANTICS = ("ssd", "precomputed")
"""Names that `load_semantics` knows."""


def load_semantics(
    name: str, *, mapping: LabelMapping, masks_dir: Path | None, config: SsdConfig, threads: int = 1
) -> SemanticModel:
    """A source of 2D classes by name.

    Args:
        name: "ssd", the bundled detector, or "precomputed", files that another network wrote.
        mapping: label names to the run's classes.
        masks_dir: the files of "precomputed".
        config: of "ssd".
        threads: CPU threads of one inference of "ssd"; the result does not depend on it.

    Raises:
        SchemaError: SCH005 on an unknown name; else what the model's own class raises.
        DatasetError: DAT001 if "precomputed" has no folder.
    """
    if _known(name) == "ssd":
        from pointsam.semantics.ssd import SsdSemantics

        return SsdSemantics(mapping, config, threads)
    from pointsam.semantics.precomputed import PrecomputedSemantics

    return PrecomputedSemantics(mapping, _given(masks_dir))


def semantics_sha256(name: str, masks_dir: Path | None = None) -> str:
    """Hex digest of what decides the detections besides configuration and images: weights, or the files.

    Raises:
        SchemaError: SCH005 on an unknown name.
        DatasetError: DAT001 if "precomputed" has no folder.
    """
    if _known(name) == "ssd":
        from pointsam.semantics.ssd import WEIGHTS_SHA256

        return WEIGHTS_SHA256
    from pointsam.semantics.precomputed import fingerprint

    return fingerprint(_given(masks_dir))


def _known(name: str) -> str:
    if name not in SEMANTICS:
        raise SchemaError("SCH005", f"no semantics {name!r}", f"use one of: {', '.join(SEMANTICS)}")
    return name


def _given(masks_dir: Path | None) -> Path:
    if masks_dir is None:
        raise DatasetError(
            "DAT001", "semantics precomputed has no folder", "give one with --masks-dir (docs/precomputed_masks.md)"
        )
    return masks_dir
