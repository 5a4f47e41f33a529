"""Sweeps of other suffixes in the layouts of data sets."""

import json

import numpy as np
import pytest
from helpers.commands import label
from helpers.nuscenes_root import make_root
from helpers.semantic_root import make_semantic

from pointsam.datasets.io import read_points
from pointsam.datasets.kitti.objects import Kitti
from pointsam.datasets.nuscenes.dataset import NuScenes


def as_ply(path, suffix=".ply", width=4):
    """Rewrite raw rows as PLY."""
    rows = np.fromfile(path, "<f4").reshape(-1, width)
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(rows)}\n"
    names = ("x", "y", "z", "intensity", "ring")[:width]
    header += "".join(f"property float {name}\n" for name in names) + "end_header\n"
    path.unlink()
    path.with_suffix(suffix).write_bytes(header.encode() + rows.tobytes())


def test_kitti_sweeps_may_have_different_suffixes(tiny_kitti):
    data = Kitti(tiny_kitti.root)
    points = [read_points(data.frame(frame_id).sweep).tolist() for frame_id in data.frame_ids()]
    as_ply(tiny_kitti.path("velodyne", "000001"), ".PLY")
    data = Kitti(tiny_kitti.root)
    assert data.frame_ids() == ["000000", "000001"]
    assert [read_points(data.frame(frame_id).sweep).tolist() for frame_id in data.frame_ids()] == points
    assert data.frame("000001").sweep.source.name.endswith("000001.PLY")


def test_semantickitti_sweeps_may_be_ply(tmp_path):
    data = make_semantic(tmp_path, frames=2, values=[10] * 5)
    points = read_points(data.frame("08_000001").sweep).tolist()
    as_ply(tmp_path / "sequences" / "08" / "velodyne" / "000001.bin")
    data = type(data)(tmp_path)
    assert data.frame_ids() == ["08_000000", "08_000001"]
    assert read_points(data.frame("08_000001").sweep).tolist() == points
    assert len(data.point_truth("08_000001").labels) == 5


def test_nuscenes_tables_may_name_ply(tmp_path):
    root = make_root(tmp_path, scenes=("scene-0061",), samples_per_scene=1)
    data = NuScenes(root)
    path = data.frame(data.frame_ids()[0]).sweep.source.path
    points = read_points(data.frame(data.frame_ids()[0]).sweep).tolist()
    as_ply(path, width=5)
    table = root / "v1.0-mini" / "sample_data.json"
    text = table.read_text()
    assert text.count(path.name) == 1
    table.write_text(text.replace(path.name, path.with_suffix(".ply").name))
    data = NuScenes(root)
    assert read_points(data.frame(data.frame_ids()[0]).sweep).tolist() == points


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".npy"])
def test_two_clouds_of_one_frame_are_named(tiny_kitti, tmp_path, suffix):
    path = tiny_kitti.path("velodyne")
    path.with_suffix(suffix).write_bytes(b"other")
    assert Kitti(tiny_kitti.root).frame("000000").sweep.source.path == path
    result = label("check", tiny_kitti.root, "--json", tmp_path / "check.json")
    findings = json.loads((tmp_path / "check.json").read_text())["findings"]
    found = [one for one in findings if one.get("rule", one.get("id")) == "cloud-files"]
    assert len(found) == 1, result.output
    assert f"000000{suffix}" in result.output
