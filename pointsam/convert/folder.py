"""A plain folder (docs/folder.md): any rig with its lenses, times and poses; no labels of points."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from pointsam.convert.apart import require_apart, require_own
from pointsam.convert.base import Files, FramePlan, Loss, Losses, is_timed
from pointsam.convert.folder_entries import box_entry, camera_entry, columns_of, lidar_entry, rig_texts, tum_values
from pointsam.convert.names import in_nuscenes
from pointsam.convert.source import SourceFrame, point_bytes
from pointsam.datasets.folder.calibration import (
    BoxesEntry,
    Calibration,
    CameraEntry,
    LidarEntry,
    PosesEntry,
    calibration_text,
)
from pointsam.datasets.folder.calibration import Files as Matching
from pointsam.datasets.folder.transforms import Transform
from pointsam.datasets.kitti.suffixes import IMAGES
from pointsam.geometry.se3 import SE3
from pointsam.types import Frame

E = TypeVar("E")

VEHICLE = "vehicle"
_SLACK_US = 1000
_SAME_M, _SAME = 1e-6, 1e-9

POINTS = Loss("labels of points are left out")
LEVELS = Loss("levels of visibility are left out", unit="box")
TYPES = Loss("classes that are not nuScenes' keep their name, and are void", unit="box")
NAMELESS = Loss("void boxes whose name is not known are called void", unit="box")
UNTIMED = Loss("poses are left out, because frames have no times: no past sweeps, no velocities")
POSES = Loss("two sensors have one time and different poses; that of the LiDAR is taken", True)


@dataclass(frozen=True)
class _Part:
    """What the files of a drive need of a frame.

    Args:
        drive: the drive.
        stem: name of the sweep of the reference LiDAR.
        cameras, lidars, transforms: of the calibration.
        poses: (x, y, z, qx, qy, qz, qw) of the vehicle by time.
        moves: whether the motion of the vehicle is known, also where it stands.
        t_us: time of the reference LiDAR.
        later: times of the further LiDARs by name.
        between: name of the LiDAR and time of each sweep that is no frame.
        row: of frames.csv.
    """

    drive: str
    stem: str
    cameras: Mapping[str, CameraEntry]
    lidars: Mapping[str, LidarEntry]
    transforms: Mapping[str, Transform]
    poses: Mapping[int, tuple[float, ...]]
    moves: bool
    t_us: int
    later: Mapping[str, int]
    between: tuple[tuple[str, int], ...]
    row: tuple[str, ...]


@dataclass(frozen=True)
class FolderWriter:
    """Writes a plain folder.

    Args:
        timed: whether frames have times: names of files are times then, otherwise numbers of frames.
        tolerance_us: how far apart files of one frame may be.
    """

    timed: bool = True
    tolerance_us: int = _SLACK_US

    @property
    def next_options(self) -> str:
        """None are needed: the calibration names all sensors."""
        return ""

    @staticmethod
    def of(frames: Sequence[Frame]) -> FolderWriter:
        """The writer for some frames."""
        apart = [abs(t - frame.sweep.t_us) for frame in frames for t in _times(frame)]
        return FolderWriter(is_timed(frames), max(apart, default=0) + _SLACK_US)

    def survey(self, frame: Frame, losses: Losses) -> None:
        """Count what the layout cannot hold of a frame."""
        losses.add(UNTIMED, not self.timed and bool(frame.neighbours))
        poses: dict[int, SE3] = {}
        exposures = [*((one.t_us, one.world_SE3_ego) for one in frame.sweeps)]
        exposures += [(view.t_us, view.world_SE3_ego) for view in frame.cameras]
        for t_us, pose in exposures:
            losses.add(POSES, self.timed and not _alike(poses.setdefault(t_us, pose), pose))

    def survey_truth(self, source: SourceFrame, losses: Losses) -> None:
        """Count what the layout cannot hold of the ground truth of a frame."""
        losses.add(POINTS, source.truth is not None)
        boxes = source.boxes or ()
        losses.add(LEVELS, sum(box.level >= 0 for box in boxes))
        losses.add(TYPES, sum(not in_nuscenes(box) for box in boxes))
        losses.add(NAMELESS, sum(box.category is None and box.kind is None for box in boxes))

    def plans(self, plans: Sequence[FramePlan], frames: Sequence[Frame]) -> list[FramePlan]:
        """The plans with drives: frames of a scene that have one calibration.

        Raises:
            DatasetError: DAT012 if two frames of a drive have one time, or an image is nearer to another frame.
        """
        rigs: dict[str, list[dict[str, str]]] = {}
        drives, found = dict[str, list[Frame]](), []
        for plan, frame in zip(plans, frames, strict=True):
            known, own = rigs.setdefault(plan.scene, []), rig_texts(frame)
            place = next((k for k, rig in enumerate(known) if all(rig.get(n, v) == v for n, v in own.items())), None)
            if place is None:
                place = len(known)
                known.append({})
            known[place] |= own
            name = plan.scene.replace(".", "-")
            drive = name if place == 0 else f"{name}-{place + 1}"
            drives.setdefault(drive, []).append(frame)
            stems = {view.name: self._stem(plan, view.t_us) for view in frame.cameras}
            found.append(replace(plan, drive=drive, images=stems))
        if self.timed:
            for drive, its in drives.items():
                require_apart(drive, its, self.tolerance_us)
        count = Counter((camera, stem) for plan in found for camera, stem in plan.images.items())
        apart = max(count.values(), default=1) == 1
        return found if apart else [replace(plan, truth2d=f"{plan.drive}/") for plan in found]

    def files(self, plan: FramePlan, source: SourceFrame) -> tuple[Files, object]:
        """The files of a frame, and what the files of its drive need of it."""
        frame, files, poses = source.frame, dict[str, bytes](), dict[int, SE3]()
        between = source.between() if self.timed else []
        for sweep in (*frame.sweeps, *between):
            stem = self._stem(plan, sweep.t_us)
            files[f"{plan.drive}/clouds/{sweep.sensor}/{stem}.bin"] = point_bytes(sweep, columns_of(frame, sweep))
            poses.setdefault(sweep.t_us, sweep.world_SE3_ego)
        for view in frame.cameras:
            stem = plan.images[view.name]
            files |= source.image_files(view, f"{plan.drive}/images/{view.name}/{stem}", IMAGES)
            files |= source.truth2d_files(view, f"{plan.truth2d}{view.name}/{stem}")
            poses.setdefault(view.t_us, view.world_SE3_ego)
        stem = self._stem(plan, frame.sweep.t_us)
        if source.boxes is not None:
            rows = [box_entry(box) for box in source.boxes]
            files[f"{plan.drive}/boxes/{stem}.json"] = json.dumps({"boxes": rows}, indent=1).encode()
        mountings = {sweep.sensor: sweep.ego_SE3_lidar for sweep in frame.sweeps}
        mountings |= {view.name: view.ego_SE3_cam for view in frame.cameras}
        return files, _Part(
            plan.drive,
            stem,
            {view.name: camera_entry(view) for view in frame.cameras},
            {sweep.sensor: lidar_entry(frame, sweep) for sweep in frame.sweeps},
            {name: Transform.of(name, VEHICLE, pose) for name, pose in mountings.items()},
            {t_us: tum_values(pose) for t_us, pose in poses.items()},
            bool(frame.neighbours),
            frame.sweep.t_us,
            {sweep.sensor: sweep.t_us for sweep in frame.sweeps[1:]},
            tuple((sweep.sensor, sweep.t_us) for sweep in between),
            (f"{plan.drive}_{stem}", plan.frame_id, plan.scene, str(frame.sweep.t_us)),
        )

    def close(self, rows: Sequence[object], splits: Mapping[str, Sequence[int]]) -> Files:
        """Calibration, poses and key frames of every drive, frames.csv, and ImageSets of splits.

        Raises:
            DatasetError: DAT012 if a sweep of a further LiDAR is nearer to a frame than the frame's own.
        """
        parts = [row for row in rows if isinstance(row, _Part)]
        drives: dict[str, list[_Part]] = {}
        for part in parts:
            drives.setdefault(part.drive, []).append(part)
        files: dict[str, str] = {}
        for drive, its in drives.items():
            if self.timed:
                self._require_sweeps_apart(its)
            files |= {f"{drive}/{name}": text for name, text in self._of_drive(its)}
        table = [("name", "frame", "scene", "t_us"), *(part.row for part in parts)]
        files["frames.csv"] = "".join(",".join(row) + "\n" for row in table)
        for name, places in splits.items():
            files[f"ImageSets/{name}.txt"] = "".join(f"{parts[k].row[0]}\n" for k in places)
        return {name: text.encode() for name, text in files.items()}

    def _of_drive(self, parts: Sequence[_Part]) -> Iterator[tuple[str, str]]:
        cameras, lidars, transforms = dict[str, CameraEntry](), dict[str, LidarEntry](), dict[str, Transform]()
        poses: dict[int, tuple[float, ...]] = {}
        for part in parts:
            cameras, lidars = {**part.cameras, **cameras}, {**part.lidars, **lidars}
            transforms = {**part.transforms, **transforms}
            for t_us, pose in part.poses.items():
                poses.setdefault(t_us, pose)
        reference = next(iter(parts[0].lidars))
        known = any(part.moves for part in parts) or len(set(poses.values())) > 1
        has_poses = self.timed and known
        yield (
            "calibration.yaml",
            calibration_text(
                Calibration(
                    _in_order(cameras, parts[0].cameras),
                    _in_order(lidars, parts[0].lidars),
                    tuple(transforms.values()),
                    VEHICLE,
                    Matching("stamp", "us", self.tolerance_us * 1e-6) if self.timed else Matching("index"),
                    PosesEntry(unit="us") if has_poses else PosesEntry(),
                    BoxesEntry(frame=reference),
                )
            ),
        )
        if has_poses:
            lines = (f"{t_us} {' '.join(map(repr, poses[t_us]))}\n" for t_us in sorted(poses))
            yield "poses.txt", "".join(lines)
        if any(part.between for part in parts):
            yield "key_frames.txt", "".join(f"{part.stem}\n" for part in parts)

    def _stem(self, plan: FramePlan, t_us: int) -> str:
        return str(t_us) if self.timed else f"{plan.number:06d}"

    def _require_sweeps_apart(self, parts: Sequence[_Part]) -> None:
        """Refuse frames for which another sweep of a further LiDAR is nearer than their own."""
        names, times = [part.row[1] for part in parts], [part.t_us for part in parts]
        for lidar in dict.fromkeys(name for part in parts for name in part.later):
            more = [t for part in parts for name, t in part.between if name == lidar]
            require_own(lidar, names, times, [part.later.get(lidar) for part in parts], more, self.tolerance_us)


def _times(frame: Frame) -> Iterator[int]:
    yield from (sweep.t_us for sweep in frame.sweeps)
    yield from (view.t_us for view in frame.cameras)


def _alike(one: SE3, other: SE3) -> bool:
    apart_m = np.abs(one.translation_m - other.translation_m).max()
    return bool(apart_m < _SAME_M and np.abs(one.rotation - other.rotation).max() < _SAME)


def _in_order(entries: Mapping[str, E], first: Mapping[str, E]) -> dict[str, E]:
    return {name: entries[name] for name in (*first, *(name for name in entries if name not in first))}
