"""Draw the picture of the README: a synthetic street, MobileSAM's masks, their points, and the refined labels.

    python scripts/draw_refinement.py docs/refinement.jpg

Image, sweep and ground truth are of a synthetic world in which nothing moves. Boxes around the visible pixels of each
object replace a detector. The rest is the code of the pipeline without its visibility test and ground removal, so that
only refinement changes the labels. The percentages count labelled points on the object of their mask's prompt.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pipelines.world.config import SynthConfig
from pipelines.world.render import film
from pointsam.base.runtime import Stopwatch
from pointsam.base.seeding import generator
from pointsam.datasets.io import XYZ, ImageFile, RawPoints
from pointsam.datasets.nuscenes.truth import CATEGORIES
from pointsam.geometry.projection import project
from pointsam.geometry.se3 import SE3
from pointsam.masks import load_segmenter
from pointsam.report.bev import BevView
from pointsam.report.points import cluster_colours, paint_points, tag_clusters
from pointsam.report.style import FAINT, GROUND, INK, cluster_rgb, font
from pointsam.rle import decode_mask
from pointsam.stages.frame import frame_labels
from pointsam.stages.lift import LiftConfig, lift
from pointsam.stages.paint import paint, semantic_map
from pointsam.stages.recipes import default
from pointsam.stages.trim import TrimConfig
from pointsam.synth.exposure import Studio
from pointsam.synth.lidar import Lidar
from pointsam.synth.rig import rig
from pointsam.taxonomy import NUSCENES
from pointsam.types import NO_INSTANCE, CameraView, Detections, Frame, FramePoints, ImageMasks, PointLabels, Sweep

SEED, SCENE, FORWARD_M = 14, 2, (3.0, 33.0)
WIDTH_PX, GAP_PX, HEAD_PX, BEV_HEIGHT_PX = 976, 16, 92, 560
LIDAR = rig().lidar
TITLES = (
    "1  SAM cuts the objects out of the image",
    "2  Each LiDAR point takes the mask it falls on",
    "3  From above: masks bleed into the background",
    "4  Separability-aware refinement cuts it off",
)
MIN_PX, TINT, PANEL_RGB = 150, 0.65, (24, 25, 30)


def _detections(world, object_map):
    """Objects in the image, and a box around the visible pixels of each, in the same order."""
    things, boxes = [], []
    for thing in world.boxed:
        v, u = np.nonzero(object_map == thing.object_id)
        if len(v) >= MIN_PX:
            things.append(thing)
            boxes.append([u.min(), v.min(), u.max() + 1, v.max() + 1])
    classes = np.array([CATEGORIES.class_id(thing.asset.category) for thing in things], np.uint8)
    return things, Detections(np.array(boxes, np.float32), classes, np.full(len(boxes), 0.9, np.float32))


def label(mounted, image, xyz_lidar_m, found):
    """Run the pipeline on one frame: masks, lifted labels (the instance is the detection), and refined labels."""
    config = default()
    clusters = replace(config.clusters, lift=LiftConfig(), trim=TrimConfig())
    view = CameraView(mounted.name, ImageFile(Path()), 0, mounted.camera, mounted.ego_SE3_cam, SE3.identity())
    sweep = Sweep(RawPoints(Path(), XYZ), 0, LIDAR.ego_SE3_lidar, SE3.identity())
    frame = Frame("street", "street", (sweep,), {}, (view,))
    points = FramePoints.of(xyz_lidar_m)
    segmenter = load_segmenter(config.masks.backend, config=config.masks.segmenter_options())
    masks = segmenter.from_boxes(segmenter.embed(image), found.box_xyxy_px)
    found = Detections(found.box_xyxy_px, found.class_id, found.score, masks.rle)
    row = ImageMasks(frame.frame_id, view.name, "ok", "", "", masks, found, np.zeros((0, 2), dtype=np.int32))
    overlap = config.masks.semantic_overlap
    semantic = semantic_map(found, *image.shape[:2], overlap)
    instances = paint(masks, semantic, found, NUSCENES, clusters.paint)
    lifted = lift(points, frame, view, instances, clusters.lift).labels
    refined = frame_labels(frame, points, {view.name: row}, lambda _: instances, NUSCENES, clusters, Stopwatch())
    return masks, renumbered(lifted, masks.source[instances.mask_id]), refined, project(xyz_lidar_m, frame, view)


def renumbered(labels, new_id):
    """Labels with other instance ids."""
    table = np.append(np.array(new_id, dtype=np.int32), np.int32(NO_INSTANCE))
    return PointLabels(table[labels.instance_id], labels.class_id)


def right_points(labels, truth):
    """(N,) bool, points on the object of their mask's prompt, and their fraction of the labelled points."""
    labelled = labels.instance_id != NO_INSTANCE
    right = labelled & (truth == labels.instance_id)
    print(f"{right.sum()} of {labelled.sum()} labelled points are on their object")
    return right, right.sum() / labelled.sum()


def masks_panel(image, masks, found, ids):
    """The image with each mask in the colour of its object, and the prompt boxes."""
    canvas = image.astype(np.float64)
    for i in range(len(masks)):
        mask = decode_mask(masks.rle[i], masks.height_px, masks.width_px)
        tinted = (0.5 + canvas[mask].mean(axis=1, keepdims=True) / 255 * 0.8) * cluster_rgb(ids[i])
        canvas[mask] = canvas[mask] * (1 - TINT) + np.minimum(tinted, 255) * TINT
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
    rest, shown = (np.flatnonzero(projection.valid & some) for some in (~labelled, labelled))
    paint_points(canvas, uv[rest], np.full((len(rest), 3), 190, dtype=np.uint8), 0, opacity=0.7)
    paint_points(canvas, uv[shown], cluster_colours(labels.instance_id[shown]), 2)
    return Image.fromarray(canvas)


