"""Errors that a user can act on: each has a stable code, names what is wrong and where, and gives a hint.

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
        of_frame: whether it concerns a single frame: the frame is quarantined, and the run continues.
    """

    of_frame: ClassVar[bool] = False

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        # Names from data may hold line ends. Later lines are indented, so that none looks like a hint or another error.
        message = self.message.replace("\n", "\n    ").replace("\n        ", "\n    ")
        return f"[{self.code}] {message}\n  hint: {self.hint}"


class DatasetError(PointSamError):
    """The data set is missing, damaged or of another type (DAT...)."""

    of_frame = True


class MissingFolderError(PointSamError):
    """A folder of a data set without which none of its frames can be read (DAT001)."""


class NothingToScoreError(DatasetError):
    """No frame of a run has both labels and ground truth (DAT009)."""


class BrokenRuleError(PointSamError):
    """Data that can be read but cannot be right (DAT003, DAT012), or for which there is no adapter (DAT014).

    Commands end with exit status 4.
    """


class ChangedSourceError(DatasetError):
    """Sensor data, or masks, that have changed since labels were made from them (DAT013)."""


class CalibrationError(PointSamError):
    """A pose or a camera that is not possible (CAL...)."""

    of_frame = True


class RotationError(CalibrationError):
    """A matrix or quaternion that is not a rotation (CAL001)."""


class UnfitChangeError(CalibrationError):
    """A change of the calibration that does not fit a frame (CAL004)."""


class QuarantinedError(PointSamError):
    """An earlier stage quarantined the frame; the code is that of its error."""

    of_frame = True


class DefectError(PointSamError):
    """A defect of this library that a frame revealed (INT...)."""

    of_frame = True


class BackendError(PointSamError):
    """A model, its weights or its device (BCK...)."""


class OutOfMemoryError(BackendError):
    """A frame for which the memory does not suffice (BCK007)."""

    of_frame = True


class SchemaError(PointSamError):
    """Invalid or mismatched classes, mappings, configuration or tables (SCH...)."""


class UnnamedIdError(SchemaError):
    """An id in the 2D result of one image that has no label (SCH001)."""

    of_frame = True


class PluginError(PointSamError):
    """A plug-in that cannot be used (PLG...)."""


class TrainingError(PointSamError):
    """A training that cannot continue (TRN...)."""


class StoreError(PointSamError):
    """An output folder or file that cannot be read or written (OUT...)."""
