"""Edges of 3D boxes in an image."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from pointsam.geometry.projection import project
from pointsam.report.compose import draw_frame
from pointsam.report.edges import draw_edges, edges_px
from pointsam.report.style import INK, class_rgb
from pointsam.taxonomy import NUSCENES
from pointsam.types import Boxes

RED = (255, 0, 0)


@pytest.fixture
def one(make_frame):
    frame = make_frame(["image_2"])
    return frame, frame.cameras[0]


def lines_of(boxes, frame, view):
    """The edges by their definition: pairs of corners that differ in one sign, each projected point by point."""
    signs = [np.array(s) for s in np.ndindex(2, 2, 2)]
    out = []
    for a, b in combinations(signs, 2):
        if np.abs(a - b).sum() == 1:
            ends = [boxes.center_m[0] + boxes.rotation[0] @ ((s - 0.5) * boxes.size_lwh_m[0]) for s in (a, b)]
            path = [ends[0] * (1 - t) + ends[1] * t for t in np.linspace(0, 1, 17)]
            out.append(np.array([project(xyz[None], frame, view).uv_px[0] for xyz in path]))
    return out


def test_they_equal_the_slow_twin(one, one_box):
    ours = edges_px(one_box, *one)[0, :12]
    theirs = lines_of(one_box, *one)
    assert len(theirs) == 12
    for line in theirs:
        same = [np.allclose(line, mine, atol=1e-9) or np.allclose(line[::-1], mine, atol=1e-9) for mine in ours]
        assert sum(same) == 1


def test_the_corners_are_where_a_pinhole_sees_them(one, one_box):
    # 4 m by 2 m, 20 m ahead: from 19 to 21 m, 2 m to either side, 0.75 m up and down; 400 px of focal length.
    uv = edges_px(one_box, *one)[0, :12].reshape(-1, 2)
    assert uv.min(axis=0) == pytest.approx([399.5 - 400 * 2 / 19, 224.5 - 400 * 0.75 / 19])
    assert uv.max(axis=0) == pytest.approx([399.5 + 400 * 2 / 19, 224.5 + 400 * 0.75 / 19])


def test_the_front_has_the_cross(one, one_box):
    # The box faces to the left, where u is smallest.
    cross = edges_px(one_box, *one)[0, 12:]
    assert cross[..., 0].max() == pytest.approx(399.5 - 400 * 2 / 21)
    assert cross[..., 0].min() == pytest.approx(399.5 - 400 * 2 / 19)


def test_what_lies_behind_the_camera_is_not_drawn(one, one_box):
    behind = replace(one_box, center_m=np.array([[0.0, -20, 0]]))
    assert np.isnan(edges_px(behind, *one)).all()
    beside = replace(one_box, center_m=np.array([[3.0, 0.5, 0]]), rotation=np.eye(3)[None])  # reaches behind it
    assert 0 < np.isfinite(edges_px(beside, *one)[..., 0]).mean() < 1
    picture = Image.new("RGB", (800, 450))
    draw_edges(picture, behind, [RED], None, *one)
    assert picture.getextrema() == ((0, 0),) * 3


def test_a_lens_bends_them(one, one_box):
    frame, view = one
    bent = replace(view, camera=replace(view.camera, distortion=(-0.3, 0.1, 0.0, 0.0)))
    near = replace(one_box, center_m=np.array([[0.0, 6, 0]]))
    straight, curved = edges_px(near, frame, view)[0], edges_px(near, frame, bent)[0]
    assert np.nanmax(np.abs(straight - curved)) > 1
    middle = (curved[:12, 0] + curved[:12, -1]) / 2
    assert np.nanmax(np.abs(middle - curved[:12, 8])) > 1


def test_they_are_drawn_in_any_size_with_a_text(one, one_box):
    full, half = Image.new("RGB", (800, 450)), Image.new("RGB", (400, 225))
    for picture in (full, half):
        draw_edges(picture, one_box, [RED], None, *one)
    drawn = [np.argwhere(np.array(picture)[..., 0] == 255) for picture in (full, half)]
    assert drawn[0].min(axis=0) == pytest.approx(2 * drawn[1].min(axis=0), abs=3)
    assert drawn[0].max(axis=0) == pytest.approx(2 * drawn[1].max(axis=0), abs=3)
    named = full.copy()
    draw_edges(named, one_box, [RED], ["car 0.90"], *one)
    above = np.array(named)[: drawn[0].min(axis=0)[0] - 1]
    assert (above[..., 0] > 100).any()
    draw_edges(named, Boxes(*(getattr(one_box, k)[:0] for k in ("center_m", "size_lwh_m", "rotation", "class_id")), ()),
               [], None, *one)  # fmt: skip


def test_a_frame_shows_true_and_detected_boxes(one, one_box, image, make_labels):
    frame, _ = one
    there, kind = one_box.center_m + np.array([4, 0, 0]), np.array([8], np.uint8)
    found = replace(one_box, center_m=there, class_id=kind, token=("x 0.5",))
    points = np.zeros((1, 3), np.float32)

    def drawn(**options):
        labels = make_labels((-1, 255))
        return np.array(draw_frame(frame, {"image_2": image}, points, labels, {}, one_box, NUSCENES, **options))

    plain, both = drawn(), drawn(detected=found, edges=True)
    height = round(450 * 2400 / 800)
    assert (plain[:height] == drawn(detected=found)[:height]).all()  # without `edges`, images are as they were
    for rgb, more in ((INK, both[:height]), (class_rgb(8), both[:height]), (class_rgb(8), both[height:, :1500])):
        assert (more == rgb).all(axis=2).sum() > (plain[: len(more), : more.shape[1]] == rgb).all(axis=2).sum()
