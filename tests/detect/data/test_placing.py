"""The road that pasted objects stand on, and which objects may be pasted."""

import numpy as np
import pytest

from pointsam.base.errors import DatasetError, SchemaError
from pointsam.datasets.kitti.objects import Kitti
from pointsam.detect.data.placing import ground_z_m, rated, require_road, road_of

PLANE = "# Plane\nWidth 4\nHeight 1\n-1.0e-02 -9.9e-01 3.0e-02 1.7e+00\n"


def hill(rng, count=6000):
    """Ground that rises by 5 %, with a car on it."""
    xy = rng.uniform(-30, 30, (count, 2))
    ground = np.column_stack([xy, xy[:, 0] * 0.05 - 1.7])
    free = ~((np.abs(xy[:, 0] - 10) < 2) & (np.abs(xy[:, 1]) < 1))
    car = np.column_stack([rng.uniform(8, 12, 200), rng.uniform(-1, 1, 200), rng.uniform(-1.0, 0.4, 200)])
    return np.concatenate([ground[free], car])


def test_the_ground_is_found_on_a_slope_and_beneath_a_car(rng_of):
    at = np.array([[10.0, 0.0, 5.0], [-20.0, 15.0, -3.0], [0.0, 0.0, 0.0]])
    assert ground_z_m(hill(rng_of(0)), at) == pytest.approx([-1.2, -2.7, -1.7], abs=0.1)


def test_a_road_plane_is_that_of_the_file(tiny_kitti):
    """The point of the plane on the camera's vertical axis through the object, as published."""
    kitti = Kitti(tiny_kitti.root)
    (tiny_kitti.root / "training" / "planes").mkdir()
    for number in ("000000", "000001"):
        (tiny_kitti.root / "training" / "planes" / f"{number}.txt").write_text(PLANE)
    xyz = np.array([[10.0, 3.0, 0.2], [25.0, -4.0, -1.0]])
    road = road_of(kitti, "planes", "000001", np.zeros((0, 3)))
    transform = kitti.rect_SE3_lidar("000001")
    z = road(xyz)
    for point, height in zip(xyz, z, strict=True):
        x, _, depth = transform.apply(point[None])[0]
        y = -(1.7 - 0.01 * x + 0.03 * depth) / -0.99
        assert transform.inverse().apply(np.array([[x, y, depth]]))[0, 2] == pytest.approx(height)
    require_road(kitti, "planes", kitti.frame_ids())


@pytest.mark.parametrize(
    ("text", "code"),
    [(None, "DAT004"), ("", "DAT011"), ("1 2 3\n", "DAT011"), ("0 0 1 2\n", "DAT011"), ("a b c d", "DAT011")],
)
def test_a_missing_or_broken_plane_is_refused_with_a_way_out(tiny_kitti, text, code):
    (tiny_kitti.root / "training" / "planes").mkdir()
    if text is not None:
        (tiny_kitti.root / "training" / "planes" / "000000.txt").write_text(text)
    kitti = Kitti(tiny_kitti.root)
    with pytest.raises(DatasetError, match=r"000000\.txt") as raised:
        require_road(kitti, "planes", kitti.frame_ids())
    assert raised.value.code == code
    assert "data.paste.road=points" in raised.value.hint
    require_road(kitti, "points", kitti.frame_ids())


def test_a_data_set_without_planes_is_refused(world):
    with pytest.raises(SchemaError, match=r"SCH005.*nuscenes does not have"):
        require_road(world, "planes", world.frame_ids())
    assert road_of(world, "none", "", np.ones((9, 3))) is None
    assert road_of(world, "points", "", np.zeros((0, 3))) is None


def test_an_object_is_rated_if_it_is_hard_at_least(tiny_kitti):
    """Height of the 2D box, edges included, 25 px; occlusion 2; truncation 0.5."""
    rows = [
        "Car 0.00 0 0.0 30 20 70 60 1.5 1.6 4.0 0.0 1.0 10.0 0.0",
        "Car 0.00 0 0.0 30 20 70 44 1.5 1.6 4.0 0.0 1.0 20.0 0.0",
        "Car 0.00 0 0.0 30 20 70 43.9 1.5 1.6 4.0 0.0 1.0 30.0 0.0",
        "Car 0.50 2 0.0 30 20 70 60 1.5 1.6 4.0 0.0 1.0 40.0 0.0",
        "Car 0.51 0 0.0 30 20 70 60 1.5 1.6 4.0 0.0 1.0 50.0 0.0",
        "DontCare -1 -1 -10 0 0 50 80 -1 -1 -1 -1000 -1000 -1000 -10",
        "Car 0.00 3 0.0 30 20 70 60 1.5 1.6 4.0 0.0 1.0 60.0 0.0",
    ]
    tiny_kitti.path("label_2").write_text("\n".join(rows) + "\n")
    kitti = Kitti(tiny_kitti.root)
    tokens = kitti.boxes("000000").token
    assert rated(kitti, "000000", tokens).tolist() == [True, True, False, True, False, False]
    assert rated(kitti, "000000", tokens[1:3]).tolist() == [True, False]


def test_all_are_pasted_where_there_are_no_levels(world):
    assert rated(world, world.frame_ids()[0], ["a", "b"]).tolist() == [True, True]
