"""A frame of two LiDARs from images in memory and Parquet rows to labels, files, exports and a picture."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from helpers.store_samples import METADATA, label_tables
from helpers.two_lidars import by_hand, two_lidar_frame

from pointsam import rle
from pointsam.base.runtime import Stopwatch
from pointsam.base.seeding import generator
from pointsam.datasets.io import read_image
from pointsam.datasets.points import read_frame_points
from pointsam.export.clouds import ply
from pointsam.export.frame import ExportFrame
from pointsam.geometry.se3 import SE3
from pointsam.report.compose import draw_frame
from pointsam.stages.frame import calibration_hash, frame_labels
from pointsam.stages.grow import GrowConfig, grow
from pointsam.stages.lift import LiftConfig, lift
from pointsam.stages.limit import LimitConfig, limit
from pointsam.stages.prompt import PromptConfig, prompt, prompt_cloud
from pointsam.stages.recipes import default
from pointsam.store.document import ShardStats
from pointsam.store.manifest import Run, Shard
from pointsam.store.reader import Labels
from pointsam.taxonomy import NUSCENES
from pointsam.types import (
    NO_INSTANCE,
    Detections,
    FramePoints,
    ImageMasks,
    InstanceMap,
    Masks,
    RollingShutter,
)

CAR = NUSCENES.class_id("car")
LEFT, TOP, RIGHT, BOTTOM = 50, 40, 110, 80
"""The mask of the car, as a box."""


def car_mask():
    mask = np.zeros((120, 160), dtype=bool)
    mask[TOP:BOTTOM, LEFT:RIGHT] = True
    return mask


def painted(_camera="front"):
    instance = np.where(car_mask(), 0, -1).astype(np.int32)
    return InstanceMap(instance, np.array([CAR], np.uint8), np.zeros(1, np.int32))


def image_masks():
    one = np.ones(1, np.float32)
    masks = Masks(120, 160, (rle.encode_mask(car_mask()),), 0.9 * one, 0.95 * one, np.zeros(1, np.int32))
    box = np.array([[LEFT, TOP, RIGHT, BOTTOM]], np.float32)
    found = Detections(box, np.array([CAR], np.uint8), 0.8 * one, masks.rle)
    return ImageMasks("frame", "front", "ok", "", "", masks, found, np.zeros((0, 2), np.int32))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """The frame, its points and its labels."""
    frame, _ = two_lidar_frame(tmp_path_factory.mktemp("two"))
    points = read_frame_points(frame)
    found = frame_labels(frame, points, {"front": image_masks()}, painted, NUSCENES, default().clusters, Stopwatch())
    return frame, points, found


def test_points_of_both_sweeps_take_the_pixel_that_they_fall_on(labelled):
    frame, points, _ = labelled
    (view,) = frame.cameras
    lifted = lift(points, frame, view, painted(), LiftConfig())
    rows = [(sweep, xyz) for sweep in frame.sweeps for xyz in sweep.source.read(("x", "y", "z")).astype(np.float64)]
    for (sweep, xyz), seen, instance in zip(rows, lifted.seen, lifted.labels.instance_id, strict=True):
        u, v, depth = by_hand(xyz, sweep, view)
        assert seen == (depth > 1 and 1 < u < 159 and 1 < v < 119)
        assert (instance == 0) == (seen and LEFT <= u < RIGHT and TOP <= v < BOTTOM)


def test_labels_cover_the_points_of_all_sweeps(labelled):
    frame, points, found = labelled
    first, second = (points.sweep_index == k for k in (0, 1))
    assert found.frame.num_points == len(found.labels) == len(points) == first.sum() + second.sum()
    assert found.frame.t_us == frame.sweeps[0].t_us
    (cluster,) = (c for c in found.clusters if c.num_points > 100)
    member = found.labels.instance_id == cluster.cluster_id
    assert (member & first).sum() > 50
    assert (member & second).sum() > 50


def test_views_and_covered_count_the_cameras_of_each_point(labelled):
    frame, points, found = labelled
    lifted = lift(points, frame, frame.cameras[0], painted(), default().clusters.lift)
    assert 0 < lifted.seen.sum() < len(points)
    np.testing.assert_array_equal(found.views, lifted.seen)
    np.testing.assert_array_equal(found.covered, lifted.labels.instance_id == 0)


def test_prompts_come_from_the_points_of_all_sweeps(labelled):
    frame, points, _ = labelled
    (view,) = frame.cameras
    semantic = np.where(car_mask(), CAR, 255).astype(np.uint8)
    config = PromptConfig(max_prompts=10_000)
    cloud = prompt_cloud(frame, {0: points.xyz_lidar_m}, config)
    uv = prompt(cloud, frame, view, semantic, config, generator(0, "x"))
    lifted = lift(points, frame, view, painted(), LiftConfig())
    assert len(uv) > 100
    hit = np.zeros((120, 160), dtype=bool)
    for sweep, xyz in ((s, p) for s in frame.sweeps for p in s.source.read(("x", "y", "z")).astype(np.float64)):
        u, v, _ = by_hand(xyz, sweep, view)
        if LEFT <= u < RIGHT and TOP <= v < BOTTOM:
            hit[int(v), int(u)] = True
    assert {(u, v) for u, v in uv.tolist()} == {(u, v) for v, u in np.argwhere(hit).tolist()}
    assert (lifted.labels.instance_id == 0).sum() >= len(uv)


def test_labels_of_two_sweeps_are_stored_read_exported_and_drawn(labelled, tmp_path, open3d):
    frame, points, found = labelled
    shard = Shard("drive-00000", "drive", ("frame",))
    Run.open(tmp_path, "clusters", {"kappa": 1}, [shard], METADATA).commit(shard, label_tables([found]), ShardStats())
    read = Labels(tmp_path).labels("frame")
    assert read.frame == found.frame
    np.testing.assert_array_equal(read.labels.instance_id, found.labels.instance_id)

    item = ExportFrame(
        0, "frame", read, NUSCENES, lambda: frame, lambda: read_frame_points(frame, intensity=True).rows(), dict
    )
    (tmp_path / "frame.ply").write_bytes(ply(item)["frame.ply"])
    cloud = open3d.t.io.read_point_cloud(str(tmp_path / "frame.ply"))
    np.testing.assert_array_equal(cloud.point.positions.numpy(), points.xyz_lidar_m)
    np.testing.assert_array_equal(cloud.point.cluster.numpy()[:, 0], found.labels.instance_id)

    images = {view.name: read_image(view.source) for view in frame.cameras}
    masks = {"front": [(image_masks().masks.rle[0], CAR)]}
    assert draw_frame(frame, images, points.xyz_lidar_m, read.labels, masks, None, NUSCENES).width == 2400


def digest_of_one_sweep(frame):
    """As version 0.1.0 had it."""
    digest = hashlib.sha256()
    for view in frame.cameras:
        digest.update(view.camera.K.astype("<f8").tobytes())
        digest.update(np.asarray(view.camera.distortion, dtype="<f8").tobytes())
    poses = [frame.sweep.ego_SE3_lidar, frame.sweep.world_SE3_ego]
    for view in frame.cameras:
        poses += [view.ego_SE3_cam, view.world_SE3_ego]
    for pose in poses:
        digest.update(pose.rotation.astype("<f8").tobytes() + pose.translation_m.astype("<f8").tobytes())
    return digest.hexdigest()[:16]


def test_the_calibration_hash_covers_every_sweep_lens_and_shutter(labelled):
    frame, *_ = labelled
    one = replace(frame, sweeps=frame.sweeps[:1])
    assert calibration_hash(one) == digest_of_one_sweep(one)
    first, second = frame.sweeps
    (view,) = frame.cameras
    other = SE3(np.eye(3), [0.0, 0, 9])
    neighbour = {-1: replace(first, t_us=first.t_us - 50_000)}
    rolled = replace(frame, cameras=(replace(view, shutter=RollingShutter(0.0, 0.03)),), neighbours=neighbour)
    changed = [
        one,
        frame,
        replace(frame, cameras=(replace(view, camera=replace(view.camera, distortion=(0.1, 0, 0, 0))),)),
        replace(frame, cameras=(replace(view, camera=replace(view.camera, distortion=(0.0,) * 4, lens="fisheye")),)),
        replace(frame, cameras=(replace(view, camera=replace(view.camera, distortion=(0.0,) * 4)),)),
        replace(frame, sweeps=(first, replace(second, ego_SE3_lidar=other))),
        replace(frame, sweeps=(first, replace(second, world_SE3_ego=other))),
        rolled,
        replace(rolled, cameras=(replace(view, shutter=RollingShutter(0.0, 0.03, "columns")),)),
        replace(rolled, neighbours={-1: replace(neighbour[-1], world_SE3_ego=other)}),
    ]
    assert len({calibration_hash(each) for each in changed}) == len(changed)


def test_points_link_over_the_widest_ring_gap_of_the_sweeps(labelled):
    """Rings of a coarse LiDAR stay one object, also where the reference LiDAR is a fine one."""
    frame, *_ = labelled
    still = SE3.identity()
    z = np.repeat(np.arange(-3.0, 3.1, 2.0), 40)  # four rings, 2 m apart, 40 m ahead
    xyz = np.column_stack([np.full(len(z), 40.0), np.tile(np.linspace(-0.8, 0.8, 40), 4), z]).astype(np.float32)
    counts = []
    for gap in (0.0, 0.02):
        sweeps = tuple(
            replace(sweep, ring_gap_rad=g, world_SE3_ego=still)
            for sweep, g in zip(frame.sweeps, (0.0, gap), strict=True)
        )
        view = replace(frame.cameras[0], world_SE3_ego=still)
        shown = replace(frame, sweeps=sweeps, cameras=(view,))
        points = FramePoints(xyz, np.ones(len(xyz), np.uint8), np.full(len(xyz), np.nan))
        everywhere = InstanceMap(np.zeros((120, 160), np.int32), np.array([CAR], np.uint8), np.zeros(1, np.int32))
        found = frame_labels(
            shown,
            points,
            {"front": image_masks()},
            lambda _: everywhere,  # noqa: B023 - called at once
            NUSCENES,
            default().clusters,
            Stopwatch(),
        )
        counts.append(int((found.labels.instance_id >= 0).sum()))
    assert counts[1] == len(xyz) > counts[0]


def test_clusters_are_limited_and_then_grown(labelled):
    """A mask covers half of a car at 50 m, and a part of a hedge behind it, to which refinement links the car."""
    still, rng = SE3.identity(), np.random.default_rng(0)
    sweeps = tuple(replace(sweep, world_SE3_ego=still) for sweep in labelled[0].sweeps)
    frame = replace(
        labelled[0], sweeps=sweeps, cameras=(replace(labelled[0].cameras[0], world_SE3_ego=still),), neighbours={}
    )
    car = rng.uniform([50, -0.8, 0.6], [54, 0.8, 1.4], (300, 3))
    hedge = rng.uniform([55.7, -0.8, 0.6], [58, 0.8, 1.4], (100, 3))
    road = np.array([[x, y, 0.0] for x in np.arange(5.0, 58.0) for y in np.arange(-6.0, 7.0)])
    xyz = frame.sweep.ego_SE3_lidar.inverse().apply(np.concatenate([car, hedge, road])).astype(np.float32)
    points = FramePoints(xyz, np.zeros(len(xyz), np.uint8), np.full(len(xyz), np.nan))
    instance = np.full((120, 160), -1, np.int32)
    instance[40:63, 80:100] = 0

    def labels(config):
        half = InstanceMap(instance, np.array([CAR], np.uint8), np.zeros(1, np.int32))
        return frame_labels(frame, points, {"front": image_masks()}, lambda _: half, NUSCENES, config, Stopwatch())

    config, mount = default().clusters, frame.sweep.ego_SE3_lidar
    refined = labels(replace(config, limit=LimitConfig(), grow=GrowConfig())).labels
    limited = limit(xyz, mount, refined, NUSCENES, config.limit)
    expected, grown = grow(xyz, mount, limited, NUSCENES, config.grow)
    found = labels(config)
    assert found.labels.instance_id.tolist() == expected.instance_id.tolist()
    assert found.grown.tolist() == grown.tolist()
    (cluster,), (masked,) = found.clusters, labels(replace(config, grow=GrowConfig())).clusters
    assert cluster.num_points_grown == grown.sum()
    assert cluster.confidence == masked.confidence
    held = (refined.instance_id == 0).sum()
    assert 100 < (limited.instance_id == 0).sum() < held < (expected.instance_id == 0).sum()
    assert (expected.instance_id[:300] == 0).mean() > 0.95
    assert (expected.instance_id[300:] == NO_INSTANCE).all()
