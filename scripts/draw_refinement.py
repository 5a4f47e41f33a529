"""The README's picture: a synthetic street, masks cut by MobileSAM, the points they claim, what refinement leaves.

    python scripts/draw_refinement.py docs/refinement.jpg

Nothing of a data set is in it: the image, the sweep and the truth are of one world (`pointsam-label synth`), in which
nothing moves. Boxes around the visible pixels of each object stand in for a detector; from there on it is the
pipeline's own code with the default recipe, less its test of sight and its trim of the road, so that what changes is
refinement's doing alone. Prints how many labelled points are on the object that their mask was asked for, before and
after. Takes half a minute of one core.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pipelines.config import default
from pipelines.label import Stopwatch, frame_labels
from pipelines.synth import film
from pipelines.synth_config import SynthConfig
from pointsam.datasets.nuscenes_truth import CATEGORIES
from pointsam.draws import generator
from pointsam.geometry.projection import project
from pointsam.geometry.se3 import SE3
from pointsam.masks import load_segmenter
from pointsam.report.bev import BevView
from pointsam.report.points import cluster_colours, paint_points, tag_clusters
from pointsam.report.style import FAINT, GROUND, INK, cluster_rgb, font
from pointsam.rle import decode
from pointsam.stages.lift import LiftConfig, lift
from pointsam.stages.paint import paint, semantic_map
from pointsam.stages.trim import TrimConfig
from pointsam.store.schema import ImageMasks
from pointsam.synth.exposure import Studio
from pointsam.synth.lidar import Lidar
from pointsam.synth.rig import EGO_SE3_LIDAR
from pointsam.taxonomy import NUSCENES
from pointsam.types import NO_INSTANCE, CameraView, Detections, Frame, PointLabels, Sweep

SEED, SCENE, T_US = 7, 0, 0
WIDTH_PX, GAP_PX, HEAD_PX, BEV_HEIGHT_PX = 976, 16, 92, 560
FORWARD_M = 3.0, 33.0
MIN_PX = 150
NOTES = (((20.0, -8.0), "past silhouettes"),)
TINT = 0.65
PANEL_RGB = (24, 25, 30)


def detections(world, object_map):
    """Objects that the camera shows, and a box around what it sees of each, in the same order."""
    things, boxes = [], []
    for thing in world.boxed:
        v, u = np.nonzero(object_map == thing.object_id)
        if len(v) >= MIN_PX:
            things.append(thing)
            boxes.append([u.min(), v.min(), u.max() + 1, v.max() + 1])
    classes = [CATEGORIES.class_id(thing.asset.category) for thing in things]
    score = np.full(len(boxes), 0.9, dtype=np.float32)
    return things, Detections(np.array(boxes, dtype=np.float32), np.array(classes, dtype=np.uint8), score)


def label(mounted, image, xyz_lidar_m, found):
    """The pipeline on one frame.

    Returns:
        Where the points fall in the image, the masks, one a detection, points as lifted from them, with the detection
        as instance, and the pipeline's final labels and clusters.
    """
    config = default()
    clusters = replace(config.clusters, lift=LiftConfig(), trim=TrimConfig())
    still = SE3.identity()
    view = CameraView(mounted.name, Path(), 0, mounted.camera, mounted.ego_SE3_cam, still)
    frame = Frame("street", "street", Sweep(Path(), 5, 0, EGO_SE3_LIDAR, still), {}, (view,))
    segmenter = load_segmenter(config.masks.backend, config=config.masks.segment)
    masks = segmenter.from_boxes(segmenter.embed(image), found.box_xyxy_px)
    found = Detections(found.box_xyxy_px, found.class_id, found.score, masks.rle)
    row = ImageMasks(frame.frame_id, view.name, "ok", "", "", masks, found, np.zeros((0, 2), dtype=np.int32))
    overlap = config.masks.semantic_overlap
    semantic = semantic_map(found, masks.height_px, masks.width_px, overlap)
    instances = paint(masks, semantic, found, NUSCENES, clusters.paint)
    lifted = lift(xyz_lidar_m, frame, view, instances, clusters.lift).labels
    refined = frame_labels(frame, xyz_lidar_m, {view.name: row}, NUSCENES, overlap, clusters, Stopwatch())
    by_detection = renumbered(lifted, masks.source[instances.mask_id])
    return project(xyz_lidar_m, frame.sweep, view), masks, by_detection, refined


def renumbered(labels, new_id):
    """Labels with other instance ids."""
    table = np.append(np.array(new_id, dtype=np.int32), np.int32(NO_INSTANCE))
    return PointLabels(table[labels.instance_id], labels.class_id)


def right_points(labels, truth):
    """(N,) bool, points that are on the object their mask was asked for, and their share of the labelled ones."""
    right = (truth == labels.instance_id) & (labels.instance_id != NO_INSTANCE)
    num_right, num_labelled = np.count_nonzero(right), np.count_nonzero(labels.instance_id != NO_INSTANCE)
    print(f"{num_right} of {num_labelled} labelled points are on their object")
    return right, num_right / num_labelled


def masks_panel(image, masks, found, ids):
    """The image with each mask in its object's colour, and the boxes that asked for them."""
    canvas = image.astype(np.float64)
    for i in range(len(masks)):
        mask = decode(masks.rle[i], masks.height_px, masks.width_px)
        lightness = 0.5 + canvas[mask].mean(axis=1, keepdims=True) / 255 * 0.8
        tinted = np.minimum(lightness * cluster_rgb(ids[i]), 255)
        canvas[mask] = canvas[mask] * (1 - TINT) + tinted * TINT
    picture = Image.fromarray(canvas.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for i, box in enumerate(found.box_xyxy_px):
        draw.rectangle([float(edge) for edge in box], outline=cluster_rgb(ids[i]), width=2)
    return picture


def points_panel(image, projection, labels):
    """The image in dark grey with the points on it."""
    canvas = np.repeat(image.mean(axis=2, keepdims=True) * 0.45 + 8, 3, axis=2).astype(np.uint8)
    uv = np.floor(np.nan_to_num(projection.uv_px)).astype(np.int64)
    labelled = labels.instance_id != NO_INSTANCE
    rest = np.flatnonzero(projection.valid & ~labelled)
    paint_points(canvas, uv[rest], np.full((len(rest), 3), 190, dtype=np.uint8), 0, opacity=0.7)
    shown = np.flatnonzero(projection.valid & labelled)
    paint_points(canvas, uv[shown], cluster_colours(labels.instance_id[shown]), 2)
    return Image.fromarray(canvas)


def bev_panel(xyz_lidar_m, labels, boxes_ego_m, notes=()):
    """The sweep from above with true boxes in white; with tags of the clusters, or with notes at places."""
    side = 2 * WIDTH_PX  # twice as fine as shown
    half_side_m = np.ptp(FORWARD_M) / 2 * WIDTH_PX / BEV_HEIGHT_PX
    origin = EGO_SE3_LIDAR.translation_m
    view = BevView(EGO_SE3_LIDAR.rotation, (np.mean(FORWARD_M) - origin[0], 0.0), half_side_m, side)
    canvas = np.tile(np.array(PANEL_RGB, dtype=np.uint8), (side, side, 1))
    uv = np.floor(view.uv_px(xyz_lidar_m)).astype(np.int64)
    labelled = labels.instance_id != NO_INSTANCE
    height_m = np.clip(xyz_lidar_m[~labelled, 2:] + origin[2], 0, 2)
    paint_points(canvas, uv[~labelled], np.repeat(64 + 45 * height_m, 3, axis=1).astype(np.uint8), 1)
    paint_points(canvas, uv[labelled], cluster_colours(labels.instance_id[labelled]), 4)
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    lidar_SE3_ego = EGO_SE3_LIDAR.inverse()
    for outline_m in boxes_ego_m:
        outline = view.uv_px(lidar_SE3_ego.apply(outline_m))
        draw.line([(u, v) for u, v in outline.tolist()], fill=INK, width=3)
    picture = picture.resize((WIDTH_PX, WIDTH_PX), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    for (forward_m, left_m), text in notes:
        u, v = view.uv_px(lidar_SE3_ego.apply(np.array([[forward_m, left_m, 0]])))[0] / 2
        draw.text((u, v), text, font=font(25), fill=INK, anchor="lm")
    if not notes:
        shown = np.flatnonzero(labelled & ((uv >= 0) & (uv < side)).all(axis=1))
        tag_clusters(picture, uv // 2, labels, shown, NUSCENES, size_px=25, min_points=1)
    top = (WIDTH_PX - BEV_HEIGHT_PX) // 2
    return picture.crop((0, top, WIDTH_PX, top + BEV_HEIGHT_PX))


def outline_m(thing, world_SE3_ego):
    """(5,3) closed outline of a true box on the ground, in the vehicle's frame."""
    corners = np.array([(1, 1, 0), (1, -1, 0), (-1, -1, 0), (-1, 1, 0), (1, 1, 0)]) / 2 * thing.asset.size_lwh_m
    return (world_SE3_ego.inverse() @ thing.world_SE3_thing(0.0)).apply(corners)


def sheet(panels):
    """Two by two panels under their titles and captions."""
    row_px = HEAD_PX + panels[0][2].height
    picture = Image.new("RGB", (2 * WIDTH_PX + 3 * GAP_PX, row_px + HEAD_PX + BEV_HEIGHT_PX + GAP_PX), GROUND)
    draw = ImageDraw.Draw(picture)
    for k, (title, caption, panel) in enumerate(panels):
        u, v = GAP_PX + k % 2 * (WIDTH_PX + GAP_PX), k // 2 * row_px
        draw.text((u, v + 12), title, font=font(36), fill=INK)
        draw.text((u, v + 58), caption, font=font(26), fill=FAINT)
        picture.paste(panel, (u, v + HEAD_PX))
    return picture


def main():
    """Parse, cast, label, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    args = parser.parse_args()
    scene = film(SynthConfig(scenes=10, preset="still", seed=SEED, scale=WIDTH_PX / 1600), SCENE)
    world, mounted = scene.world, scene.cameras[0]
    photo = Studio(world).take(mounted, T_US * 1e-6, generator(SEED, "photo"))
    scan = Lidar(world).scan(T_US, generator(SEED, "scan"))
    xyz_lidar_m = scan.xyz_lidar_m
    things, found = detections(world, photo.object_id)
    index = np.full(len(world.things) + 1, NO_INSTANCE)
    index[[thing.object_id for thing in things]] = np.arange(len(things))
    truth = np.where(scan.object_id >= 0, index[scan.object_id], NO_INSTANCE)
    projection, masks, lifted, refined = label(mounted, photo.rgb, xyz_lidar_m, found)
    image, boxes_ego_m = photo.rgb, [outline_m(thing, world.world_SE3_ego(0.0)) for thing in things]
    asked_for = [int(masks.source[cluster.mask_ids[0]]) for cluster in refined.clusters]
    right_before, precision_before = right_points(lifted, truth)
    right_after, precision_after = right_points(renumbered(refined.labels, asked_for), truth)
    lost = np.count_nonzero(right_before & ~right_after)
    # An object has the colour of its cluster everywhere; what left no cluster gets a number of its own.
    ids = [asked_for.index(i) if i in asked_for else len(asked_for) + i for i in range(len(found))]
    lifted = renumbered(lifted, ids)
    panels = (
        (
            "1  SAM cuts the objects out of the image",
            "MobileSAM, one box an object; the scene's boxes stand in for a detector's",
            masks_panel(image, masks, found, ids),
        ),
        (
            "2  Each LiDAR point takes the mask it falls on",
            "The LiDAR is behind and above the camera, and sees through glass",
            points_panel(image, projection, lifted),
        ),
        (
            "3  From above: masks bleed into the background",
            f"{precision_before:.1%} of the labelled points are on their object",
            bev_panel(xyz_lidar_m, lifted, boxes_ego_m, NOTES),
        ),
        (
            "4  Separability-aware refinement cuts it off",
            f"{precision_after:.1%} are, at the cost of {lost} right points; white: true boxes",
            bev_panel(xyz_lidar_m, refined.labels, boxes_ego_m),
        ),
    )
    sheet(panels).save(args.picture, quality=90, optimize=True)


if __name__ == "__main__":
    main()
