"""Errors that a user can act on: each has a stable code, says what is wrong and where, and gives a hint.

errors.md, beside this module, explains every code: DAT (data), CAL (calibration), BCK (models, devices and packages),
SCH (classes, configuration and files that do not fit together), OUT (output folders), TRN (training), PLG
(plug-ins), INT (defects).
"""

from __future__ import annotations

from typing import ClassVar


class PointSamError(Exception):
    """Base of every error this library raises on purpose.

    Args:
        code: a section of errors.md.
        message: what is wrong, naming the file and the field.
        hint: what the user can do about it.

    Attributes:
        of_frame: whether it concerns a single frame: the frame is quarantined, and the run goes on.
    """

    of_frame: ClassVar[bool] = False

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}\n  hint: {self.hint}"


class DatasetError(PointSamError):
    """The data set is missing, damaged or not what was said (DAT...)."""

    of_frame = True


class NothingToScoreError(DatasetError):
    """No frame of a run has both labels and ground truth (DAT009)."""


class CalibrationError(PointSamError):
    """A pose or a camera that is not possible (CAL...)."""

    of_frame = True


class UnfitChangeError(CalibrationError):
    """A change of the calibration that does not fit a frame (CAL004)."""


class QuarantinedError(PointSamError):
    """An earlier stage quarantined the frame; the code is the one that it gave."""

    of_frame = True


class DefectError(PointSamError):
    """A defect of this library, met in a frame (INT...)."""

    of_frame = True


class BackendError(PointSamError):
    """A model, its weights or its device (BCK...)."""


class SchemaError(PointSamError):
    """Classes, mappings, configuration or tables that do not fit together (SCH...)."""


class PluginError(PointSamError):
    """A plug-in of this or another package (PLG...)."""


class TrainingError(PointSamError):
    """A training run that cannot go on (TRN...)."""


class StoreError(PointSamError):
    """The output folder (OUT...)."""
