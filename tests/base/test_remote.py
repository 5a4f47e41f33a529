import numpy as np
import pytest
from helpers.two_lidars import png

from pointsam.base.errors import DatasetError
from pointsam.base.remote import StorePath
from pointsam.datasets.io import ImageFile, RawPoints, encoded_image, image_size, read_image, read_points
from pointsam.geometry.se3 import SE3
from pointsam.types import Sweep

fsspec = pytest.importorskip("fsspec", reason="opens object stores")

COLUMNS = ("x", "y", "z", "intensity")


@pytest.fixture
def root():
    """A bucket with one sweep, one image and an image of zero bytes."""
    store = fsspec.filesystem("memory")
    values = np.arange(12, dtype="<f4").reshape(3, 4)
    store.pipe({"/bucket/a.bin": values.tobytes(), "/bucket/a.png": png(3, 5), "/bucket/empty.png": b""})
    yield StorePath(store, "/bucket")
    store.rm("/bucket", recursive=True)


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
        with pytest.raises(DatasetError, match="/bucket/") as raised:
            read()
        assert raised.value.code == code


def test_paths_in_a_store_join_as_others_do(root):
    assert str(root / "velodyne" / "1.bin") == "/bucket/velodyne/1.bin"
    assert (StorePath(root.store, "/bucket/") / "1.bin").name == "1.bin"
