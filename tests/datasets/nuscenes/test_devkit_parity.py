"""The adapter against nuscenes-devkit, on the real sample and on made-up scenes."""

import json

import numpy as np
import pytest
from helpers.nuscenes_root import BOX_KINDS, CATEGORIES, make_root, write_table

from pointsam.datasets.io import read_points
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.datasets.nuscenes.splits import SPLITS, split_scenes
from pointsam.datasets.nuscenes.truth import CATEGORIES as CLASSES
from pointsam.datasets.nuscenes.truth import panoptic_truth
from pointsam.taxonomy import BACKGROUND, NUSCENES

devkit = pytest.importorskip("nuscenes.nuscenes")
VERSION = "v1.0-mini"


@pytest.fixture(params=["real", "made up"])
def pair(request, tmp_path):
    """Our data set and the devkit's, of one root."""
    if request.param == "real":
        root = request.getfixturevalue("nuscenes_root")
    else:
        root = make_root(tmp_path / "root", scenes=("scene-0103", "scene-0061"), samples_per_scene=3)
    return NuScenes(root), devkit.NuScenes(VERSION, str(root), verbose=False)


def same_pose(pose, record):
    from pyquaternion import Quaternion

    np.testing.assert_allclose(pose.rotation, Quaternion(record["rotation"]).rotation_matrix, rtol=0, atol=1e-12)
    assert pose.translation_m.tolist() == record["translation"]


def same_exposure(ours, path, ego_SE3_sensor, theirs, sample_data):
    assert str(path) == theirs.get_sample_data_path(sample_data["token"])
    assert ours.t_us == sample_data["timestamp"]
    same_pose(ego_SE3_sensor, theirs.get("calibrated_sensor", sample_data["calibrated_sensor_token"]))
    same_pose(ours.world_SE3_ego, theirs.get("ego_pose", sample_data["ego_pose_token"]))


def test_frames_are_the_samples(pair):
    ours, theirs = pair
    by_scene = {theirs.get("scene", s["scene_token"])["name"] for s in theirs.sample}
    assert set(ours.frame_ids()) == {sample["token"] for sample in theirs.sample}
    assert {ours.scene(frame) for frame in ours.frame_ids()} == by_scene


def test_sweeps_cameras_and_poses_are_equal(pair):
    ours, theirs = pair
    for frame_id in ours.frame_ids():
        frame, data = ours.frame(frame_id), theirs.get("sample", frame_id)["data"]
        assert {camera.name for camera in frame.cameras} == {c for c in data if c.startswith("CAM")}
        assert ours.lidar_token(frame_id) == data["LIDAR_TOP"]
        key = theirs.get("sample_data", data["LIDAR_TOP"])
        same_exposure(frame.sweep, frame.sweep.source.path, frame.sweep.ego_SE3_lidar, theirs, key)
        for camera in frame.cameras:
            record = theirs.get("sample_data", data[camera.name])
            same_exposure(camera, camera.source.path, camera.ego_SE3_cam, theirs, record)
            calibrated = theirs.get("calibrated_sensor", record["calibrated_sensor_token"])
            assert camera.camera.K.tolist() == np.array(calibrated["camera_intrinsic"], dtype=float).tolist()
            assert (camera.camera.width_px, camera.camera.height_px) == (record["width"], record["height"])


def test_neighbours_are_the_devkits_chain(pair):
    ours, theirs = pair
    for frame_id in ours.frame_ids():
        frame, key = ours.frame(frame_id), theirs.get("sample_data", ours.lidar_token(frame_id))
        for offset, link in ((-1, "prev"), (1, "next")):
            record = theirs.get("sample_data", key[link]) if key[link] else key
            sweep = frame.neighbours[offset]
            same_exposure(sweep, sweep.source.path, sweep.ego_SE3_lidar, theirs, record)


def test_boxes_are_equal_in_the_lidar_frame(pair):
    ours, theirs = pair
    for frame_id in ours.frame_ids():
        boxes, expected = ours.boxes(frame_id), theirs.get_sample_data(ours.lidar_token(frame_id))[1]
        assert boxes.token == tuple(box.token for box in expected)
        assert len(boxes) > 0
        np.testing.assert_allclose(boxes.center_m, [box.center for box in expected], rtol=0, atol=1e-9)
        np.testing.assert_allclose(boxes.rotation, [box.rotation_matrix for box in expected], rtol=0, atol=1e-9)
        assert boxes.size_lwh_m.tolist() == [[box.wlh[1], box.wlh[0], box.wlh[2]] for box in expected]


def test_categories_are_the_devkits_detection_classes():
    from nuscenes.eval.detection.utils import category_to_detection_name

    ours = {name: CLASSES.classes.get(name) for name in CATEGORIES}
    assert ours == {name: category_to_detection_name(name) for name in CATEGORIES}


