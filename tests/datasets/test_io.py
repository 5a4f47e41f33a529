import numpy as np
import pytest
from PIL import Image

from pointsam.base.errors import DatasetError
from pointsam.datasets import io
from pointsam.datasets.io import ImageFile, RawPoints, read_columns, read_points
from pointsam.geometry.se3 import SE3
from pointsam.types import Sweep

COLUMNS = ("x", "y", "z", "intensity", "ring")


def sweep(path, floats_per_point=5):
    return Sweep(RawPoints(path, COLUMNS[:floats_per_point]), 0, SE3.identity(), SE3.identity())


def read_image(path, **options):
    return io.read_image(ImageFile(path), **options)


def image_size(path):
    return io.image_size(ImageFile(path))


def write_points(path, points):
    np.asarray(points, dtype="<f4").tofile(path)
    return path


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    return tmp_path, pixels


@pytest.mark.parametrize("floats_per_point", [4, 5])
def test_positions_come_in_file_order(tmp_path, floats_per_point):
    points = np.arange(6 * floats_per_point, dtype=np.float32).reshape(6, floats_per_point)
    xyz = read_points(sweep(write_points(tmp_path / "a.bin", points), floats_per_point))
    np.testing.assert_array_equal(xyz, points[:, :3])
    assert xyz.dtype == np.float32
    assert xyz.flags.c_contiguous


def test_a_sweep_of_other_columns_may_hold_nan(tmp_path):
    path = write_points(tmp_path / "a.bin", [[1, 2, 3, np.nan, np.inf]])
    assert read_points(sweep(path)).tolist() == [[1, 2, 3]]


def test_the_real_sweeps_are_read_whole(kitti_root):
    path = kitti_root / "training" / "velodyne" / "000000.bin"
    assert len(read_points(sweep(path, 4))) == path.stat().st_size // 16


def test_a_missing_sweep_is_DAT004(tmp_path):
    with pytest.raises(DatasetError) as raised:
        read_points(sweep(tmp_path / "gone.bin"))
    assert raised.value.code == "DAT004"
    assert "gone.bin" in raised.value.message


def test_a_sweep_that_is_a_folder_is_DAT004(tmp_path):
    with pytest.raises(DatasetError) as raised:
        read_points(sweep(tmp_path))
    assert raised.value.code == "DAT004"


def test_a_sweep_cut_inside_a_point_is_DAT006(tmp_path):
    path = tmp_path / "cut.bin"
    path.write_bytes(bytes(20 * 3 + 7))
    with pytest.raises(DatasetError, match="67 bytes") as raised:
        read_points(sweep(path))
    assert raised.value.code == "DAT006"
    assert "cut.bin" in raised.value.message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rows_without_a_position_are_kept_as_nan(tmp_path, bad, axis):
    points = np.ones((9, 5))
    points[[4, 7], axis] = bad
    xyz = read_points(sweep(write_points(tmp_path / "a.bin", points)))
    absent = np.isnan(xyz)
    assert np.flatnonzero(absent.all(axis=1)).tolist() == [4, 7]
    assert np.array_equal(absent.any(axis=1), absent.all(axis=1))
    assert (xyz[~absent] == 1).all()


def test_a_sweep_of_nothing_but_nan_is_DAT008(tmp_path):
    with pytest.raises(DatasetError, match="in all 9 rows") as raised:
        read_points(sweep(write_points(tmp_path / "a.bin", np.full((9, 5), np.nan))))
    assert raised.value.code == "DAT008"


@pytest.mark.parametrize("place", [0, 7.5])
@pytest.mark.parametrize("gaps", [0, 50])
def test_a_sweep_of_one_place_is_DAT008(tmp_path, place, gaps):
    points = np.full((100, 5), float(place))
    points[:gaps] = np.nan
    with pytest.raises(DatasetError, match=f"all 100 points are at {place:g}, {place:g}, {place:g}") as raised:
        read_points(sweep(write_points(tmp_path / "a.bin", points)))
    assert raised.value.code == "DAT008"
    points[-1, 1] += 1
    assert len(read_points(sweep(write_points(tmp_path / "a.bin", points)))) == 100


