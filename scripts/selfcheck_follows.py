"""How well do figures without ground truth follow PQ, and does the review queue find errors first?

    python scripts/selfcheck_follows.py ROOT OUT [--first 8] [--block 3] [--json FILE]

OUT holds labels of ROOT, which has ground truth. Labels of single frames are made worse on purpose, in the kinds and
degrees of `KINDS`, tracked again, and measured with and without ground truth. A run of the kind "as it is" has every
cluster, and loses one point in a hundred. Scores of masks stay those of the cluster; its probability is made again.

A verdict is that of `pointsam-label eval OUT DATA --against OTHER`, where the other run is the one without changes. PQ
is of the points that cameras see, and the mean over the classes that have true objects: one cluster of another class
would halve the mean over those that occur. The queue is scored over all runs: an error is a cluster of 5 points or
more without a match, whatever is wrong.
"""

import argparse
import json
import math
from collections import defaultdict
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import spearmanr

from pipelines.data import DataSpec
from pointsam.base.seeding import generator
from pointsam.base.tables import Table
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.agnostic import best_iou
from pointsam.evaluate.bare import bare_components
from pointsam.evaluate.clues import CLUES, clues_of
from pointsam.evaluate.overlap import overlaps
from pointsam.evaluate.panoptic import PanopticAccumulator, match
from pointsam.evaluate.selfcheck import FIGURES, compare, self_check
from pointsam.evaluate.suspicions import suspicions
from pointsam.evaluate.tracked_frames import tracked_frame
from pointsam.geometry.odometry import odometry
from pointsam.stages.probability import tracked_probability, with_probability
from pointsam.stages.recipes import RECIPES
from pointsam.stages.summarize import summarize
from pointsam.stages.tracks.probability import traits_of, with_tracked_probability
from pointsam.stages.tracks.recover import tracked_labels
from pointsam.stages.tracks.scene import scene_frame
from pointsam.stages.tracks.tracks import track_scene
from pointsam.store.reader import Labels
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, Membership, PointLabels

KINDS = {
    "as it is": (0.0, 0.01),
    "missed": (0.15, 0.3, 0.6),
    "tight": (0.3, 0.6, 0.9),
    "spilled": (0.5, 1.0, 2.0),
    "classes": (0.1, 0.25, 0.5),
    "merged": (0.3, 0.6, 1.0),
    "false": (1.0, 3.0, 6.0),
    "turned": (0.3, 0.7, 1.5),
}
"""Degrees: share of clusters missed, largest share of points lost, reach of spilling in metres, share of clusters of
another class, share of near pairs merged, false clusters a frame, error of the calibration in degrees."""
SHARES = (0.05, 0.1, 0.2)
MODEL = tracked_probability().model


