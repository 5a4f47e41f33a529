"""How far the calibration of labels is off: the estimate of `pointsam-label calibrate` from a few frames of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pipelines.documents import ClustersDocument
from pipelines.opened import OpenedRun
from pipelines.rigs import estimate_rigs
from pointsam.base.errors import SchemaError, StoreError
from pointsam.base.tables import Table
from pointsam.base.words import counted
from pointsam.calibration.correction import rig_of
from pointsam.calibration.estimate import FLOOR_DEG, MIN_OBJECTS
from pointsam.calibration.file import CameraResult

FRAMES, MOST = 30, 90
"""Frames of a rig that are looked at, and number of frames after which no further rig is; one costs about a second."""
_SHOWN = 20
"""Cameras that are printed, those with an estimate first."""
_CERTAIN = 2.0
"""A camera is off if its shift exceeds so many of its uncertainties. `calibrate` corrects smaller ones too."""


@dataclass(frozen=True)
class CameraDrift:
    """The estimate for one camera of one rig.

    Args:
        rig: id of the rig by the data set's own calibration, whatever error the labels were made with.
        camera: name of the camera.
        status: "off", "fits" (no certain error), or "not known".
        objects: number of objects that show it.
        shift_deg: angle by which the calibration seems to move them, NaN without a solution.
        doubt_deg: its standard deviation, NaN without a solution.
        apart_deg: half the difference between the halves of the frames, NaN without a solution.
    """

    rig: str
    camera: str
    status: str
    objects: int
    shift_deg: float
    doubt_deg: float
    apart_deg: float


@dataclass(frozen=True)
class CalibrationDrift:
    """The estimates of a run.

    Args:
        cameras: one entry per camera and rig.
        frames: number of frames that were looked at.
        why: why nothing is known; empty if frames were looked at.
        notes: what readers should know of the estimates.
    """

    cameras: tuple[CameraDrift, ...]
    frames: int
    why: str
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """JSON values; numbers may be NaN."""
        return {"frames": self.frames, "why": self.why, "cameras": [asdict(one) for one in self.cameras]}

    def table(self, name: str) -> Table:
        """The cameras.

        Args:
            name: name of the run.
        """
        known_first = sorted(self.cameras, key=lambda one: math.isnan(one.shift_deg))
        rows = [
            (one.camera, one.rig, one.status, one.objects, one.shift_deg, one.doubt_deg) for one in known_first[:_SHOWN]
        ]
        note = (
            "shift: angle between objects of the LiDAR and their masks, as pointsam-label calibrate estimates it\n"
            f"off: the shift exceeds {_CERTAIN:g} uncertainties; not known: fewer than {MIN_OBJECTS} objects in a half "
            "of the frames, or halves that disagree"
        )
        if len(self.cameras) > _SHOWN:
            note += f"\nand {counted(len(self.cameras) - _SHOWN, 'more camera')}; --json has all"
        title = f"{name}: calibration, from {counted(self.frames, 'frame')}"
        header = ("camera", "rig", "calibration", "objects", "shift deg", "uncertainty deg")
        return Table(title, header, rows, note)


@dataclass(frozen=True)
class DriftChange:
    """A camera in two runs.

    Args:
        rig, camera: as in `CameraDrift`.
        ours, other: its shift, degrees.
        difference: ours - other, and lower and upper bound of its band, degrees.
        verdict: "worse" or "better" if the band excludes 0, otherwise "".
    """

    rig: str
    camera: str
    ours: float
    other: float
    difference: tuple[float, float, float]
    verdict: str

    def as_dict(self) -> dict[str, object]:
        """JSON values."""
        about = {"rig": self.rig, "camera": self.camera, "ours": self.ours, "other": self.other}
        return {
            **about,
            **dict(zip(("difference", "low", "high"), self.difference, strict=True)),
            "verdict": self.verdict,
        }


def drift_of(run: OpenedRun) -> CalibrationDrift:
    """Estimate how far the calibration that the labels of a run were made with is off, from its masks.

    Args:
        run: the run.
    """
    try:
        masks = run.masks
    except (SchemaError, StoreError) as error:
        return CalibrationDrift((), 0, f"{error.message} ({error.hint})")
    with_masks = set(masks.labels.frame_ids("masks"))
    frame_ids = [one.frame_id for one in run.labels.frames() if one.status == "ok" and one.frame_id in with_masks]
    config = run.labels.document(ClustersDocument).config
    made = estimate_rigs(masks, config, run.dataset, frame_ids, FRAMES, MOST)
    frames = sum(rig.frames for rig in made.rigs.values())
    if not frames:
        why = next(iter(made.failed.values()), "no frame has masks and labels")
        return CalibrationDrift((), 0, f"no frame can be used: {why}")
    own = {rig: rig_of(run.truth.frame(ids[0])) for rig, ids in made.frames.items()}
    cameras = tuple(
        _camera(own[rig], name, one) for rig, result in made.rigs.items() for name, one in result.cameras.items()
    )
    notes = [
        f"images of rig {own[rig]} seem to be exposed {result.time_ms:+.1f} ms later than their time stamps say"
        for rig, result in made.rigs.items()
        if result.time_status == "mended"
    ]
    if made.left_out:
        notes.append(f"the calibration of {counted(made.left_out, 'rig')} with fewer frames was not looked at")
    return CalibrationDrift(cameras, frames, "", tuple(notes))


def compare_drifts(ours: CalibrationDrift, other: CalibrationDrift) -> tuple[DriftChange, ...]:
    """The cameras that both runs have an estimate of.

    The band is twice the difference that the halves of the frames let one expect, and at least `FLOOR_DEG` to either
    side. Rigs that a run has in several versions (an error drawn for every frame) are left out.
    """
    known = [_once(one) for one in (ours, other)]
    return tuple(_change(one, known[1][key]) for key, one in known[0].items() if key in known[1])


def drift_table(changes: Sequence[DriftChange]) -> Table:
    """The calibration of two runs, side by side."""
    rows = [(one.camera, one.rig, one.ours, one.other, *one.difference, one.verdict or "-") for one in changes[:_SHOWN]]
    header = ("camera", "rig", "shift deg", "other", "+/-", "low", "high", "verdict")
    note = (
        f"low and high: twice what the halves of the frames differ by, at least {FLOOR_DEG:g} degrees; without a "
        "verdict the band holds 0"
    )
    if len(changes) > _SHOWN:
        note += f"\nand {counted(len(changes) - _SHOWN, 'more camera')}; --json has all"
    return Table("calibration, side by side", header, rows, note)


def _once(drift: CalibrationDrift) -> dict[tuple[str, str], CameraDrift]:
    keys = [(one.rig, one.camera) for one in drift.cameras]
    return {
        key: one
        for key, one in zip(keys, drift.cameras, strict=True)
        if keys.count(key) == 1 and not math.isnan(one.shift_deg)
    }


def _change(ours: CameraDrift, other: CameraDrift) -> DriftChange:
    delta, reach = ours.shift_deg - other.shift_deg, max(FLOOR_DEG, 2 * math.hypot(ours.apart_deg, other.apart_deg))
    verdict = "worse" if delta > reach else "better" if delta < -reach else ""
    return DriftChange(
        ours.rig, ours.camera, ours.shift_deg, other.shift_deg, (delta, delta - reach, delta + reach), verdict
    )


def _camera(rig: str, name: str, one: CameraResult) -> CameraDrift:
    if one.doubt_deg is None:
        return CameraDrift(rig, name, "not known", one.objects, math.nan, math.nan, math.nan)
    fits = "off" if one.shift_deg > _CERTAIN * one.doubt_deg else "fits"
    status = "not known" if one.status == "unknown" else fits
    return CameraDrift(rig, name, status, one.objects, one.shift_deg, one.doubt_deg, one.apart_deg)
