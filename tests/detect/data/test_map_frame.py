"""A detector's map has z up, however its LiDARs are mounted, and however many they are."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.mounted import MOUNTS, InMemory, TwoLidars, remounted  # noqa: E402
from helpers.recipes import detector  # noqa: E402
from helpers.training import CLASSES, make_budget, make_labels, make_world  # noqa: E402

from pipelines.training.official import posed  # noqa: E402
from pipelines.training.outlook import boxes_in_map  # noqa: E402
from pipelines.training.score import truth_of  # noqa: E402
from pointsam.base.errors import SchemaError  # noqa: E402
from pointsam.datasets.kitti.objects import Kitti  # noqa: E402
from pointsam.datasets.nuscenes.dataset import NuScenes  # noqa: E402
from pointsam.datasets.points import read_frame_points, read_sweep_points  # noqa: E402
from pointsam.detect.data.cloud import lidar_places_m, read_cloud  # noqa: E402
from pointsam.detect.data.coarse import CoarseConfig, from_tables  # noqa: E402
from pointsam.detect.data.loader import FrameItems, cut_bank  # noqa: E402
from pointsam.detect.data.map_frame import MapFrame  # noqa: E402
from pointsam.detect.data.paste import PasteConfig  # noqa: E402
from pointsam.detect.data.placing import require_road  # noqa: E402
from pointsam.detect.data.sample import PointsConfig  # noqa: E402
from pointsam.detect.data.training_set import DataConfig, TrainingSet  # noqa: E402
from pointsam.detect.detector import Detector  # noqa: E402
from pointsam.detect.infer import InferConfig, detect_frames  # noqa: E402
from pointsam.detect.predictions_file import nuscenes_results, write_predictions  # noqa: E402
from pointsam.geometry.boxes import corners, rows  # noqa: E402
from pointsam.geometry.projection import key_SE3_sweep  # noqa: E402
from pointsam.geometry.se3 import SE3  # noqa: E402

RANGE = (-30.0, -30.0, -5.0, 30.0, 30.0, 3.0)
PASTE = PasteConfig({"car": 6, "pedestrian": 6, "bicycle": 6}, min_points=1, road="points")
POINTS = PointsConfig(past_sweeps=2)


def fed(world, budget, labels=None, points=POINTS, kind="tables"):
    data = TrainingSet(world, budget, labels, CLASSES, RANGE, DataConfig(points, CoarseConfig(kind), paste=PASTE))
    data.bank = cut_bank(data, 0)
    return data


def missing(world):
    """A box whose points are unknown."""
    return {world.boxes(world.frame_ids()[1]).token[0]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A root with a level LiDAR, and rough ground below its boxes: a point on a face is in or out by rounding."""
    rough_m = np.random.default_rng(1).uniform(-2.0, -1.9, 200)
    return make_world(tmp_path_factory.mktemp("world") / "root", ground_m=rough_m)


@pytest.fixture(scope="module")
def labels(world, tmp_path_factory):
    return make_labels(tmp_path_factory.mktemp("labels") / "out", world, missing=missing(world))


@pytest.fixture(scope="module", params=MOUNTS)
def turned(request, world, tmp_path_factory):
    """The world as a LiDAR sees it that is mounted otherwise, its budget, and the rotation from that LiDAR."""
    path = tmp_path_factory.mktemp("turned") / "root"
    other = remounted(world, path, MOUNTS[request.param])
    return other, make_budget(other), MOUNTS[request.param]


