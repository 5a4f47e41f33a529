"""A tiny synthetic KITTI folder."""

from types import SimpleNamespace

import numpy as np
from PIL import Image

CALIB = """P0: 100 0 50 0 0 100 40 0 0 0 1 0
P2: 100 0 50 -6 0 100 40 0.5 0 0 1 0.01
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3
"""
CAR = "Car 0.00 0 0.0 30 20 70 60 1.5 1.6 4.0 0.0 1.0 10.0 0.0\n"
WIDTH_PX, HEIGHT_PX = 100, 80


def make_kitti(root):
    """Two training frames and one testing frame; `add` writes more, `path` names a file of one."""

    def path(part, number="000000", folder="training"):
        suffix = {"velodyne": "bin", "image_2": "png"}.get(part, "txt")
        return root / folder / part / f"{number}.{suffix}"

    def add(number, folder="training", points=((10, 0, 0, 0.1), (20, 0, 0, 0.2)), calib=CALIB, labels=CAR):
        for part in ("velodyne", "image_2", "calib", "label_2"):
            path(part, number, folder).parent.mkdir(parents=True, exist_ok=True)
        np.asarray(points, dtype="<f4").tofile(path("velodyne", number, folder))
        Image.new("RGB", (WIDTH_PX, HEIGHT_PX)).save(path("image_2", number, folder))
        path("calib", number, folder).write_text(calib)
        if labels is not None:
            path("label_2", number, folder).write_text(labels)

    add("000000")
    add("000001")
    add("000000", folder="testing", labels=None)
    return SimpleNamespace(root=root, path=path, add=add)
