"""Files of points by their suffix. Files are written here byte by byte, and by the libraries that users have."""

import os
import struct
import sys

import numpy as np
import pytest
from helpers.cloud_files import COLUMNS, FILES, READ, ROWS, pcd, ply, text

from pointsam.base.errors import BackendError, DatasetError, PointSamError
from pointsam.datasets import clouds
from pointsam.datasets.clouds import point_source
from pointsam.datasets.io import read_columns
from pointsam.geometry.se3 import SE3
from pointsam.types import Sweep


def read(path):
    return read_columns(Sweep(point_source(path, COLUMNS), 0, SE3.identity(), SE3.identity()), COLUMNS)


@pytest.mark.parametrize("name", FILES)
def test_points_of_every_format_are_the_same(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    np.testing.assert_array_equal(read(tmp_path / name), READ)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8"])
def test_arrays_of_numpy(tmp_path, order, dtype):
    np.save(tmp_path / "a.npy", np.asarray(ROWS, dtype, order=order))
    np.testing.assert_array_equal(read(tmp_path / "a.npy"), READ)


def test_columns_that_nothing_reads_are_not_offered(tmp_path):
    (tmp_path / "a.pcd").write_bytes(FILES["mixed.pcd"])
    assert point_source(tmp_path / "a.pcd", COLUMNS).columns == ("x", "y", "z", "intensity", "ring")


def test_a_time_is_read_if_its_unit_is_stated(tmp_path):
    rows = np.array([[1, 2, 3, 0.5]], "<f4")
    (tmp_path / "a.ply").write_bytes(
        ply("binary_little_endian", rows.tobytes(), 1, ("float x", "float y", "float z", "float time_s"))
    )
    source = point_source(tmp_path / "a.ply", COLUMNS)
    assert source.columns == ("x", "y", "z", "time_s")
    assert source.read(("time_s",)).tolist() == [[0.5]]


@pytest.mark.parametrize("encoding", ["ASCII", "BINARY", "BINARY_COMPRESSED"])
def test_what_pypcd4_writes(tmp_path, encoding):
    pypcd4 = pytest.importorskip("pypcd4", reason="needs pointsam[clouds]")
    types = [np.float32] * 3 + [np.uint8, np.uint16]
    cloud = pypcd4.PointCloud.from_points([*ROWS.T, np.arange(3)], (*COLUMNS, "ring"), types)
    cloud.save(tmp_path / "a.pcd", encoding=pypcd4.Encoding[encoding])
    np.testing.assert_array_equal(read(tmp_path / "a.pcd"), READ)


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("name", ["a.pcd", "a.ply"])
def test_what_open3d_writes(tmp_path, open3d, name, as_text):
    tensor = open3d.core.Tensor.from_numpy
    cloud = open3d.t.geometry.PointCloud(tensor(ROWS[:, :3].copy()))
    cloud.point["intensity"] = tensor(ROWS[:, 3:].copy())
    open3d.t.io.write_point_cloud(str(tmp_path / name), cloud, write_ascii=as_text)
    np.testing.assert_allclose(read(tmp_path / name), READ, atol=1e-3)


def compressed(sizes, stream):
    return pcd("binary_compressed", struct.pack("<II", *sizes) + stream)


HUGE = 10**12
BAD = {
    "no header.pcd": b"",
    "a page.pcd": b"<html>404</html>\n" * 9,
    "raw rows.pcd": ROWS.tobytes() * 100,
    "cut.pcd": FILES["binary.pcd"][:-1],
    "cut header.pcd": FILES["binary.pcd"][:60],
    "huge.pcd": pcd("binary", ROWS.tobytes(), points=HUGE),
    "huge text.pcd": pcd("ascii", text(ROWS), points=HUGE),
    "few lines.pcd": pcd("ascii", text(ROWS) + b"\n" * 99, points=4),
    "huge compressed.pcd": pcd("binary_compressed", struct.pack("<II", 4, 2**32 - 1) + b"abcd", points=2**28 - 1),
    "wrong sizes.pcd": compressed((4, 47), b"abcd"),
    "cut stream.pcd": compressed((4000, 48), b"abcd"),
    "no stream.pcd": pcd("binary_compressed", b""),
    "negative.pcd": pcd("binary", ROWS.tobytes(), points=-1),
    "no number.pcd": pcd("binary", ROWS.tobytes(), points="three"),
    "count.pcd": pcd("binary", ROWS.tobytes(), count=f"1 1 1 {HUGE}"),
    "sizes.pcd": pcd("binary", ROWS.tobytes(), size="4 4 4"),
    "type.pcd": pcd("binary", ROWS.tobytes(), type_="F F F X"),
    "encoding.pcd": pcd("zip", ROWS.tobytes()),
    "no fields.pcd": pcd("binary", b"", fields="", size="", type_="", count=""),
    "words.pcd": pcd("ascii", b"a b c d\n" * 3),
    "short lines.pcd": pcd("ascii", b"1 2 3       \n" * 3),
    "no header.ply": b"ply\n",
    "cut.ply": FILES["little.ply"][:-1],
    "huge.ply": ply("binary_little_endian", ROWS.tobytes(), vertices=HUGE),
    "huge text.ply": ply("ascii", text(ROWS), vertices=HUGE),
    "many before.ply": ply("ascii", text(ROWS), before=f"element axis {HUGE}\nproperty int a"),
    "far.ply": ply("binary_little_endian", ROWS.tobytes(), before=f"element axis {HUGE}\nproperty int a"),
    "lists.ply": ply("binary_little_endian", ROWS.tobytes(), before="element face 1\nproperty list uchar int a"),
    "list.ply": ply("ascii", text(ROWS), properties=("float x", "list uchar int y", "float z")),
    "type.ply": ply("ascii", text(ROWS), properties=("complex x",)),
    "vertices.ply": ply("ascii", text(ROWS), vertices="-3"),
    "no property.ply": ply("ascii", text(ROWS), properties=()),
    "cut.npy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 4), }",
    "no header.npy": ROWS.tobytes(),
    "open bracket.npy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'shape': (3, 4".ljust(128) + ROWS.tobytes(),
    "pcd.bin": FILES["binary.pcd"],
    "ply.bin": FILES["text.ply"],
}


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_file_is_DAT006(tmp_path, name):
    (tmp_path / name).write_bytes(BAD[name])
    with pytest.raises(DatasetError) as raised:
        read(tmp_path / name)
    assert raised.value.code == "DAT006", raised.value
    assert name in raised.value.message


@pytest.mark.parametrize("array", [np.zeros(4), np.zeros((3, 5)), np.zeros((3, 4), "c8"), np.zeros((3, 4, 1))])
def test_another_array_is_DAT006(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DatasetError, match=r"DAT006.*rows") as raised:
        read(tmp_path / "a.npy")
    assert raised.value.code == "DAT006"


def test_an_array_with_a_damaged_header_is_DAT006(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content.replace(b"}", b"("))  # what numpy's parser raises has no usual kind
    with pytest.raises(DatasetError, match="DAT006"):
        read(tmp_path / "a.npy")


def test_pickled_objects_are_not_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}, 1, 2, 3]], dtype=object), allow_pickle=True)
    with pytest.raises(DatasetError, match=r"DAT006.*Object arrays cannot be loaded"):
        read(tmp_path / "a.npy")


