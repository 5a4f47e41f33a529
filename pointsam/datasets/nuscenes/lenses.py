"""Lens and row times that calibrated_sensor.json may state for a camera, in fields that the devkit ignores.

camera_distortion    coefficients in OpenCV's order; [] for none (T4 data sets have this field)
camera_lens          "brown" or "fisheye"; brown if the field is absent
camera_readout_s     [first, last]: seconds from the time stamp at which the first and the last row are exposed

The index keeps each field as text, "" if it says nothing, so that a malformed one is an error of its frames only.

Source: docs/cameras.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from pointsam.base.errors import CalibrationError
from pointsam.datasets.nuscenes.schema import CalibratedSensor
from pointsam.geometry.camera import Camera, LensModel
from pointsam.types import RollingShutter

PLAIN = "brown"
FIELDS = ("camera_distortion", "camera_lens", "camera_readout_s")


def as_text(row: CalibratedSensor) -> tuple[str, str, str]:
    """The three fields of a row; "" for coefficients of a lens that does not distort, or for row times of 0."""
    plain = row.camera_lens == PLAIN
    distortion = "" if plain and _zero(row.camera_distortion) else json.dumps(row.camera_distortion)
    readout = "" if _zero(row.camera_readout_s) else json.dumps(row.camera_readout_s)
    return distortion, "" if plain else row.camera_lens, readout


def with_lens(camera: Camera, distortion: str, lens: str) -> Camera:
    """A camera with the lens that two fields state.

    Raises:
        CalibrationError: CAL002 on values that are no coefficients of a lens model.
    """
    if not (distortion or lens):
        return camera
    values = _numbers(distortion)
    if values is None:
        raise CalibrationError("CAL002", f"not a list of numbers: {distortion:.80}", "write [k1, k2, p1, p2, k3]")
    return replace(camera, distortion=values, lens=cast(LensModel, lens or PLAIN))


def shutter_of(readout: str) -> RollingShutter | None:
    """The exposure times of the rows that a field states.

    Raises:
        CalibrationError: CAL002 on anything but two numbers.
    """
    if not readout:
        return None
    values = _numbers(readout)
    if values is None or len(values) != 2:
        raise CalibrationError(
            "CAL002",
            f"not two numbers: {readout:.80}",
            "write [first, last], the seconds from the time stamp at which the first and the last row are exposed",
        )
    return RollingShutter(*values)


def _zero(values: Sequence[object]) -> bool:
    return all(value == 0 for value in values)


def _numbers(text: str) -> tuple[float, ...] | None:
    """The finite numbers of a list; None if it holds anything else."""
    values = json.loads(text) if text else []
    if not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        return None
    return tuple(map(float, values))
