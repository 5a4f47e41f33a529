"""Write sequences of KITTI tracking as a KITTI raw root, to test the reader of KITTI raw where none is at hand.

    python scripts/tracking_as_raw.py TRACKING DEST

Sweeps, images, calibration and objects are those of the sequence. What tracking does not have is INVENTED: time
stamps (10 Hz, the same for all sensors), and, if the sequence has no oxts, a drive that turns slowly at 8 m/s. Such a
root says nothing about real motion. The invented drive is not in the points, so that sweeps start and end at one time
then; otherwise they take 0.1 s. image_03 is not written. Objects become tracklets with the tilt between the
LiDAR and the camera kept; those of type DontCare have no box and are left out. Tracks with holes become several
tracklets.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pointsam.datasets.kitti.files import read_values
from pointsam.datasets.kitti.labels import LabelRow
from pointsam.datasets.kitti.tracking import KittiTracking
from pointsam.geometry.se3 import SE3

DATE = "2011_09_26"
START = np.datetime64("2011-09-26T13:02:25.000000000", "ns")
PERIOD = np.timedelta64(100, "ms")
SPEED_MPS, YAW_RATE_RAD_S = 8.0, 0.05
ORIGIN_DEG = (49.0, 8.4)
EARTH_M = 6378137.0
IMU_TO_VELO = "R: 1 0 0 0 1 0 0 0 1\nT: -0.81 0.32 -0.8\n"
"""Mounting of the inertial unit if the sequence has none."""
LAST_VALUES = " 0" * 19 + " 4 8 4 4 6"
"""The values of a line of oxts after the angles; nothing here reads them."""


def write(tracking: Path, dest: Path) -> None:
    """Write every sequence as a drive of one date."""
    data = KittiTracking(tracking)
    scenes = dict.fromkeys(data.scene(frame_id) for frame_id in data.frame_ids())
    day = dest / DATE
    for k, scene in enumerate(scenes):
        sequence = data._sequences[scene]
        drive = day / f"{DATE}_drive_{k + 1:04d}_sync"
        stems = {int(stem): stem for stem in sequence.sweeps.stems}
        stamps = [START + n * PERIOD for n in range(max(stems) + 1)]
        for folder, listing in (("velodyne_points", sequence.sweeps), ("image_02", sequence.images)):
            (drive / folder / "data").mkdir(parents=True, exist_ok=True)
            for stem in listing.stems:
                source = listing.path(stem)
                shutil.copyfile(source, drive / folder / "data" / f"{int(stem):010d}{source.suffix.lower()}")
            _stamps(drive / folder / "timestamps.txt", stamps)
        half = PERIOD // 2 if sequence.poses_file else PERIOD * 0
        for end, shift in (("_start", -half), ("_end", half)):
            _stamps(drive / "velodyne_points" / f"timestamps{end}.txt", [t + shift for t in stamps])
        _oxts(drive / "oxts", stamps, sequence.poses_file)
        rows = {n: data.label_rows(f"{scene}_{stem}") for n, stem in stems.items()}
        if any(found is not None for found in rows.values()):
            lidar_SE3_rect = sequence.calibration.rect_SE3_lidar.inverse()
            (drive / "tracklet_labels.xml").write_text(_tracklets(rows, lidar_SE3_rect), encoding="utf-8")
        _calibration(day, sequence.calibrations.path(sequence.name))


def _stamps(path: Path, stamps: Sequence[np.datetime64]) -> None:
    path.write_text("".join(str(t).replace("T", " ") + "\n" for t in stamps), encoding="utf-8")


def _oxts(folder: Path, stamps: Sequence[np.datetime64], known: Path | None) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    _stamps(folder / "timestamps.txt", stamps)
    lines = (
        known.read_text(encoding="utf-8").splitlines() if known else [_invented(0.1 * k) for k in range(len(stamps))]
    )
    for number, line in enumerate(lines):
        (folder / "data" / f"{number:010d}.txt").write_text(line + "\n", encoding="utf-8")


def _invented(t_s: float) -> str:
    """A line of oxts of a vehicle on an arc."""
    yaw = YAW_RATE_RAD_S * t_s
    radius_m = SPEED_MPS / YAW_RATE_RAD_S
    east_m, north_m = radius_m * np.sin(yaw), radius_m * (1 - np.cos(yaw))
    latitude = ORIGIN_DEG[0] + np.degrees(north_m / EARTH_M)
    longitude = ORIGIN_DEG[1] + np.degrees(east_m / EARTH_M / np.cos(np.radians(ORIGIN_DEG[0])))
    return f"{float(latitude)!r} {float(longitude)!r} 112.0 0.01 -0.005 {yaw!r}{LAST_VALUES}"


def _calibration(day: Path, path: Path) -> None:
    """The three files of a date, with the numbers of a file of tracking as they are written there."""
    keys = (
        "R_rect",
        "R0_rect",
        "Tr_velo_cam",
        "Tr_velo_to_cam",
        "Tr_imu_velo",
        "Tr_imu_to_velo",
        "P0",
        "P1",
        "P2",
        "P3",
    )
    values = read_values(path, keys)
    (rectification, mounting) = (values.get(a) or values[b] for a, b in (("R_rect", "R0_rect"), keys[2:4]))
    imu = values.get("Tr_imu_velo") or values.get("Tr_imu_to_velo")
    lines = [f"R_rect_{n:02d}: {' '.join(rectification)}\n" for n in range(4)]
    lines += [f"P_rect_{n:02d}: {' '.join(values.get(f'P{n}', values['P2']))}\n" for n in range(4)]
    files = {
        "calib_cam_to_cam.txt": "".join(lines),
        "calib_velo_to_cam.txt": _transform(mounting),
        "calib_imu_to_velo.txt": _transform(imu) if imu else IMU_TO_VELO,
    }
    for name, text in files.items():
        text = "calib_time: 26-Sep-2011 00:00:00\n" + text
        if (day / name).is_file() and (day / name).read_text(encoding="utf-8") != text:
            raise SystemExit(f"{path}: drives of one date have one calibration; write this sequence alone")
        (day / name).write_text(text, encoding="utf-8")


def _transform(words: Sequence[str]) -> str:
    rows = [words[k : k + 4] for k in (0, 4, 8)]
    return f"R: {' '.join(w for row in rows for w in row[:3])}\nT: {' '.join(row[3] for row in rows)}\n"


def _tracklets(rows: dict[int, tuple[LabelRow, ...] | None], lidar_SE3_rect: SE3) -> str:
    runs: dict[tuple[object, ...], list[tuple[int, LabelRow]]] = {}
    open_runs: dict[tuple[object, ...], int] = {}
    for number in sorted(rows):
        for row in rows[number] or ():
            if row.is_region:
                continue
            key = (row.track if row.track >= 0 else (number, row.line), row.kind, row.size_hwl_m)
            last = runs.get((*key, open_runs.get(key, 0)))
            if last and last[-1][0] != number - 1:
                open_runs[key] = open_runs.get(key, 0) + 1
            runs.setdefault((*key, open_runs.get(key, 0)), []).append((number, row))
    items = "".join(_item(run, lidar_SE3_rect) for run in runs.values())
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>\n<!DOCTYPE boost_serialization>\n'
    listed = f"<tracklets><count>{len(runs)}</count>\n{items}</tracklets>"
    return f"{head}<boost_serialization>\n{listed}\n</boost_serialization>\n"


def _item(run: Sequence[tuple[int, LabelRow]], lidar_SE3_rect: SE3) -> str:
    first, row = run[0]
    height, width, length = row.size_hwl_m
    poses = "".join(_pose(one, lidar_SE3_rect) for _, one in run)
    fields = _fields({"objectType": row.kind, "h": height, "w": width, "l": length, "first_frame": first})
    return f"<item>{fields}<poses><count>{len(run)}</count>{poses}</poses><finished>1</finished></item>\n"


def _pose(row: LabelRow, lidar_SE3_rect: SE3) -> str:
    pose = lidar_SE3_rect @ row.rect_SE3_box()
    rotation = _nearest_rotation(pose.rotation)
    rz, ry, rx = Rotation.from_matrix(rotation).as_euler("ZYX").tolist()
    bottom = pose.translation_m - row.size_hwl_m[0] / 2 * rotation[:, 2]
    occlusion = row.occluded if row.occluded in (0, 1, 2) else -1
    values = {**dict(zip(("tx", "ty", "tz"), bottom.tolist(), strict=True)), "rx": rx, "ry": ry, "rz": rz}
    return f"<item>{_fields({**values, 'state': 2, 'occlusion': occlusion, 'truncation': int(row.truncated)})}</item>"


def _nearest_rotation(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Published calibrations are rounded; angles describe exact rotations only."""
    u, _, v = np.linalg.svd(matrix)
    rotation: NDArray[np.float64] = u @ v
    return rotation


def _fields(values: Mapping[str, object]) -> str:
    return "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in values.items())


def main(arguments: Iterable[str] | None = None) -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracking", type=Path, help="root of KITTI tracking")
    parser.add_argument("dest", type=Path, help="new folder")
    given = parser.parse_args(arguments if arguments is None else list(arguments))
    write(given.tracking, given.dest)


if __name__ == "__main__":
    main()
