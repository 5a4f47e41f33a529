"""Points in Parquet and LAS files."""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pointsam.base.errors import BackendError, DatasetError
from pointsam.datasets.clouds import point_source
from pointsam.datasets.io import read_columns
from pointsam.geometry.se3 import SE3
from pointsam.types import Sweep

ROWS = np.array([[1.5, -2.25, 3, 7, 2], [100, 0.5, -1, 255, 31], [-4, 8, 0.25, 0, 0]])


def sweep(path):
    return Sweep(point_source(path, ("x", "y", "z")), 0, SE3.identity(), SE3.identity())


def write_parquet(path, **columns):
    named = dict(zip(("X", "y", "z", "reflectivity", "ring"), ROWS.T, strict=True))
    pq.write_table(pa.table({**named, "t": [1.0, 2.0, 3.0], "name": ["a", "b", "c"], **columns}), path)
    return path


def write_las(path, extra=True):
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.offsets, header.scales = np.array([100.0, -50.0, 3.0]), np.full(3, 0.001)
    if extra:
        header.add_extra_dim(laspy.ExtraBytesParams(name="ring", type=np.uint16))
    data = laspy.LasData(header)
    data.x, data.y, data.z, data.intensity = ROWS[:, 0], ROWS[:, 1], ROWS[:, 2], ROWS[:, 3].astype(np.uint16)
    if extra:
        data.ring = ROWS[:, 4].astype(np.uint16)
    data.write(str(path))
    return path


@pytest.mark.parametrize(("write", "name"), [(write_parquet, "a.parquet"), (write_las, "a.LAS")])
def test_values_are_those_of_the_named_columns(tmp_path, write, name):
    read = sweep(write(tmp_path / name))
    assert set(read.source.columns) == {"x", "y", "z", "intensity", "ring"}
    assert np.allclose(read_columns(read, ("x", "y", "z", "intensity", "ring")), ROWS, atol=6e-4)
    assert np.allclose(read_columns(read, ("ring", "z")), ROWS[:, [4, 2]], atol=6e-4)


def test_a_column_of_times_is_used_only_with_its_unit(tmp_path):
    assert "time_s" not in sweep(write_parquet(tmp_path / "a.parquet")).source.columns
    timed = sweep(write_parquet(tmp_path / "b.parquet", time_s=[0.0, 0.1, 0.2]))
    assert np.allclose(read_columns(timed, ("time_s",))[:, 0], [0, 0.1, 0.2])


def test_null_is_a_point_without_a_position(tmp_path):
    read = read_columns(sweep(write_parquet(tmp_path / "a.parquet", y=pa.array([1.0, None, 2.0]))), ("x", "y", "z"))
    assert np.isnan(read).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize(("write", "name"), [(write_parquet, "a.parquet"), (write_las, "a.las")])
@pytest.mark.parametrize("keep", [0, 10, -3])
def test_a_truncated_file_is_an_error_of_its_frame(tmp_path, write, name, keep):
    path = write(tmp_path / name)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DatasetError, match=r"DAT006.*a\."):
        read_columns(sweep(path), ("x", "y", "z"))


@pytest.mark.parametrize(("write", "suffix"), [(write_parquet, ".parquet"), (write_las, ".las")])
def test_a_wrong_suffix_is_named(tmp_path, write, suffix):
    path = write(tmp_path / f"a{suffix}").rename(tmp_path / "a.bin")
    with pytest.raises(DatasetError) as caught:
        read_columns(sweep(path), ("x", "y", "z"))
    assert suffix in str(caught.value)


def test_a_las_header_with_too_many_records_is_refused_at_once(tmp_path):
    path = write_las(tmp_path / "a.las")
    content = bytearray(path.read_bytes())
    content[100:104] = b"\xff" * 4
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="more records than the file can hold"):
        read_columns(sweep(path), ("x", "y", "z"))


def test_las_without_laspy_names_the_package(tmp_path, monkeypatch):
    path = write_las(tmp_path / "a.las")
    monkeypatch.setitem(sys.modules, "laspy", None)
    with pytest.raises(BackendError, match="needs laspy") as caught:
        read_columns(sweep(path), ("x", "y", "z"))
    assert "pointsam[clouds]" in caught.value.hint