def same_labels(a, b, atol=1e-4):
    for name in ("boxes", "box_class", "velocity", "visible_center", "cluster_class", "cluster_center", "xyz"):
        np.testing.assert_allclose(getattr(a, name).numpy(), getattr(b, name).numpy(), atol=atol, err_msg=name)
    for name in ("cluster_id", "unknown", "cluster_points"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name


def test_samples_do_not_depend_on_how_the_lidar_is_mounted(world, labels, budget, turned, tmp_path):
    of_level = fed(world, budget, labels)
    of_turned = fed(*turned[:2], make_labels(tmp_path / "out", turned[0], missing=missing(world)))
    assert of_level.in_map == of_turned.in_map
    np.testing.assert_allclose(of_level.bank.points, of_turned.bank.points, atol=1e-4)
    for index in range(3):
        level, other = (data.sample(index, 0, index) for data in (of_level, of_turned))
        assert level.num_key == other.num_key > 0
        assert len(level.boxes) > len(of_level.raw(index, 0).boxes)  # some are pasted
        np.testing.assert_allclose(level.points, other.points, atol=1e-4)
        same_labels(level.labels(), other.labels())
    assert of_level.raw(1, 0).clusters.unknown.any()


def test_nor_do_the_points_that_a_camera_sees(world, budget, turned):
    points = replace(POINTS, in_view_only=True)
    level, other = (fed(*one, None, points, "none").raw(1, 0) for one in ((world, budget), turned[:2]))
    assert 0 < level.num_key < len(read_frame_points(world.frame(level.frame_id)))
    np.testing.assert_allclose(level.points, other.points, atol=1e-4)


@pytest.mark.parametrize("kind", ["simulated", "clicks", "centers"])
def test_nor_do_clusters_that_are_simulated(world, budget, turned, kind):
    level, other = (fed(*one, kind=kind).raw(1, 0) for one in ((world, budget), turned[:2]))
    np.testing.assert_allclose(level.clusters.center_m, other.clusters.center_m, atol=1e-4)
    assert np.array_equal(level.clusters.cluster_id, other.clusters.cluster_id)


def test_nor_do_budgets_and_true_boxes(world, budget, turned):
    """Velocities too: of a LiDAR on its side, x and y of its own frame do not hold them."""
    frame_id = world.frame_ids()[1]
    for known, found in zip(budget.frames.values(), turned[1].frames.values(), strict=True):
        assert known.keys() == found.keys()
        for token, velocity in known.items():
            assert found[token] == (None if velocity is None else pytest.approx(velocity, abs=1e-9))
    for name in ("center_m", "size_lwh_m", "score", "range_m"):
        known, found = (getattr(truth_of(one, frame_id), name) for one in (world, turned[0]))
        np.testing.assert_allclose(known, found, atol=1e-6)
    turns = truth_of(world, frame_id).yaw_rad - truth_of(turned[0], frame_id).yaw_rad
    np.testing.assert_allclose(np.cos(turns), 1, atol=1e-12)


def test_predictions_come_back_in_the_frame_of_the_sensor(world, turned, tmp_path):
    network, frame_ids = network_of(world), world.frame_ids()[:3]
    level, other = (list(detect_frames(network, one, frame_ids, InferConfig(POINTS))) for one in (world, turned[0]))
    assert sum(len(frame.score) for frame in level) > 20
    for a, b in zip(level, other, strict=True):
        np.testing.assert_allclose(a.boxes, b.boxes, atol=2e-3)
        np.testing.assert_allclose(a.score, b.score, atol=1e-3)
    both = (world, level), (turned[0], other)
    results = [nuscenes_results(posed(*some), world.taxonomy.names)["results"] for some in both]
    for frame_id in frame_ids:
        for a, b in zip(results[0][frame_id], results[1][frame_id], strict=True):
            assert a["translation"] == pytest.approx(b["translation"], abs=3e-3)
            assert abs(np.dot(a["rotation"], b["rotation"])) == pytest.approx(1, abs=1e-4)
            assert a["velocity"] == pytest.approx(b["velocity"], abs=1e-2)
    tables = []
    for name, one, found in (("level", world, level), ("turned", turned[0], other)):
        placed = [(frame, MapFrame.of(one.frame(frame.frame_id))) for frame in found]
        write_predictions(tmp_path / name, placed, one.taxonomy.names, {})
        tables.append(pq.read_table(tmp_path / name))
    level_R_lidar = turned[2]
    center, rotation, velocity = ([read(table) for table in tables] for read in (center_of, rotation_of, velocity_of))
    np.testing.assert_allclose(center[1] @ level_R_lidar.T, center[0], atol=2e-3)
    np.testing.assert_allclose(level_R_lidar @ rotation[1], rotation[0], atol=2e-3)
    np.testing.assert_allclose(velocity[1] @ level_R_lidar.T, velocity[0], atol=1e-2)
    assert (velocity[0][:, 2] == 0).all()
    for table, turns in zip(tables, rotation, strict=True):
        yaw, flat = np.array(table["yaw_rad"].to_pylist()), np.linalg.norm(turns[:, :2, 0], axis=1)
        np.testing.assert_allclose(
            np.column_stack([np.cos(yaw), np.sin(yaw)]) * flat[:, None], turns[:, :2, 0], atol=1e-5
        )


def network_of(world):
    """A detector that finds boxes everywhere."""
    torch.manual_seed(0)
    config = detector("center-pillar")
    return Detector(replace(config, head=replace(config.head, score_threshold=0.0, candidates=20)), world.taxonomy)


def center_of(table):
    return np.array(table["center_lidar_m"].to_pylist())


def rotation_of(table):
    wxyz = np.array(table["rotation_lidar_wxyz"].to_pylist())
    return Rotation.from_quat(wxyz[:, [1, 2, 3, 0]]).as_matrix()


def velocity_of(table):
    flat, z = np.array(table["velocity_lidar_mps"].to_pylist()), np.array(table["velocity_z_lidar_mps"].to_pylist())
    return np.column_stack([flat, z])


def test_boxes_go_to_the_lidar_frame_and_back(turned):
    at = MapFrame.of(turned[0].frame(turned[0].frame_ids()[0]))
    boxes = np.array([[10.0, -3.0, 0.5, 4.0, 2.0, 1.5, 0.7], [-5.0, 8.0, -1.0, 0.6, 0.7, 1.8, -3.0]])
    back = at.boxes(at.lidar_boxes(boxes))
    np.testing.assert_allclose(rows(back), boxes, atol=1e-12)
    np.testing.assert_allclose(back.rotation[:, 2, 2], 1, atol=1e-12)
    in_lidar = corners(at.lidar_boxes(boxes)).reshape(-1, 3).astype(np.float32)
    np.testing.assert_allclose(at.points(in_lidar).reshape(-1, 8, 3), corners(back), atol=1e-5)
    moved = at.pose(SE3(np.eye(3), [1.0, 2.0, 3.0])).apply(boxes[:, :3]) - [[1.0, 2.0, 3.0]]
    np.testing.assert_allclose(moved, at.lidar_boxes(boxes).center_m, atol=1e-12)


def as_published(dataset, frame, config):
    """Points of a frame in the frame of its LiDAR, as they were read when all frames had one level LiDAR."""
    sweeps = dataset.past_sweeps(frame.frame_id, config.past_sweeps)
    past = [read_sweep_points(frame, sweep, intensity=True) for sweep in sweeps]
    past = [values[(np.abs(values[:, 0]) >= 1.0) | (np.abs(values[:, 1]) >= 1.0)] for values in past]
    key = read_frame_points(frame, intensity=True).rows()
    points = np.zeros((len(key) + sum(map(len, past)), 5), dtype=np.float32)
    parts = np.split(points, np.cumsum([len(key), *map(len, past)])[:-1])
    parts[0][:, :4] = key
    parts[0][:, 3] /= config.intensity_full
    for part, values, sweep in zip(parts[1:], past, sweeps, strict=True):
        pose, linear = key_SE3_sweep(frame.sweep, sweep), np.eye(4, 5, dtype=np.float32)
        linear[:3, :3], linear[3, 3] = pose.rotation.T, 1 / config.intensity_full
        np.matmul(values, linear, out=part)
        for axis in range(3):
            part[:, axis] += np.float32(pose.translation_m[axis])
        part[:, 4] = (frame.sweep.t_us - sweep.t_us) * 1e-6
    np.clip(points[:, 3], 0, 1, out=points[:, 3])
    return points


def require_bit_equal(dataset, config, frame_ids):
    items = FrameItems(dataset, frame_ids, config, (-1e3, -1e3, -9, 1e3, 1e3, 9))
    for index, frame_id in enumerate(frame_ids):
        frame = dataset.frame(frame_id)
        points, boxes = as_published(dataset, frame, config), dataset.boxes(frame_id)
        assert read_cloud(dataset, frame, config)[0].tobytes() == points.tobytes()
        assert MapFrame.of(frame).boxes(boxes) is boxes
        assert MapFrame.of(frame).points(points) is points
        assert items[index].points[0].numpy().tobytes() == points.tobytes()
        assert truth_of(dataset, frame_id).center_m.tobytes() == boxes.center_m[boxes.class_id != 255].tobytes()


def test_a_level_lidar_keeps_its_own_frame_to_the_last_bit(world, budget):
    require_bit_equal(world, POINTS, world.frame_ids()[:3])
    data = fed(world, budget, kind="simulated")
    sample = data.raw(1, 0)
    assert sample.points.tobytes() == as_published(world, world.frame(sample.frame_id), POINTS).tobytes()
    read = world.boxes(sample.frame_id)
    mine = [token in data.budget.boxed(sample.frame_id) for token in read.token]
    assert sample.boxes.tobytes() == rows(read)[mine].tobytes()


def test_so_do_the_lidars_of_nuscenes_and_kitti(nuscenes_root, kitti_root):
    nuscenes = NuScenes(nuscenes_root)
    frame_id = nuscenes.frame_ids()[0]
    mount = nuscenes.frame(frame_id).sweep.ego_SE3_lidar
    assert 0 < np.degrees(np.arccos(mount.rotation[2, 2])) < 2  # off by a little
    require_bit_equal(nuscenes, POINTS, [frame_id])
    require_bit_equal(Kitti(kitti_root), PointsConfig(intensity_full=1.0), Kitti(kitti_root).frame_ids()[:1])


@pytest.mark.parametrize("other", ["inverted", "elsewhere"])
def test_two_lidars_give_the_sample_of_one_up_to_the_order_of_points(world, labels, budget, tmp_path, other):
    mount = world.frame(world.frame_ids()[0]).sweep.ego_SE3_lidar
    far = SE3(Rotation.from_euler("zyx", (160, 10, 5), degrees=True).as_matrix(), [60.0, -7.0, 0.4])  # no own returns
    two = TwoLidars(
        world.root, far if other == "elsewhere" else SE3(mount.rotation @ MOUNTS[other], mount.translation_m)
    )
    one = fed(world, budget, labels)
    both = fed(two, budget, make_labels(tmp_path / "out", two, missing=missing(world)))
    assert make_budget(two).frames == budget.frames  # as many points in every box
    for index in range(4):
        joined, split = one.raw(index, 0), both.raw(index, 0)
        assert joined.num_key == split.num_key
        assert len(joined.points) == len(split.points)
        assert np.array_equal(joined.boxes, split.boxes)
        assert np.array_equal(joined.velocity, split.velocity, equal_nan=True)
        for first, last in ((0, joined.num_key), (joined.num_key, len(joined.points))):
            some, others = joined.points[first:last], split.points[first:last]
            if len(some):
                apart, at = cKDTree(others).query(some)
                assert apart.max() < 1e-4
                assert len(set(at.tolist())) == len(at)
        at = cKDTree(split.points[: split.num_key]).query(joined.points[: joined.num_key])[1]
        clusters, of_split = joined.clusters, split.clusters
        assert np.array_equal(clusters.class_id, of_split.class_id)
        assert np.array_equal(clusters.cluster_id, of_split.cluster_id[at])
        assert np.array_equal(clusters.unknown, of_split.unknown[at])
        assert np.array_equal(clusters.num_points, of_split.num_points)
        np.testing.assert_allclose(clusters.center_m, of_split.center_m, atol=1e-4)
    np.testing.assert_allclose(np.sort(one.bank.points, axis=0), np.sort(both.bank.points, axis=0), atol=1e-4)


def test_missing_sweeps_of_the_past_are_repeated_for_each_lidar(world):
    two = TwoLidars(world.root, world.frame(world.frame_ids()[0]).sweep.ego_SE3_lidar)
    config = PointsConfig(past_sweeps=4, repeat_missing=True)
    for frame_id in world.frame_ids()[:2]:
        joined, split = (read_cloud(one, one.frame(frame_id), config)[0] for one in (world, two))
        assert len(joined) == len(split)
        np.testing.assert_allclose(np.sort(joined, axis=0), np.sort(split, axis=0), atol=1e-4)


def test_points_have_the_age_of_their_sweep(world):
    frame = world.frame(world.frame_ids()[0])
    late = replace(frame.sweep, t_us=frame.sweep.t_us + 40_000)
    points, num_key = read_cloud(world, replace(frame, sweeps=(frame.sweep, late)), PointsConfig())
    age_s = points[:, 4].reshape(2, -1)
    assert num_key == len(points)
    assert (age_s[0] == 0).all()
    assert age_s[1] == pytest.approx(-0.04)


ROOF = SE3(np.eye(3), [0.0, 0.0, 1.8])
BUMPER = SE3(Rotation.from_euler("yx", (30, 180), degrees=True).as_matrix(), [2.7, 0.5, 0.5])


def seen_from(mount, xyz_ego):
    return np.column_stack([mount.inverse().apply(xyz_ego), np.zeros(len(xyz_ego))]).astype(np.float32)


def test_returns_of_the_vehicle_are_near_any_of_its_lidars(world):
    """On the roof, at the bumper, and 2 m ahead of it, as each of two LiDARs sees them."""
    xyz_ego = np.array([[0.9, 0.9, 1.6], [2.8, 0.4, 0.2], [2.0, -0.4, 1.2], [4.7, 0.5, 0.0], [-1.2, 0.0, 0.0]])
    frame = world.frame(world.frame_ids()[1])
    sweeps = [replace(frame.sweep, ego_SE3_lidar=mount, sensor=str(k)) for k, mount in enumerate((ROOF, BUMPER))]

    class Past:
        def past_sweeps(self, frame_id, count):
            points = [seen_from(sweep.ego_SE3_lidar, xyz_ego) for sweep in self.sweeps]
            return [replace(one, source=InMemory(values)) for one, values in zip(self.sweeps, points, strict=True)]

    def left_of(*mounted):
        dataset = Past()
        dataset.sweeps = mounted
        key = [replace(one, source=InMemory(seen_from(one.ego_SE3_lidar, np.array([[9.0, 0, 0]])))) for one in mounted]
        points, num_key = read_cloud(dataset, replace(frame, sweeps=tuple(key)), PointsConfig(past_sweeps=1))
        left = mounted[0].ego_SE3_lidar.apply(points[num_key:, :3])
        return sorted(int(np.linalg.norm(xyz_ego - at, axis=1).argmin()) for at in left)

    assert left_of(*sweeps) == [3, 3, 4, 4]
    assert left_of(sweeps[0]) == [1, 2, 3, 4]  # the square of the one LiDAR
    assert left_of(sweeps[1]) == [0, 3, 4]
    np.testing.assert_allclose(lidar_places_m(replace(frame, sweeps=tuple(sweeps)), sweeps[0]), [[0, 0], [2.7, 0.5]])


def test_points_of_the_vehicle_are_never_unknown_near_any_of_its_lidars(world, labels):
    frame_id = world.frame_ids()[1]
    labels = labels.labels(frame_id)
    xyz = read_frame_points(world.frame(frame_id)).xyz_lidar_m
    config = CoarseConfig()
    unknown = from_tables(labels, xyz, config).unknown
    assert unknown.any()
    place = xyz[np.flatnonzero(unknown)[0], :2]
    near = np.linalg.norm(xyz[:, :2] - place, axis=1) < config.own_m
    assert np.array_equal(from_tables(labels, xyz, config, np.array([[0.0, 0], place])).unknown, unknown & ~near)


def test_boxes_that_are_not_upright_are_named_before_training(world, budget, tmp_path, monkeypatch):
    """The mounting says that the LiDAR is on its side, and the points and boxes are those of an upright one."""
    assert boxes_in_map(fed(world, budget, kind="simulated")) == []
    side = remounted(world, tmp_path / "root", MOUNTS["on its side"])
    monkeypatch.setattr(side, "boxes", world.boxes)
    data = TrainingSet(side, budget, None, CLASSES, RANGE, DataConfig(coarse=CoarseConfig("simulated")))
    total = sum(len(boxes) for boxes in budget.frames.values())
    (found,) = [text for text in boxes_in_map(data) if "upright" in text]
    assert found.startswith(f"{total} of {total} boxes are not upright")
    assert "mounting of the LiDAR" in found


def test_road_planes_need_a_level_lidar(tiny_kitti, monkeypatch):
    (tiny_kitti.root / "training" / "planes").mkdir()
    kitti = Kitti(tiny_kitti.root)
    cloud, tilted = kitti.cloud, SE3(MOUNTS["tilted"], np.zeros(3))
    monkeypatch.setattr(
        kitti, "cloud", lambda name: replace(f := cloud(name), sweeps=(replace(f.sweep, ego_SE3_lidar=tilted),))
    )
    with pytest.raises(SchemaError, match=r"SCH005.*'planes'.*tilted"):
        require_road(kitti, "planes", kitti.frame_ids())
