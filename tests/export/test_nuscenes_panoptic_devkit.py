"""The devkit's own panoptic evaluator reads what we export, and scores it as we do."""

import json
import subprocess
import sys

import numpy as np
import pytest
from helpers.exports import item_of

from pointsam.base.files import write_together
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.evaluate.panoptic import PanopticAccumulator
from pointsam.export.nuscenes_panoptic import panoptic, submission
from pointsam.taxonomy import BACKGROUND, NUSCENES
from pointsam.types import NO_INSTANCE, PointLabels

pytest.importorskip("nuscenes.eval.panoptic.evaluate")

VERSION, EVAL_SET = "v1.0-mini", "mini_train"


@pytest.fixture(scope="module")
def root(nuscenes_root, tmp_path_factory):
    """The real sample as a nuScenes root with panoptic truth, made from its boxes."""
    root = tmp_path_factory.mktemp("nuscenes")
    for name in ("maps", "samples"):
        (root / name).symlink_to(nuscenes_root / name)
    tables = {p.stem: json.loads(p.read_text()) for p in sorted((nuscenes_root / VERSION).glob("*.json"))}
    categories = _with_official_indices(tables["category"])
    tables["category"] = categories
    tables["scene"] = _every_scene_of_the_split(tables["scene"][0])
    _write_tables(root, tables)

    token, values = _truth_from_boxes(root, {c["name"]: c["index"] for c in categories})
    folder = root / "panoptic" / VERSION
    folder.mkdir(parents=True)
    np.savez_compressed(folder / f"{token}_panoptic.npz", data=values)
    tables["panoptic"] = [
        {"token": token, "sample_data_token": token, "filename": f"panoptic/{VERSION}/{token}_panoptic.npz"}
    ]
    _write_tables(root, tables)
    return root


def _write_tables(root, tables):
    (root / VERSION).mkdir(exist_ok=True)
    for name, rows in tables.items():
        (root / VERSION / f"{name}.json").write_text(json.dumps(rows))


def _with_official_indices(categories):
    """The sample's category table predates lidarseg: add the categories and indices that the panoptic pack brings."""
    from nuscenes.utils.color_map import get_colormap

    known = {c["name"]: c for c in categories}
    new = {name: {"token": name, "name": name, "description": ""} for name in get_colormap()}
    # The colour map lists the 32 categories in the order of their official index.
    return [{**{**new, **known}[name], "index": i} for i, name in enumerate(new)]


def _every_scene_of_the_split(scene):
    """The evaluator wants all scenes of a split: each shows our one frame, which leaves every ratio as it is."""
    from nuscenes.utils.splits import create_splits_scenes

    names = create_splits_scenes()[EVAL_SET]
    return [{**scene, "name": name, "token": scene["token"] if name == scene["name"] else name} for name in names]


def _truth_from_boxes(root, index):
    """General class * 1000 + object; a point in two boxes is 0 (void), one in none is driveable surface."""
    from nuscenes.nuscenes import NuScenes
    from nuscenes.utils.data_classes import LidarPointCloud
    from nuscenes.utils.geometry_utils import points_in_box

    devkit = NuScenes(VERSION, str(root), verbose=False)
    token = devkit.sample[0]["data"]["LIDAR_TOP"]
    path, boxes, _ = devkit.get_sample_data(token)
    xyz = LidarPointCloud.from_file(path).points[:3]
    values = np.full(xyz.shape[1], index["flat.driveable_surface"] * 1000)
    times = np.zeros(xyz.shape[1], int)
    for number, box in enumerate(boxes, start=1):
        inside = points_in_box(box, xyz)
        times += inside
        values[inside] = index[box.name] * 1000 + number
    return token, np.where(times > 1, 0, values).astype(np.uint16)


def worsened(labels, seed):
    """Objects lose points, two classes are swapped, neighbours merge, false alarms appear."""
    rng = np.random.default_rng(seed)
    instance, class_id = labels.instance_id.copy(), labels.class_id.copy()
    for one in np.unique(instance[instance != NO_INSTANCE]):
        member = instance == one
        fate = rng.integers(5)
        if fate == 0:
            member &= rng.random(len(member)) < 0.4
            instance[member], class_id[member] = NO_INSTANCE, BACKGROUND
        elif fate == 1:
            class_id[member] = NUSCENES.class_id("truck")
    instance[1000:1040], class_id[1000:1040] = 900, NUSCENES.class_id("pedestrian")
    return PointLabels(instance, class_id)


def evaluate_with_devkit(root, results, out):
    options = {"result_path": results, "eval_set": EVAL_SET, "dataroot": root, "version": VERSION, "out_dir": out}
    command = [sys.executable, "-m", "nuscenes.eval.panoptic.evaluate"]
    command += [word for option, value in options.items() for word in (f"--{option}", str(value))]
    subprocess.run(command, check=True, capture_output=True)
    return json.loads((out / "segmentation-result.json").read_text())["segmentation"]


def test_the_devkits_evaluator_scores_exported_labels_as_we_do(root, tmp_path):
    dataset = NuScenes(root, VERSION)
    (frame_id,) = dataset.frame_ids()
    truth = dataset.point_truth(frame_id)
    assert truth.source == "panoptic"
    labels = worsened(truth.labels, seed=0)
    files = panoptic(item_of(labels, name=dataset.lidar_token(frame_id)), EVAL_SET) | submission(EVAL_SET)
    write_together([(tmp_path / "results" / name, content) for name, content in files.items()])

    theirs = evaluate_with_devkit(root, tmp_path / "results", tmp_path / "out")
    accumulator = PanopticAccumulator(NUSCENES)
    accumulator.add(labels, truth)
    ours = accumulator.result()
    compared = [c for c in ours.classes if c.tp + c.fp + c.fn > 0]
    assert {"car", "pedestrian", "truck"} <= {c.name for c in compared}
    assert 0 < ours.pq < 1
    for c in compared:
        assert (c.pq, c.sq, c.rq) == pytest.approx([theirs[c.name][ratio] for ratio in ("PQ", "SQ", "RQ")], abs=1e-9)
    absent = [c.name for c in ours.classes if c not in compared]
    assert [theirs[name]["PQ"] for name in absent] == [0.0] * len(absent)
