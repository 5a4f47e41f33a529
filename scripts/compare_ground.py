"""Compare ways to find the ground: `pointsam.geometry.ground`, the lowest point around, and Patchwork++.

    pip install pypatchworkpp==1.4.1    # optional; it is left out where it is missing
    python scripts/compare_ground.py [ROOT ...] [--argoverse2 LOG] [--frames 10]

Without arguments: streets with exact truth (tests/helpers/ground_scenes.py), one return in 1,000 a stray one. They are
seeded from 100: those below served to choose the constants of `pointsam.geometry.ground`. ROOT: nuScenes or KITTI data
with boxes. LOG: a log of Argoverse 2 with flow labels, which flag every point less than 0.3 m above a map of the
ground. A point counts as ground below 0.2 m, unless another threshold is stated. Patchwork++ tells ground from the rest
and knows no heights; it is given the height of the sensor. Times are CPU time of the fastest of five runs, the median
of all frames.
"""

import argparse
import os
import sys
import time
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow.feather as feather

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from helpers.ground_scenes import CAR, PAVEMENT, PERSON, ROAD, SENSOR_M, TERRAINS, scene

from pointsam.base.tables import Table
from pointsam.datasets import open_dataset
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.boxes import NO_BOX, points_in_boxes
from pointsam.geometry.ground import height_above_ground_m
from pointsam.geometry.height import above_lowest_m

try:
    import pypatchworkpp
except ImportError:
    pypatchworkpp = None

ABOVE_M = 0.2
BANDS_M = ((0, 10), (10, 20), (20, 35), (35, 50), (50, np.inf))
KERBS_M = (0.12, 0.15, 0.18, 0.20)


def patchwork(xyz, sensor):
    """(N,) 0 on the ground, infinity elsewhere."""
    settings = pypatchworkpp.Parameters()
    settings.enable_RNR = False  # needs intensities
    settings.sensor_height = float(sensor[2])
    screen, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # it prints a line
    model = pypatchworkpp.patchworkpp(settings)
    os.dup2(screen, 1)
    os.close(screen)
    os.close(nowhere)
    model.estimateGround(np.ascontiguousarray(xyz - sensor, dtype=np.float32))
    height = np.full(len(xyz), np.inf)
    height[model.getGroundIndices()] = 0.0
    return height


METHODS = {
    "cones": lambda xyz, _: height_above_ground_m(xyz),
    "lowest in 1 m": lambda xyz, _: above_lowest_m(xyz, 1.0),
    "lowest in 2 m": lambda xyz, _: above_lowest_m(xyz, 2.0),
    "Patchwork++": patchwork,
}
"""Heights above the ground of (N,3) points, z up and 0 on the ground at the vehicle, for a sensor at (3,)."""
if pypatchworkpp is None:
    del METHODS["Patchwork++"]


def share(of, among):
    """Share of `among` that is also `of`."""
    return of[among].mean() if among.any() else np.nan


def streets(seeds):
    """Print the shares that are found of streets with exact truth, by pattern and by terrain."""
    columns = ("road", "pavement", "cars", "cars, lowest 0.5 m", "people", "people, lowest 0.5 m")
    rows = {}
    for pattern, terrain, seed, strays in product(SENSOR_M, TERRAINS, range(seeds), (0.001, 0.0)):
        made = scene(terrain, pattern, KERBS_M[seed % len(KERBS_M)], strays, seed=100 + seed)
        stands = made.height_m >= ABOVE_M
        for name, method in METHODS.items():
            above = method(made.xyz_m, np.array([0.0, 0.0, SENSOR_M[pattern]])) >= ABOVE_M
            found = [share(~above, made.kind == kind) for kind in (ROAD, PAVEMENT)]
            for kind in (CAR, PERSON):
                of_kind = stands & (made.kind == kind)
                found += [share(above, of_kind), share(above, of_kind & (made.height_m < 0.5))]
            for group in (pattern, terrain, "all") if strays else ("no stray returns",):
                rows.setdefault((group, name), []).append(found)
    table = [
        (group, name, *np.nanmean(rows[group, name], axis=0))
        for group in (*SENSOR_M, *TERRAINS, "all", "no stray returns")
        for name in METHODS
    ]
    worst = [("worst of all", name, *np.nanmin(rows["all", name], axis=0)) for name in METHODS]
    print(Table("Streets", ("streets", "method", *columns), table + worst).markdown(), "\n")


