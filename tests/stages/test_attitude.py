"""The attitude of a LiDAR, and the order of several, change no label."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.two_rigs import FRONT, OBJECTS, ROOF, images, remounted, scan, street, sweep_of
from scipy.spatial.transform import Rotation

from pointsam.base.runtime import Stopwatch
from pointsam.datasets.points import read_frame_points
from pointsam.export.frame import ExportFrame
from pointsam.geometry.boxes import corners, rows, turned
from pointsam.geometry.se3 import SE3
from pointsam.stages.frame import frame_labels
from pointsam.stages.recipes import default, paper
from pointsam.taxonomy import NUSCENES
from pointsam.types import NO_INSTANCE

ATTITUDES = {
    "pitched by 20 degrees": ("y", 20),
    "rolled by -20 degrees": ("x", -20),
    "upside down": ("x", 180),
    "on its side": ("x", 90),
    "looking up": ("y", -90),
    "in between": ("zyx", [30, 70, 130]),
}


@pytest.fixture(scope="module")
def known():
    return images()


@pytest.fixture(scope="module")
def roof():
    return sweep_of(scan(ROOF), ROOF)


@pytest.fixture(scope="module")
def front():
    """A LiDAR of 16 rings behind the front bumper."""
    return sweep_of(scan(FRONT, rings=16, steps=500, low=-15, high=15), FRONT, "front")


def labelled(known, *sweeps, config=None):
    frame = street(*sweeps)
    row, painted = known
    points = read_frame_points(frame, ring=True)
    config = config or default().clusters
    return frame, frame_labels(frame, points, {"front": row}, lambda _: painted, NUSCENES, config, Stopwatch())


def boxes_of(frame, found):
    """Corners of the fitted boxes in the frame of the vehicle, in no order of their own."""
    xyz = read_frame_points(frame, intensity=True).rows()
    item = ExportFrame(0, "street", found, NUSCENES, lambda: frame, lambda: xyz, dict)
    boxes = turned(item.boxes, frame.sweep.ego_SE3_lidar)
    assert boxes.rotation[:, 2, 2] == pytest.approx(np.ones(len(boxes)))
    return np.sort(corners(boxes).round(3), axis=1), rows(boxes)


@pytest.mark.parametrize("attitude", ATTITUDES)
@pytest.mark.parametrize("recipe", [default, paper])
def test_the_attitude_of_a_lidar_changes_no_label(known, roof, attitude, recipe):
    config = recipe().clusters
    frame, plain = labelled(known, roof, config=config)
    turn = Rotation.from_euler(*ATTITUDES[attitude], degrees=True).as_matrix()
    tilted, found = labelled(known, remounted(roof, turn), config=config)
    assert len({c.class_name for c in plain.clusters}) >= 4
    assert len(plain.clusters) >= len(OBJECTS)
    np.testing.assert_array_equal(found.labels.instance_id, plain.labels.instance_id)
    np.testing.assert_array_equal(found.labels.class_id, plain.labels.class_id)
    np.testing.assert_array_equal(found.grown, plain.grown)
    np.testing.assert_allclose(boxes_of(tilted, found)[0], boxes_of(frame, plain)[0], atol=2e-3)
    ranges = [[cluster.range_m for cluster in one.clusters] for one in (found, plain)]
    if "zyx" not in ATTITUDES[attitude]:  # extents are along the x axis of the LiDAR, or its y axis if x is vertical
        heights, radii = (
            [[of(cluster) for cluster in one.clusters] for one in (found, plain)]
            for of in (lambda cluster: cluster.size_aabb_m[2], lambda cluster: cluster.radius_bev_m)
        )
        np.testing.assert_allclose(*ranges, atol=1e-3)
        np.testing.assert_allclose(*heights, atol=1e-3)
        np.testing.assert_allclose(*radii, atol=1e-3)


def test_growth_limit_and_trim_have_something_to_do(known, roof):
    config = default().clusters
    _, found = labelled(known, roof)
    assert found.grown.sum() > 5
    for name in ("trim", "grow"):
        without = replace(config, **{name: replace(getattr(config, name), enabled=False)})
        _, other = labelled(known, roof, config=without)
        assert (other.labels.instance_id != found.labels.instance_id).any(), name


def test_two_lidars_give_the_same_partition_in_either_order(known, roof, front):
    frame, found = labelled(known, roof, front)
    other, swapped = labelled(known, front, roof)
    n, m = found.frame.sweep_points
    assert swapped.frame.sweep_points == (m, n)
    again = np.concatenate([swapped.labels.instance_id[m:], swapped.labels.instance_id[:m]])
    np.testing.assert_array_equal(again == NO_INSTANCE, found.labels.instance_id == NO_INSTANCE)
    pairs = set(zip(again.tolist(), found.labels.instance_id.tolist(), strict=True))
    assert len(pairs) == len(found.clusters) + 1  # one number for one number
    assert all(a == b or found.clusters[a].num_points == found.clusters[b].num_points for a, b in pairs if a >= 0)
    assert sum((found.labels.instance_id[:n] == c.cluster_id).any() for c in found.clusters) == len(found.clusters)
    spanning = [c for c in found.clusters if (found.labels.instance_id[n:] == c.cluster_id).any()]
    assert len(spanning) >= 5
    order = np.lexsort(boxes_of(frame, found)[1][:, :2].round(1).T)
    others = np.lexsort(boxes_of(other, swapped)[1][:, :2].round(1).T)
    # The heading is fitted to every n-th of many points, which are others in the other order: it may turn by a degree.
    np.testing.assert_allclose(boxes_of(frame, found)[0][order], boxes_of(other, swapped)[0][others], atol=0.1)


@pytest.mark.parametrize("attitude", ["upside down", "in between"])
def test_an_attitude_of_the_second_lidar_changes_no_label(known, roof, front, attitude):
    turn = Rotation.from_euler(*ATTITUDES[attitude], degrees=True).as_matrix()
    _, plain = labelled(known, roof, front)
    _, found = labelled(known, roof, remounted(front, turn))
    np.testing.assert_array_equal(found.labels.instance_id, plain.labels.instance_id)


def test_ranges_are_those_from_the_lidar_that_measured_the_point(known, roof):
    """Far from the reference LiDAR, points of the other one would link over any distance."""
    far = SE3(np.eye(3), [-400.0, 0, 1.8])
    dummy = sweep_of(np.array([[1.0, 0, -1, 0, 0], [1, 0.2, -1, 0, 1]], dtype=np.float32), far, "far")
    _, alone = labelled(known, roof)
    _, found = labelled(known, dummy, roof)
    np.testing.assert_array_equal(found.labels.instance_id[2:], alone.labels.instance_id)
