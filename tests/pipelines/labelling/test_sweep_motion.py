"""What becomes of ego motion within sweeps is said by `check` and by run.json."""

import json

import numpy as np
import pytest
from helpers.commands import label
from helpers.kitti_root import make_kitti
from helpers.masks import write_masks
from helpers.raw_root import make_raw
from helpers.tracking_root import make_tracking

from pointsam.datasets import open_dataset

POINTS = np.random.default_rng(0).uniform((4, -8, -1, 0), (40, 8, 1, 1), (2000, 4)).astype("<f4")
ROOTS = {
    "kitti": lambda folder: make_kitti(folder),
    "tracking": lambda folder: make_tracking(folder, names=("0000",)),
    "tracking without oxts": lambda folder: make_tracking(folder, names=("0000",), oxts=False),
    "raw": lambda folder: make_raw(folder, drives=("0001",)),
}


@pytest.fixture
def made(tmp_path):
    def make(kind):
        root = ROOTS[kind](tmp_path / "root").root
        for path in root.rglob("*.bin"):
            POINTS.tofile(path)
        return root

    return make


@pytest.mark.usefixtures("scissors")
@pytest.mark.parametrize(
    ("kind", "motion", "says"),
    [
        ("kitti", "kept: no poses", "it stays in them, because the motion of the vehicle is not known"),
        ("tracking without oxts", "kept: no poses", "it stays in them"),
        ("tracking", "removed", "removed by the poses of the vehicle"),
        ("raw", "removed", "removed by the poses of the vehicle"),
    ],
)
def test_check_and_run_say_what_becomes_of_it(made, tmp_path, kind, motion, says):
    root = made(kind)
    said = label("check", root, "--json", tmp_path / "check.json")
    assert f"ego motion within sweeps: {says}" in said.output
    assert json.loads((tmp_path / "check.json").read_text())["sweep_motion"] == motion
    write_masks(open_dataset(root), tmp_path / "masks")
    options = ("--semantics", "precomputed", "--masks-dir", tmp_path / "masks")
    done = label("run", root, "--out", tmp_path / "out", "--workers", 1, *options)
    assert done.exit_code == 0, done.output
    stages = json.loads((tmp_path / "out" / "run.json").read_text())["stages"]
    assert stages["clusters"]["sweep_motion"] == motion
    assert "sweep_motion" not in stages["masks"]


def test_nothing_is_said_where_the_data_set_has_removed_it(root, tmp_path):
    said = label("check", root, "--json", tmp_path / "check.json")
    assert "ego motion" not in said.output
    assert json.loads((tmp_path / "check.json").read_text())["sweep_motion"] == "removed by the data set"