def degraded(kind, degree, frame, points, found, taxonomy, seed):
    """Labels of a frame that are worse in some way."""
    rng = generator(seed, frame.frame_id, kind)
    xyz = np.nan_to_num(points.xyz_lidar_m.astype(np.float64))
    ids, classes = found.labels.instance_id.copy(), found.labels.class_id.copy()
    covered, origin, count = found.covered.copy(), {k: k for k in range(len(found.clusters))}, len(found.clusters)

    def remove(its):
        ids[its], classes[its], covered[its] = NO_INSTANCE, BACKGROUND, 0

    if kind == "as it is" and degree:
        remove(np.flatnonzero(rng.random(len(ids)) < degree))
    if kind == "missed":
        for k in np.flatnonzero(rng.random(count) < degree):
            remove(ids == k)
    if kind == "tight":
        for k in range(count):
            its = np.flatnonzero(ids == k)
            keep, turn = 1 - degree * rng.random(), rng.uniform(0, 2 * np.pi)
            along = xyz[its, 0] * np.cos(turn) + xyz[its, 1] * np.sin(turn)
            remove(its[np.argsort(along, kind="stable")[math.ceil(keep * len(its)) :]])
    if kind == "spilled":
        held, free = np.flatnonzero(ids != NO_INSTANCE), np.flatnonzero((ids == NO_INSTANCE) & (found.views > 0))
        spilling = rng.random(count) < 0.5
        held = held[spilling[ids[held]]]
        if len(held):
            near, which = cKDTree(xyz[held]).query(xyz[free], distance_upper_bound=degree)
            its, of = free[np.isfinite(near)], held[which[np.isfinite(near)]]
            ids[its], classes[its], covered[its] = ids[of], classes[of], 1
    if kind == "classes":
        for k in np.flatnonzero(rng.random(count) < degree):
            classes[ids == k] = (found.clusters[k].class_id + rng.integers(1, len(taxonomy.classes))) % len(
                taxonomy.classes
            )
    if kind == "merged":
        centers = np.array([one.center_lidar_m[:2] for one in found.clusters]).reshape(-1, 2)
        for one, other in sorted(cKDTree(centers).query_pairs(8.0)) if count else ():
            if rng.random() < degree and (ids == other).any() and (ids == one).any():
                ids[ids == other], classes[ids == other] = one, found.clusters[one].class_id
                classes[ids == one] = found.clusters[one].class_id
    if kind == "false":
        free = np.flatnonzero((ids == NO_INSTANCE) & (found.views > 0) & (xyz[:, 2] > -1.2) & (xyz[:, 2] < 1.5))
        for _ in range(rng.poisson(degree) if len(free) and count else 0):
            its = free[np.linalg.norm(xyz[free] - xyz[rng.choice(free)], axis=1) < rng.uniform(0.5, 1.5)]
            its = its[ids[its] == NO_INSTANCE]
            if len(its) >= 5:
                origin[count] = int(rng.integers(len(found.clusters)))
                ids[its], classes[its], covered[its] = count, rng.integers(len(taxonomy.classes)), 1
                count += 1
    if kind == "turned":
        away = np.linalg.norm(xyz, axis=1)
        ray = np.column_stack(
            [np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])), np.degrees(np.arcsin(xyz[:, 2] / np.maximum(away, 1e-6)))]
        )
        near, which = cKDTree(ray).query(ray + np.array([degree, 0.3 * degree]), distance_upper_bound=1.0)
        which = np.where(np.isfinite(near), which, np.arange(len(ids)))
        ids, classes, covered = ids[which], classes[which], covered[which]
    return described(frame, points, found, PointLabels(ids, classes), covered, origin, taxonomy, rng)


def described(frame, points, found, labels, covered, origin, taxonomy, rng):
    """The labels with clusters that have the scores of those they came from."""
    held = np.flatnonzero(labels.instance_id != NO_INSTANCE)
    grown = found.grown & (labels.instance_id != NO_INSTANCE)
    mount = frame.sweep.ego_SE3_lidar
    numbered, clusters = summarize(points.xyz_lidar_m, labels, (), taxonomy, grown, mount)
    of = np.full(len(clusters), -1)
    of[numbered.instance_id[held]] = labels.instance_id[held]
    kept = ("cameras", "mask_ids", "pred_iou", "stability", "class_share", "num_points_cut", "confidence", "score")
    out = []
    for one, k in zip(clusters, of.tolist(), strict=True):
        scores = {name: getattr(found.clusters[origin[k]], name) for name in kept}
        if k >= len(found.clusters):
            scores["score"] = float(rng.uniform(0.3, 0.7))
        out.append(replace(one, **scores))
    row = replace(found.frame, num_clusters=len(out))
    whole = replace(found, frame=row, labels=numbered, covered=covered, grown=grown, clusters=tuple(out))
    return with_probability(whole, taxonomy)


def read(args):
    """Scene -> (frame, points, truth, labels) of its first frames, and poses by frame."""
    labels, dataset, scenes, poses = Labels(args.out), DataSpec(args.root).open(), {}, {}
    for scene, rows in groupby((row for row in labels.frames() if row.status == "ok"), lambda row: row.scene):
        ids = [row.frame_id for row in sorted(rows, key=lambda row: row.t_us)][: args.first]
        some = []
        for frame_id in ids:
            frame = dataset.frame(frame_id)
            points, found = read_frame_points(frame), labels.labels(frame_id)
            truth = dataset.point_truth(frame_id).of_points(points.present & (found.views > 0))
            some.append((frame, points, truth, found))
        scenes[scene] = some
        if all(frame.sweep.world_SE3_ego.is_identity for frame, *_ in some):
            mount = some[0][0].sweep.ego_SE3_lidar
            moved = odometry(points.xyz_lidar_m[points.present] for _, points, _, _ in some)
            poses |= {one[0].frame_id: mount @ pose @ mount.inverse() for one, pose in zip(some, moved, strict=True)}
        if len(scenes) == args.scenes:
            break
    return labels.taxonomy, scenes, poses


