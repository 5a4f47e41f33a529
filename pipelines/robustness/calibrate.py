"""`pointsam-label calibrate`: estimate calibration errors from the masks of a run and the LiDAR.

Each rig is solved three times: with all of its frames, and with each half. If the halves disagree, the error is
unknown. A correction below the accuracy of the method is not applied, unless the whole rig is off.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipelines.data import DataSpec
from pipelines.labelling.request import evenly
from pipelines.opened import open_masks
from pipelines.stored_masks import StoredMasks
from pipelines.tasks import Task, guarded
from pointsam.base.document import write_document
from pointsam.base.errors import DatasetError
from pointsam.base.files import require_free
from pointsam.base.progress import progress
from pointsam.base.runtime import Stopwatch
from pointsam.base.tables import text_table
from pointsam.base.words import counted
from pointsam.calibration.correction import CorrectionVector, RigCorrection, as_SE3, rig_of
from pointsam.calibration.file import VERSION, CalibrationFile, CameraResult, RigResult
from pointsam.calibration.silhouettes import CameraObservations, observe
from pointsam.calibration.solve import solve, supporting_points
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.points import read_frame_points
from pointsam.stages.recipes import ClustersConfig
from pointsam.types import CameraView, Frame

_T = TypeVar("_T")

FLOOR_DEG = 0.25
"""Corrections that move the objects by less are not applied, unless the whole rig is off: with true calibrations, the
estimates are almost as large."""
BIAS_DEG = 0.15
"""Median of the estimates with true calibrations. Both halves have this bias, so their difference does not show it."""
BIAS_M, BIAS_MS = 0.03, 2.5
"""The bias that both halves share, of a translation along one axis and of a time. Chosen on known errors, so that the
uncertainty covers as many of the remaining errors as one standard deviation should (docs/robustness.md)."""
MOST_APART_DEG = 0.15
"""Largest half difference between halves that agree, unless the shift is at least four times as large."""
FLOOR_MS, MIN_SPEED_MPS = 5.0, 1.0
"""As FLOOR_DEG, for the time offset; and the lowest median speed at which a time offset is estimated."""
MIN_OBJECTS = 12
"""Fewest objects of a camera, in all frames and in each half."""
MIN_CAMERAS = 3
"""Fewest cameras whose median decides whether the whole rig is off."""


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
            quarantine are left out.
        overwrite: replace an existing file.

    Returns:
        The table for the terminal, and whether the file corrects anything.

    Raises:
        StoreError: OUT003 if the file exists and `overwrite` is False.
        SchemaError: SCH004 if the masks are of another data set.
        DatasetError: DAT009 if no frame can be read.
    """
    require_free(dest, overwrite)
    masks, dataset = open_masks(masks_from, data)
    rigs, failed = _rigs(dataset, masks.labels.frame_ids("masks"))
    chosen = {rig: evenly(ids, most_frames) for rig, ids in rigs.items()}
    found, shown = dict[str, RigResult](), False
    with progress(total=sum(map(len, chosen.values())), desc="calibrate", unit="frame") as bar:
        for rig, ids in chosen.items():
            seen = []
            for frame_id in ids:
                seen += _tried(partial(_seen, masks, config, dataset, frame_id), frame_id, failed)
                bar.update()
            shown |= bool(seen)
            found[rig] = rig_result(*zip(*seen, strict=True)) if seen else _unseen(dataset.frame(ids[0]))
    if not shown:
        raise DatasetError("DAT009", f"no frame of {masks_from} can be read: {failed}", "correct them, or use others")
    document = CalibrationFile(
        VERSION, masks.document.dataset, masks.key, masks.perturbation_with(data.noise), found, failed
    )
    write_document(dest, document, indent=1, sort_keys=False)
    changes = any(
        "mended" in (rig.time_status, *(one.status for one in rig.cameras.values())) for rig in found.values()
    )
    text = _text(found, failed)
    return (text if changes else f"{text}\n\n{_no_change(found)}"), changes


def _seen(
    masks: StoredMasks, config: ClustersConfig, dataset: Dataset, frame_id: str
) -> tuple[Frame, list[CameraObservations]]:
    frame = read_frame(dataset, frame_id)
    images = masks.images(frame_id)
    masks.checked_sources(frame, images)
    painted = {name: masks.painted(image, config) for name, image in images.items()}
    return frame, observe(frame, read_frame_points(frame), painted)