@pytest.mark.parametrize("split", SPLITS)
def test_official_splits_are_equal(split):
    from nuscenes.utils.splits import create_splits_scenes

    assert split_scenes(split) == set(create_splits_scenes()[split])


def labelled_root(path):
    """A root whose sweeps fill the boxes and their overlaps, with a lidarseg label for every point."""
    rng = np.random.default_rng(0)
    root = make_root(path, samples_per_scene=2, boxes_per_sample=12, numbered_categories=True)
    annotations = json.loads((root / VERSION / "sample_annotation.json").read_text())
    for first in (0, 12):  # of each sample, boxes 4 to 7 are moved half over 0 to 3, which are of the same kinds
        for k in range(first, first + 4):
            shifted = np.add(annotations[k]["translation"], [0.3, 0.2, 0])
            annotations[k + 4]["translation"] = shifted.tolist()
    write_table(root / VERSION, "sample_annotation", annotations)
    rows = []
    for frame in (dataset := NuScenes(root)).frame_ids():
        boxes, key = dataset.boxes(frame), dataset.lidar_token(frame)
        near = boxes.center_m[rng.integers(0, len(boxes), 1500)] + rng.normal(0, 0.5, (1500, 3))
        points = np.zeros((2000, 5), dtype="<f4")
        points[:, :3] = np.concatenate([near, rng.uniform(-20, 20, (500, 3))])
        points.tofile(dataset.frame(frame).sweep.source.path)
        common = [CATEGORIES.index(name) for name in (*BOX_KINDS, "static.manmade")]
        category = np.where(rng.random(2000) < 0.6, rng.choice(common, 2000), rng.integers(0, len(CATEGORIES), 2000))
        file = f"lidarseg/{VERSION}/{key}_lidarseg.bin"
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        category.astype(np.uint8).tofile(root / file)
        rows.append({"token": key, "sample_data_token": key, "filename": file})
    write_table(root / VERSION, "lidarseg", rows)
    return root


def test_truth_from_lidarseg_is_what_the_devkit_makes_of_it(tmp_path):
    from nuscenes.panoptic.generate_panoptic_labels import generate_panoptic_labels

    root = labelled_root(tmp_path / "root")
    ours = NuScenes(root)
    made = [ours.point_truth(frame) for frame in ours.frame_ids()]
    generate_panoptic_labels(devkit.NuScenes(VERSION, str(root), verbose=False), str(root))
    packed = [NuScenes(root).point_truth(frame) for frame in ours.frame_ids()]
    for first, second in zip(made, packed, strict=True):
        assert (first.source, second.source) == ("lidarseg", "panoptic")
        np.testing.assert_array_equal(first.void, second.void)
        np.testing.assert_array_equal(first.labels.class_id, second.labels.class_id)
        labelled = first.labels.instance_id >= 0
        pairs = {*zip(first.labels.instance_id[labelled], second.labels.instance_id[labelled], strict=True)}
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) > 5
    links = set()  # a panoptic label stands for one annotated object in all frames of its scene
    for frame, first, second in zip(ours.frame_ids(), made, packed, strict=True):
        tracks, labelled = ours.tracks(frame), first.labels.instance_id >= 0
        rows = zip(first.labels.instance_id[labelled], second.labels.instance_id[labelled], strict=True)
        links |= {(ours.scene(frame), tracks[box], second.names[label]) for box, label in rows}
    assert len(links) == len({link[:2] for link in links}) == len({link[::2] for link in links}) > 5


def test_panoptic_classes_and_void_are_the_challenges(tmp_path):
    from nuscenes.eval.panoptic.utils import PanopticClassMapper

    root = labelled_root(tmp_path / "root")
    mapper = PanopticClassMapper(devkit.NuScenes(VERSION, str(root), verbose=False))
    labels = np.random.default_rng(1).integers(0, len(CATEGORIES), 3000).astype(np.int32) * 1000 + 1
    truth = panoptic_truth(labels, dict(enumerate(CATEGORIES)))
    challenge = mapper.convert_label(labels // 1000)
    names = {index: name for name, index in mapper.get_things().items()}
    expected = [NUSCENES.class_id(names[c]) if c in names else BACKGROUND for c in challenge]
    assert truth.labels.class_id.tolist() == expected
    np.testing.assert_array_equal(truth.void, challenge == mapper.ignore_class["index"])


def test_points_are_the_devkits(pair):
    from nuscenes.utils.data_classes import LidarPointCloud

    ours, _ = pair
    sweep = ours.frame(ours.frame_ids()[0]).sweep
    np.testing.assert_array_equal(read_points(sweep), LidarPointCloud.from_file(str(sweep.source.path)).points[:3].T)
