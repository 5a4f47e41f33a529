"""What `pointsam-label calibrate` writes, and other commands read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pointsam.base.document import read_document
from pointsam.base.errors import SchemaError
from pointsam.calibration.correction import RigCorrection
from pointsam.store.document import DatasetId

VERSION = 2


@dataclass(frozen=True)
class CameraVerdict:
    """What is said of one camera.

    Args:
        status: "mended", "right", "unknown" (too few objects, halves that disagree, or a correction that they do not
            bear out).
        objects: that it rests on.
        shift_deg: by how much the correction moves what objects show, root mean square.
        apart_deg: half of what the two halves differ by, likewise.
        doubt_deg: that, and what both may have wrong in common, as a root of squares, about one standard deviation;
            None where nothing was found.
        rotation_deg, translation_m: of the correction, in the camera's frame; zero unless mended.
        rotation_doubt_deg, translation_doubt_m: by axis, as doubt_deg.
    """

    status: str
    objects: int
    shift_deg: float
    apart_deg: float
    doubt_deg: float | None
    rotation_deg: tuple[float, float, float]
    translation_m: tuple[float, float, float]
    rotation_doubt_deg: tuple[float, float, float] | None
    translation_doubt_m: tuple[float, float, float] | None


@dataclass(frozen=True)
class RigVerdict:
    """What is said of one rig.

    Args:
        frames: used.
        speed_mps: median of the vehicle over them.
        time_status: as a camera's; "unknown" where the vehicle hardly moves, or no camera shows enough objects.
        time_ms: by how much later than stamped images were exposed; 0 unless mended.
        time_doubt_ms: as a camera's doubt_deg, None where nothing was found.
        cameras: by name.
    """

    frames: int
    speed_mps: float
    time_status: str
    time_ms: float
    time_doubt_ms: float | None
    cameras: Mapping[str, CameraVerdict]

    def correction(self) -> RigCorrection:
        """As frames take it."""
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
        version: of its form.
        dataset: that was looked at.
        masks_key: of the masks that were.
        calibration_perturbation: error that was put into the calibration, "none" without one.
        rigs: what is said of each.
        failed: frame_id -> why it was left out.
    """

    version: int
    dataset: DatasetId
    masks_key: str
    calibration_perturbation: str
    rigs: Mapping[str, RigVerdict]
    failed: Mapping[str, str]


def read_calibration(path: Path) -> CalibrationFile:
    """A file that `calibrate` wrote.

    Raises:
        SchemaError: SCH005 on a file that is none, SCH003 on one of another version.
    """

    def known(values: object) -> object:
        version = values.get("version") if isinstance(values, dict) else None
        if isinstance(version, int) and version != VERSION:
            raise SchemaError(
                "SCH003",
                f"{path} is of version {version}, this is {VERSION}",
                "make it again: pointsam-label calibrate",
            )
        return values

    def refuse(why: str) -> SchemaError:
        return SchemaError("SCH005", f"{path} is no calibration file: {why}", "make one: pointsam-label calibrate")

    return read_document(path, CalibrationFile, refuse, known)


def read_correction(path: Path) -> dict[str, RigCorrection]:
    """Corrections by rig, of a file that `calibrate` wrote.

    Raises:
        SchemaError: as `read_calibration`.
    """
    return {rig: verdict.correction() for rig, verdict in read_calibration(path).rigs.items()}