def test_an_intensity_that_is_not_finite_is_0_and_the_position_counts(tmp_path):
    points = np.ones((4, 5))
    points[[0, 2], 3] = np.nan, np.inf
    values = read_columns(sweep(write_points(tmp_path / "a.bin", points)), ("x", "y", "z", "intensity"))
    assert values[:, 3].tolist() == [0, 1, 0, 1]
    assert (values[:, :3] == 1).all()


def test_a_sweep_without_points_is_DAT008(tmp_path):
    path = write_points(tmp_path / "empty.bin", [])
    with pytest.raises(DatasetError, match=r"empty\.bin") as raised:
        read_points(sweep(path))
    assert raised.value.code == "DAT008"


def test_images_are_rgb(photo):
    folder, pixels = photo
    np.testing.assert_array_equal(read_image(folder / "photo.png"), pixels)
    assert read_image(folder / "photo.jpg").shape == (24, 40, 3)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_other_eight_bit_images_become_rgb(tmp_path, mode):
    Image.new("RGB", (5, 3), (204, 204, 204)).convert(mode).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[204, 204, 204]] * 5] * 3


def test_a_sixteen_bit_image_is_DAT005_and_not_clipped(tmp_path):
    Image.fromarray(np.full((3, 5), 40000, dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DatasetError, match="8 bits") as raised:
        read_image(tmp_path / "deep.png")
    assert raised.value.code == "DAT005"


def test_a_missing_image_is_DAT004(tmp_path):
    with pytest.raises(DatasetError, match=r"gone\.png") as raised:
        read_image(tmp_path / "gone.png")
    assert raised.value.code == "DAT004"


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_an_image_cut_anywhere_is_DAT005(photo, kind):
    folder, _ = photo
    whole = (folder / f"photo.{kind}").read_bytes()
    path = folder / f"cut.{kind}"
    for length in range(0, int(0.9 * len(whole)), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(DatasetError) as raised:
            read_image(path)
        assert raised.value.code == "DAT005"
        assert str(path) in raised.value.message


def test_a_file_that_is_no_image_is_DAT005(tmp_path):
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    with pytest.raises(DatasetError) as raised:
        read_image(tmp_path / "page.jpg")
    assert raised.value.code == "DAT005"


def test_an_image_of_another_size_than_the_calibration_is_DAT005(photo):
    folder, _ = photo
    assert read_image(folder / "photo.png", expect=(24, 40)).shape == (24, 40, 3)
    with pytest.raises(DatasetError, match="40 x 24 px, but the calibration states 24 x 40 px") as raised:
        read_image(folder / "photo.png", expect=(40, 24))
    assert raised.value.code == "DAT005"


def test_the_size_needs_only_the_header(photo):
    folder, _ = photo
    head = folder / "head.png"
    head.write_bytes((folder / "photo.png").read_bytes()[:60])
    assert image_size(head) == (24, 40)
    with pytest.raises(DatasetError):
        read_image(head)


def test_a_ring_that_is_not_finite_or_not_there_is_minus_1(tmp_path):
    points = np.arange(1.0, 51.0).reshape(10, 5)
    points[3, 4], points[5, 4] = np.nan, np.inf
    path = write_points(tmp_path / "a.bin", points)
    columns = ("x", "y", "z", "intensity", "ring")
    read = [
        read_columns(Sweep(RawPoints(path, (*columns[:4], last)), 0, SE3.identity(), SE3.identity()), columns)
        for last in ("ring", "_")
    ]
    assert read[0][:, 4].tolist() == [5, 10, 15, -1, 25, -1, 35, 40, 45, 50]
    assert read[1][:, 4].tolist() == [-1] * 10
    assert (read[0][:, :4] == points[:, :4]).all()
