"""Which data set a command opens, and with which calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from pointsam.base.errors import CalibrationError, DatasetError, SchemaError, UnfitChangeError
from pointsam.base.remote import DataPath
from pointsam.calibration.correction import RigCorrection, StoredCorrection, corrected, rig_of
from pointsam.calibration.perturb import CLEAN, Noise, perturb
from pointsam.datasets import open_dataset
from pointsam.datasets.base import Dataset
from pointsam.types import Frame


class ChangedCalibration(TypedDict):
    """Fields of a run's document: what is wrong with the calibration, and what mends it by rig; None for nothing."""

    noise: Noise | None
    calibration: Mapping[str, StoredCorrection] | None


@dataclass(frozen=True, eq=False)
class DataSpec:
    """A data set, and how its calibration is changed. A worker process gets the value and opens its own.

    Args:
        root: its folder, on this machine or in an object store.
        adapter: name of the data set module, None to look at the folder.
        version: version folder of the tables, where there are several.
        noise: what to make wrong in the calibration, for studies.
        corrections: by rig, what mends the calibration (`pointsam-label calibrate`); None for nothing.
    """

    root: DataPath
    adapter: str | None = None
    version: str | None = None
    noise: Noise = CLEAN
    corrections: Mapping[str, RigCorrection] | None = None

    def plain(self) -> Dataset:
        """The data set as it is on disk.

        Raises:
            DatasetError: as `open_dataset`.
        """
        return open_dataset(self.root, self.adapter, version=self.version)

    def open(self) -> Dataset:
        """The data set as a run sees it: with `noise` and `corrections`.

        Raises:
            DatasetError: as `open_dataset`.
        """
        return self.seen(self.plain())

    def seen(self, dataset: Dataset) -> Dataset:
        """The same data set but for its frames, first made wrong, then mended; its fingerprint stays.

        Args:
            dataset: as it is on disk. A frame of a rig that `corrections` lack is SCH004.
        """
        if self.noise != CLEAN:
            dataset = _ChangedDataset(dataset, lambda frame: perturb(frame, self.noise))
        return dataset if self.corrections is None else _ChangedDataset(dataset, self._mend)

    def calibration(self) -> ChangedCalibration:
        """What a run's document says of a calibration that is not the data set's own."""
        rigs = self.corrections
        return {
            "noise": None if self.noise == CLEAN else self.noise,
            "calibration": None if rigs is None else {rig: one.stored() for rig, one in rigs.items()},
        }

    def require_fit(self, dataset: Dataset, frame_ids: Sequence[str], name: str = "the calibration asked for") -> None:
        """Refuse a changed calibration that fits no frame, or that lacks the rig of one.

        Single frames that it does not fit, or that cannot be read, are set aside later.

        Args:
            dataset: as `open` gives it.
            frame_ids: of those to label.
            name: what to call the calibration.

        Raises:
            SchemaError: SCH004 on a rig without a correction, SCH005 with what the frames lack.
        """
        if self.noise == CLEAN and self.corrections is None:
            return
        fits, lacks = False, None
        for frame_id in frame_ids:
            try:
                dataset.frame(frame_id)
            except (DatasetError, CalibrationError) as error:
                lacks = error if isinstance(error, UnfitChangeError) else lacks
                continue
            fits = True
            if self.corrections is None:  # any frame may be of a rig that has none
                break
        if lacks is not None and not fits:
            raise SchemaError("SCH005", f"{name} fits none of {len(frame_ids)} frames: {lacks.message}", lacks.hint)

    def _mend(self, frame: Frame) -> Frame:
        rig, known = rig_of(frame), self.corrections or {}
        if rig not in known:
            raise SchemaError(
                "SCH004",
                f"the calibration file knows rigs {', '.join(known)}, and frame {frame.frame_id} is of rig {rig}",
                "calibrate with frames of every rig, and under the same --noise: pointsam-label calibrate",
            )
        return corrected(frame, known[rig])


class _ChangedDataset:
    """A data set whose frames are changed. Everything else, ground truth and other sweeps among it, stays its own."""

    def __init__(self, dataset: Dataset, change: Callable[[Frame], Frame]) -> None:
        self._frame, self._change = dataset.frame, change
        self.name, self.root, self.taxonomy = dataset.name, dataset.root, dataset.taxonomy
        self.frame_ids, self.scene, self.fingerprint = dataset.frame_ids, dataset.scene, dataset.fingerprint
        self.boxes, self.velocities_mps, self.point_truth = dataset.boxes, dataset.velocities_mps, dataset.point_truth
        self.visibility_levels, self.visibility = dataset.visibility_levels, dataset.visibility
        self.past_sweeps = dataset.past_sweeps

    def frame(self, frame_id: str) -> Frame:
        """As the data set's, but for the change."""
        return self._change(self._frame(frame_id))
