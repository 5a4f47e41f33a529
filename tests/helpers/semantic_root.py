"""A tiny SemanticKITTI folder of made-up files."""

import numpy as np
from PIL import Image

from pointsam.datasets.kitti.semantic import SemanticKitti

CALIB = "P2: 100 0 50 -6 0 100 40 0.5 0 0 1 0.01\nTr: 0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3\n"
AHEAD, BEHIND = (10.0, 0.0, 0.0, 0.1), (-10.0, 0.0, 0.0, 0.1)


def make_semantic(root, name="08", frames=3, points=(AHEAD, AHEAD, AHEAD, AHEAD, BEHIND), values=None, poses=True):
    folder = root / "sequences" / name
    for part in ("velodyne", "image_2", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "calib.txt").write_text(CALIB)
    for k in range(frames):
        np.asarray(points, dtype="<f4").tofile(folder / "velodyne" / f"{k:06d}.bin")
        Image.new("RGB", (100, 80)).save(folder / "image_2" / f"{k:06d}.png")
        if values is not None:
            np.asarray(values, dtype="<u4").tofile(folder / "labels" / f"{k:06d}.label")
    if poses:  # the camera drives a metre a frame along its own z, which is the LiDAR's x
        rows = [f"1 0 0 0 0 1 0 0 0 0 1 {k}" for k in range(frames)]
        (folder / "poses.txt").write_text("\n".join(rows) + "\n")
        (folder / "times.txt").write_text("\n".join(f"{0.1 * k:e}" for k in range(frames)) + "\n")
    return SemanticKitti(root)