def measured(kind, degree, taxonomy, scenes, poses, seed):
    """A run: PQ, counts without ground truth, and rows of its clusters and frames for the queue."""
    config, panoptic = RECIPES["default"]().tracks, PanopticAccumulator(taxonomy, 15)
    followed, clusters, frames, missed = [], [], [], []
    for some in scenes.values():
        worse = [degraded(kind, degree, f, p, found, taxonomy, seed) for f, p, _, found in some]
        seen = [
            scene_frame(f, p, found, poses.get(f.frame_id)) for (f, p, _, _), found in zip(some, worse, strict=True)
        ]
        tracks = track_scene(seen, taxonomy, config)
        traits = {track.track_id: traits_of(track) for track in tracks.tracks}
        its = []
        for (frame, points, truth, _), found in zip(some, worse, strict=True):
            done = tracked_labels(frame, points, found, tracks, taxonomy, config)
            members = tuple(map(Membership, done.track_id, done.source, done.original))
            after = with_tracked_probability(done.found, members, traits, MODEL)
            own = [
                c.class_id if k < 0 else found.clusters[k].class_id
                for c, k in zip(done.found.clusters, done.original, strict=True)
            ]
            one = tracked_frame(after, done.track_id, frame.sweep, points.xyz_lidar_m, own)
            its.append(replace(one, components=bare_components(frame, points, done.found, taxonomy)))
            both = overlaps(done.found.labels, truth, taxonomy)
            panoptic.add_overlaps(both)
            outcome = match(both, 5)
            wrong = dict.fromkeys(both.pred_id[both.pred_index[outcome.pair]].tolist(), 0)
            iou = best_iou(both)[1]
            wrong |= {int(k): 1 + int(v > 0.5) for k, v in zip(both.pred_id, iou, strict=True) if int(k) not in wrong}
            small = {int(k) for k, w in zip(both.pred_id, outcome.false_alarm, strict=True) if wrong[int(k)] and not w}
            clusters.append({k: v for k, v in wrong.items() if k not in small})
            missed.append({k for k, gone in zip(both.true_class.tolist(), outcome.missed, strict=True) if gone})
            frames.append(int(outcome.missed.sum() + outcome.false_alarm.sum()))
        followed.append(its)
    check = self_check([one for its in followed for one in its], taxonomy)
    return {
        "kind": kind,
        "degree": degree,
        "pq": float(np.mean([c.pq for c in panoptic.result().classes if c.tp + c.fn])),
        "check": check,
        "gaps": gap_counts(followed, missed, taxonomy),
        "rows": queue_rows(followed, clusters, taxonomy),
        "frames": frame_rows(followed, frames, taxonomy),
    }


def queue_rows(followed, wrong, taxonomy):
    """(K,3+8) score of the queue, probability, error (1 of points, 2 of the class), and the clues of each cluster."""
    rows, at = [], 0
    for its in followed:
        score = {(one.frame_id, one.cluster_id): one.score for one in suspicions(its, taxonomy) if one.cluster_id >= 0}
        clues = clues_of(its, taxonomy)
        for k, one in enumerate(clues.clusters):
            error = wrong[at + clues.frame[k]].get(one.cluster_id)
            if error is not None:
                key = its[clues.frame[k]].frame_id, one.cluster_id
                rows.append([score.get(key, 0.0), one.probability, error, *(clues.found[k] > 0)])
        at += len(its)
    return np.array(rows, dtype=float).reshape(-1, 3 + len(CLUES))


def gap_counts(followed, missed, taxonomy):
    """Number of frames that tracks pass over, and of those with a missed object of the class of the track."""
    found, at = [], 0
    for its in followed:
        place = {one.frame_id: at + k for k, one in enumerate(its)}
        clues = clues_of(its, taxonomy)
        for gap, before in clues.gaps.tolist():
            found.append(clues.clusters[before].class_id in missed[place[its[gap].frame_id]])
        at += len(its)
    return len(found), sum(found)


def frame_rows(followed, errors, taxonomy):
    """(F,3) score of the queue, sum of 1 - probability, and number of errors of each frame."""
    rows, at = [], 0
    for its in followed:
        score = defaultdict(float)
        for one in suspicions(its, taxonomy):
            score[one.frame_id] += one.score
        for one in its:
            rows.append([score[one.frame_id], sum(1 - c.probability for c in one.clusters), errors[at]])
            at += 1
    return np.array(rows, dtype=float)


def found_first(value, errors):
    """Share of the errors in the first 5, 10 and 20 % by falling value."""
    order = np.argsort(-value, kind="stable")
    total = max(errors.sum(), 1e-9)
    return [float(errors[order[: math.ceil(share * len(order))]].sum() / total) for share in SHARES]


