"""Small synthetic results, and runs of them."""

import os
import signal
import sys
import traceback
from pathlib import Path

import numpy as np

from pointsam.store.document import ShardStats
from pointsam.store.manifest import Run, plan_shards
from pointsam.store.schema import clusters_table, frames_table, masks_table, points_table
from pointsam.taxonomy import BACKGROUND, ClassSpec, Taxonomy
from pointsam.types import NO_INSTANCE, Cluster, Detections, FrameLabels, FrameRow, ImageMasks, Masks, PointLabels

METADATA = {
    "config": {"kappa": 0.04},
    "taxonomy": Taxonomy("two", (ClassSpec("car"), ClassSpec("person"))).as_dict(),
    "weights_sha256": {"segmenter": "ab"},
    "calibration_perturbation": "none",
    "tool_version": "1",
}
FRAMES = [("one", f"f{k}") for k in range(5)] + [("two/é", f"g{k}") for k in range(2)]
SHARDS = plan_shards(FRAMES, 2)


def frame_labels(frame_id, scene="one", num_points=20, num_clusters=3, seed=0, failed=False, error="torn"):
    if failed:
        row = FrameRow(frame_id, scene, 7, 0, 0, "failed", "DAT006", error)
        return FrameLabels.empty(row)
    rng = np.random.default_rng(seed)
    ids = rng.integers(NO_INSTANCE, num_clusters, num_points).astype(np.int32)
    classes = np.where(ids == NO_INSTANCE, BACKGROUND, ids % 2).astype(np.uint8)
    clusters = tuple(
        Cluster(
            cluster_id=k,
            class_id=k % 2,
            class_name=("car", "person")[k % 2],
            num_points=int((ids == k).sum()),
            center_lidar_m=tuple(rng.normal(size=3)),
            size_aabb_m=tuple(rng.random(3)),
            radius_bev_m=rng.random(),
            range_m=rng.random(),
            cameras=("left", "left", "right")[:k],
            mask_ids=(4, 5, 0)[:k],
            pred_iou=rng.random(),
            stability=rng.random(),
            class_share=rng.random(),
            num_points_cut=k,
            confidence=rng.random(),
            num_points_grown=2 * k,
            score=rng.random(),
            probability=rng.random(),
        )
        for k in range(num_clusters)
    )
    row = FrameRow(frame_id, scene, 1_000_000 + seed, num_points, num_clusters, calibration_hash="c0")
    views, covered = rng.integers(0, 3, (2, num_points)).astype(np.uint8)
    grown = (ids != NO_INSTANCE) & (rng.random(num_points) < 0.3)
    return FrameLabels(row, PointLabels(ids, classes), views, covered, grown, clusters)


def image_masks(frame_id, camera="left", num_masks=3, mask_bytes=20, seed=0):
    rng = np.random.default_rng(seed)
    masks = Masks(
        90,
        160,
        tuple(rng.bytes(mask_bytes) for _ in range(num_masks)),
        rng.random(num_masks, dtype=np.float32),
        rng.random(num_masks, dtype=np.float32),
        np.arange(num_masks, dtype=np.int32) - 1,
    )
    found = Detections(
        rng.random((2, 4), dtype=np.float32), np.array([0, 1], np.uint8), rng.random(2, dtype=np.float32)
    )
    return ImageMasks(frame_id, camera, "ok", "", "", masks, found, rng.integers(0, 90, (5, 2)).astype(np.int32))


def failed_image(frame_id, camera="left"):
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.uint8), np.zeros(0, np.float32))
    return ImageMasks(
        frame_id, camera, "failed", "DAT005", "no image", Masks.empty(0, 0), none, np.zeros((0, 2), np.int32)
    )


def label_tables(rows, metadata=METADATA):
    return {
        "frames": frames_table([row.frame for row in rows], metadata),
        "points": points_table(rows, metadata),
        "clusters": clusters_table(rows, metadata),
    }


def tables_of(stage, shard, **options):
    if stage == "clusters":
        return label_tables(
            [frame_labels(name, shard.scene, seed=int(name[1:]), **options) for name in shard.frame_ids]
        )
    images = [
        image_masks(name, camera, seed=10 * int(name[1:]) + len(camera), **options)
        for name in shard.frame_ids
        for camera in ("left", "right")
    ]
    return {"masks": masks_table(images, METADATA)}


def open_run(out, stage="clusters", shards=SHARDS, document=None, metadata=METADATA, **options):
    return Run.open(Path(out), stage, document or {"kappa": 0.04}, shards, metadata, **options)


def fill(out, stage="clusters", shards=SHARDS, shard_of=(0, 1), **options):
    """Open or continue a run and finish it."""
    run = open_run(out, stage, shards)
    for shard in run.pending(shard_of):
        run.commit(shard, tables_of(stage, shard, **options), ShardStats(peak_mb=len(shard.frame_ids)))
    return run


def tree(out):
    """Every file below a folder with its content."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}


def in_child(work):
    """Start `work` in a forked process and return its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def outcome(pid):
    """Exit status of a child, negative if a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def die_at(step, out):
    """SIGKILL this process just before its step-th file operation (open, rename, remove, make) below `out`."""
    left = [step]

    def hook(event, args):
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(args[0]).startswith(str(out)):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
