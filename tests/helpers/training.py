"""A tiny data set that a detector can be trained on, and labels of it as a labelling run writes them."""

import json
import shutil
from dataclasses import replace

import numpy as np
from helpers.nuscenes_root import make_root

from pipelines.documents import ClustersDocument
from pipelines.training.budget import objects_of
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.datasets.points import read_frame_points
from pointsam.detect.data.budget import BudgetConfig, sample_budget
from pointsam.geometry.boxes import box_members
from pointsam.stages.recipes import default
from pointsam.stages.summarize import summarize
from pointsam.store.document import DatasetId, ShardStats
from pointsam.store.manifest import Run, plan_shards
from pointsam.store.reader import Labels
from pointsam.store.schema import clusters_table, frames_table, points_table
from pointsam.taxonomy import BACKGROUND
from pointsam.types import FrameLabels, FrameRow, PointLabels

CLASSES = ("car", "pedestrian", "bicycle")


def make_world(path, scenes=("scene-0061", "scene-0103"), samples=4, boxes=8, edit=None, ground_m=-1.8):
    """A root whose sweeps show its boxes: 30 points in each, a fifth of the way below their roofs, and some ground."""
    root = make_root(path, scenes=scenes, samples_per_scene=samples, boxes_per_sample=boxes, edit=edit)
    dataset, rng = NuScenes(root), np.random.default_rng(0)
    for frame_id in dataset.frame_ids():
        boxes_of = dataset.boxes(frame_id)
        for sweep in (dataset.frame(frame_id).sweep, *dataset.past_sweeps(frame_id, 2)):
            local = rng.uniform(-0.45, 0.45, (len(boxes_of), 30, 3)) * boxes_of.size_lwh_m[:, None]
            inside = np.einsum("bij,bpj->bpi", boxes_of.rotation, local) + boxes_of.center_m[:, None]
            ground = np.column_stack([rng.uniform(-25, 25, (200, 2)), np.full(200, ground_m)])
            values = np.zeros((200 + 30 * len(boxes_of), 5), dtype="<f4")
            values[:, :3] = np.concatenate([inside.reshape(-1, 3), ground])
            values[:, 3] = rng.integers(0, 256, len(values))
            values[:, 4] = np.arange(len(values)) % 32
            values.tofile(sweep.source.path)
    return NuScenes(root)


def pruned_copy(world, path, kept):
    """The same root without the boxes that are not among the tokens of `kept`."""
    shutil.copytree(world.root, path)
    table = path / world.version / "sample_annotation.json"
    rows = [{**row, "prev": "", "next": ""} for row in json.loads(table.read_text()) if row["token"] in kept]
    table.write_text(json.dumps(rows))
    return NuScenes(path)


def resize_boxes(dataset, split, but=()):
    """Correct the labels of a split of a root: all of its boxes but those of some tokens get larger by a tenth."""
    table, frame_ids = dataset.root / dataset.version / "sample_annotation.json", set(dataset.frame_ids(split))
    rows = json.loads(table.read_text())
    for row in rows:
        if row["sample_token"] in frame_ids and row["token"] not in but:
            row["size"] = [side * 1.1 for side in row["size"]]
    table.write_text(json.dumps(rows))


def make_labels(
    out,
    dataset,
    frame_ids=None,
    missing=(),
    failed=(),
    noise="none",
    taxonomy=None,
    probability=None,
    grown_every=None,
    **document,
):
    """Labels of the true points of every box but those of `missing` tokens; `failed` frames are quarantined.

    Points of a box that is missing count as covered by a mask, as those that refinement took away do. Every
    n-th labelled point is marked as grown, for n = `grown_every`. `document` is further fields of the run's document.
    """
    taxonomy = dataset.taxonomy if taxonomy is None else taxonomy
    frame_ids = dataset.frame_ids() if frame_ids is None else frame_ids
    made = DatasetId(dataset.name, None, dataset.fingerprint())
    document = ClustersDocument(
        **{"tool_version": "1", "recipe": "default", "dataset": made, "taxonomy": taxonomy, "masks_key": ""}
        | {"config": default().clusters}
        | document
    )
    metadata = document.metadata({}, noise)
    shards = plan_shards([(dataset.scene(frame_id), frame_id) for frame_id in frame_ids], 3)
    run = Run.open(out, "clusters", document, shards, metadata)
    for shard in shards:
        rows = [
            _labels(dataset, frame_id, missing, frame_id in failed, probability, grown_every)
            for frame_id in shard.frame_ids
        ]
        tables = {
            "frames": frames_table([row.frame for row in rows], metadata),
            "points": points_table(rows, metadata),
            "clusters": clusters_table(rows, metadata),
        }
        run.commit(shard, tables, ShardStats())
    return Labels(out)


def _labels(dataset, frame_id, missing, failed, probability, grown_every):
    frame = dataset.frame(frame_id)
    scene, sweep = dataset.scene(frame_id), frame.sweep
    if failed:
        row = FrameRow(frame_id, scene, sweep.t_us, 0, 0, "failed", "DAT006", "torn")
        return FrameLabels.empty(row)
    xyz, boxes = read_frame_points(frame).xyz_lidar_m, dataset.boxes(frame_id)
    ids = np.full(len(xyz), -1, dtype=np.int32)
    lost = np.zeros(len(xyz), dtype=np.uint8)
    if boxes is None:
        truth = dataset.point_truth(frame_id).labels
        ids, classes = truth.instance_id, truth.class_id
    else:
        for point, box in zip(*box_members(xyz, boxes), strict=True):
            if boxes.token[box] in missing:
                lost[point] = 1
            elif boxes.class_id[box] != BACKGROUND:
                ids[point] = box
        classes = np.append(boxes.class_id, np.uint8(BACKGROUND))[ids]
    grown = np.zeros(len(xyz), dtype=np.bool_)
    if grown_every:
        grown[np.flatnonzero(ids >= 0)[::grown_every]] = True
    labels, clusters = summarize(xyz, PointLabels(ids, classes), [], dataset.taxonomy, grown)
    if probability is not None:
        clusters = tuple(replace(c, probability=probability) for c in clusters)
    row = FrameRow(frame_id, scene, sweep.t_us, len(xyz), len(clusters))
    views = np.ones(len(xyz), dtype=np.uint8)
    return FrameLabels(row, labels, views, np.maximum(lost, ids >= 0), grown, clusters)


def break_off(monkeypatch, after):
    """Training is stopped when so many steps are done, as by Ctrl-C, until the patch is undone."""
    from pointsam.detect.train import Trainer

    step = Trainer._step

    def broken(self, batch):
        if self.progress.step == after:
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(Trainer, "_step", broken)


def make_budget(dataset, fraction=0.4, rule="class"):
    """A budget, drawn as by the command."""
    return sample_budget(objects_of(dataset, None, count=True), dataset.taxonomy.names, BudgetConfig(fraction, rule))
