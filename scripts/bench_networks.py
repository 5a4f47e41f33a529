"""Precision, recall and time of the bundled networks by tiling and thresholds.

    python scripts/bench_networks.py ROOT [ROOT ...] [--step N]

Ground truth of a synthetic world are the boxes around the visible pixels of objects with at least 100 of them. That of
other data sets are the rectangles around the 3D boxes with at least 5 LiDAR points; they are wider than the visible
part of an object, so the table has IoU 0.3 besides 0.5. Detections of an image are matched by falling score; those on a
smaller object, or of a class that COCO lacks, are ignored. F is followed by its 95 % band over frames. Numbers of a few
frames are indicative only.

The last lines are the logistic curves (Platt, 1999) from a network's score to the probability that the box is right,
which `pointsam/semantics/bundled.py` uses.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from pointsam.datasets import open_dataset
from pointsam.datasets.io import read_image
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.boxes import count_points
from pointsam.geometry.projection import cam_SE3_lidar
from pointsam.rle import area_px
from pointsam.semantics import load_semantics
from pointsam.semantics.boxes import intersection, iou
from pointsam.semantics.bundled import BundledConfig, FusedNanodetConfig, FusedSsdConfig
from pointsam.semantics.mapping import default_mapping
from pointsam.semantics.nanodet import NanodetConfig
from pointsam.semantics.oracle import OracleConfig
from pointsam.semantics.ssd import SsdConfig
from pointsam.types import Detections

CORNERS = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
SETTINGS = [("ssd", SsdConfig()), ("ssd", SsdConfig(0.4, tile_px=400))]
SETTINGS += [("nanodet", NanodetConfig(s, tile_px=t)) for t in (0, 400, 500) for s in (0.35, 0.4, 0.45)]
SETTINGS += [("bundled", BundledConfig(score_threshold=s)) for s in (0.2, 0.25, 0.3)]
CURVES = {"ssd": FusedSsdConfig(0.15), "nanodet": FusedNanodetConfig(0.15)}
MIN_PIXELS = 100


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


def load(root, step):
    """Mapping, and (frame_id, image, frame, view, boxes, class_id, counts) of every image."""
    dataset = open_dataset(root)
    mapping = default_mapping(dataset.taxonomy)
    known = [mapping.class_id(label) for label in mapping.classes]
    oracle = None
    if (root / "truth2d").is_dir():
        names = default_mapping(dataset.taxonomy, "same")
        config = OracleConfig(masks=True, min_pixels=0)
        oracle = load_semantics("oracle", mapping=names, masks_dir=root / "truth2d", config=config, data_root=str(root))
    images = []
    for frame_id in list(dataset.frame_ids())[::step]:
        frame = dataset.frame(frame_id)
        if oracle is None:
            boxes = dataset.boxes(frame_id)
            enough = count_points(read_frame_points(frame).xyz_lidar_m, boxes) >= 5
        for view in frame.cameras:
            image = read_image(view.source)
            if oracle is not None:
                found = oracle.detect(image, frame, view)
                area = np.array([area_px(mask, *image.shape[:2]) for mask in found.rle])
                truth = found.box_xyxy_px, found.class_id, (area >= MIN_PIXELS) & np.isin(found.class_id, known)
            else:
                seen = rectangles(boxes, frame, view)
                there = ~np.isnan(seen[:, 0])
                counts = (enough & np.isin(boxes.class_id, known))[there]
                truth = seen[there], boxes.class_id[there], counts
            images.append((frame_id, image, frame, view, *truth))
    return mapping, images


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


def judge(model, images, min_iou):
    """(frame_id, hits, false alarms, misses) of every image, each a list of class ids, and milliseconds an image."""
    start = time.perf_counter()
    found = [model.detect(image, frame, view) for _, image, frame, view, *_ in images]
    ms = 1000 * (time.perf_counter() - start) / len(images)
    return [[(i[0], *match(one, *i[4:], least)) for one, i in zip(found, images, strict=True)] for least in min_iou], ms


def ratios(judged):
    """Text with precision, recall, F and its band."""
    frames = sorted({one[0] for one in judged})
    counts = np.array([[sum(len(one[k]) for one in judged if one[0] == frame) for k in (1, 2, 3)] for frame in frames])

    def f1(h, f, m):
        return 2 * h / np.maximum(2 * h + f + m, 1)

    h, f, m = counts.sum(axis=0)
    draws = np.random.default_rng(0).integers(len(frames), size=(1000, len(frames)))
    low, high = np.quantile(f1(*counts[draws].sum(axis=1).T), (0.025, 0.975))
    return f"{h / max(h + f, 1):4.2f} {h / max(h + m, 1):4.2f} {f1(h, f, m):4.2f} {low:4.2f}-{high:4.2f}"


def curve(model, images):
    """Slope and offset of the logit of being right (IoU 0.5) against that of the score."""
    scores, right = [], []
    for _, image, frame, view, *truth in images:
        found = model.detect(image, frame, view)
        for d in range(len(found)):
            one = Detections(found.box_xyxy_px[[d]], found.class_id[[d]], found.score[[d]])
            hits, false, _ = match(one, *truth, 0.5)
            if hits or false:
                scores.append(found.score[d])
                right.append(bool(hits))
    logit = np.log(np.array(scores) / (1 - np.array(scores)))
    fitted = LogisticRegression(C=1e3).fit(logit[:, None], right)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0]), len(right)


def main():
    """Print a table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", type=Path, nargs="+")
    parser.add_argument("--step", type=int, default=1, help="take every STEP-th frame")
    args = parser.parse_args()
    for root in args.roots:
        mapping, images = load(root, args.step)
        names = mapping.taxonomy.names
        print(f"\n{root}: {len(images)} images; by class: hits/false alarms/misses at IoU 0.5")
        print("network  tile score |  P.5  R.5  F.5           |  P.3  R.3  F.3           | ms/image")
        for name, config in SETTINGS:
            judged, ms = judge(load_semantics(name, mapping=mapping, config=config), images, (0.5, 0.3))
            totals = [[c for one in judged[0] for c in one[k]] for k in (1, 2, 3)]
            classes = sorted(set(itertools.chain.from_iterable(totals)))
            by_class = ", ".join(f"{names[c]} {'/'.join(str(one.count(c)) for one in totals)}" for c in classes)
            tile_px = getattr(config, "tile_px", "")
            print(
                f"{name:8s} {tile_px:4} {config.score_threshold:5.2f} | {' | '.join(map(ratios, judged))} | "
                f"{ms:8.0f} {by_class}",
                flush=True,
            )
        for name, config in CURVES.items():
            slope, offset, count = curve(load_semantics(name, mapping=mapping, config=config), images)
            print(f"{name}: slope {slope:.2f}, offset {offset:.2f} from {count} boxes")


if __name__ == "__main__":
    main()
