import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pointsam.semantics.tiles import cut, windows

SIZES = st.integers(64, 2000)


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
