"""Measure what tracks change: the labels of a finished run before and after, one switch at a time and together.

    python scripts/tracks_quality.py ROOT OUT [--odometry] [--block 3]
    python scripts/tracks_quality.py WORLD --simulate --miss 0.3

OUT holds labels of ROOT. With --simulate there are none: labels are made of the ground truth. A fraction of the objects
of every frame is missed at random, each object keeps a part of its points at random, as if an occluder or the edge of
a mask hid the rest, the cluster grows to its LiDAR component, and false clusters are put on points of the background.

Figures and bands are those of `pointsam.evaluate.paired`; a unit of the bootstrap is a scene, or --block consecutive
frames of one. Of the objects of at least 5 points that no cluster covers with an IoU above 0.1 ("missed"), "back" is
the share that a cluster covers with more than 0.5 afterwards; "precision" is the share of recovered clusters of at
least 5 points which cover an object of their class likewise. --odometry takes poses from kiss-icp (pip install
kiss-icp), for data without. --set changes fields of the configuration of tracks in all variants.
"""

import argparse
from collections import defaultdict
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from pipelines.data import DataSpec
from pipelines.labelling.scene_frames import followed
from pipelines.poses import registered
from pointsam.base.config import assign, parse
from pointsam.base.seeding import generator
from pointsam.base.tables import Table
from pointsam.datasets.points import read_frame_points
from pointsam.evaluate.bootstrap import interval, times_drawn
from pointsam.evaluate.judge import MIN_POINTS_OBJECTS, Judge
from pointsam.evaluate.paired import DRAWS, FIGURES, compare, frame_counts, units_of
from pointsam.geometry.ground import height_above_ground_m
from pointsam.stages.grow import GrowConfig, grow
from pointsam.stages.summarize import summarize
from pointsam.stages.tracks.config import StonesConfig, TracksConfig, all_rules
from pointsam.stages.tracks.recover import tracked_labels
from pointsam.stages.tracks.scene import scene_frame
from pointsam.stages.tracks.tracks import track_scene
from pointsam.store.reader import Labels
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, FrameLabels, FrameRow, PointLabels

SWITCHES = ("vote", "drop", "recover", "extend")


def variants(overrides):
    """Name -> configuration."""
    on, off = all_rules(), TracksConfig(enabled=True)
    listed = {"before": TracksConfig()}
    listed |= {name: replace(off, **{name: getattr(on, name)}) for name in SWITCHES}
    listed |= {"recover, drop": replace(on, vote=off.vote, extend=off.extend), "all": on}
    out = {}
    for name, config in listed.items():
        values = asdict(config)
        assign({"tracks": values}, overrides)
        out[name] = parse(TracksConfig, values, "--set", "tracks.")
    return out


def simulated(frame, points, truth, taxonomy, args):
    """Labels of a frame that a camera could have given, made of its ground truth."""
    rng = generator(args.seed, frame.frame_id, "tracks_quality")
    xyz = points.xyz_lidar_m.astype(np.float64)
    instance_id, class_id = truth.labels.instance_id.copy(), truth.labels.class_id.copy()
    instance_id[truth.void | ~points.present], class_id[truth.void | ~points.present] = NO_INSTANCE, BACKGROUND
    for one in np.unique(instance_id[instance_id != NO_INSTANCE]):
        its = np.flatnonzero(instance_id == one)
        missed, share, side = rng.random() < args.miss, rng.uniform(0.5, 1.0), rng.integers(3)
        ray = (np.arctan2(xyz[its, 1], xyz[its, 0]), -np.arctan2(xyz[its, 1], xyz[its, 0]), xyz[its, 2])[side]
        hidden = its if missed else its[np.argsort(ray, kind="stable")[round(share * len(its)) :]]
        instance_id[hidden], class_id[hidden] = NO_INSTANCE, BACKGROUND
    mount = frame.sweep.ego_SE3_lidar
    height = height_above_ground_m(mount.apply(xyz))
    near = np.linalg.norm(np.nan_to_num(xyz), axis=1)
    wall = np.flatnonzero((instance_id == NO_INSTANCE) & (height > 0.3) & (height < 2) & (near > 4) & (near < 50))
    for k in range(rng.poisson(args.false) if len(wall) else 0):
        seed = xyz[rng.choice(wall)]
        its = wall[np.linalg.norm(xyz[wall] - seed, axis=1) < 1.0]
        its = its[instance_id[its] == NO_INSTANCE]
        if len(its):
            instance_id[its], class_id[its] = 100_000 + k, rng.integers(len(taxonomy.classes))
    known, dense = np.unique(instance_id, return_inverse=True)
    instance_id = (dense - (known[0] == NO_INSTANCE)).astype(np.int32)
    labels, grown = grow(points.xyz_lidar_m, mount, PointLabels(instance_id, class_id), taxonomy, GrowConfig(True))
    labels, clusters = summarize(points.xyz_lidar_m, labels, (), taxonomy, grown, mount)
    draws = rng.uniform(0.5, 1.0, len(clusters))
    clusters = tuple(replace(c, probability=float(p)) for c, p in zip(clusters, draws, strict=True))
    n = len(points)
    row = FrameRow(
        frame.frame_id,
        frame.scene,
        frame.sweep.t_us,
        n,
        len(clusters),
        sweep_points=tuple(np.bincount(points.sweep_index, minlength=len(frame.sweeps)).tolist()),
    )
    return FrameLabels(row, labels, np.ones(n, np.uint8), np.zeros(n, np.uint8), grown, clusters)


