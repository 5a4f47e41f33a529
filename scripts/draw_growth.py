"""Draw single objects before and after growth against their ground truth: those it completed, and those it spoiled.

    python scripts/draw_growth.py OUT DATA --dest DIR [--against OUT_WITHOUT_GROWTH] [--least POINTS]

Before growth, labels are those of OUT without grown points, or with --against those of another run. Objects are true
ones of at least 5 points; the IoU of one is the best with any cluster. DIR/completed.png has the objects that gained
most, of those with enough points, DIR/spoiled.png those that lost, the worst first. Each has a view from above (forward
is up) and one from the side, along its longer edge. A table of the same objects is printed.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pipelines.opened import open_run
from pointsam.base.tables import text_table
from pointsam.base.words import counted
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.agnostic import best_iou
from pointsam.evaluate.judge import MIN_POINTS_OBJECTS
from pointsam.evaluate.labels import require_same_classes
from pointsam.evaluate.overlap import overlaps
from pointsam.report.bev import BevView
from pointsam.report.points import paint_points
from pointsam.report.style import FAINT, GROUND, INK, font
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, PointLabels

SIDE_PX, HEAD_PX, COLUMNS, AROUND_M, HALF_M = 460, 60, 2, 1.5, (2.5, 15.0)
KINDS = (
    ("other", (92, 95, 104)),
    ("missing", (255, 214, 64)),
    ("masked, right", (86, 156, 255)),
    ("masked, wrong", (190, 110, 255)),
    ("grown, right", (70, 220, 110)),
    ("grown, wrong", (255, 72, 56)),
)
"""What a point is for an object and its cluster, and its colour; later kinds cover earlier ones."""
OF_OBJECT = (1, 2, 4)
"""Kinds of the object's own points."""


@dataclass(frozen=True)
class Change:
    """A true object and what growth did to it.

    Args:
        frame_id, class_name, range_m: the object.
        num_points: number of its points.
        before, after: its best IoU.
        kind: (N,) index into KINDS of every point of the frame.
        xyz_lidar_m: (N,3) the points.
        ego_R_lidar: (3,3) rotation from the LiDAR frame to the axes of the vehicle.
    """

    frame_id: str
    class_name: str
    range_m: float
    num_points: int
    before: float
    after: float
    kind: np.ndarray
    xyz_lidar_m: np.ndarray
    ego_R_lidar: np.ndarray

    def row(self):
        """The object in the table."""
        counts = np.bincount(self.kind, minlength=len(KINDS))[1:]
        return (
            self.frame_id,
            self.class_name,
            f"{self.range_m:.1f}",
            self.num_points,
            self.before,
            self.after,
            *counts,
        )


def without_growth(found):
    """Labels of a frame without its grown points."""
    ids, classes = found.labels.instance_id, found.labels.class_id
    gone = found.grown
    return PointLabels(np.where(gone, np.int32(NO_INSTANCE), ids), np.where(gone, np.uint8(BACKGROUND), classes))


def changes(run, other, frame_id):
    """Objects of one frame whose IoU differs, and the number of all objects."""
    truth = run.truth.point_truth(frame_id)
    if truth is None:
        return [], 0
    frame, found = run.truth.frame(frame_id), run.labels.labels(frame_id)
    points = read_frame_points(frame)
    truth = truth.of_points(points.present)
    former = without_growth(found) if other is None else other.labels.labels(frame_id).labels
    before, after = (overlaps(labels, truth, run.labels.taxonomy) for labels in (former, found.labels))
    iou_before, iou_after = best_iou(before)[0], best_iou(after)[0]
    large = after.true_size >= MIN_POINTS_OBJECTS
    listed = []
    for k in np.flatnonzero(large & (iou_before != iou_after)):
        inside = after.true_of_point == k
        center = points.xyz_lidar_m[inside].mean(axis=0)
        listed.append(
            Change(
                frame_id,
                run.labels.taxonomy.names[after.true_class[k]],
                float(np.linalg.norm(center)),
                int(after.true_size[k]),
                float(iou_before[k]),
                float(iou_after[k]),
                kinds(after, k, inside, found.grown),
                points.xyz_lidar_m,
                frame.sweep.ego_SE3_lidar.rotation,
            )
        )
    return listed, int(large.sum())


def kinds(seen, k, inside, grown):
    """(N,) index into KINDS of every point, for true object `k` and the cluster that fits it best."""
    pairs = np.flatnonzero(seen.true_index == k)
    best = seen.pred_index[pairs[seen.iou[pairs].argmax()]] if len(pairs) else NO_INSTANCE
    member = (seen.pred_of_point == best) & (best != NO_INSTANCE)
    kind = np.where(inside, 1, 0)
    kind[member & ~grown] = np.where(inside[member & ~grown], 2, 3)
    kind[member & grown] = np.where(inside[member & grown], 4, 5)
    return kind


