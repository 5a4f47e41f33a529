import numpy as np
import pytest

from pointsam.geometry.projection import project
from pointsam.report.overlay import draw_camera
from pointsam.report.style import class_rgb, cluster_rgb
from pointsam.rle import encode_mask
from pointsam.taxonomy import NUSCENES

NONE = (-1, 255)


@pytest.fixture
def draw(make_frame, make_labels, image):
    """Draw points given as (forward, right, up) in metres, with their (cluster, class), into the one camera."""

    def at(points=(), clusters=(), masks=(), width_px=800, grown=None):
        frame = make_frame(["image_2"])
        xyz_lidar = np.array(points, float).reshape(-1, 3)[:, [1, 0, 2]]
        projection = project(xyz_lidar, frame, frame.cameras[0])
        picture = draw_camera(image, "t", projection, make_labels(*clusters), masks, NUSCENES, width_px, grown)
        return np.array(picture)

    return at


def test_a_labelled_point_has_its_clusters_colour_where_it_projects(draw):
    canvas = draw([(20, 5, -1)], [(3, 0)])
    assert tuple(canvas[round(224.5 + 400 / 20), round(399.5 + 400 * 5 / 20)]) == cluster_rgb(3)


def test_a_grown_point_is_paler_than_a_masked_one_however_the_points_are_ordered(draw):
    points, clusters = [(20, 5, -1), (40, -5, -1), (20, 0, 0)], [(3, 0), (3, 0), NONE]
    plain = draw(points, clusters)
    for order in ([0, 1, 2], [2, 1, 0]):
        grown = np.array([False, True, False])[order]
        canvas = draw([points[k] for k in order], [clusters[k] for k in order], grown=grown)
        assert tuple(canvas[244, 499]) == tuple(plain[244, 499]) == cluster_rgb(3)
        assert canvas[234, 349].min() > plain[234, 349].min()
        assert (canvas != plain).any(axis=2).sum() == 9


def test_points_follow_the_pictures_scale(draw):
    canvas = draw([(20, 5, -1)], [(3, 0)], width_px=400)
    assert canvas.shape == (225, 400, 3)
    assert tuple(canvas[122, 250]) == cluster_rgb(3)


def test_a_near_point_covers_a_far_one(draw):
    for clusters in ([(1, 0), (2, 0)], [(2, 0), (1, 0)]):
        far, near = clusters
        canvas = draw([(40, 0, 0), (20, 0, 0)], [far, near])
        assert tuple(canvas[224, 400]) == cluster_rgb(near[0])


def test_an_unlabelled_point_is_one_grey_pixel(draw):
    changed = draw([(20, 5, -1)], [NONE]) != draw()
    assert changed.any(axis=2).sum() == 1


@pytest.mark.parametrize("cluster", [(3, 0), NONE])
@pytest.mark.parametrize("point", [(-20, 5, -1), (0.5, 0.1, -0.1)])
def test_a_point_behind_or_too_near_the_camera_is_not_drawn(draw, point, cluster):
    assert (draw([point], [cluster]) == draw()).all()


def test_a_mask_is_tinted_and_outlined_in_its_class_colour(draw, image):
    mask = np.zeros(image.shape[:2], bool)
    mask[100:200, 300:500] = True
    canvas = draw(masks=[(mask, 4)]).astype(int)
    colour = np.array(class_rgb(4))
    assert np.abs(canvas[100, 400] - colour).max() < 15
    assert np.allclose(canvas[150, 400], 60 * 0.7 + colour * 0.3, atol=1)
    assert (canvas[250, 400] == 60).all()


def test_run_lengths_draw_as_their_mask(draw, image):
    mask = np.zeros(image.shape[:2], bool)
    mask[100:200, 300:500] = True
    assert (draw(masks=[(encode_mask(mask), 4)]) == draw(masks=[(mask, 4)])).all()


def test_a_small_mask_stays_visible_on_a_large_one(draw, image):
    large, small = np.zeros((2, *image.shape[:2]), bool)
    large[50:400, 50:700] = True
    small[100:200, 300:500] = True
    assert (draw(masks=[(small, 1), (large, 2)]) == draw(masks=[(large, 2), (small, 1)])).all()
    assert np.abs(draw(masks=[(small, 1), (large, 2)])[100, 400].astype(int) - class_rgb(1)).max() < 15
