"""The calibration file of docs/folder.md can be read."""

import re
from pathlib import Path

import numpy as np

import pointsam
from pointsam.datasets.folder.calibration import read_calibration

PAGE = Path(pointsam.__file__).parents[1] / "docs" / "folder.md"


def test_the_documented_file_is_a_calibration(tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "calibration.yaml").write_text(block)
    read = read_calibration(tmp_path / "calibration.yaml")
    assert list(read.cameras) == ["front", "rear"]
    forward = {name: read.tree.pose(camera.frame or name, name).rotation[:, 2] for name, camera in read.cameras.items()}
    assert np.allclose(forward["front"], [1, 0, 0])
    assert np.allclose(forward["rear"], [-1, 0, 0])
    assert np.allclose(read.tree.pose("left", "left").translation_m, [1.6, 0.9, 1.1])
    assert read.cameras["rear"].camera("rear").lens == "fisheye"
