"""Precision, recall and time of the bundled detector by tiling and thresholds.

    python scripts/bench_ssd.py ROOT [ROOT ...]

Ground truth are the rectangles around the data set's 3D boxes with at least 5 LiDAR points. They are wider than the
visible part of an object, so there is a column for IoU 0.3 besides 0.5. Detections of an image are matched by falling
score; those on a box with fewer points, or of a class that the detector lacks, are ignored. Numbers of a few frames are
indicative only.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np

from pointsam.datasets import open_dataset
from pointsam.datasets.io import read_image
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.boxes import count_points
from pointsam.geometry.projection import cam_SE3_lidar
from pointsam.semantics.boxes import intersection, iou
from pointsam.semantics.mapping import default_mapping
from pointsam.semantics.ssd import SsdConfig, SsdSemantics

CORNERS = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
SETTINGS = [SsdConfig(score_threshold=s, tile_px=t) for t in (0, 300, 400, 500, 900) for s in (0.3, 0.4, 0.5)]
SETTINGS += [SsdConfig(score_threshold=0.4, tile_px=400, tile_overlap=o) for o in (0.1, 0.3, 0.4)]
SETTINGS += [SsdConfig(score_threshold=0.4, tile_px=400, nms_iou=n) for n in (0.4, 0.6)]


def rectangles(boxes, frame, view):
    """(M,4) rectangles in the image, NaN for a box that is not in front of the camera or mostly outside."""
    out = np.full((len(boxes), 4), np.nan)
    limit = np.array([view.camera.width_px, view.camera.height_px])
    cam_SE3 = cam_SE3_lidar(frame.sweep, view)
    for m in range(len(boxes)):
        corners = (CORNERS * boxes.size_lwh_m[m]) @ boxes.rotation[m].T + boxes.center_m[m]
        uv, depth = view.camera.project(cam_SE3.apply(corners))
        if depth.min() < 0.3:
            continue
        low, high = uv.min(axis=0), uv.max(axis=0)
        seen_low, seen_high = np.clip(low, 0, limit), np.clip(high, 0, limit)
        if np.prod(seen_high - seen_low) > 0.25 * np.prod(high - low):
            out[m] = [*seen_low, *seen_high]
    return out


def load(roots):
    """(image, frame, view, rectangles, class_id, counts) of every image, and the mapping, by data set."""
    for root in roots:
        dataset = open_dataset(root)
        mapping = default_mapping(dataset.taxonomy)
        images = []
        for frame_id in dataset.frame_ids():
            frame, boxes = dataset.frame(frame_id), dataset.boxes(frame_id)
            enough = count_points(read_frame_points(frame).xyz_lidar_m, boxes) >= 5
            known = np.isin(boxes.class_id, [mapping.class_id(label) for label in mapping.classes])
            for view in frame.cameras:
                seen = rectangles(boxes, frame, view)
                there = ~np.isnan(seen[:, 0])
                truth = seen[there], boxes.class_id[there], (enough & known)[there]
                images.append((read_image(view.source), frame, view, *truth))
        yield dataset.name, mapping, images


def match(found, truth, class_id, counts, min_iou):
    """(class_id of hits, of false alarms, of misses)."""
    overlap = iou(found.box_xyxy_px, truth) if len(truth) else np.zeros((len(found), 0))
    inside = (
        intersection(found.box_xyxy_px, truth)
        / np.prod(found.box_xyxy_px[:, 2:] - found.box_xyxy_px[:, :2], axis=1)[:, None]
    )
    free, hits, false = counts.copy(), [], []
    for d in range(len(found)):
        fits = (overlap[d] >= min_iou) & (class_id == found.class_id[d])
        mine = np.flatnonzero(fits & free)
        if len(mine):
            best = mine[overlap[d, mine].argmax()]
            free[best] = False
            hits.append(class_id[best])
        elif not (inside[d, ~counts] > 0.5).any():
            false.append(found.class_id[d])
    return hits, false, class_id[free].tolist()


def score(model, images, min_iou):
    """Precision, recall, hits/false alarms/misses by class id, milliseconds an image."""
    hits, false, misses = [], [], []
    start = time.perf_counter()
    found = [model.detect(image, frame, view) for image, frame, view, *_ in images]
    ms = 1000 * (time.perf_counter() - start) / len(images)
    for one, (_, _, _, *truth) in zip(found, images, strict=True):
        for total, part in zip((hits, false, misses), match(one, *truth, min_iou), strict=True):
            total.extend(part)
    return hits, false, misses, ms


def main():
    """Print a table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", type=Path, nargs="+")
    for name, mapping, images in load(parser.parse_args().roots):
        names = mapping.taxonomy.names
        print(f"\n{name}: {len(images)} images; by class: hits/false alarms/misses at IoU 0.5")
        print("tile score overlap  nms |  P.5  R.5  F.5 |  P.3  R.3  F.3 | ms/image")
        for config in SETTINGS:
            model = SsdSemantics(mapping, config)
            entries = []
            for min_iou in (0.3, 0.5):
                hits, false, misses, ms = score(model, images, min_iou)
                n, f, m = len(hits), len(false), len(misses)
                entries.insert(
                    0, f"{n / max(n + f, 1):4.2f} {n / max(n + m, 1):4.2f} {2 * n / max(2 * n + f + m, 1):4.2f}"
                )
            classes = sorted({*hits, *false, *misses})
            by_class = ", ".join(f"{names[c]} {hits.count(c)}/{false.count(c)}/{misses.count(c)}" for c in classes)
            print(
                f"{config.tile_px:4d} {config.score_threshold:5.1f} {config.tile_overlap:7.1f} {config.nms_iou:4.1f} | "
                f"{' | '.join(entries)} | {ms:8.0f} {by_class}"
            )


if __name__ == "__main__":
    main()
