"""Draw the clusters that second looks added: objects that they saved, and clusters of no object.

    python scripts/draw_looks.py OUT DATA --dest DIR

An added cluster is right if its IoU with a true object exceeds 0.5. DIR/saved.png has the right ones with most points,
DIR/spoiled.png the others. Each has the part of the image around it, with its mask and points and without.
A table of the same clusters is printed. Without ground truth all count as spoiled.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pipelines.opened import open_run
from pointsam.base.tables import text_table
from pointsam.datasets.io import read_image
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.judge import MIN_POINTS_OBJECTS
from pointsam.geometry.projection import project
from pointsam.report.style import FAINT, GROUND, INK, font
from pointsam.rle import decode_crop
from pointsam.store.reader import Labels
from pointsam.types import NO_INSTANCE

SIDE_PX, HEAD_PX, COLUMNS, CONTEXT = 420, 56, 2, 3.0
MASK, POINT = np.array([255, 160, 40]), (70, 220, 110)


def added(run, first, frame_id):
    """(cluster, best IoU with a true object) of each cluster of the second round of a frame."""
    before = first.masks(frame_id)
    found = run.labels.labels(frame_id)
    truth = run.truth.point_truth(frame_id)
    out = []
    for cluster in found.clusters:
        of_looks = [m >= len(before[c].masks) for c, m in zip(cluster.cameras, cluster.mask_ids, strict=True)]
        if not of_looks or not all(of_looks):
            continue
        its, best = found.labels.instance_id == cluster.cluster_id, 0.0
        if truth is not None:
            true = truth.labels.instance_id
            for one in np.unique(true[its & (true != NO_INSTANCE)]):
                best = max(best, np.count_nonzero(its & (true == one)) / np.count_nonzero(its | (true == one)))
        out.append((cluster, best, its))
    return out


def draw(run, first, frame_id, cluster, best, its):
    """The image around a cluster, twice, below a caption."""
    frame = run.dataset.frame(frame_id)
    camera, mask_id = cluster.cameras[0], cluster.mask_ids[0]
    view = next(view for view in frame.cameras if view.name == camera)
    image = read_image(view.source).astype(np.float64)
    plain = image.copy()
    own = run.labels.looks(frame_id)[camera]
    k = mask_id - len(first.masks(frame_id)[camera].masks)
    v, u, mask = decode_crop(own.masks.rle[k], own.masks.height_px, own.masks.width_px)
    image[v, u][mask] = 0.55 * image[v, u][mask] + 0.45 * MASK
    left, top, right, bottom = own.detections.box_xyxy_px[own.masks.source[k]]
    half = max(CONTEXT * max(right - left, bottom - top) / 2, 30)
    center = np.array([(left + right) / 2, (top + bottom) / 2])
    window = tuple(np.round([*(center - half), *(center + half)]).astype(int).tolist())
    shown = Image.fromarray(image.astype(np.uint8)).crop(window).resize((SIDE_PX, SIDE_PX))
    seen = project(read_frame_points(frame).xyz_lidar_m[its], frame, view)
    pen, scale = ImageDraw.Draw(shown), SIDE_PX / (2 * half)
    for x, y in (seen.uv_px[seen.valid] - (center - half)) * scale:
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=POINT)
    tile = Image.new("RGB", (2 * SIDE_PX, HEAD_PX + SIDE_PX), GROUND)
    pen = ImageDraw.Draw(tile)
    title = f"{cluster.class_name}, {cluster.num_points} points at {cluster.range_m:.0f} m: IoU {best:.2f}"
    pen.text((10, 8), title, font=font(20), fill=INK)
    pen.text((10, 32), f"{frame_id} {camera}", font=font(15), fill=FAINT)
    tile.paste(shown, (0, HEAD_PX))
    clean = Image.fromarray(plain.astype(np.uint8)).crop(window).resize((SIDE_PX, SIDE_PX))
    tile.paste(clean, (SIDE_PX, HEAD_PX))
    return tile


def sheet(tiles):
    """All tiles in one picture."""
    width, height = tiles[0].size
    columns = min(COLUMNS, len(tiles))
    picture = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * height), GROUND)
    for k, tile in enumerate(tiles):
        picture.paste(tile, (k % columns * width, k // columns * height))
    return picture


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--dest", type=Path, required=True)
    parser.add_argument("--most", type=int, default=10, help="largest number of clusters in a picture")
    args = parser.parse_args()
    run, first = open_run(args.out, args.data, stage="looks"), Labels(args.out)
    frame_ids = [frame.frame_id for frame in run.labels.frames() if frame.status == "ok"]
    listed = [(frame_id, *one) for frame_id in frame_ids for one in added(run, first, frame_id)]
    listed.sort(key=lambda one: (-one[1].num_points, one[0]))
    args.dest.mkdir(parents=True, exist_ok=True)
    header = ("frame", "class", "range m", "points", "IoU", "probability")
    for name, right in (("saved", True), ("spoiled", False)):
        its = [one for one in listed if (one[2] > 0.5) == right]
        small = sum(one[1].num_points < MIN_POINTS_OBJECTS for one in its)
        print(f"{name}: {len(its)}, {small} of them below {MIN_POINTS_OBJECTS} points")
        if its:
            rows = [(f, c.class_name, f"{c.range_m:.1f}", c.num_points, best, c.probability) for f, c, best, _ in its]
            print(text_table(header, rows))
            sheet([draw(run, first, *one) for one in its[: args.most]]).save(args.dest / f"{name}.png")


if __name__ == "__main__":
    main()