class Data:
    """Frames with points, truth and labels of single frames."""

    def __init__(self, args):
        labels = None if args.simulate else Labels(args.out)
        self.dataset = DataSpec(args.root).open()
        self.taxonomy = self.dataset.taxonomy if labels is None else labels.taxonomy
        self.args, self.labels = args, labels
        ids = self.dataset.frame_ids(args.split)
        if labels is not None:
            done = {row.frame_id for row in labels.frames() if row.status == "ok"}
            ids = [one for one in ids if one in done]
        self.scenes = defaultdict(list)
        for frame_id in ids:
            self.scenes[self.dataset.scene(frame_id)].append(frame_id)

    def read(self, frame_id):
        """Frame, points, truth, labels."""
        frame = self.dataset.frame(frame_id)
        points = read_frame_points(frame)
        truth = self.dataset.point_truth(frame_id)
        found = simulated(frame, points, truth, self.taxonomy, self.args) if self.labels is None else None
        return frame, points, truth, found or self.labels.labels(frame_id)


def score(data, listed):
    """(N,V,B,13,C) counts, scenes of the N frames, and per variant rows of missed, back, recovered, right."""
    counts, scenes, numbers, notes = [], [], [], []
    judges = {}
    for scene, ids in data.scenes.items():
        poses = registered([data.dataset.frame(frame_id) for frame_id in ids]) if data.args.odometry else {}
        kept = {frame_id: data.read(frame_id) for frame_id in ids}
        frames = [scene_frame(f, p, found, poses.get(f.frame_id)) for f, p, _, found in kept.values()]
        if data.args.stones:
            rules = TracksConfig(stones=StonesConfig(enabled=True, sweeps=data.args.stones))
            frames = [followed(data.dataset, one, data.taxonomy, rules) for one in frames]
        tracks = {name: track_scene(frames, data.taxonomy, config) for name, config in listed.items()}
        full = tracks["all"]
        notes.append(
            (scene, len(ids), len(full.tracks), sum(t.moving for t in full.tracks), len(full.dropped), len(full.cuts))
        )
        for frame, points, truth, found in kept.values():
            row, number, first = [], [], None
            for name, config in listed.items():
                after = tracked_labels(frame, points, found, tracks[name], data.taxonomy, config)
                if name not in judges:
                    cameras = tuple(view.name for view in frame.cameras)
                    judges[name] = Judge(data.dataset, data.taxonomy, cameras, tuple(s.sensor for s in frame.sweeps))
                verdict = judges[name].add(after.found, truth)
                first = first or verdict
                row.append(frame_counts(verdict))
                number.append(recovery(first, verdict, after))
            counts.append(np.stack(row))
            numbers.append(number)
            scenes.append(scene)
    return np.stack(counts), scenes, np.array(numbers), notes, verdict


def recovery(before, verdict, after):
    """Objects missed before, of which found now; recovered clusters, of which right."""
    large = before.seen.true_size >= MIN_POINTS_OBJECTS
    missed = large & (before.object_iou <= 0.1)
    back = missed & (verdict.object_iou > 0.5)
    new = np.array([member.origin == "recovered" for member in after.members], dtype=bool)[verdict.seen.pred_id]
    new &= verdict.seen.pred_size >= MIN_POINTS_OBJECTS
    return missed.sum(), back.sum(), new.sum(), (new & verdict.matched_clusters).sum()


