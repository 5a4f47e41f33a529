import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.two_lidars import png

from pointsam.base.errors import BackendError, DatasetError
from pointsam.base.remote import data_path, is_folder, names_in, read_bytes, version_of
from pointsam.datasets import open_dataset
from pointsam.datasets.io import ImageFile, RawPoints, encoded_image, image_size, read_image, read_points
from pointsam.geometry.se3 import SE3
from pointsam.types import Sweep

COLUMNS = ("x", "y", "z", "intensity")


@pytest.fixture
def root(store):
    """A bucket with one sweep, one image and an image of zero bytes."""
    values = np.arange(12, dtype="<f4").reshape(3, 4)
    store.pipe({"/bucket/a.bin": values.tobytes(), "/bucket/a.png": png(3, 5), "/bucket/empty.png": b""})
    return data_path("memory://bucket")


def sweep(path):
    return Sweep(RawPoints(path, COLUMNS), 0, SE3.identity(), SE3.identity())


def test_a_sweep_and_an_image_are_read_from_an_object_store(root):
    assert read_points(sweep(root / "a.bin")).tolist() == [[0, 1, 2], [4, 5, 6], [8, 9, 10]]
    image = ImageFile(root / "a.png")
    assert image.file_name == "a.png"
    assert image_size(image) == (3, 5)
    assert read_image(image).tolist() == [[[90] * 3] * 5] * 3
    assert encoded_image(image) == (png(3, 5), "image/png")


def test_errors_name_the_file_in_the_store(root):
    for read, code in (
        (lambda: read_points(sweep(root / "gone.bin")), "DAT004"),
        (lambda: read_image(ImageFile(root / "gone.png")), "DAT004"),
        (lambda: read_image(ImageFile(root / "empty.png")), "DAT005"),
        (lambda: read_image(ImageFile(root / "a.bin")), "DAT005"),
        (lambda: read_points(sweep(root / "a.png")), "DAT006"),
    ):
        with pytest.raises(DatasetError, match="memory://bucket/") as raised:
            read()
        assert raised.value.code == code


def test_only_a_url_leaves_this_machine(tmp_path):
    for place in ("data", "/data/a:b", "C:/data"):
        assert data_path(place) == Path(place)
        assert isinstance(data_path(place), Path)
    assert data_path(tmp_path) is tmp_path


@pytest.mark.parametrize(
    ("url", "shown"),
    [("nosuch://a/b", "nosuch://a/b"), ("ftp://me:secret@host/a", "ftp://host/a")],
)
def test_a_url_that_cannot_be_used_is_refused(url, shown):
    pytest.importorskip("upath", reason="needs pointsam[remote]")
    with pytest.raises(DatasetError, match=r"DAT001") as raised:
        data_path(url)
    assert shown in raised.value.message
    assert "secret" not in str(raised.value)


def test_a_url_names_the_package_of_its_kind(monkeypatch):
    pytest.importorskip("upath", reason="needs pointsam[remote]")

    def missing(_protocol):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.get_filesystem_class", missing)
    with pytest.raises(BackendError, match=r"BCK005.*s3://bucket/a.*Install s3fs"):
        data_path("s3://bucket/a")


def test_without_the_packages_a_url_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(BackendError, match=r"(?s)BCK005.*memory://bucket.*pointsam\[remote\]"):
        data_path("memory://bucket")


def test_names_of_a_folder_are_sorted_and_a_missing_one_has_none(root, tmp_path):
    (tmp_path / "b").touch()
    (tmp_path / "[a]").mkdir()
    assert names_in(tmp_path) == ["[a]", "b"]
    assert names_in(root) == ["a.bin", "a.png", "empty.png"]
    for folder in (tmp_path / "gone", tmp_path / "b", root / "gone"):
        assert names_in(folder) == []


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    def refuse(_folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DatasetError, match=r"DAT004.*Permission denied"):
        names_in(tmp_path)


def test_a_changed_file_has_another_version(root, store, tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    os.utime(file, ns=(1, 1))
    assert version_of(file) == "1 1"
    os.utime(file, ns=(2, 2))
    assert version_of(file) == "1 2"
    before = version_of(root / "a.bin")
    assert version_of(root / "a.bin") == before
    store.pipe("/bucket/a.bin", b"1")
    assert version_of(root / "a.bin") != before


def test_a_folder_in_an_archive_that_is_gone_is_none(tmp_path, root):
    assert is_folder(root)
    assert is_folder(tmp_path)
    for gone in (root / "a.png", tmp_path / "gone", data_path(f"zip://::file://{tmp_path / 'gone.zip'}")):
        assert not is_folder(gone)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "label file cannot be read (Permission denied)"),
        (ConnectionResetError("reset by peer"), "label file cannot be read (reset by peer)"),
        (FileNotFoundError("bucket/a"), "label file is missing"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, monkeypatch, error, reason):
    def refuse(_path):
        raise error

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DatasetError) as raised:
        read_bytes(tmp_path / "a.txt", "label file")
    assert (raised.value.code, raised.value.message) == ("DAT004", f"{tmp_path / 'a.txt'}: {reason}")
    with pytest.raises(DatasetError) as raised:
        read_bytes(tmp_path / "a.txt", "label file", "unpack it")
    assert raised.value.hint == "unpack it"


@pytest.mark.parametrize("part", ["velodyne", "image_2", "calib"])
def test_a_damaged_member_of_an_archive_is_DAT004_of_its_frame(tiny_kitti, tmp_path, part):
    pytest.importorskip("upath", reason="needs pointsam[remote]")
    member = tiny_kitti.path(part)
    archive = tmp_path / "root.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(tiny_kitti.root.rglob("*.*")):
            file.write(path, path.relative_to(tiny_kitti.root))
        begin = file.getinfo(str(member.relative_to(tiny_kitti.root))).header_offset
    whole = bytearray(archive.read_bytes())
    whole[whole.index(member.read_bytes(), begin) + 3] ^= 0xFF  # the checksum does not fit any more
    archive.write_bytes(bytes(whole))
    data = open_dataset(f"zip://::file://{archive}")

    def read():
        frame = data.frame("000000")
        read_points(frame.sweep)
        read_image(frame.cameras[0].source)

    with pytest.raises(DatasetError) as raised:
        read()
    assert raised.value.code in ("DAT004", "DAT005")
    assert member.name in raised.value.message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_in_a_data_set_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a")
    sweep = Sweep(RawPoints(tmp_path / "a", COLUMNS), 0, SE3.identity(), SE3.identity())
    for read in (
        lambda: read_bytes(tmp_path / "a", "label file"),
        lambda: read_image(ImageFile(tmp_path / "a")),
        lambda: read_points(sweep),
    ):
        with pytest.raises(DatasetError, match=r"DAT004.*pipe"):
            read()
