"""Draw the predictions and missed objects of a detector from above.

python scripts/draw_predictions.py RUN WORLD found.png --split val --count 4

Predicted boxes have the colour of their class and their score. Ground-truth boxes are white, or red without a
prediction of their class within 2 m. A tick shows the front. Objects without points are omitted.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pipelines.training.checkpoints import load_run
from pipelines.training.predict import predict_frames
from pipelines.training.score import truth_of
from pointsam.datasets import open_dataset
from pointsam.datasets.points import read_frame_points
from pointsam.detect.data.map_frame import MapFrame
from pointsam.detect.data.sample import oriented
from pointsam.evaluate.detection import CLASS_RANGE_M
from pointsam.report.bev import BevView
from pointsam.report.points import paint_points
from pointsam.report.style import FAINT, GROUND, INK, UNLABELLED, class_rgb, font

SIDE_PX, HALF_M, NEAR_M, MISSED = 900, 45.0, 2.0, (255, 60, 60)


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("world", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--score", type=float, default=0.3, help="Boxes with lower scores are not drawn.")
    args = parser.parse_args()
    dataset = open_dataset(args.world)
    detector, recipe = load_run(args.run, dataset, "cpu")
    frame_ids = dataset.frame_ids(args.split)
    frame_ids = frame_ids[:: max(1, len(frame_ids) // args.count)][: args.count]
    found = predict_frames(detector, recipe, dataset, frame_ids, 0, {})
    pictures = [draw(dataset, frame, args.score) for frame in found]
    columns = 2 if len(pictures) > 1 else 1
    sheet = Image.new("RGB", (columns * SIDE_PX, -(-len(pictures) // columns) * SIDE_PX), GROUND)
    for k, picture in enumerate(pictures):
        sheet.paste(picture, (k % columns * SIDE_PX, k // columns * SIDE_PX))
    sheet.save(args.out)


def draw(dataset, frame, least):
    """Draw one frame."""
    record, names = dataset.frame(frame.frame_id), dataset.taxonomy.names
    at = MapFrame.of(record)
    view = BevView(at.pose(record.sweep.ego_SE3_lidar).rotation, (0.0, 0.0), HALF_M, SIDE_PX)
    xyz = at.points(read_frame_points(record).xyz_lidar_m)
    canvas = np.full((SIDE_PX, SIDE_PX, 3), GROUND, dtype=np.uint8)
    colours = np.broadcast_to(np.array(UNLABELLED, dtype=np.uint8) // 2, (len(xyz), 3))
    paint_points(canvas, np.floor(view.uv_px(xyz)).astype(np.int64), colours, 0)
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    true = truth_of(dataset, frame.frame_id)
    limit = np.array([CLASS_RANGE_M.get(name, np.inf) for name in names])
    true = true[(true.score > 0) & (true.range_m < limit[true.class_id])]
    shown = frame.score >= least
    boxes, classes = frame.boxes[shown].astype(float), frame.class_id[shown]
    for k in range(len(true.score)):
        same = boxes[classes == true.class_id[k], :2]
        hit = len(same) and np.linalg.norm(same - true.center_m[k, :2], axis=1).min() < NEAR_M
        row = np.concatenate([true.center_m[k], true.size_lwh_m[k], true.yaw_rad[k : k + 1]])
        outline(pen, view, row, INK if hit else MISSED, 3)
        if not hit:
            u, v = view.uv_px(true.center_m[k : k + 1])[0]
            pen.text((u + 8, v), f"{names[true.class_id[k]]}, {true.score[k]:.0f}", font=font(14), fill=MISSED)
    for row, class_id, score in zip(boxes, classes, frame.score[shown], strict=True):
        colour = class_rgb(int(class_id))
        outline(pen, view, row, colour, 1)
        u, v = view.uv_px(row[None, :3])[0]
        pen.text((u + 6, v - 16), f"{score:.1f}", font=font(12), fill=colour)
    pen.text((12, 10), f"{frame.frame_id}: {len(boxes)} predicted, {len(true.score)} true", font=font(18), fill=FAINT)
    return picture


def outline(pen, view, row, colour, width):
    """A box from above with a tick at its front."""
    box = oriented(row[None])
    half = box.size_lwh_m[0] / 2
    unit = np.array([(1, 1, 0), (1, -1, 0), (-1, -1, 0), (-1, 1, 0), (1, 1, 0)], dtype=float)
    tick = np.array([(half[0], 0, 0), (half[0] + 0.8, 0, 0)])
    for line in (unit * half, tick):
        uv = view.uv_px(box.center_m[0] + line @ box.rotation[0].T)
        pen.line([tuple(p) for p in uv.tolist()], fill=colour, width=width)


if __name__ == "__main__":
    main()