def _rigs(dataset: Dataset, frame_ids: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, str]]:
    rigs: dict[str, list[str]] = {}
    failed = dict[str, str]()
    for frame_id in frame_ids:
        for frame in _tried(partial(read_frame, dataset, frame_id), frame_id, failed):
            rigs.setdefault(rig_of(frame), []).append(frame_id)
    return rigs, failed


def _tried(work: Callable[[], _T], frame_id: str, failed: dict[str, str]) -> list[_T]:
    """The result of `work` in a list; empty if labelling would quarantine the frame, with the reason in `failed`."""
    done = guarded(lambda: [work()], lambda _: [], Task(frame_id, "", True, None), Stopwatch())
    if done.error is not None:
        failed[frame_id] = str(done.error)
    return done.row


def _unseen(frame: Frame) -> RigResult:
    """The result for a rig none of whose frames can be read: its calibration stays as it is."""
    nothing = {view.name: CameraEstimate(0, np.zeros(6), np.zeros(6)) for view in frame.cameras}
    return RigResult(0, 0.0, "unknown", 0.0, None, camera_results(nothing))


def rig_result(frames: Sequence[Frame], observations: Sequence[Sequence[CameraObservations]]) -> RigResult:
    """The result for one rig.

    Args:
        frames: frames of the rig, at least one.
        observations: the observations of each frame, at least one each.
    """
    views = {view.name: view for view in frames[0].cameras}
    speed = float(np.median([np.linalg.norm(of[0].rate[:3, 3]) for of in observations]))
    parts = [[one for of in some for one in of] for some in (observations, observations[::2], observations[1::2])]
    with_time = speed > MIN_SPEED_MPS
    whole, *halves = _solved(parts, views, with_time)
    apart_ms = abs(halves[0].time_s - halves[1].time_s) * 500
    shown = with_time and all(one.cameras for one in (whole, *halves))
    time_status = time_status_of(whole.time_s * 1e3, apart_ms) if shown else "unknown"
    time_ms = round(whole.time_s * 1e3, 3) if time_status == "mended" else 0.0
    if with_time and time_status != "mended":
        whole, *halves = _solved(parts, views, False)
    estimates = {name: _estimate(parts[0], view, whole, halves) for name, view in views.items()}
    uncertainty_ms = round(math.hypot(apart_ms, BIAS_MS), 3) if shown else None
    return RigResult(len(frames), speed, time_status, time_ms, uncertainty_ms, camera_results(estimates))


def time_status_of(time_ms: float, apart_ms: float) -> str:
    """The status of a time offset, by the rules for a camera.

    Args:
        time_ms: the offset.
        apart_ms: half the difference between the halves.
    """
    if apart_ms >= 2 * FLOOR_MS:
        return "unknown"
    if abs(time_ms) <= FLOOR_MS:
        return "right"
    return "mended" if abs(time_ms) > 2 * apart_ms else "unknown"


def _solved(
    parts: Sequence[Sequence[CameraObservations]], views: Mapping[str, CameraView], with_time: bool
) -> list[RigCorrection]:
    return [solve(some, views, with_time, MIN_OBJECTS) for some in parts]


@dataclass(frozen=True, eq=False)
class CameraEstimate:
    """The estimated error of a camera.

    Args:
        objects: number of objects that it is estimated from.
        vector: the correction: rotation in radians, then translation in metres, in the camera frame.
        apart: half the difference between the halves, as `vector`.
        shift_deg, apart_deg: root mean square angle by which `vector` and `apart` move the objects, as the camera sees
            them.
        solved: whether all three solutions exist.
    """

    objects: int
    vector: CorrectionVector
    apart: CorrectionVector
    shift_deg: float = 0.0
    apart_deg: float = 0.0
    solved: bool = False

    @property
    def agrees(self) -> bool:
        """Whether the halves agree well enough for a correction."""
        return self.solved and (self.apart_deg <= MOST_APART_DEG or self.shift_deg >= 4 * self.apart_deg)