def figure_table(runs, block):
    """Rank correlation of each figure with PQ, and its verdicts against the run without changes."""
    base, others = runs[0], runs[1:]
    pq = np.array([one["pq"] for one in runs])
    values = np.array([one["check"].figures for one in runs])
    verdicts = [{c.figure.name: c.verdict for c in compare(one["check"], base["check"], block)} for one in others]
    fell = np.array([base["pq"] - one["pq"] > 0.02 for one in others])
    rows = []
    for k, one in enumerate(FIGURES):
        known = np.isfinite(values[:, k])
        if known.sum() < 3 or np.ptp(values[known, k]) == 0:
            continue
        rho = float(spearmanr(values[known, k], pq[known]).statistic)
        said = np.array([v[one.name] for v in verdicts])
        noticed = [
            "/".join(
                {"worse": "w", "better": "b", "changed": "c", "": "-"}[v[one.name]]
                for v, other in zip(verdicts, others, strict=True)
                if other["kind"] == kind
            )
            for kind in KINDS
        ]
        worse, better = (float((said == word)[fell].mean()) for word in ("worse", "better"))
        rows.append((one.name, rho, worse, better, *noticed))
    header = ("figure", "rank correlation with PQ", "worse", "better", *KINDS)
    note = "worse, better: share of these verdicts where PQ fell by more than 0.02; then verdicts by kind and degree"
    return Table(f"{fell.sum()} of {len(others)} runs are worse", header, rows, note), verdicts, fell


def overall(verdicts, fell):
    """How often more figures say worse than better, where PQ fell and where it did not."""
    say = np.array([sum((v == "worse") - (v == "better") for v in one.values()) for one in verdicts])
    return Table(
        "more figures worse than better",
        ("PQ", "runs", "worse", "undecided", "better"),
        [
            (name, int(its.sum()), int((say[its] > 0).sum()), int((say[its] == 0).sum()), int((say[its] < 0).sum()))
            for name, its in (("fell by more than 0.02", fell), ("did not", ~fell))
        ],
    )


def queue_table(runs):
    """Share of errors in the first clusters and frames: by the queue, by the probability, at random, and at best."""
    rows = []
    for name, some in (("as it is", runs[:1]), ("all runs", runs)):
        clusters = [one["rows"] for one in some]
        frames = [one["frames"] for one in some]
        for what, listed in (
            ("clusters: queue", [found_first(c[:, 0], c[:, 2] > 0) for c in clusters]),
            ("clusters: probability", [found_first(1 - c[:, 1], c[:, 2] > 0) for c in clusters]),
            ("clusters: best possible", [found_first(c[:, 2], c[:, 2] > 0) for c in clusters]),
            ("frames: queue", [found_first(f[:, 0], f[:, 2]) for f in frames]),
            ("frames: probability", [found_first(f[:, 1], f[:, 2]) for f in frames]),
            ("frames: best possible", [found_first(f[:, 2], f[:, 2]) for f in frames]),
        ):
            rows.append((f"{name}, {what}", *np.mean(listed, axis=0).tolist()))
    rows.append(("random order", *SHARES))
    gaps, right = np.sum([one["gaps"] for one in runs], axis=0)
    note = f"{gaps} frames that a track passes over; in {right} of them an object of its class is missed"
    return Table("share of errors in the first", ("order", "5 %", "10 %", "20 %"), rows, note)


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=int, help="frames of each scene")
    parser.add_argument("--scenes", type=int, help="number of scenes")
    parser.add_argument("--block", type=int, help="consecutive frames of a unit of the bootstrap; by default scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write what was measured of each cluster")
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    data = read(args)
    runs = []
    for kind, degrees in KINDS.items():
        for degree in degrees:
            runs.append(measured(kind, degree, *data, args.seed))
            print(f"{kind} {degree}: PQ {runs[-1]['pq']:.3f}", flush=True)
            if args.json:
                args.json.write_text(json.dumps([document(one) for one in runs]), encoding="utf-8")
    table, verdicts, fell = figure_table(runs, args.block)
    for one in (table, overall(verdicts, fell), queue_table(runs)):
        print("\n" + (one.markdown() if args.markdown else one.text()))


def document(one):
    """JSON values of a run."""
    parts = {name: one[name].tolist() for name in ("rows", "frames")}
    counts = one["check"].counts.tolist(), list(one["check"].scenes)
    return {"kind": one["kind"], "degree": one["degree"], "pq": one["pq"], **parts, "counts": counts}


if __name__ == "__main__":
    main()
