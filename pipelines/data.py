"""The data set that a command opens, and its calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from pointsam.base.errors import CalibrationError, DatasetError, SchemaError, UnfitChangeError
from pointsam.base.progress import announced
from pointsam.base.remote import DataPath
from pointsam.base.words import did_you_mean
from pointsam.calibration.correction import RigCorrection, StoredCorrection, corrected, rig_of
from pointsam.calibration.perturb import CLEAN, Noise, perturb
from pointsam.datasets import open_dataset, read_frame
from pointsam.datasets.base import Dataset, HasLidarChannel
from pointsam.datasets.mapped import with_classes
from pointsam.store.document import DatasetId
from pointsam.taxonomy import Taxonomy
from pointsam.types import Frame


class ChangedCalibration(TypedDict):
    """Fields of the document of a run: noise of the calibration, and corrections by rig; None if there are none."""

    noise: Noise | None
    calibration: Mapping[str, StoredCorrection] | None


@dataclass(frozen=True)
class Reading:
    """How a data set is read. None leaves a value to the data set, or to the run that is opened again.

    Args:
        adapter: name of the data set plug-in; None recognises it by the folder.
        version: version folder of the tables, if there are several.
        lidar: channel of the LiDAR whose points are labelled.
        columns: names of all values of a point in files that do not state them.
    """

    adapter: str | None = None
    version: str | None = None
    lidar: str | None = None
    columns: tuple[str, ...] | None = None

    def open(self, root: DataPath) -> Dataset:
        """The data set at a root.

        Raises:
            DatasetError: as `open_dataset`.
        """
        return open_dataset(root, self.adapter, self.version, lidar=self.lidar, columns=self.columns)

    def words(self) -> list[str]:
        """The words of a command line that say the same."""
        columns = ",".join(self.columns) if self.columns else None
        given = {"--dataset": self.adapter, "--version": self.version, "--lidar": self.lidar, "--columns": columns}
        return [word for option, value in given.items() if value is not None for word in (option, value)]

    def like(self, made: DatasetId) -> Reading:
        """As a run read its data set, except for what is given here."""
        if self.adapter not in (None, made.name):
            return self
        return Reading(made.name, self.version or made.version, self.lidar or made.lidar, self.columns or made.columns)


AS_FOUND = Reading()
"""Everything left to the data set, or to the run."""


@dataclass(frozen=True, eq=False)
class DataSpec:
    """A data set, and the changes of its calibration. A worker process gets this value and opens the data set itself.

    Args:
        root: its folder, on this machine or in an object store.
        reading: how it is read.
        noise: perturbation of the calibration, for studies.
        corrections: corrections of the calibration by rig (`pointsam-label calibrate`); None for none.
        classes: classes that ground truth is mapped to; None for those of the data set.
    """

    root: DataPath
    reading: Reading = AS_FOUND
    noise: Noise = CLEAN
    corrections: Mapping[str, RigCorrection] | None = None
    classes: Taxonomy | None = None

    def plain(self) -> Dataset:
        """The data set with its own calibration.

        Raises:
            DatasetError: as `open_dataset`.
        """
        dataset = self.reading.open(self.root)
        return dataset if self.classes is None else with_classes(dataset, self.classes)

    def made_from(self, dataset: Dataset) -> DatasetId:
        """The entry of the data set in the document of a run.

        Args:
            dataset: the opened data set.
        """
        lidar = dataset.lidar if isinstance(dataset, HasLidarChannel) else self.reading.lidar
        with announced("looking at the names of all files"):
            fingerprint = dataset.fingerprint()
        return DatasetId(dataset.name, self.reading.version, fingerprint, lidar, self.reading.columns)

    def open(self) -> Dataset:
        """The data set with `noise` and `corrections`, as a run sees it.

        Raises:
            DatasetError: as `open_dataset`.
        """
        return self.seen(self.plain())

    def seen(self, dataset: Dataset) -> Dataset:
        """The data set with perturbed, then corrected frames; its fingerprint stays the same.

        Frames of a rig without correction, or without a camera that is corrected, raise SchemaError SCH004.

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
        cameras = [view.name for view in frame.cameras]
        for name in sorted(known[rig].cameras.keys() - cameras):
            raise SchemaError(
                "SCH004",
                f"the calibration file corrects a camera {name!r} of rig {rig}, whose cameras are "
                f"{', '.join(cameras)}{did_you_mean(name, cameras)}",
                "correct the name in the file, or make the file again: pointsam-label calibrate",
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
        if isinstance(dataset, HasLidarChannel):
            self.lidar = dataset.lidar

    def frame(self, frame_id: str) -> Frame:
        """The changed frame."""
        return self._change(self._frame(frame_id))
