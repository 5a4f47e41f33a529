import numpy as np
from PIL import Image

from pointsam.report.points import cluster_colours, paint_points, tag_clusters
from pointsam.report.style import class_rgb, cluster_rgb
from pointsam.taxonomy import NUSCENES

RED, BLUE = (255, 0, 0), (0, 0, 255)


def painted(uv_px, rgb, **options):
    canvas = np.zeros((8, 10, 3), np.uint8)
    paint_points(canvas, np.array(uv_px), np.array(rgb, np.uint8), **options)
    return canvas


def test_a_point_is_a_square_around_its_pixel():
    canvas = painted([(4, 3)], [RED], radius_px=1)
    assert np.argwhere(canvas[..., 0]).tolist() == [[v, u] for v in (2, 3, 4) for u in (3, 4, 5)]


def test_a_later_point_covers_an_earlier_one_whole():
    canvas = painted([(4, 3), (5, 3)], [RED, BLUE], radius_px=1)
    assert (canvas[2:5, 4:7] == BLUE).all()
    assert (canvas[2:5, 3] == RED).all()


def test_points_at_and_beyond_the_border_are_cut():
    canvas = painted([(0, 0), (10, 8), (-5, 3), (4, 99)], [RED] * 4, radius_px=1)
    assert (canvas[..., 0] > 0).sum() == 4 + 1


def test_opacity_lets_the_picture_through():
    assert painted([(1, 1)], [RED], radius_px=0, opacity=0.5)[1, 1, 0] == 127


def test_points_take_their_clusters_colour():
    colours = cluster_colours(np.array([7, 0, 7], np.int32))
    assert [tuple(map(int, c)) for c in colours] == [cluster_rgb(7), cluster_rgb(0), cluster_rgb(7)]


def test_grown_points_are_paler_than_masked_ones_of_their_cluster():
    colours = cluster_colours(np.array([4, 4, 7], np.int32), np.array([False, True, True]))
    assert tuple(colours[0]) == cluster_rgb(4)
    for k, cluster in ((1, 4), (2, 7)):
        assert np.allclose(colours[k], 255 - 0.4 * (255 - np.array(cluster_rgb(cluster))), atol=1)


def test_neighbouring_ids_look_different_and_none_is_dark():
    colours = np.array([cluster_rgb(i) for i in range(200)], int)
    assert np.abs(colours[1:] - colours[:-1]).sum(axis=1).min() > 120
    assert (colours @ (0.30, 0.59, 0.11)).min() > 110


def test_the_classes_of_a_taxonomy_look_different():
    assert len({class_rgb(i) for i in range(len(NUSCENES.classes))}) == len(NUSCENES.classes)


def test_tags_stand_where_no_point_and_no_tag_is(make_labels):
    """A pole of one cluster, a cloud of another above it, a post of a third to the right."""
    pole = np.array([(200, v) for v in range(200, 240)])
    cloud = np.array([(u, v) for u in range(150, 250, 4) for v in range(150, 196, 4)])
    post = pole[:30] + np.array((75, 5))
    uv = np.concatenate([pole, cloud, post])
    labels = make_labels(*[(0, 0)] * len(pole), *[(1, 1)] * len(cloud), *[(2, 2)] * len(post))
    picture = Image.new("RGB", (400, 400), (90, 90, 90))
    tag_clusters(picture, uv, labels, np.arange(len(uv)), NUSCENES, size_px=14, min_points=5)
    drawn = (np.array(picture) != 90).any(axis=2)
    assert drawn[120:150, 150:250].any()  # the cloud's, above it
    assert drawn[200:240, 206:270].any()  # the pole's, right of it
    assert not drawn[uv[:, 1], uv[:, 0]].any()


def test_a_tag_is_beside_most_points_of_its_cluster(make_labels):
    """A cloud with one stray point far away, whose middle lies between the two without it."""
    cloud = np.array([(u, v) for u in range(100, 140, 4) for v in range(200, 240, 4)])
    uv = np.concatenate([cloud, [(390, 20)]])
    labels = make_labels(*[(0, 0)] * len(uv))
    picture = Image.new("RGB", (400, 400), (90, 90, 90))
    tag_clusters(picture, uv, labels, np.arange(len(uv)), NUSCENES, size_px=14, min_points=5)
    drawn = np.argwhere((np.array(picture) != 90).any(axis=2))
    assert abs(np.median(drawn, axis=0) - (190, 120)).max() < 15


def test_small_clusters_go_without_a_tag(make_labels):
    picture = Image.new("RGB", (100, 100))
    labels = make_labels(*[(0, 0)] * 4)
    tag_clusters(picture, np.full((4, 2), 50), labels, np.arange(4), NUSCENES, size_px=14, min_points=5)
    assert not np.array(picture).any()
