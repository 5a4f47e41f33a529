"""One picture of a frame: its cameras, a bird's-eye view, and a legend."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pointsam.base.arrays import FloatArray
from pointsam.base.words import counted
from pointsam.geometry.projection import project
from pointsam.report.bev import draw_bev, true_colours
from pointsam.report.edges import draw_edges
from pointsam.report.overlay import ClassMask, draw_camera
from pointsam.report.style import FAINT, GROUND, INK, RGB, class_rgb, cluster_rgb, font
from pointsam.taxonomy import BACKGROUND, Taxonomy
from pointsam.types import NO_INSTANCE, Boxes, CameraView, Frame, PointLabels

WIDTH_PX, BEV_PX = 2400, 1500
_COLUMNS = 3
_TableRow = tuple[RGB, tuple[str, ...]]
_ClusterRow = tuple[int, str, int, float]
_SURROUND = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")
_LINE_PX = 29
_PANEL_LETTERS = 76

_LEGEND_MASKS = "Cameras: masks in the colour of their class."
_LEGEND_POINTS = "Points: in the colour of their cluster, the same in all pictures; grey: no label."
_LEGEND_UNLABELLED = "Points are grey: no labels were given, so there are no clusters to show."
_LEGEND_ABOVE = "From above: forward is up, rings every 10 m around the LiDAR."
_LEGEND_BOXES = "White outlines: ground-truth boxes, the tick is the front; grey outlines: void."
_LEGEND_CLASSES = "Outlines: ground-truth boxes in the colour of their class, the tick is the front; grey: void."
_LEGEND_EDGES = "Cameras: a cross marks the front of a box."
_LEGEND_DETECTED = "Coloured outlines: detections in the colour of their class, with their score."


def draw_frame(
    frame: Frame,
    images: Mapping[str, NDArray[np.uint8]],
    xyz_lidar_m: FloatArray,
    labels: PointLabels | None,
    masks: Mapping[str, Sequence[ClassMask]],
    boxes: Boxes | None,
    taxonomy: Taxonomy,
    grown: NDArray[np.bool_] | None = None,
    detected: Boxes | None = None,
    edges: bool = False,
) -> Image.Image:
    """Draw a frame.

    Args:
        frame: the frame.
        images: (H,W,3) RGB by camera name; cameras without an image are left out.
        xyz_lidar_m: (N,3) points of the frame, LiDAR frame, in the order of the labels.
        labels: (N,) clusters of the points; None without labels.
        masks: masks of the full-size images with their classes, by camera name; cameras may be missing.
        boxes: ground-truth boxes, None if there are none.
        taxonomy: classes of masks and labels.
        grown: (N,) points that growth added, which are drawn paler; None for no point.
        detected: boxes of a detector, with their texts as tokens; None without a detector.
        edges: whether the boxes are drawn into the images too, those of the ground truth in the colour of their class
            if there are no detections.

    Returns:
        2400 px wide. Six surround cameras are arranged by direction, front above back; others are in the frame's order.
    """
    clusters = PointLabels.empty(len(xyz_lidar_m)) if labels is None else labels
    by_class = edges and detected is None
    true_rgb = None if boxes is None else true_colours(boxes, by_class)
    shown = in_reading_order([view for view in frame.cameras if view.name in images])
    columns = min(_COLUMNS, max(1, len(shown)))
    tiles = [
        draw_camera(
            images[view.name],
            view.name,
            project(xyz_lidar_m, frame, view),
            clusters,
            masks.get(view.name, ()),
            taxonomy,
            WIDTH_PX // columns,
            grown,
        )
        for view in shown
    ]
    for tile, view in zip(tiles, shown, strict=True) if edges else ():
        _draw_edges(tile, boxes, true_rgb, detected, frame, view)
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) for row in rows]
    picture = Image.new("RGB", (WIDTH_PX, sum(heights) + BEV_PX), GROUND)
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            picture.paste(tile, (j * (WIDTH_PX // columns), sum(heights[:i])))
    mounting = frame.sweep.ego_SE3_lidar
    bev = draw_bev(xyz_lidar_m, clusters, boxes, mounting, taxonomy, BEV_PX, grown, detected, true_rgb)
    picture.paste(bev, (0, sum(heights)))
    num_grown = 0 if grown is None else int(grown.sum())
    lines = [
        *([_LEGEND_MASKS] if any(masks.values()) else []),
        _LEGEND_UNLABELLED if labels is None else _LEGEND_POINTS,
        _LEGEND_ABOVE,
        *([f"Pale points: {num_grown:,} that no mask gave; growth added them."] if num_grown else []),
        *([] if boxes is None else [_LEGEND_CLASSES if by_class else _LEGEND_BOXES]),
        *([] if detected is None else [_LEGEND_DETECTED]),
        *([_LEGEND_EDGES] if edges else []),
    ]
    size = (WIDTH_PX - BEV_PX, BEV_PX)
    panel = _draw_panel(frame, xyz_lidar_m, labels, boxes, taxonomy, lines, size, grown, detected)
    picture.paste(panel, (BEV_PX, sum(heights)))
    return picture


def in_reading_order(cameras: list[CameraView]) -> list[CameraView]:
    """Six surround cameras by direction, front above back; others in the given order."""
    if {view.name for view in cameras} == set(_SURROUND):
        return sorted(cameras, key=lambda view: _SURROUND.index(view.name))
    return cameras


def _draw_panel(
    frame: Frame,
    xyz_lidar_m: FloatArray,
    labels: PointLabels | None,
    boxes: Boxes | None,
    taxonomy: Taxonomy,
    legend: Sequence[str],
    size_px: tuple[int, int],
    grown: NDArray[np.bool_] | None,
    detected: Boxes | None,
) -> Image.Image:
    """Name of the frame, legend, classes, and as many of the largest clusters as fit, if there are labels."""
    panel = Image.new("RGB", size_px, GROUND)
    draw = ImageDraw.Draw(panel)
    clusters = None if labels is None else _clusters(xyz_lidar_m, labels, taxonomy)
    draw.text((30, 22), f"{frame.scene}   {frame.frame_id}", font=font(27), fill=INK)
    draw.text((30, 64), _summary(clusters, len(xyz_lidar_m), boxes, detected), font=font(22), fill=INK)
    v = 106
    for line in legend:
        draw.text((30, v), line, font=font(20), fill=FAINT)
        v += _LINE_PX

    counts = _class_counts(clusters, boxes, detected, taxonomy)
    seen = [k for k in range(len(taxonomy.names)) if any(column[k] for column in counts.values())]
    of_classes = [(class_rgb(k), (taxonomy.names[k], *(f"{c[k]:,}" for c in counts.values()))) for k in seen]
    v = _draw_rows(draw, v + 22, ("class", *counts), of_classes, size_px[1])
    none = [name for k, name in enumerate(taxonomy.names) if k not in seen]
    for line in textwrap.wrap(f"Not in this frame: {', '.join(none)}.", _PANEL_LETTERS)[:3] if none and counts else ():
        draw.text((30, v), line, font=font(20), fill=FAINT)
        v += _LINE_PX
    if labels is None or clusters is None:
        return panel
    rows: list[_TableRow] = [
        (cluster_rgb(cluster), (f"{name} {cluster}", f"{points:,}", f"{range_m:.0f} m"))
        for cluster, name, points, range_m in clusters
    ]
    heading: tuple[str, ...] = ("cluster", "points", "range")
    if grown is not None and grown.any():
        added = np.bincount(labels.instance_id[grown], minlength=int(labels.instance_id.max()) + 1)
        heading = (*heading, "grown")
        rows = [(rgb, (*texts, f"{added[c[0]]:,}")) for (rgb, texts), c in zip(rows, clusters, strict=True)]
    _draw_rows(draw, v + 22, heading, rows, size_px[1])
    return panel


def _draw_edges(
    tile: Image.Image,
    boxes: Boxes | None,
    true_rgb: Sequence[RGB] | None,
    detected: Boxes | None,
    frame: Frame,
    view: CameraView,
) -> None:
    """Draw true boxes, and those of a detector in the colour of their class, into an image."""
    if boxes is not None and true_rgb is not None:
        draw_edges(tile, boxes, true_rgb, None, frame, view)
    if detected is not None:
        draw_edges(tile, detected, [class_rgb(int(k)) for k in detected.class_id], detected.token, frame, view)


def _summary(
    clusters: Sequence[_ClusterRow] | None, num_points: int, boxes: Boxes | None, detected: Boxes | None
) -> str:
    """Number of points, clusters, labelled points, ground-truth boxes without void ones, and detections."""
    text = f"{num_points:,} points"
    if clusters is not None:
        num_labelled = sum(points for _, _, points, _ in clusters)
        text = f"{counted(len(clusters), 'cluster')} on {num_labelled:,} of {text}"
    if boxes is not None:
        text += f", {counted(int((boxes.class_id != BACKGROUND).sum()), 'ground-truth box')}"
    return text if detected is None else f"{text}, {counted(len(detected), 'detection')}"


def _draw_rows(
    draw: ImageDraw.ImageDraw,
    v: int,
    heading: tuple[str, ...],
    rows: Sequence[_TableRow],
    bottom: int,
) -> int:
    """Draw rows of a colour and up to five texts below `v`; returns the coordinate of their end."""
    columns = ((72, "la"), (440, "ra"), (570, "ra"), (700, "ra"), (830, "ra"))[: len(heading)]
    for (u, anchor), text in zip(columns, heading, strict=True):
        draw.text((u, v), text, font=font(20), fill=FAINT, anchor=anchor)
    v += _LINE_PX + 4
    room = (bottom - v) // _LINE_PX - 1
    for rgb, texts in rows[:room]:
        draw.rectangle((30, v + 2, 56, v + 20), fill=rgb)
        for (u, anchor), text in zip(columns, texts, strict=True):
            draw.text((u, v), text, font=font(20), fill=INK, anchor=anchor)
        v += _LINE_PX
    if len(rows) > room:
        draw.text((72, v), f"and {len(rows) - room} more", font=font(20), fill=FAINT)
        v += _LINE_PX
    return v


def _class_counts(
    clusters: Sequence[_ClusterRow] | None, boxes: Boxes | None, detected: Boxes | None, taxonomy: Taxonomy
) -> dict[str, list[int]]:
    """By heading of a column, the count of each class; without columns of what is not shown."""
    names, counts = taxonomy.names, dict[str, list[int]]()
    if clusters is not None:
        sizes = [[points for _, of_class, points, _ in clusters if of_class == name] for name in names]
        counts["clusters"], counts["points"] = [len(some) for some in sizes], [sum(some) for some in sizes]
    for heading, some in (("boxes", boxes), ("detected", detected)):
        if some is not None:
            counts[heading] = [int((some.class_id == k).sum()) for k in range(len(names))]
    return counts


def _clusters(xyz_lidar_m: FloatArray, labels: PointLabels, taxonomy: Taxonomy) -> list[_ClusterRow]:
    """(id, class, points, range of the centre) of each cluster, largest first."""
    clusters = []
    for cluster in np.unique(labels.instance_id[labels.instance_id != NO_INSTANCE]):
        member = np.flatnonzero(labels.instance_id == cluster)
        xyz = xyz_lidar_m[member].astype(np.float64)
        center = (xyz.max(axis=0) + xyz.min(axis=0)) / 2
        name = taxonomy.names[labels.class_id[member[0]]]
        clusters.append((int(cluster), name, len(member), float(np.linalg.norm(center))))
    return sorted(clusters, key=lambda row: (-row[2], row[0]))
