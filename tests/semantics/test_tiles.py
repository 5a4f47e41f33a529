import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.semantics.tiles import cut, windows

SIZES = st.integers(64, 2000)


@settings(max_examples=40)
@given(SIZES, SIZES, st.integers(64, 900), st.sampled_from([0.0, 0.2, 0.5]))
def test_windows_are_squares_inside_the_image_that_reach_every_edge(width, height, tile, overlap):
    found = np.array(windows(width, height, tile, overlap))
    side = min(tile, width, height)
    assert (found[:, 2:] - found[:, :2] == side).all()
    assert (found[:, :2] >= 0).all()
    assert found[:, 0].min() == 0
    assert found[:, 1].min() == 0
    assert found[:, 2].max() == width
    assert found[:, 3].max() == height


@settings(max_examples=40)
@given(SIZES, st.integers(64, 900), st.sampled_from([0.2, 0.35, 0.5]), st.data())
def test_what_fits_the_overlap_is_whole_in_one_window(width, tile, overlap, data):
    side = min(tile, width)
    size = int(side * overlap)
    left = data.draw(st.integers(0, width - size))
    found = windows(width, side, tile, overlap)
    assert any(x1 <= left and left + size <= x2 for x1, _, x2, _ in found)


def test_nuscenes_takes_15_squares_of_400_px():
    assert len(windows(1600, 900, 400, 0.2)) == 15


def test_only_borders_between_windows_cut():
    box = np.array([[0, 5, 20, 15], [80, 5, 100, 15], [40, 0, 60, 100], [40, 40, 60, 60]], dtype=np.float32)
    left, right = (0, 0, 100, 100), (50, 0, 150, 100)
    assert cut(box, left, 150, 100, margin_px=2).tolist() == [False, True, False, False]
    assert cut(box + np.float32(50), right, 150, 100, margin_px=2).tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("size", "tile_px", "overlap", "left", "top"),
    [
        ((100, 50), 50, 0.2, [0, 25, 50], [0]),
        ((130, 50), 50, 0.2, [0, 40, 80], [0]),
        ((131, 50), 50, 0.2, [0, 27, 54, 81], [0]),
        ((50, 131), 60, 0.2, [0], [0, 27, 54, 81]),
        ((80, 80), 40, 0.0, [0, 40], [0, 40]),
        ((3, 1), 1, 0.2, [0, 1, 2], [0]),
    ],
)
def test_windows_are_as_few_as_the_overlap_allows_row_by_row(size, tile_px, overlap, left, top):
    side = min(tile_px, *size)
    assert windows(*size, tile_px, overlap) == [(x, y, x + side, y + side) for y in top for x in left]


@pytest.mark.parametrize("side", range(4))
def test_a_box_is_cut_nearer_than_the_margin(side):
    inward, window = np.array([1, 1, -1, -1]), np.array([20, 30, 60, 80])
    for gap, expected in ((1.9, True), (2.0, False)):
        box = window + inward * np.where(np.arange(4) == side, gap, 9)
        assert cut(box[None].astype(np.float32), tuple(window), 100, 110, margin_px=2).tolist() == [expected]
