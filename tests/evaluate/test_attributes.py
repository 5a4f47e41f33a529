"""Bins of segments: two small cameras look forward and back from the LiDAR, and every value lies on a border."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pointsam.datasets.io import ImageFile, RawPoints
from pointsam.evaluate.attributes import dimensions, members_of
from pointsam.evaluate.overlap import overlaps
from pointsam.geometry.camera import Camera
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import NUSCENES
from pointsam.types import Boxes, CameraView, Frame, FramePoints, PointLabels, PointTruth, Sweep

CAMERAS = ("FRONT", "BACK", "TOP")  # the frame has no TOP
FORWARD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
TURNED = np.diag([-1.0, -1.0, 1.0])


def frame(forward=FORWARD, backward=TURNED @ FORWARD):
    here = SE3.identity()
    camera = Camera(np.array([[50.0, 0, 50], [0, 50.0, 50], [0, 0, 1]]), 100, 100)
    views = [
        CameraView(name, ImageFile(Path("a.jpg")), 0, camera, SE3(rotation, np.zeros(3)), here)
        for name, rotation in (("BACK", backward), ("FRONT", forward))
    ]
    sweep = Sweep(RawPoints(Path("a.bin"), ("x", "y", "z", "intensity")), 0, here, here)
    return Frame("frame", "scene", (sweep,), {}, tuple(views))


def labels(owner):
    owner = np.array(owner, dtype=np.int32)
    return PointLabels(owner, np.where(owner < 0, 255, 0).astype(np.uint8))


def binned(xyz, pred, true, void=(), boxes=None, visibility=None, one_frame=None):
    """Names of the bins of each object and of each cluster, by dimension."""
    is_void = np.isin(np.arange(len(xyz)), void)
    seen = overlaps(labels(pred), PointTruth(labels(true), is_void, "boxes"), NUSCENES)
    levels = () if visibility is None else ("low", "high")
    members = members_of(
        seen,
        FramePoints.of(np.array(xyz, dtype=np.float32)),
        one_frame or frame(),
        CAMERAS,
        boxes,
        visibility,
        len(levels),
    )
    names = dimensions(CAMERAS, levels)
    return {
        dimension: tuple(
            [[names[dimension][k] for k in np.flatnonzero(row)] for row in side] for side in (one.objects, one.clusters)
        )
        for dimension, one in members.items()
    }


def test_bins_have_names():
    assert dimensions(("A", "B"), ("0-40%", "40-100%")) == {
        "range": ("0-10 m", "10-20 m", "20-30 m", "30-40 m", "40-50 m", "50 m and more"),
        "points": ("1-4", "5-14", "15-49", "50-199", "200 and more"),
        "visibility": ("0-40%", "40-100%"),
        "camera": ("A", "B", "none"),
        "overlap": ("one camera", "several cameras", "none"),
    }
    assert "visibility" not in dimensions(("A",), ())


@pytest.mark.parametrize(
    ("xyz", "name"),
    [
        ([(0, 0, 40)], "0-10 m"),
        ([(6, 7.9, 0)], "0-10 m"),
        ([(6, 8, 0)], "10-20 m"),
        ([(30, 39.9, 0)], "40-50 m"),
        ([(-30, 40, 0)], "50 m and more"),
        ([(0, 1, 0), (0, 18, 0)], "0-10 m"),
        ([(0, 1, 0), (0, 20, 0)], "10-20 m"),
        ([(15, 0, 0), (-15, 0, 0)], "0-10 m"),
    ],
)
def test_the_range_is_that_of_the_mean_in_the_ground_plane(xyz, name):
    assert binned(xyz, [-1] * len(xyz), [0] * len(xyz))["range"] == ([[name]], [])
    assert binned(xyz, [0] * len(xyz), [-1] * len(xyz))["range"] == ([], [[name]])


@pytest.mark.parametrize(
    ("count", "name"), [(4, "1-4"), (5, "5-14"), (15, "15-49"), (199, "50-199"), (200, "200 and more")]
)
def test_points_are_counted_without_void_ones(count, name):
    xyz = [(5.0, 0, 0)] * (count + 3)
    found = binned(xyz, [0] * (count + 3), [-1, -1, 0] + [0] * count, void=(0, 1, 2))
    assert found["points"] == ([[name]], [[name]])


def test_segments_keep_their_own_points():
    xyz = [(5, 0, 0), (35, 0, 0), (-25, 0, 0), (35, 0, 0)]
    found = binned(xyz, [-1, 0, 1, 1], [2, 3, -1, 3])
    assert found["range"] == ([["0-10 m"], ["30-40 m"]], [["30-40 m"], ["0-10 m"]])
    assert found["camera"] == ([["FRONT"], ["FRONT"]], [["FRONT"], ["FRONT", "BACK"]])


@pytest.mark.parametrize(
    ("x", "cameras", "overlap"),
    [
        ((5, 5, -5), ["FRONT"], "one camera"),
        ((5, 5, -5, -5), ["FRONT", "BACK"], "several cameras"),
        ((5, 0, 0), ["none"], "none"),
        ((5, 0), ["FRONT"], "one camera"),
    ],
)
def test_a_camera_has_an_object_of_which_it_sees_half(x, cameras, overlap):
    found = binned([(k, 0, 0) for k in x], [-1] * len(x), [0] * len(x))
    assert (found["camera"], found["overlap"]) == (([cameras], []), ([[overlap]], []))


def boxes_at(*x_and_length):
    count = len(x_and_length)
    center = np.array([[x, 0.0, 0.0] for x, _ in x_and_length]).reshape(-1, 3)
    size = np.array([[length, 2.0, 2.0] for _, length in x_and_length]).reshape(-1, 3)
    return Boxes(center, size, np.tile(np.eye(3), (count, 1, 1)), np.zeros(count, np.uint8), ("",) * count)


@pytest.mark.parametrize(
    ("boxes", "levels", "name"),
    [
        (((5, 1), (8, 3)), (0, 1), ["high"]),
        (((8, 3), (5, 1)), (0, 1), ["low"]),
        (((5, 1), (7, 1)), (0, 1), ["low"]),  # one point each: the first box
        (((7, 1), (5, 1)), (1, 0), ["high"]),
        (((8, 3), (5, 1)), (-1, 1), []),  # nobody knows
        (((50, 1),), (1,), []),
        ((), (), []),
    ],
)
def test_visibility_is_that_of_the_box_with_most_points_of_the_object(boxes, levels, name):
    xyz = [(5, 0, 0), (7, 0, 0), (9, 0, 0), (8, 0, 0), (8.2, 0, 0)]
    found = binned(xyz, [0] * 5, [3, 3, 3, -1, -1], boxes=boxes_at(*boxes), visibility=np.array(levels, np.int8))
    assert found["visibility"] == ([name], [[]])


def test_every_object_has_the_visibility_of_its_own_box():
    xyz = [(5, 0, 0), (5.1, 0, 0), (9, 0, 0), (20, 0, 0)]
    found = binned(
        xyz, [-1] * 4, [0, 0, 1, 2], boxes=boxes_at((9, 1), (5, 1), (40, 1)), visibility=np.array([0, 1, 1], np.int8)
    )
    assert found["visibility"] == ([["high"], ["low"], []], [])


@pytest.mark.parametrize(("boxes", "visibility"), [(None, np.zeros(1, np.int8)), (boxes_at((5, 1)), None)])
def test_without_boxes_or_their_levels_there_is_no_visibility(boxes, visibility):
    assert "visibility" not in binned([(5, 0, 0)], [0], [0], boxes=boxes, visibility=visibility)


def test_the_lidar_that_measured_most_of_a_segment():
    one = frame()
    two = replace(one, sweeps=(one.sweep, replace(one.sweep, sensor="low")))
    truth = PointTruth(labels([0, 0, 1, 1, 1, 1]), np.zeros(6, bool), "boxes")
    seen = overlaps(labels([0, 0, 0, 1, 1, -1]), truth, NUSCENES)
    points = FramePoints(np.full((6, 3), 9, np.float32), np.array([0, 1, 1, 0, 1, 0], np.uint8), np.full(6, np.nan))
    members = members_of(seen, points, two, CAMERAS, None, None, 0)["sensor"]
    assert members.objects.tolist() == [[True, False], [True, False]]  # of equals, the first
    assert members.clusters.tolist() == [[False, True], [True, False]]
    assert "sensor" not in members_of(seen, points, one, CAMERAS, None, None, 0)
    assert dimensions(("A",), (), ("top", "low"))["sensor"] == ("top", "low")
    assert "sensor" not in dimensions(("A",), (), ("top",))
