"""`pointsam-label calibrate`: estimate calibration errors from the masks of a run and the LiDAR."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pipelines.data import DataSpec
from pipelines.labelling.closing import by_code
from pipelines.opened import open_masks
from pipelines.rigs import MOVED_M, estimate_rigs
from pointsam.base.document import write_document
from pointsam.base.errors import DatasetError
from pointsam.base.files import require_free
from pointsam.base.tables import text_table
from pointsam.base.words import counted
from pointsam.calibration.estimate import MIN_OBJECTS, TESTED_DEG
from pointsam.calibration.file import VERSION, CalibrationFile, RigResult
from pointsam.stages.recipes import ClustersConfig

_SHOWN = 10
"""Rigs that are printed, those with a correction first; the file has all."""


def calibrate(
    data: DataSpec, masks_from: Path, config: ClustersConfig, dest: Path, most_frames: int, overwrite: bool = False
) -> tuple[str, bool]:
    """Estimate the errors of a calibration, and write them as a calibration file.

    Args:
        data: the data set, with the calibration to check.
        masks_from: output folder whose masks are used; of an unfinished run, the frames that have masks.
        config: how the masks are painted.
        dest: the JSON file.
        most_frames: largest number of frames of a rig, spread evenly over its recordings; frames that labelling would
            quarantine, and those before which the vehicle stood, are left out.
        overwrite: replace an existing file.

    Returns:
        The table for the terminal, and whether the file corrects anything.

    Raises:
        StoreError: OUT003 if the file exists and `overwrite` is False.
        SchemaError: SCH004 if the masks are of another data set.
        DatasetError: DAT009 if no frame can be used.
    """
    require_free(dest, overwrite)
    masks, dataset = open_masks(masks_from, data)
    made = estimate_rigs(masks, config, dataset, masks.labels.frame_ids("masks"), most_frames)
    found, failed = made.rigs, made.failed
    if not any(rig.frames for rig in found.values()):
        listed = "\n".join(by_code(failed, "correct these first"))
        raise DatasetError("DAT009", f"no frame of {masks_from} can be used:\n{listed}", "correct them, or use others")
    document = CalibrationFile(
        VERSION, masks.document.dataset, masks.key, masks.perturbation_with(data.noise), found, failed
    )
    write_document(dest, document, indent=1, sort_keys=False)
    changes = any(map(_corrected, found.values()))
    text = _text(found, failed, made.still)
    return (text if changes else f"{text}\n\n{_no_change(found)}"), changes


def _corrected(rig: RigResult) -> bool:
    return "mended" in (rig.time_status, *(one.status for one in rig.cameras.values()))


def _text(found: Mapping[str, RigResult], failed: Mapping[str, str], still: int) -> str:
    pages = []
    angles = ("correction deg", "half-solution difference / 2 deg", "uncertainty deg")
    header = ("camera", "status", "objects", *angles, "rotation x y z deg", "translation x y z m", "masks narrower px")
    shown = sorted(found.items(), key=lambda item: not _corrected(item[1]))[:_SHOWN]
    for rig, result in shown:
        rows = [
            (
                name,
                one.status,
                one.objects,
                one.shift_deg,
                one.apart_deg,
                math.nan if one.doubt_deg is None else one.doubt_deg,
                " ".join(f"{value:+.2f}" for value in one.rotation_deg),
                " ".join(f"{value:+.3f}" for value in one.translation_m),
                math.nan if one.edge_px is None else one.edge_px,
            )
            for name, one in result.cameras.items()
        ]
        speed = "an unknown speed" if result.speed_mps is None else f"{result.speed_mps:.1f} m/s"
        title = f"rig {rig}: {counted(result.frames, 'frame')} at {speed}"
        time: str = result.time_status
        if time != "unknown":
            time += f", {result.time_ms:+.1f} ms, uncertainty {result.time_doubt_ms:.1f} ms"
        pages.append(f"{title}\n{text_table(header, rows)}\ntime of the images: {time}")
    if len(found) > len(shown):
        pages.append(f"and {counted(len(found) - len(shown), 'more rig')}; the file has all")
    pages += _large(found)
    if still:
        moved = f"the vehicle had moved by less than {MOVED_M:g} m since the last used one"
        pages.append(f"left out: {counted(still, 'frame')} of a standing vehicle ({moved})")
    if failed:
        listed = by_code(failed, "the file lists all")
        pages.append("\n".join([f"left out: {counted(len(failed), 'frame')}:", *listed]))
    return "\n\n".join(pages)


def _large(found: Mapping[str, RigResult]) -> list[str]:
    """A warning on corrections that are larger than the errors on which uncertainties were tested."""
    cameras = [
        f"{name} of rig {rig} ({one.shift_deg:.1f} degrees)"
        for rig, result in found.items()
        for name, one in result.cameras.items()
        if one.status == "mended" and one.shift_deg > TESTED_DEG
    ]
    if not cameras:
        return []
    return [
        f"warning: large corrections of {', '.join(cameras)}: beyond about {TESTED_DEG:g} degree they may be wrong, "
        "and the uncertainty too small. Look at pictures of corrected clusters: pointsam-label inspect OUT FRAME --png "
        "FILE"
    ]


def _no_change(found: Mapping[str, RigResult]) -> str:
    """Why no camera is corrected, with the number of cameras by reason."""
    cameras = [one for rig in found.values() for one in rig.cameras.values()]
    few = f"too few objects (each half of the frames must show {MIN_OBJECTS}; use masks of more frames)"
    reasons = Counter(
        few if one.doubt_deg is None else "no error" if one.status == "right" else "a correction that is not certain"
        for one in cameras
    )
    listed = ", ".join(f"{counted(count, 'camera')} with {why}" for why, count in reasons.items())
    text = f"no camera was corrected: {listed}"
    if len(found) > _SHOWN and all(rig.frames <= 1 for rig in found.values()):
        text += "; mountings or intrinsics differ from frame to frame: calibrate needs frames that share them"
    return text
