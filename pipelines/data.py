"""The data set that a command opens, and its calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from pointsam.base.errors import CalibrationError, DatasetError, SchemaError, UnfitChangeError
from pointsam.base.remote import DataPath
from pointsam.calibration.correction import RigCorrection, StoredCorrection, corrected, rig_of
from pointsam.calibration.perturb import CLEAN, Noise, perturb
from pointsam.datasets import open_dataset, read_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.mapped import with_classes
from pointsam.taxonomy import Taxonomy
from pointsam.types import Frame


class ChangedCalibration(TypedDict):
    """Fields of the document of a run: noise of the calibration, and corrections by rig; None if there are none."""

    noise: Noise | None
    calibration: Mapping[str, StoredCorrection] | None


@dataclass(frozen=True, eq=False)
class DataSpec:
    """A data set, and the changes of its calibration. A worker process gets this value and opens the data set itself.

    Args:
        root: its folder, on this machine or in an object store.
        adapter: name of the data set plug-in; None recognises it by the folder.
        version: version folder of the tables, if there are several.
        noise: perturbation of the calibration, for studies.
        corrections: corrections of the calibration by rig (`pointsam-label calibrate`); None for none.
        classes: classes that ground truth is mapped to; None for those of the data set.
    """

    root: DataPath
    adapter: str | None = None
    version: str | None = None
    noise: Noise = CLEAN
    corrections: Mapping[str, RigCorrection] | None = None
    classes: Taxonomy | None = None

    def plain(self) -> Dataset:
        """The data set with its own calibration.

        Raises:
            DatasetError: as `open_dataset`.
        """
        dataset = open_dataset(self.root, self.adapter, version=self.version)
        return dataset if self.classes is None else with_classes(dataset, self.classes)

    def open(self) -> Dataset:
        """The data set with `noise` and `corrections`, as a run sees it.

        Raises:
            DatasetError: as `open_dataset`.
        """
        return self.seen(self.plain())

    def seen(self, dataset: Dataset) -> Dataset:
        """The data set with perturbed, then corrected frames; its fingerprint stays the same.

        Frames of a rig without correction raise SchemaError SCH004.

        Args:
            dataset: the data set with its own calibration.
        """
        if self.noise != CLEAN:
            dataset = _ChangedDataset(dataset, lambda frame: perturb(frame, self.noise))
        return dataset if self.corrections is None else _ChangedDataset(dataset, self._corrected)

    def calibration(self) -> ChangedCalibration:
        """The fields of the document of a run that describe changes of the calibration."""
        rigs = self.corrections
        return {
            "noise": None if self.noise == CLEAN else self.noise,
            "calibration": None if rigs is None else {rig: one.stored() for rig, one in rigs.items()},
        }

    def require_fit(self, dataset: Dataset, frame_ids: Sequence[str], name: str = "the requested calibration") -> None:
        """Reject a changed calibration that fits no frame, or that has no correction for the rig of a frame.

        Single frames that it does not fit, or that cannot be read, are quarantined later.

        Args:
            dataset: result of `open`.
            frame_ids: frames to label.
            name: name of the calibration, for messages.

        Raises:
            SchemaError: SCH004 on a rig without correction, SCH005 naming what the frames lack.
        """
        if self.noise == CLEAN and self.corrections is None:
            return
        fits, lacks = False, None
        for frame_id in frame_ids:
            try:
                read_frame(dataset, frame_id)
            except (DatasetError, CalibrationError) as error:
                lacks = error if isinstance(error, UnfitChangeError) else lacks
                continue
            fits = True
            if self.corrections is None:  # with corrections, the rig of every frame is checked
                break
        if lacks is not None and not fits:
            raise SchemaError("SCH005", f"{name} fits none of {len(frame_ids)} frames: {lacks.message}", lacks.hint)

    def _corrected(self, frame: Frame) -> Frame:
        rig, known = rig_of(frame), self.corrections or {}
        if rig not in known:
            raise SchemaError(
                "SCH004",
                f"the calibration file has rigs {', '.join(known)}, but frame {frame.frame_id} is of rig {rig}",
                "calibrate with frames of every rig, with the same --noise: pointsam-label calibrate",
            )
        return corrected(frame, known[rig])


class _ChangedDataset:
    """A data set with changed frames. Everything else, such as ground truth and past sweeps, is unchanged."""

    def __init__(self, dataset: Dataset, change: Callable[[Frame], Frame]) -> None:
        self._frame, self._change = dataset.frame, change
        self.name, self.root, self.taxonomy = dataset.name, dataset.root, dataset.taxonomy
        self.frame_ids, self.scene, self.fingerprint = dataset.frame_ids, dataset.scene, dataset.fingerprint
        self.boxes, self.velocities_mps, self.point_truth = dataset.boxes, dataset.velocities_mps, dataset.point_truth
        self.visibility_levels, self.visibility = dataset.visibility_levels, dataset.visibility
        self.past_sweeps = dataset.past_sweeps

    def frame(self, frame_id: str) -> Frame:
        """The changed frame."""
        return self._change(self._frame(frame_id))