def bev_panel(xyz_lidar_m, labels, outlines_lidar_m, tagged):
    """The sweep from above with ground-truth boxes in white and, if `tagged`, the names of clusters."""
    side = 2 * WIDTH_PX  # drawn at twice the resolution
    half_side_m = np.ptp(FORWARD_M) / 2 * WIDTH_PX / BEV_HEIGHT_PX
    origin = LIDAR.ego_SE3_lidar.translation_m
    view = BevView(LIDAR.ego_SE3_lidar.rotation, (np.mean(FORWARD_M) - origin[0], 0.0), half_side_m, side)
    canvas = np.tile(np.array(PANEL_RGB, dtype=np.uint8), (side, side, 1))
    uv = np.floor(view.uv_px(xyz_lidar_m)).astype(np.int64)
    labelled = labels.instance_id != NO_INSTANCE
    height_m = np.clip(xyz_lidar_m[~labelled, 2:] + origin[2], 0, 2)
    paint_points(canvas, uv[~labelled], np.repeat(64 + 45 * height_m, 3, axis=1).astype(np.uint8), 1)
    paint_points(canvas, uv[labelled], cluster_colours(labels.instance_id[labelled]), 4)
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    for outline_m in outlines_lidar_m:
        draw.line([(u, v) for u, v in view.uv_px(outline_m).tolist()], fill=INK, width=3)
    picture = picture.resize((WIDTH_PX, WIDTH_PX), Image.Resampling.LANCZOS)
    if tagged:
        shown = np.flatnonzero(labelled & ((uv >= 0) & (uv < side)).all(axis=1))
        tag_clusters(picture, uv // 2, labels, shown, NUSCENES, size_px=25, min_points=1)
    top = (WIDTH_PX - BEV_HEIGHT_PX) // 2
    return picture.crop((0, top, WIDTH_PX, top + BEV_HEIGHT_PX))


def outline_lidar_m(thing, world_SE3_lidar):
    """(5,3) closed outline of a ground-truth box on the ground, in the LiDAR frame."""
    corners = np.array([(1, 1, 0), (1, -1, 0), (-1, -1, 0), (-1, 1, 0), (1, 1, 0)]) / 2 * thing.asset.size_lwh_m
    return (world_SE3_lidar.inverse() @ thing.world_SE3_thing(0.0)).apply(corners)


def sheet(captions, panels):
    """Two by two panels under their titles and captions."""
    row_px = HEAD_PX + panels[0].height
    picture = Image.new("RGB", (2 * WIDTH_PX + 3 * GAP_PX, row_px + HEAD_PX + BEV_HEIGHT_PX + GAP_PX), GROUND)
    draw = ImageDraw.Draw(picture)
    for k, (title, caption, panel) in enumerate(zip(TITLES, captions, panels, strict=True)):
        u, v = GAP_PX + k % 2 * (WIDTH_PX + GAP_PX), k // 2 * row_px
        draw.text((u, v + 12), title, font=font(36), fill=INK)
        draw.text((u, v + 58), caption, font=font(26), fill=FAINT)
        picture.paste(panel, (u, v + HEAD_PX))
    return picture


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    picture = parser.parse_args().picture
    scene = film(SynthConfig(scenes=10, preset="still", seed=SEED, scale=WIDTH_PX / 1600), SCENE)
    world, mounted = scene.world, scene.rig.cameras[0]
    photo = Studio(world).take(mounted, 0.0, generator(SEED, "photo"))
    scan = Lidar(world, scene.rig.lidar).scan(0, generator(SEED, "scan"))
    things, found = _detections(world, photo.object_id)
    index = np.array([things.index(t) if t in things else NO_INSTANCE for t in world.things] + [NO_INSTANCE])
    truth = index[np.maximum(scan.object_id, -1)]
    masks, lifted, refined, projection = label(mounted, photo.rgb, scan.xyz_lidar_m, found)
    outlines_m = [outline_lidar_m(thing, world.world_SE3_ego(0.0) @ LIDAR.ego_SE3_lidar) for thing in things]
    asked_for = [int(masks.source[cluster.mask_ids[0]]) for cluster in refined.clusters]
    right_before, before = right_points(lifted, truth)
    right_after, after = right_points(renumbered(refined.labels, asked_for), truth)
    # An object has the colour of its cluster in all panels; objects without a cluster get further numbers.
    ids = [asked_for.index(i) if i in asked_for else len(asked_for) + i for i in range(len(found))]
    lifted = renumbered(lifted, ids)
    lost = (right_before & ~right_after).sum()
    captions = (
        "MobileSAM, one box per object, from the ground truth",
        "The LiDAR is behind and above the camera, and sees through glass",
        f"{100 * before:.1f} % of the labelled points are on their object",
        f"{100 * after:.1f} % are on their object; {lost} correct points were lost; white: ground-truth boxes",
    )
    panels = (
        masks_panel(photo.rgb, masks, found, ids),
        points_panel(photo.rgb, projection, lifted),
        bev_panel(scan.xyz_lidar_m, lifted, outlines_m, tagged=False),
        bev_panel(scan.xyz_lidar_m, refined.labels, outlines_m, tagged=True),
    )
    sheet(captions, panels).save(picture, quality=90, optimize=True)


if __name__ == "__main__":
    main()
