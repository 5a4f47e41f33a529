"""A data set whose calibration is wrong, for everything that reads its frames."""

from __future__ import annotations

from typing import Any, cast

from pointsam.calibration.perturb import CLEAN, Noise, perturb
from pointsam.datasets.base import Dataset
from pointsam.types import Frame


def with_noise(dataset: Dataset, noise: Noise) -> Dataset:
    """The same data set, but for its frames; it is the same root, hence its fingerprint stays."""
    return dataset if noise == CLEAN else cast(Dataset, _Perturbed(dataset, noise))


class _Perturbed:
    def __init__(self, dataset: Dataset, noise: Noise) -> None:
        self._dataset, self._noise = dataset, noise

    def frame(self, frame_id: str) -> Frame:
        """As the data set's, seen through the wrong calibration."""
        return perturb(self._dataset.frame(frame_id), self._noise)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)
