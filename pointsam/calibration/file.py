"""What `pointsam-label calibrate` writes, and other commands read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pointsam.base.config import parse
from pointsam.base.errors import SchemaError
from pointsam.calibration.correction import RigCorrection

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
    rotation_deg: tuple[float, ...]
    translation_m: tuple[float, ...]
    rotation_doubt_deg: tuple[float, ...] | None
    translation_doubt_m: tuple[float, ...] | None


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


def read_correction(path: Path) -> dict[str, RigCorrection]:
    """Corrections by rig, of a file that `calibrate` wrote.

    Raises:
        SchemaError: SCH005 on a file that is none, SCH003 on one of another version.
    """
    try:
        document: Any = json.loads(path.read_text())
        version, rigs = document["version"], document["rigs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SchemaError(
            "SCH005", f"{path} is no calibration file: {error}", "make one: pointsam-label calibrate"
        ) from None
    if version != VERSION:
        raise SchemaError(
            "SCH003", f"{path} is of version {version}, this is {VERSION}", "make it again: pointsam-label calibrate"
        )
    verdicts: dict[str, RigVerdict] = parse(dict[str, RigVerdict], rigs, str(path))
    return {rig: verdict.correction() for rig, verdict in verdicts.items()}