def _estimate(
    observations: Sequence[CameraObservations], view: CameraView, whole: RigCorrection, halves: Sequence[RigCorrection]
) -> CameraEstimate:
    xyz, objects = supporting_points(observations, view, whole)
    if not all(view.name in one.cameras for one in (whole, *halves)):
        return CameraEstimate(objects, np.zeros(6), np.zeros(6))
    vector, a, b = (one.cameras[view.name] for one in (whole, *halves))
    return CameraEstimate(
        objects, vector, np.abs(a - b) / 2, _apart(xyz, vector, np.zeros(6)), _apart(xyz, a, b) / 2, True
    )


def camera_results(estimates: Mapping[str, CameraEstimate]) -> dict[str, CameraResult]:
    """The result for each camera: "right", "mended" (the correction is applied) or "unknown".

    The whole rig is off if the median shift of the cameras whose halves agree exceeds FLOOR_DEG and there are at least
    MIN_CAMERAS of them. Then every correction is applied that exceeds half the difference between its halves.
    Otherwise a camera is right if its shift is at most FLOOR_DEG, and it is corrected if its shift exceeds the
    difference between its halves.
    """
    shifts = [estimate.shift_deg for estimate in estimates.values() if estimate.agrees]
    all_off = len(shifts) >= MIN_CAMERAS and float(np.median(shifts)) > FLOOR_DEG
    return {name: _camera_result(estimate, all_off) for name, estimate in estimates.items()}


def _camera_result(estimate: CameraEstimate, all_off: bool) -> CameraResult:
    if all_off:
        status = "mended" if estimate.solved and estimate.shift_deg > estimate.apart_deg else "unknown"
    elif not estimate.agrees:
        status = "unknown"
    elif estimate.shift_deg <= FLOOR_DEG:
        status = "right"
    else:
        status = "mended" if estimate.shift_deg > 2 * estimate.apart_deg else "unknown"
    kept = estimate.vector if status == "mended" else np.zeros(6)
    return CameraResult(
        status,
        estimate.objects,
        round(estimate.shift_deg, 4),
        round(estimate.apart_deg, 4),
        round(math.hypot(estimate.apart_deg, BIAS_DEG), 4) if estimate.solved else None,
        _rounded(np.rad2deg(kept[:3])),
        _rounded(kept[3:]),
        _rounded(np.hypot(np.rad2deg(estimate.apart[:3]), BIAS_DEG)) if estimate.solved else None,
        _rounded(np.hypot(estimate.apart[3:], BIAS_M)) if estimate.solved else None,
    )


def _apart(xyz_cam_m: NDArray[np.float64], one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Angle between the directions in which two corrections place points, degrees, root mean square."""
    rays = [as_SE3(vector).inverse().apply(xyz_cam_m) for vector in (one, other)]
    rays = [ray / np.linalg.norm(ray, axis=1, keepdims=True) for ray in rays]
    return float(np.rad2deg(np.sqrt(np.mean(np.sum((rays[0] - rays[1]) ** 2, axis=1)))))


def _rounded(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 5) for value in values)
    return x, y, z


def _text(found: Mapping[str, RigResult], failed: Mapping[str, str]) -> str:
    pages = []
    angles = ("correction deg", "half-solution difference / 2 deg", "uncertainty deg")
    header = ("camera", "status", "objects", *angles, "rotation x y z deg", "translation x y z m")
    for rig, result in found.items():
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
            )
            for name, one in result.cameras.items()
        ]
        title = f"rig {rig}: {result.frames} frames at {result.speed_mps:.1f} m/s"
        time = result.time_status
        if time != "unknown":
            time += f", {result.time_ms:+.1f} ms, uncertainty {result.time_doubt_ms:.1f} ms"
        pages.append(f"{title}\n{text_table(header, rows)}\ntime of the images: {time}")
    if failed:
        pages.append(f"left out: {counted(len(failed), 'frame')}: " + "; ".join(f"{k}: {v}" for k, v in failed.items()))
    return "\n\n".join(pages)


def _no_change(found: Mapping[str, RigResult]) -> str:
    """Why no camera is corrected, with the number of cameras by reason."""
    cameras = [one for rig in found.values() for one in rig.cameras.values()]
    few = f"too few objects (each half of the frames must show {MIN_OBJECTS}; use masks of more frames)"
    reasons = Counter(
        few if one.doubt_deg is None else "no error" if one.status == "right" else "a correction that is not certain"
        for one in cameras
    )
    listed = ", ".join(f"{counted(count, 'camera')} with {why}" for why, count in reasons.items())
    return f"no camera was corrected: {listed}"