def draw(one):
    """Draw an object: its caption, from above, from the side."""
    picture = Image.new("RGB", (2 * SIDE_PX, HEAD_PX + SIDE_PX), GROUND)
    pen = ImageDraw.Draw(picture)
    title = f"{one.class_name}, {one.num_points} points at {one.range_m:.0f} m"
    pen.text((10, 8), f"{title}: IoU {one.before:.2f} -> {one.after:.2f}", font=font(20), fill=INK)
    pen.text((10, 34), one.frame_id, font=font(15), fill=FAINT)
    shown = np.flatnonzero(np.isfinite(one.xyz_lidar_m).all(axis=1))
    xyz, kind = one.xyz_lidar_m[shown].astype(np.float64) @ one.ego_R_lidar.T, one.kind[shown]
    whole = xyz[kind > 0]
    if (np.ptp(whole[:, :2], axis=0) > 2 * HALF_M[1]).any():  # all of the object rather than all of the cluster
        whole = xyz[np.isin(kind, OF_OBJECT)]
    center = (whole.max(axis=0) + whole.min(axis=0)) / 2
    half_m = float(np.clip(np.abs(whole - center)[:, :2].max() + AROUND_M, *HALF_M))
    view = BevView(np.eye(3), (center[0], center[1]), half_m, SIDE_PX)
    picture.paste(panel(view.uv_px(xyz), kind, half_m), (0, HEAD_PX))
    edge = np.linalg.svd(whole[:, :2] - whole[:, :2].mean(axis=0))[2]
    along, across = ((xyz[:, :2] - center[:2]) @ edge.T).T
    near = np.abs(across) <= np.abs((whole[:, :2] - center[:2]) @ edge[1]).max() + AROUND_M / 2
    uv_px = SIDE_PX / 2 + np.column_stack([along, center[2] - xyz[:, 2]])[near] * view.px_per_m
    picture.paste(panel(uv_px, kind[near], half_m), (SIDE_PX, HEAD_PX))
    return picture


def panel(uv_px, kind, half_m):
    """Points in their colours, with a scale of one metre."""
    canvas = np.full((SIDE_PX, SIDE_PX, 3), GROUND, dtype=np.uint8)
    uv = np.floor(uv_px).astype(np.int64)
    for k, (_, rgb) in enumerate(KINDS):
        some = uv[kind == k]
        paint_points(canvas, some, np.broadcast_to(np.array(rgb, dtype=np.uint8), (len(some), 3)), 2 if k else 1)
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    metre = SIDE_PX / (2 * half_m)
    pen.line([(12, SIDE_PX - 14), (12 + metre, SIDE_PX - 14)], fill=INK, width=2)
    pen.text((12, SIDE_PX - 36), "1 m", font=font(15), fill=FAINT)
    pen.rectangle((0, 0, SIDE_PX - 1, SIDE_PX - 1), outline=(52, 54, 62))
    return picture


def sheet(objects):
    """All objects in one picture, with the colours explained above."""
    tiles = [draw(one) for one in objects]
    columns = min(COLUMNS, len(tiles))
    picture = Image.new("RGB", (columns * 2 * SIDE_PX, 40 + -(-len(tiles) // columns) * tiles[0].height), GROUND)
    pen, u = ImageDraw.Draw(picture), 12
    for name, rgb in KINDS:
        pen.rectangle((u, 12, u + 16, 28), fill=rgb)
        pen.text((u + 24, 9), name, font=font(18), fill=INK)
        u += 40 + int(pen.textlength(name, font=font(18)))
    for k, tile in enumerate(tiles):
        picture.paste(tile, (k % columns * 2 * SIDE_PX, 40 + k // columns * tile.height))
    return picture


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--dest", type=Path, required=True)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--completed", type=int, default=5, help="number of objects that gained most")
    parser.add_argument("--least", type=int, default=MIN_POINTS_OBJECTS, help="fewest points of a completed object")
    parser.add_argument("--spoiled", type=int, default=10, help="largest number of objects that lost")
    args = parser.parse_args()
    run = open_run(args.out, args.data)
    other = None if args.against is None else open_run(args.against, args.data)
    if other is not None:
        require_same_classes(other.labels, run.truth)
    frame_ids = [frame.frame_id for frame in run.labels.frames() if frame.status == "ok"]
    if other is not None:
        done = {frame.frame_id for frame in other.labels.frames() if frame.status == "ok"}
        frame_ids = [frame_id for frame_id in frame_ids if frame_id in done]
    listed, num_objects = [], 0
    for frame_id in frame_ids:
        found, count = changes(run, other, frame_id)
        listed, num_objects = [*listed, *found], num_objects + count
    listed.sort(key=lambda one: (one.before - one.after, one.frame_id, one.num_points))
    gained, lost = ([one for one in listed if (one.after > one.before) == up] for up in (True, False))
    scored = f"{counted(num_objects, 'object')} in {counted(len(frame_ids), 'frame')}"
    print(f"{scored}: {len(gained)} gained, {len(lost)} lost")
    print(f"mean change of IoU: {sum(one.after - one.before for one in listed) / max(num_objects, 1):+.4f}")
    args.dest.mkdir(parents=True, exist_ok=True)
    header = ("frame", "class", "range m", "points", "IoU before", "after", *(name for name, _ in KINDS[1:]))
    completed = [one for one in gained if one.num_points >= args.least][: args.completed]
    for name, objects in (("completed", completed), ("spoiled", lost[::-1][: args.spoiled])):
        (args.dest / f"{name}.png").unlink(missing_ok=True)
        if objects:
            print(f"\n{name}\n{text_table(header, [one.row() for one in objects])}")
            sheet(objects).save(args.dest / f"{name}.png")


if __name__ == "__main__":
    main()
