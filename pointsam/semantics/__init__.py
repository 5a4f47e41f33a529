"""What class is where in an image.

The model classes load on demand, so that naming this package costs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pointsam.base.errors import DatasetError, SchemaError

if TYPE_CHECKING:
    from pointsam.semantics.base import SemanticModel
    from pointsam.semantics.oracle import OracleConfig
    from pointsam.semantics.ssd import SsdConfig
    from pointsam.taxonomy import LabelMapping

SEMANTICS = ("ssd", "precomputed", "oracle")
"""Names that `load_semantics` knows."""


def load_semantics(
    name: str,
    *,
    mapping: LabelMapping,
    masks_dir: Path | None,
    config: SsdConfig,
    oracle: OracleConfig | None = None,
    seed: int = 0,
    threads: int = 1,
) -> SemanticModel:
    """A source of 2D classes by name.

    Args:
        name: "ssd", the bundled detector, "precomputed", files that another network wrote, or "oracle", the truth.
        mapping: label names to the run's classes.
        masks_dir: the files of "precomputed" or "oracle".
        config: of "ssd".
        oracle: the dials of "oracle", None for the truth as it is.
        seed: of the draws of "oracle".
        threads: CPU threads of one inference of "ssd"; the result does not depend on it.

    Raises:
        SchemaError: SCH005 on an unknown name; else what the model's own class raises.
        DatasetError: DAT001 if "precomputed" or "oracle" has no folder.
    """
    if _known(name) == "ssd":
        from pointsam.semantics.ssd import SsdSemantics

        return SsdSemantics(mapping, config, threads)
    if name == "oracle":
        from pointsam.semantics.oracle import OracleConfig, OracleSemantics

        return OracleSemantics(mapping, _given(name, masks_dir), oracle or OracleConfig(), seed)
    from pointsam.semantics.precomputed import PrecomputedSemantics

    return PrecomputedSemantics(mapping, _given(name, masks_dir))


def semantics_sha256(name: str, masks_dir: Path | None = None) -> str:
    """Hex digest of what decides the detections besides configuration and images: weights, or the files.

    Raises:
        SchemaError: SCH005 on an unknown name.
        DatasetError: DAT001 if "precomputed" or "oracle" has no folder.
    """
    if _known(name) == "ssd":
        from pointsam.semantics.ssd import WEIGHTS_SHA256

        return WEIGHTS_SHA256
    if name == "oracle":
        from pointsam.semantics import oracle

        return oracle.fingerprint(_given(name, masks_dir))
    from pointsam.semantics.precomputed import fingerprint

    return fingerprint(_given(name, masks_dir))


def _known(name: str) -> str:
    if name not in SEMANTICS:
        raise SchemaError("SCH005", f"no semantics {name!r}", f"use one of: {', '.join(SEMANTICS)}")
    return name


def _given(name: str, masks_dir: Path | None) -> Path:
    if masks_dir is None:
        raise DatasetError(
            "DAT001", f"semantics {name} has no folder", "give one with --masks-dir (docs/precomputed_masks.md)"
        )
    return masks_dir