def test_clouds_without_positions_are_DAT011(tmp_path):
    (tmp_path / "a.pcd").write_bytes(pcd("binary", ROWS.tobytes(), fields="u v z intensity"))
    with pytest.raises(DatasetError, match="no column x, y") as raised:
        read(tmp_path / "a.pcd")
    assert raised.value.code == "DAT011"


@pytest.mark.parametrize("data", ["binary", "ascii", "binary_compressed"])
def test_a_cloud_without_points_is_DAT008(tmp_path, data):
    (tmp_path / "a.pcd").write_bytes(pcd(data, struct.pack("<II", 0, 0) if "compressed" in data else b"", 0))
    with pytest.raises(DatasetError) as raised:
        read(tmp_path / "a.pcd")
    assert raised.value.code == "DAT008"


def test_a_compressed_cloud_without_the_package_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.pcd").write_bytes(compressed((48, 48), bytes(48)))
    monkeypatch.setitem(sys.modules, "lzf", None)
    with pytest.raises(BackendError, match="python-neo-lzf") as raised:
        read(tmp_path / "a.pcd")
    assert raised.value.code == "BCK005"
    assert "pointsam[clouds]" in raised.value.hint


@pytest.mark.parametrize("suffix", [".bin", ".pcd", ".ply", ".npy"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "missing"])
def test_what_is_no_file_is_DAT004(tmp_path, suffix, kind):
    path = tmp_path / f"a{suffix}"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    with pytest.raises(DatasetError) as raised:
        read(path)
    assert raised.value.code == "DAT004"


@pytest.mark.parametrize("suffix", [".bin", ".pcd", ".ply", ".npy"])
def test_a_file_too_large_for_a_sweep_is_DAT006_before_it_is_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with path.open("wb") as stream:
        stream.write({".pcd": FILES["binary.pcd"], ".ply": FILES["little.ply"]}.get(suffix, b""))
        stream.truncate(2**40)
    with pytest.raises(DatasetError, match="too many for one sweep") as raised:
        read(path)
    assert raised.value.code == "DAT006"


def test_points_that_do_not_fit_into_memory_are_DAT006(tmp_path, monkeypatch):
    def full(_self):
        raise MemoryError

    (tmp_path / "a.bin").write_bytes(ROWS.tobytes())
    monkeypatch.setattr(clouds.RawPoints, "content", full)
    with pytest.raises(DatasetError, match="do not fit into memory") as raised:
        read(tmp_path / "a.bin")
    assert raised.value.code == "DAT006"


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".bin")])
def test_changed_bytes_raise_nothing_but_coded_errors(tmp_path, name):
    rng, path, content = np.random.default_rng(0), tmp_path / name, FILES[name]
    for _ in range(80):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 5)):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(bytes(damaged[: rng.integers(len(content))] if rng.random() < 0.3 else damaged))
        try:
            values = read(path)
        except PointSamError:
            continue
        assert values.shape[1] == 4


def test_a_file_that_loses_a_column_meanwhile_is_DAT006(tmp_path):
    path = tmp_path / "a.pcd"
    path.write_bytes(FILES["binary.pcd"])
    source = point_source(path, COLUMNS)
    assert "intensity" in source.columns
    path.write_bytes(pcd("binary", ROWS.tobytes(), fields="x y z _"))
    with pytest.raises(DatasetError, match="no column intensity") as raised:
        source.read(COLUMNS)
    assert raised.value.code == "DAT006"