def band(triple):
    """A value with the bounds of its band, without them where there is none."""
    value, low, high = triple
    return f"{value:.3f}" + ("" if np.isnan(low) else f" [{low:.3f}, {high:.3f}]")


def shares(numbers, unit):
    """(V,2,3) share of missed objects that are back, and precision of recovered clusters, with bands."""
    by_unit = np.zeros((unit[-1] + 1, *numbers.shape[1:]))
    np.add.at(by_unit, unit, numbers)
    draws = np.tensordot(times_drawn(len(by_unit), DRAWS, "tracks"), by_unit, axes=1)
    out = np.full((numbers.shape[1], 2, 3), np.nan)
    for v in range(numbers.shape[1]):
        for k, (part, whole) in enumerate(((1, 0), (3, 2))):
            total = by_unit[:, v].sum(axis=0)
            if total[whole]:
                with np.errstate(invalid="ignore", divide="ignore"):
                    out[v, k] = (total[part] / total[whole], *interval(draws[:, v, part] / draws[:, v, whole]))
    return out


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--split")
    parser.add_argument("--odometry", action="store_true")
    parser.add_argument("--simulate", action="store_true")
    parser.add_argument("--stones", type=int, default=0, help="sweeps before each frame that give velocities")
    parser.add_argument("--miss", type=float, default=0.3)
    parser.add_argument("--false", type=float, default=1.0, help="mean number of false clusters a frame")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--block", type=int, help="consecutive frames of a unit; by default whole scenes")
    parser.add_argument("--only", nargs="+", help="names of variants")
    parser.add_argument("--set", action="append", default=[], metavar="tracks.NAME=VALUE", dest="overrides")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    args = parser.parse_args()
    if args.simulate == (args.out is not None):
        parser.error("give OUT or --simulate")
    listed = variants(args.overrides)
    if args.only:
        listed = {name: listed[name] for name in dict.fromkeys(["before", *args.only, "all"])}
    data = Data(args)
    counts, scenes, numbers, notes, verdict = score(data, listed)
    unit = units_of(scenes, args.block)
    whole, recovered = compare(counts.sum(axis=2), unit), shares(numbers, unit)
    rows = []
    for k, name in enumerate(listed):
        back = [f"{numbers[:, k, 0].sum()}", band(recovered[k, 0]), f"{numbers[:, k, 2].sum()}", band(recovered[k, 1])]
        rows.append(
            (
                name,
                *map(band, whole.figure[k, :1]),
                band(whole.difference[k, 0]) if k else "",
                *whole.counts[k],
                *(f"{f[0]:.3f}" for f in whole.figure[k, 1:]),
                *back,
            )
        )
    header = (
        "variant",
        "PQ",
        "minus before",
        "TP",
        "FP",
        "FN",
        *FIGURES[1:],
        "missed",
        "back",
        "recovered",
        "precision",
    )
    title = f"{args.root.name}: {len(scenes)} frames of {len(data.scenes)} scenes, {unit[-1] + 1} units"
    tables = [Table(title, header, rows)]
    for kind, groups in (
        ("class", {n: counts[..., k : k + 1].sum(axis=2) for k, n in enumerate(verdict.class_names)}),
        ("range", {n: counts[:, :, k] for k, n in enumerate(verdict.bins["range"])}),
    ):
        lines = []
        for group, its in groups.items():
            if its.any():
                found = compare(its, unit)
                ends = [(0, "before"), (len(listed) - 1, "all")]
                lines += [
                    (
                        group,
                        name,
                        band(found.figure[k, 0]),
                        band(found.difference[k, 0]) if k else "",
                        *found.counts[k],
                        int(its[:, k, 4].sum()),
                    )
                    for k, name in ends
                ]
        tables.append(Table(f"by {kind}", (kind, "variant", "PQ", "minus before", "TP", "FP", "FN", "objects"), lines))
    tables.append(Table("tracks", ("scene", "frames", "tracks", "moving", "dropped", "cuts"), notes))
    print("\n\n".join(table.markdown() if args.markdown else table.text() for table in tables))


if __name__ == "__main__":
    main()
