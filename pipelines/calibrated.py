"""A data set whose calibration was made wrong, or mended, for everything that reads its frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from pointsam.base.errors import CalibrationError, DatasetError, PointSamError, SchemaError, UnfitChangeError
from pointsam.calibration.correction import RigCorrection, mended, rig_of
from pointsam.calibration.perturb import CLEAN, Noise, perturb
from pointsam.datasets.base import Dataset
from pointsam.types import Frame


def with_calibration(dataset: Dataset, noise: Noise, correction: Mapping[str, RigCorrection] | None) -> Dataset:
    """The same data set but for its frames, first made wrong, then mended; it is the same root: its fingerprint stays.

    Args:
        dataset: as it is on disk.
        noise: what to make wrong.
        correction: by rig (pointsam.calibration.correction), None for none; a frame of another rig is SCH004.
    """
    if noise != CLEAN:
        dataset = _changed(dataset, lambda frame: perturb(frame, noise))
    if correction is None:
        return dataset

    def mend(frame: Frame) -> Frame:
        rig = rig_of(frame)
        if rig not in correction:
            raise SchemaError(
                "SCH004",
                f"the calibration file knows rigs {', '.join(correction)}, and frame {frame.frame_id} is of rig {rig}",
                "calibrate with frames of every rig, and under the same --noise: pointsam-label calibrate",
            )
        return mended(frame, correction[rig])

    return _changed(dataset, mend)


def require_rigs(dataset: Dataset, frame_ids: Sequence[str]) -> None:
    """Refuse a calibration file that does not know the rig of a frame; frames that cannot be read are set aside later.

    Args:
        dataset: as the file mends it.
        frame_ids: of those to label.

    Raises:
        SchemaError: SCH004.
    """
    for frame_id in frame_ids:
        with suppress(DatasetError, CalibrationError):
            dataset.frame(frame_id)


def require_fit(dataset: Dataset, frame_ids: Sequence[str], noises: Mapping[str, Noise]) -> None:
    """Refuse a change of the calibration that fits no frame; single frames that it does not fit are set aside later.

    Args:
        dataset: the frames as they are, or as a calibration made them already.
        frame_ids: of those to label.
        noises: by what to call them.

    Raises:
        SchemaError: SCH005 naming the noise, and what the frames lack.
    """
    for name, noise in noises.items():
        lacks: PointSamError | None = None
        for frame_id in frame_ids:
            try:
                perturb(dataset.frame(frame_id), noise)
                break
            except (DatasetError, CalibrationError) as error:
                lacks = error if isinstance(error, UnfitChangeError) else lacks
        else:
            if lacks is not None:
                raise SchemaError("SCH005", f"{name} fits none of {len(frame_ids)} frames: {lacks.message}", lacks.hint)


def _changed(dataset: Dataset, change: Callable[[Frame], Frame]) -> Dataset:
    return cast(Dataset, _Changed(dataset, change))


class _Changed:
    def __init__(self, dataset: Dataset, change: Callable[[Frame], Frame]) -> None:
        self._dataset, self._change = dataset, change

    def frame(self, frame_id: str) -> Frame:
        """As the data set's, with another calibration."""
        return self._change(self._dataset.frame(frame_id))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)
