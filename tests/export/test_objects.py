"""Objects keep their numbers, tokens and colours through a scene, and have paths."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.exports import item_of, labels_of, objects

from pointsam.base.errors import SchemaError
from pointsam.export.boxes import kitti_scenes, kitti_tracking, nuscenes_rows
from pointsam.export.clouds import pcd
from pointsam.export.coco import coco_rows
from pointsam.export.detection import mmdet3d_info
from pointsam.export.nuscenes_panoptic import panoptic
from pointsam.export.objects import ObjectId, ObjectPath, ScenePaths, numbered
from pointsam.export.semantickitti import semantickitti
from pointsam.geometry.se3 import SE3
from pointsam.report.points import cluster_colours
from pointsam.taxonomy import NUSCENES

CAR, TRUCK = NUSCENES.class_id("car"), NUSCENES.class_id("truck")


def test_numbers_stay_and_clusters_without_a_track_share_none():
    found = numbered("s", {"a": [(4, CAR), (-1, CAR), (1, TRUCK)], "b": [(-1, CAR), (7, CAR), (4, CAR)], "c": []})
    assert found == {
        "a": (ObjectId("s", 4, 5, 1), ObjectId("s", -1, 9, 3), ObjectId("s", 1, 2, 1)),
        "b": (ObjectId("s", -1, 10, 4), ObjectId("s", 7, 8, 2), ObjectId("s", 4, 5, 1)),
        "c": (),
    }
    assert [one.token for one in found["a"]] == ["s-4", None, "s-1"]


def test_a_track_of_two_classes_has_a_number_in_each():
    found = numbered("s", {"a": [(0, CAR), (1, TRUCK)], "b": [(0, TRUCK)]})
    assert [(one.number, one.number_in_class) for one in (*found["a"], *found["b"])] == [(1, 1), (2, 2), (1, 1)]


@pytest.fixture
def item(rng_of):
    """Six clusters, of which the second has no track."""
    labels, points = objects(rng_of(0))
    plain = item_of(labels, points)
    tracks = [(t, c.class_id) for t, c in zip((40, -1, 3, 5, 20, 8), plain.found.clusters, strict=True)]
    return replace(plain, objects=numbered("scene", {"abc": tracks})["abc"])


def test_formats_of_points_have_the_number_of_the_object(item):
    ids = item.found.labels.instance_id
    numbers = np.array([41, 42, 4, 6, 21, 9, 0])[ids]
    (content,) = semantickitti(item).values()
    assert (np.frombuffer(content, "<u4") >> 16).tolist() == numbers.tolist()
    (content,) = panoptic(item, "val").values()
    in_class = np.array([*(one.number_in_class for one in item.objects), 0])[ids]
    assert (np.load(io.BytesIO(content))["data"] % 1000).tolist() == in_class.tolist()


def test_the_first_number_that_does_not_fit_is_refused():
    last = item_of(labels_of([0], [TRUCK]))
    fits = replace(last, objects=(ObjectId("s", 1, 0xFFFF, 999),))
    (content,) = panoptic(fits, "val").values()
    assert np.load(io.BytesIO(content))["data"].tolist() == [10999]
    assert np.frombuffer(*semantickitti(fits).values(), "<u4")[0] >> 16 == 0xFFFF
    beyond = replace(last, objects=(ObjectId("s", 1, 0x10000, 1000),))
    for write in (lambda: panoptic(beyond, "val"), lambda: semantickitti(beyond)):
        with pytest.raises(SchemaError, match="does not fit") as caught:
            write()
        assert caught.value.code == "SCH006"


def test_clouds_have_the_track_of_each_point_and_its_colour(item):
    pytest.importorskip("pypcd4", reason="needs pointsam[clouds]")
    from pypcd4 import PointCloud

    ids = item.found.labels.instance_id
    read = PointCloud.from_fileobj(io.BytesIO(pcd(item)["abc.pcd"])).pc_data
    assert read["track"].tolist() == np.array([40, -1, 3, 5, 20, 8, -1])[ids].tolist()
    r, g, b = cluster_colours(np.array([40], np.int32))[0].astype(int)
    assert set(read["rgb"][ids == 0].view(np.uint32).tolist()) == {r << 16 | g << 8 | b}
    plain = PointCloud.from_fileobj(io.BytesIO(pcd(replace(item, objects=None))["abc.pcd"]))
    assert "track" not in plain.fields


def test_rows_of_boxes_and_masks_have_the_token(item):
    tokens = ["scene-40", None, "scene-3", "scene-5", "scene-20", "scene-8"]
    assert [one["instance_token"] for one in mmdet3d_info(item)["instances"]] == tokens
    assert "instance_token" not in mmdet3d_info(replace(item, objects=None))["instances"][0]
    camera = SimpleNamespace(height_px=2, width_px=2)
    view = SimpleNamespace(name="left", camera=camera, source=SimpleNamespace(file_name="a.png"))
    masks = SimpleNamespace(rle=(b"04",), pred_iou=[0.5], stability=[0.5])
    clusters = [replace(one, cameras=("left",), mask_ids=(0,)) for one in item.found.clusters[:2]]
    seen = SimpleNamespace(
        frame=SimpleNamespace(cameras=(view,), frame_id="abc"),
        masks={"left": SimpleNamespace(masks=masks)},
        found=SimpleNamespace(clusters=clusters),
        objects=item.objects,
    )
    ((_, rows),) = coco_rows(seen)
    assert [(one["track_id"], one["instance_token"]) for one in rows] == [(40, "scene-40"), (None, None)]
    seen.objects = None
    assert "track_id" not in coco_rows(seen)[0][1][0]


def path_of(track_id, speed_mps, moving=True, count=9):
    t_us = np.arange(count) * 100_000
    center = np.zeros((count, 3))
    center[:, 1] = speed_mps * t_us * 1e-6
    return ObjectPath(track_id, "car", moving, t_us, center)


def test_velocities_are_those_of_the_path_in_the_world(item):
    paths = ScenePaths({40: path_of(40, 8.0), 3: path_of(3, 8.0, moving=False)})
    now = replace(item.found, frame=replace(item.found.frame, t_us=400_000))
    rows = nuscenes_rows(replace(item, found=now, read_paths=lambda: paths))
    assert rows[0]["velocity"] == pytest.approx([0, 8.0])
    assert [row["velocity"] for row in rows[1:]] == [[0.0, 0.0]] * 5
    assert [row["tracking_id"] for row in rows[:3]] == ["scene-40", None, "scene-3"]
    alone = nuscenes_rows(replace(item, objects=None))
    assert "tracking_id" not in alone[0]
    assert alone[0]["velocity"] == [0.0, 0.0]


def test_moving_paths_are_in_the_lidar_frame_of_the_frame(item):
    pose = SE3(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([0.0, 2, 0]))
    paths = ScenePaths({40: path_of(40, 5.0), 3: path_of(3, 5.0, moving=False), 99: path_of(99, 5.0)}, {"abc": pose})
    (found,) = replace(item, read_paths=lambda: paths).moving_paths_m().items()
    assert found[0] == 40
    np.testing.assert_allclose(pose.apply(found[1]), paths.by_track[40].center_m, atol=1e-12)
    assert replace(item, read_paths=lambda: ScenePaths(paths.by_track)).moving_paths_m() == {}


def test_single_frames_have_no_file_of_kitti_tracking(item):
    assert kitti_tracking(replace(item, objects=None)) is None
    assert kitti_scenes([None, ("b", "x\n"), ("a", "y\n"), ("b", "z\n")]) == {
        "label_02/b.txt": b"x\nz\n",
        "label_02/a.txt": b"y\n",
    }


EVAL_SET, VERSION = "mini_val", "v1.0-mini"


def test_the_devkits_tracking_evaluator_finds_no_fault_in_exported_truth(tmp_path, rng_of):
    """Labels of the truth under numbers of our own score 1; those of single frames do not."""
    pytest.importorskip("nuscenes.eval.panoptic.evaluate")
    from helpers.nuscenes_root import CATEGORIES, make_root, write_table
    from nuscenes.eval.panoptic.evaluate import NuScenesPanopticEval
    from nuscenes.nuscenes import NuScenes as Devkit
    from nuscenes.utils.splits import create_splits_scenes

    from pointsam.base.files import write_together
    from pointsam.datasets.nuscenes.dataset import NuScenes
    from pointsam.export.nuscenes_panoptic import submission

    root = make_root(
        tmp_path / "root",
        scenes=create_splits_scenes()[EVAL_SET],
        samples_per_scene=3,
        sweeps_between=0,
        numbered_categories=True,
    )
    dataset, rng = NuScenes(root, VERSION), rng_of(0)
    kinds = ("vehicle.car", "vehicle.car", "vehicle.truck", "human.pedestrian.adult", "vehicle.car")
    classes = np.array([NUSCENES.class_id(name) for name in ("car", "car", "truck", "pedestrian", "car")])
    folder = f"panoptic/{VERSION}"
    table, results = [], {"tracks": [], "clusters": []}
    for scene in create_splits_scenes()[EVAL_SET]:
        items, owner_of = {}, {}
        for frame_id in dataset.frame_ids(scene):
            # Their sizes differ from frame to frame, and so do the ids of their clusters.
            owner = rng.permutation(np.repeat(np.arange(-1, 5), [50, *rng.permutation([20, 30, 40, 50, 60])]))
            name = dataset.lidar_token(frame_id)
            items[name] = item_of(labels_of(owner, np.append(classes, 255)[owner]), name=name)
            owner_of[name] = owner
            true = np.array([*(CATEGORIES.index(kind) * 1000 + k + 1 for k, kind in enumerate(kinds)), 0])[owner]
            (root / folder).mkdir(parents=True, exist_ok=True)
            np.savez_compressed(root / folder / f"{name}_panoptic.npz", data=true.astype(np.uint16))
            table.append({"token": name, "sample_data_token": name, "filename": f"{folder}/{name}_panoptic.npz"})
        frames = {}
        for name, item in items.items():
            ids = item.found.labels.instance_id
            of_cluster = [owner_of[name][np.flatnonzero(ids == k)[0]] for k in range(len(item.found.clusters))]
            frames[name] = [(10 + int(one), int(classes[one])) for one in of_cluster]
        ids_of = numbered(scene, frames)
        for name, item in items.items():
            results["clusters"] += panoptic(item, EVAL_SET).items()
            results["tracks"] += panoptic(replace(item, objects=ids_of[name]), EVAL_SET).items()
    write_table(root / VERSION, "panoptic", table)
    found = {}
    for name, files in results.items():
        files = [*files, *submission(EVAL_SET, tracked=True).items()]
        write_together([(tmp_path / name / path, content) for path, content in files])
        task = json.loads((tmp_path / name / EVAL_SET / "submission.json").read_text())["meta"]["task"]
        folders = {"results_folder": str(tmp_path / name), "out_dir": str(tmp_path / name)}
        devkit = Devkit(VERSION, str(root), verbose=False)
        NuScenesPanopticEval(devkit, eval_set=EVAL_SET, task=task, min_inst_points=15, **folders).evaluate()
        found[name] = json.loads((tmp_path / name / "tracking-result.json").read_text())
    for of_class in ("car", "truck", "pedestrian"):
        assert found["tracks"]["tracking"][of_class]["PTQ"] == pytest.approx(1, abs=1e-9)
    assert found["tracks"]["tracking"]["all"]["TQ"] == pytest.approx(1, abs=1e-9)
    assert found["clusters"]["segmentation"]["car"]["PQ"] == pytest.approx(1, abs=1e-9)
    assert found["clusters"]["tracking"]["car"]["PTQ"] < 0.9
