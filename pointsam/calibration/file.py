"""The file that `pointsam-label calibrate` writes and other commands read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from pointsam.base.document import OPTIONAL, read_document
from pointsam.base.errors import SchemaError
from pointsam.calibration.correction import RigCorrection
from pointsam.calibration.perturb import CLEAN, Noise
from pointsam.store.document import DatasetId

VERSION = 2

Status = Literal["mended", "right", "unknown"]


@dataclass(frozen=True)
class CameraResult:
    """The result for one camera.

    Args:
        status: "mended" (corrected), "right", or "unknown" (too few objects, or solutions of the two halves of the
            frames that do not support a correction).
        objects: number of objects that the result is based on.
        shift_deg: root mean square shift of the objects' points by the correction.
        apart_deg: half the root mean square shift between the solutions of the two halves.
        doubt_deg: standard deviation of the direction of points at 20 m; None without a solution.
        rotation_deg, translation_m: the correction in the camera's frame; zero unless the status is "mended".
        rotation_doubt_deg, translation_doubt_m: standard deviation by axis; at least that of the prior, 1 degree and
            0.1 m, if the objects do not constrain an axis.
        edge_px: distance by which the edges of the masks lie inside those of the objects; None without a solution, and
            in files of 0.1.0.
    """

    status: Status
    objects: int
    shift_deg: float
    apart_deg: float
    doubt_deg: float | None
    rotation_deg: tuple[float, float, float]
    translation_m: tuple[float, float, float]
    rotation_doubt_deg: tuple[float, float, float] | None
    translation_doubt_m: tuple[float, float, float] | None
    edge_px: float | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class RigResult:
    """The result for one rig.

    Args:
        frames: number of frames used.
        speed_mps: median speed of the vehicle over these frames; None if poses do not state its motion. Files of 0.1.0
            state 0 then.
        time_status: as the status of a camera; "unknown" if the vehicle hardly moves, its motion is not known, or no
            camera shows enough objects.
        time_ms: time by which images were exposed later than their time stamps; 0 unless the status is "mended".
        time_doubt_ms: standard deviation; None without a solution.
        cameras: results by camera name.
    """

    frames: int
    speed_mps: float | None
    time_status: Status
    time_ms: float
    time_doubt_ms: float | None
    cameras: Mapping[str, CameraResult]

    def correction(self) -> RigCorrection:
        """The correction in the form that `corrected` takes."""
        cameras = {
            name: np.array([*np.deg2rad(one.rotation_deg), *one.translation_m])
            for name, one in self.cameras.items()
            if one.status == "mended"
        }
        return RigCorrection(cameras, self.time_ms * 1e-3)


@dataclass(frozen=True)
class CalibrationFile:
    """The content of the file.

    Args:
        version: version of the format.
        dataset: the data set.
        masks_key: key of the masks that were used.
        calibration_perturbation: error that was added to the calibration, "none" without one.
        rigs: result of each rig, by its id.
        failed: reason by frame_id, for frames that were left out.
    """

    version: int
    dataset: DatasetId
    masks_key: str
    calibration_perturbation: str
    rigs: Mapping[str, RigResult]
    failed: Mapping[str, str]


def read_calibration_file(path: Path) -> CalibrationFile:
    """Read a file that `calibrate` wrote.

    Raises:
        SchemaError: SCH005 on a file that is not a calibration file, or that holds a correction which its status says
            is not applied; SCH003 on one of another version.
    """

    def known(values: object) -> object:
        version = values.get("version") if isinstance(values, dict) else None
        if isinstance(version, int) and version != VERSION:
            raise SchemaError(
                "SCH003",
                f"{path} has version {version}, this is version {VERSION}",
                "make it again: pointsam-label calibrate",
            )
        return values

    def refuse(why: str) -> SchemaError:
        return SchemaError("SCH005", f"{path} is not a calibration file: {why}", "make one: pointsam-label calibrate")

    document = read_document(path, CalibrationFile, refuse, known)
    for place in _contradictions(document):
        raise refuse(f'{place} is not 0, but only a correction with the status "mended" is applied')
    return document


def _contradictions(document: CalibrationFile) -> Iterator[str]:
    """Fields with a correction that the status beside it does not apply: somebody has edited one of the two."""
    for rig, result in document.rigs.items():
        if result.time_ms and result.time_status != "mended":
            yield f"rigs.{rig}.time_ms"
        for name, one in result.cameras.items():
            for part in ("rotation_deg", "translation_m") if one.status != "mended" else ():
                if any(getattr(one, part)):
                    yield f"rigs.{rig}.cameras.{name}.{part}"


def read_correction(path: Path, noise: Noise = CLEAN) -> dict[str, RigCorrection]:
    """Corrections by rig, from a file that `calibrate` wrote.

    Args:
        path: the file.
        noise: error of the calibration that is corrected.

    Raises:
        SchemaError: as `read_calibration_file`; SCH004 if the file corrects a calibration with another error. An error
            of times or poses does not show in the rig.
    """
    document = read_calibration_file(path)
    of_masks, _, further = document.calibration_perturbation.partition("; ")
    error = (further or "none") if of_masks.startswith("masks: ") else of_masks
    if error != noise.text():
        raise SchemaError(
            "SCH004",
            f"{path} corrects a calibration with the error {error}, and that of this call is {noise.text()}",
            "give the --noise that calibrate had, or calibrate again",
        )
    return {rig: result.correction() for rig, result in document.rigs.items()}
