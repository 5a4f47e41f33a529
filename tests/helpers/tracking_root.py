"""A tiny KITTI tracking folder of made-up files."""

from types import SimpleNamespace

import numpy as np
from PIL import Image

CALIB = """P2: 100 0 50 -6 0 100 40 0.5 0 0 1 0.01
R_rect 1 0 0 0 1 0 0 0 1
Tr_velo_cam 0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3
Tr_imu_velo 1 0 0 -0.8 0 1 0 0.3 0 0 1 -0.8
"""
AHEAD, FAR = (10.0, 0.0, 0.0, 0.1), (20.0, 0.0, 0.0, 0.2)
LATITUDE, LONGITUDE = 49.0, 8.4
METRE_NORTH_DEG = 180 / (np.pi * 6378137)


def row(frame, track, kind="Car", z=10.0, occluded=0):
    """A row of a label file: an object `z` metres ahead."""
    return f"{frame} {track} {kind} 0 {occluded} 0.0 30 20 70 60 1.5 1.6 4.0 0.0 1.0 {z} 0.0\n"


def northwards(frames, step_m=1.0):
    """Lines of oxts of a vehicle that drives north on a level road, `step_m` a frame: its x axis points north."""
    lines = [f"{LATITUDE + k * step_m * METRE_NORTH_DEG:.12f} {LONGITUDE} 110 0 0 {np.pi / 2}" for k in range(frames)]
    return "\n".join(line + " 0" * 24 for line in lines) + "\n"


def make_tracking(
    root, part="training", camera="image_02", label="label_02", names=("0000", "0001"), frames=3, oxts=True
):
    """Sequences with one object, track 7, that stays 10 m ahead; `path` names a file, `part` may be ""."""
    folder = root / part

    def path(kind, name=names[0], number=None):
        if number is None:
            return folder / kind / f"{name}.txt"
        return folder / kind / name / f"{number:06d}{'.bin' if kind == 'velodyne' else '.png'}"

    for name in names:
        for k in range(frames):
            for kind in ("velodyne", camera):
                path(kind, name, k).parent.mkdir(parents=True, exist_ok=True)
            np.asarray([AHEAD, FAR], dtype="<f4").tofile(path("velodyne", name, k))
            Image.new("RGB", (100, 80)).save(path(camera, name, k))
        texts = {"calib": CALIB}
        if label:
            texts[label] = "".join(row(k, 7) for k in range(frames))
        if oxts:
            texts["oxts"] = northwards(frames)
        for kind, text in texts.items():
            path(kind, name).parent.mkdir(parents=True, exist_ok=True)
            path(kind, name).write_text(text)
    return SimpleNamespace(root=root, path=path, camera=camera, label=label)