def argoverse2(log):
    """Print precision and recall against the flags of an Argoverse 2 sweep, by range."""
    sweep = sorted((log / "sensors" / "lidar").glob("*.feather"))[0]
    table, truth = feather.read_table(sweep), feather.read_table(log / "flow_labels.feather")
    xyz = np.stack([table[axis].to_numpy().astype(np.float64) for axis in "xyz"], axis=1)
    is_ground, is_object = truth["is_ground_0"].to_numpy(), truth["classes"].to_numpy() > 0
    mounts = feather.read_table(log / "calibration" / "egovehicle_SE3_sensor.feather").to_pylist()
    mount = next(row for row in mounts if row["sensor_name"] == "up_lidar")
    xyz, sensor = on_ground(xyz, np.array([mount["tx_m"], mount["ty_m"], mount["tz_m"]]))
    range_m = np.hypot(*xyz[:, :2].T)
    rows = []
    for name, method in METHODS.items():
        height = method(xyz, sensor)
        for limit in (ABOVE_M,) if name == "Patchwork++" else (0.1, ABOVE_M, 0.3):
            low = height < limit
            for first, last in (*BANDS_M, (0, np.inf)):
                band = (range_m >= first) & (range_m < last)
                both = (low & is_ground & band).sum()
                rows.append(
                    (
                        name,
                        "-" if name == "Patchwork++" else f"{limit:.1f} m",
                        "all" if (first, last) == (0, np.inf) else f"{first} to {last} m".replace(" to inf m", " m on"),
                        share(is_ground, low & band),
                        share(low, is_ground & band),
                        both / ((low | is_ground) & band).sum(),
                        share(~low, ~is_ground & band),
                        share(~low, ~is_ground & is_object & band),
                    )
                )
    header = ("method", "threshold", "range", "precision", "recall", "IoU", "the rest", "objects")
    print(Table(f"Argoverse 2, {len(xyz)} points", header, rows).markdown(), "\n")


def on_ground(xyz, sensor):
    """Points and sensor, moved so that z is 0 on the ground at the vehicle."""
    height = height_above_ground_m(xyz)
    near = (np.abs(height) < 0.1) & (np.hypot(*xyz[:, :2].T) < 8.0)
    down = np.array([0.0, 0.0, np.median(xyz[near, 2])])
    return xyz - down, sensor - down


def seconds(call):
    """CPU seconds of the fastest of five runs."""
    best = np.inf
    for _ in range(5):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


def boxes(root, frames):
    """Rows of a table: shares of the points in true boxes that are found, and times."""
    dataset, rows = open_dataset(root), {}
    for frame_id in dataset.frame_ids()[:frames]:
        sweep = dataset.frame(frame_id)
        read, truth = read_frame_points(sweep), dataset.boxes(frame_id)
        box = points_in_boxes(read.xyz_lidar_m, truth)
        inside = box != NO_BOX
        offset = read.xyz_lidar_m[inside] - truth.center_m[box[inside]]
        up = np.full(len(box), np.nan)
        up[inside] = (offset * truth.rotation[box[inside], :, 2]).sum(axis=1) + truth.size_lwh_m[box[inside], 2] / 2
        mount = sweep.sweep.ego_SE3_lidar
        xyz, sensor = on_ground(mount.apply(read.xyz_lidar_m), mount.apply(np.zeros((1, 3)))[0])
        range_m = np.hypot(*xyz[:, :2].T)
        stands = up >= ABOVE_M
        for name, method in METHODS.items():
            run = partial(method, xyz, sensor)
            above = run() >= ABOVE_M
            groups = stands, stands & (up < 0.5), stands & (range_m < 35), np.ones(len(xyz), dtype=bool)
            counts = [((above & group).sum(), group.sum()) for group in groups]
            rows.setdefault(name, []).append((counts, seconds(run)))
    for name, found in rows.items():
        above, total = np.sum([counts for counts, _ in found], axis=0).T
        ms = 1000 * np.median([spent for _, spent in found])
        yield dataset.name, name, *(above / total), total[-1] // len(found), f"{ms:.0f}"


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", type=Path, nargs="*")
    parser.add_argument("--argoverse2", type=Path)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=4)
    args = parser.parse_args()
    streets(args.seeds)
    if args.argoverse2:
        argoverse2(args.argoverse2)
    rows = [row for root in args.roots for row in boxes(root, args.frames)]
    if rows:
        header = ("data", "method", "in boxes", "0.2 to 0.5 m", "within 35 m", "all points", "points a frame", "ms")
        print(Table("Points called objects: of true boxes, and of all", header, rows).markdown())


if __name__ == "__main__":
    main()
