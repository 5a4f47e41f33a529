"""Gates by class: sizes, speeds, and which classes may be confused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.stages.tracks.config import LinkConfig, MotionConfig
from pointsam.taxonomy import Taxonomy

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gates:
    """Traits of the C classes of a taxonomy, from their typical sizes.

    Args:
        near_m: (C,) largest shift of a slow object that needs no velocity, metres.
        still_m: (C,) largest shift of the extents of a static object, metres.
        length_m: (C,) typical length.
        fastest_mps: (C,) largest speed.
        alike: (C,C) bool, whether clusters of two classes may be one object.
    """

    near_m: _Floats
    still_m: _Floats
    length_m: _Floats
    fastest_mps: _Floats
    alike: NDArray[np.bool_]

    @staticmethod
    def of(taxonomy: Taxonomy, link: LinkConfig, motion: MotionConfig) -> Gates:
        """The gates of a taxonomy. A class without a typical size is alike to all classes, and may be fast."""
        known = np.array([spec.typical_lwh_m is not None for spec in taxonomy.classes])
        sizes = np.array([spec.typical_lwh_m or (np.nan,) * 3 for spec in taxonomy.classes])
        length = np.where(known, sizes[:, :2].max(axis=1), link.near_m)
        width = np.where(known, sizes[:, :2].min(axis=1), link.near_m)
        ratio = np.maximum.outer(length, length) / np.minimum.outer(length, length)
        return Gates(
            np.maximum(link.near_m, link.near * width),
            np.maximum(motion.still_m, motion.still * width),
            length,
            np.where(known, np.minimum(link.fastest_mps, link.fastest_lengths_per_s * length), link.fastest_mps),
            (ratio <= link.alike) | ~known[:, None] | ~known[None, :],
        )

    def gate_m(self, class_id: NDArray[np.int64], seconds: _Floats | float, link: LinkConfig) -> _Floats:
        """(N,) largest distance of an object from where its velocity leads, after some seconds."""
        wider = np.minimum(0.5 * link.acceleration_mps2 * np.square(seconds), link.widest * self.length_m[class_id])
        out: _Floats = self.near_m[class_id] + wider
        return out
