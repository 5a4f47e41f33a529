from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.store_samples import frame_labels

from pointsam.base.errors import SchemaError
from pointsam.evaluate.tracked_frames import SPREAD_M, tracked_frame
from pointsam.geometry.se3 import SE3
from pointsam.types import NO_INSTANCE, Sweep

TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
SOURCE = SimpleNamespace(name=str(Path("none")), columns=("x", "y", "z"))
SWEEP = Sweep(SOURCE, 0, SE3(np.eye(3), np.array([0.0, 0, 2])), SE3(TURN, np.array([100.0, 0, 0])))


def test_values_are_those_of_the_labels():
    found = frame_labels("f", num_points=60)
    frame = tracked_frame(found, [4, -1, 9], SWEEP, class_ids=[0, 0, 1])
    assert (frame.scene, frame.frame_id, frame.t_us, frame.ok) == ("one", "f", found.frame.t_us, True)
    assert [one.track_id for one in frame.clusters] == [4, -1, 9]
    assert [one.class_id for one in frame.clusters] == [0, 0, 1]
    assert [one.num_cameras for one in frame.clusters] == [0, 1, 1]  # "left" twice is one camera
    ids = found.labels.instance_id
    for k, (one, cluster) in enumerate(zip(frame.clusters, found.clusters, strict=True)):
        x, y, z = cluster.center_lidar_m
        assert one.center_world_m == pytest.approx((100 - y, x, z + 2))
        assert (one.length_m, one.height_m) == (2 * cluster.radius_bev_m, cluster.size_aabb_m[2])
        masked = (ids == k) & ~found.grown
        assert (one.num_views, one.num_covered) == (found.views[masked].sum(), found.covered[masked].sum())
        assert (one.probability, one.num_points_cut, one.spread) == (cluster.probability, cluster.num_points_cut, ())
    assert frame.seen_points == (found.views > 0).sum()
    assert frame.labelled_points == ((found.views > 0) & (ids != NO_INSTANCE)).sum()


def test_classes_are_those_of_the_labels_by_default():
    assert [one.class_id for one in tracked_frame(frame_labels("f"), [0, 1, 2], None).clusters] == [0, 1, 0]


def test_without_poses_there_is_no_place_in_the_world():
    frame = tracked_frame(frame_labels("f"), [0, 1, 2], None)
    assert np.isnan([one.center_world_m for one in frame.clusters]).all()


def test_points_are_counted_in_rings_around_their_median(rng_of):
    found = frame_labels("f", num_points=80)
    xyz = rng_of(0).normal(0, 2, (80, 3)).astype(np.float32)
    ids = found.labels.instance_id
    xyz[np.flatnonzero(ids == 1)[0]] = 1000.0
    xyz[np.flatnonzero(ids == NO_INSTANCE)[0]] = np.nan
    frame = tracked_frame(found, [0, 1, 2], SWEEP, xyz)
    for k, one in enumerate(frame.clusters):
        xy = xyz[ids == k, :2].astype(float)
        away = np.linalg.norm(xy - np.median(xy, axis=0), axis=1)
        assert sum(one.spread) == len(xy)
        for ring, number in enumerate(one.spread[:63]):
            assert number == ((away >= SPREAD_M * ring) & (away < SPREAD_M * (ring + 1))).sum()
    assert frame.clusters[1].spread[63] == 1


def test_a_quarantined_frame_has_no_labels():
    frame = tracked_frame(frame_labels("f", failed=True), [], None)
    assert not frame.ok
    assert frame.clusters == ()


@pytest.mark.parametrize(
    "wrong",
    [{"tracks": [0]}, {"tracks": [0, 1, 2], "class_ids": [0]}, {"tracks": [0, 1, 2], "xyz_lidar_m": np.zeros((3, 3))}],
)
def test_other_numbers_of_clusters_or_points_are_refused(wrong):
    with pytest.raises(SchemaError, match="frame f of 3 clusters and 20 points has") as raised:
        tracked_frame(frame_labels("f"), sweep=None, **wrong)
    assert raised.value.code == "SCH003"
