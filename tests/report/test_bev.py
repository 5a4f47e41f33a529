import numpy as np
import pytest

from pointsam.geometry.se3 import SE3
from pointsam.report.bev import BevView, draw_bev, fit_view
from pointsam.report.style import INK, UNLABELLED, cluster_rgb
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import Boxes, PointLabels

LIDAR_X_IS_RIGHT = SE3(np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]), np.array([0.9, 0.0, 1.8]))
LIDAR_X_IS_FORWARD = SE3(np.eye(3), np.zeros(3))
SIZE = 600


@pytest.mark.parametrize(
    ("mounting", "ahead", "left"),
    [(LIDAR_X_IS_RIGHT, (0, 10, 0), (-10, 0, 0)), (LIDAR_X_IS_FORWARD, (10, 0, 0), (0, 10, 0))],
)
def test_forward_is_up_and_left_is_left_however_the_lidar_is_mounted(mounting, ahead, left):
    view = BevView(mounting.rotation, (0.0, 0.0), 50.0, SIZE)
    assert view.uv_px(np.array([ahead, left], float)).tolist() == [[300, 240], [240, 300]]


def test_a_labelled_point_has_its_clusters_colour_and_another_is_grey(make_labels):
    xyz = np.array([[0.0, 20, 0], [10, 20, 0]])
    labels = make_labels((3, 0), (-1, BACKGROUND))
    view = fit_view(xyz, labels, None, LIDAR_X_IS_RIGHT, SIZE)
    canvas = np.array(draw_bev(xyz, labels, None, LIDAR_X_IS_RIGHT, NUSCENES, SIZE))
    (u, v), (u_grey, v_grey) = np.floor(view.uv_px(xyz)).astype(int)
    assert tuple(canvas[v, u]) == cluster_rgb(3)
    assert tuple(canvas[v_grey, u_grey]) == UNLABELLED


def test_a_grown_point_is_paler_than_a_masked_one(make_labels):
    xyz = np.array([[0.0, 20, 0], [10, 20, 0], [5, 10, 0]])
    labels = make_labels((3, 0), (-1, BACKGROUND), (3, 0))
    grown = np.array([False, False, True])
    view = fit_view(xyz, labels, None, LIDAR_X_IS_RIGHT, SIZE)
    canvas = np.array(draw_bev(xyz, labels, None, LIDAR_X_IS_RIGHT, NUSCENES, SIZE, grown))
    (u, v), _, (u_grown, v_grown) = np.floor(view.uv_px(xyz)).astype(int)
    assert tuple(canvas[v, u]) == cluster_rgb(3)
    assert canvas[v_grown, u_grown].min() > min(cluster_rgb(3)) + 50


def test_a_box_is_outlined_where_it_stands_with_a_tick_at_its_front(one_box):
    xyz, labels = np.zeros((1, 3)), PointLabels.empty(1)
    view = fit_view(xyz, labels, one_box, LIDAR_X_IS_RIGHT, SIZE)
    canvas = np.array(draw_bev(xyz, labels, one_box, LIDAR_X_IS_RIGHT, NUSCENES, SIZE))

    def has_ink(*xyz_m):
        (u, v) = np.round(view.uv_px(np.array([xyz_m], float))[0]).astype(int)
        return (canvas[v - 1 : v + 2, u - 1 : u + 2] == INK).all(axis=2).any()

    on_outline = [(-2, 20), (2, 20), (0, 21), (0, 19), (2, 21), (-2, 19)]
    assert all(has_ink(x, y, 0) for x, y in on_outline)
    assert not has_ink(0, 20, 0)
    assert has_ink(-2.7, 20, 0)  # it faces left
    assert not has_ink(2.7, 20, 0)


def test_a_void_box_is_fainter(one_box):
    void = Boxes(one_box.center_m, one_box.size_lwh_m, one_box.rotation, np.array([BACKGROUND], np.uint8), ("a",))
    xyz, labels = np.zeros((1, 3)), PointLabels.empty(1)
    ink = [
        (np.array(draw_bev(xyz, labels, boxes, LIDAR_X_IS_RIGHT, NUSCENES, SIZE)) == INK).all(axis=2).sum()
        for boxes in (one_box, void, None)
    ]
    assert ink[0] > ink[1] == ink[2]


def test_the_view_holds_the_vehicle_and_what_lies_ahead(make_labels):
    xyz = np.array([[0.0, 70, 0], [5, 12, 0]])
    view = fit_view(xyz, make_labels((0, 0), (1, 0)), None, LIDAR_X_IS_RIGHT, SIZE)
    pixels = view.uv_px(np.concatenate([xyz, np.zeros((1, 3))]))
    assert ((pixels > 0) & (pixels < SIZE)).all()


def test_what_does_not_fit_is_cut_around_the_vehicle(make_labels):
    xyz = np.array([[0.0, 90, 0], [0, -40, 0]])
    view = fit_view(xyz, make_labels((0, 0), (1, 0)), None, LIDAR_X_IS_RIGHT, SIZE)
    assert view.half_side_m == 50.0
    assert view.uv_px(np.zeros((1, 3))).tolist() == [[SIZE / 2, SIZE / 2]]


def test_without_labels_and_boxes_it_shows_50_m_around():
    view = fit_view(np.zeros((4, 3)), PointLabels.empty(4), None, LIDAR_X_IS_RIGHT, SIZE)
    assert (view.half_side_m, view.center_m) == (50.0, (0.0, 0.0))
