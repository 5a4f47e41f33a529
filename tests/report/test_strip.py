"""Crops of an object, and its path from above."""

import numpy as np
import pytest
from PIL import Image

from pointsam.report.strip import COLUMNS, TILE_PX, draw_crop, no_crop, strip, strip_width_px
from pointsam.report.style import INK, ORIGIN_RGB
from pointsam.report.track_path import PathDrawing, draw_path

RED = (255, 0, 0)
GREEN = np.array([[0, 255, 0]], dtype=np.uint8)


def image(width=400, height=300):
    """Blue grows to the right, red downwards."""
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([rows * 255 // height, rows * 0, columns * 255 // width]).astype(np.uint8)


def marked(picture, rgb):
    return (np.asarray(picture) == np.array(rgb)).all(axis=2)


def test_a_crop_shows_what_is_around_the_points():
    uv = np.array([[180.0, 130.0], [220.0, 160.0]])
    tile = draw_crop(image(), uv, GREEN[[0, 0]], ["0.0 s  kept"], RED)
    assert tile.size == TILE_PX
    _, columns = np.nonzero(marked(tile, GREEN[0]))
    assert columns.max() - columns.min() == pytest.approx(40 * TILE_PX[0] / 72, abs=4)  # 72 px wide: 0.9 x 40 x 2
    assert (columns.max() + columns.min()) / 2 == pytest.approx(TILE_PX[0] / 2, abs=4)
    blue = np.asarray(tile)[TILE_PX[1] // 2, :, 2].astype(int)
    assert blue[20] == pytest.approx(168 * 255 / 400, abs=3)


@pytest.mark.parametrize("uv", [[[2.0, 3.0]], [[398.0, 297.0]], [[20.0, 40.0], [390.0, 280.0]]])
def test_a_crop_stays_in_the_image(uv):
    uv = np.array(uv)
    tile = draw_crop(image(), uv, np.repeat(GREEN, len(uv), axis=0), [], RED)
    assert marked(tile, GREEN[0]).sum() >= 4
    inner = np.asarray(tile)[4:-4, 4:-4]
    assert inner[..., 2].min() < 120 or inner[..., 0].max() > 120
    assert not marked(Image.fromarray(inner[60:180]), (0, 0, 0)).all(axis=1).any()


def test_a_strip_has_rows_of_four():
    tiles = [no_crop("none", [f"{k}"], (k, 0, 0)) for k in range(6)]
    picture = strip(tiles)
    assert picture.width == strip_width_px() == COLUMNS * TILE_PX[0] + 12
    assert picture.height == 2 * TILE_PX[1] + 4
    assert picture.getpixel((TILE_PX[0] + 4, TILE_PX[1] + 4)) == (5, 0, 0)
    assert strip(tiles[:2]).size == (2 * TILE_PX[0] + 4, TILE_PX[1])


def drawing(**more):
    t_s = np.arange(5) * 0.5
    values = {
        "title": "car",
        "center_m": np.column_stack([1000 + 10 * t_s, np.full(5, 6.0), np.zeros(5)]),
        "origins": ["kept", "kept", "recovered", "kept", "extended"],
        "t_s": t_s,
        "points_m": np.zeros((0, 3)),
        "point_rgb": np.zeros((0, 3), dtype=np.uint8),
        "moving": True,
        "vehicle_m": np.column_stack([1000 + 4 * t_s, np.zeros(5), np.zeros(5)]),
        "ahead": np.array([1.0, 0.0]),
    }
    return PathDrawing(**{**values, **more})


def places(picture, rgb, below_v=110):
    rows, columns = np.nonzero(marked(picture, rgb)[below_v:])
    return columns.min(), columns.max(), rows.min() + below_v, rows.max() + below_v


def test_a_path_has_the_vehicle_to_the_right_and_left_upwards():
    picture = draw_path(drawing(), (900, 500))
    left, right, _, bottom = places(picture, ORIGIN_RGB["recovered"])
    assert right - left <= 12  # one dot
    _, _, white_top, _ = places(picture, INK, 250)
    assert bottom < white_top  # the object is on the left of the vehicle
    first, last = places(picture, ORIGIN_RGB["kept"])[:2]
    assert first < left < last


def test_a_turned_world_gives_the_same_picture():
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    plain = drawing()
    turned = drawing(center_m=plain.center_m @ turn.T, vehicle_m=plain.vehicle_m @ turn.T, ahead=np.array([0.0, 1.0]))
    difference = np.asarray(draw_path(plain, (400, 300))).astype(int) - np.asarray(draw_path(turned, (400, 300)))
    assert (np.abs(difference).max(axis=2) > 30).mean() < 0.01


def test_points_and_a_single_place_are_drawn():
    points = np.array([[1000.0, 6.0, 0.0]]) + np.random.default_rng(0).uniform(-1, 1, (200, 3))
    alone = drawing(
        center_m=np.array([[1000.0, 6, 0]]), origins=["kept"], t_s=np.zeros(1), moving=False, points_m=points
    )
    picture = draw_path(PathDrawing(**{**vars(alone), "point_rgb": np.repeat(GREEN, 200, axis=0)}), (400, 300))
    green = np.asarray(picture).astype(int)
    assert (green[..., 1] - green[..., 0] > 150).sum() > 50
    assert draw_path(drawing(center_m=np.zeros((0, 3)), origins=[], t_s=np.zeros(0)), (400, 300)).size == (400, 300)
