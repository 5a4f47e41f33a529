"""Errors a user can act on: every one has a stable code, says what is wrong where, and names the way out.

Codes
    DAT001 root missing            DAT002 not a dataset / unknown layout   DAT003 row points to a missing token
    DAT004 file missing            DAT005 image unreadable                 DAT006 LiDAR file is not whole points
    DAT007 non-finite points       DAT008 empty sweep                      DAT009 zero frames
    DAT010 unknown frame or split  DAT011 malformed table, label or mask file
    CAL001 not a rotation          CAL002 bad intrinsics                   CAL003 malformed calibration
    CAL004 a frame lacks what a change of its calibration needs: a camera to spare, a second sweep
    BCK001 weights missing         BCK002 weights differ from their hash   BCK003 weights of another architecture
    BCK004 unsafe checkpoint       BCK005 package not installed            BCK006 device not available
    BCK007 a worker process died            BCK008 the model or the memory failed at a frame
    SCH001 unknown class           SCH002 malformed mapping or taxonomy    SCH003 table of another schema
    SCH004 taxonomies differ       SCH005 bad configuration value          SCH006 ids beyond a format's range
    OUT001 made with another configuration   OUT002 disk full   OUT003 not writable   OUT004 nothing there yet
    PLG001 a plug-in cannot be loaded        PLG002 two packages offer a plug-in of one name
    TRN001 the loss is no number   TRN002 too many bad frames
    INT001 a defect of this library: the frame is set aside, please report it
"""

from __future__ import annotations


class PointSamError(Exception):
    """Base of every error this library raises on purpose.

    Args:
        code: one of the codes of this module's docstring.
        message: what is wrong, naming the file and the field.
        hint: what the user can do about it.
    """

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}\n  hint: {self.hint}"


class DatasetError(PointSamError):
    """The data set is missing, damaged or not what was said (DAT...)."""


class CalibrationError(PointSamError):
    """A pose or a camera that cannot be (CAL...)."""


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
