"""Time and memory of refinement, and its ratio to the direct implementation in one run; results are compared.

python scripts/bench_sar.py            # all
python scripts/bench_sar.py --quick    # without the direct implementation at 10,000 points (about 4 GB)
"""

import argparse
import resource
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from helpers.sar_oracle import refine_slowly
from helpers.scenes import labels_of, noisy_objects

from pointsam.stages.refine import RefineConfig, refine
from pointsam.taxonomy import NUSCENES

PAPER = RefineConfig()
VETO = RefineConfig(same_image_veto=True)
EVERY_CLASS_LINKS = RefineConfig(split_classes=False)
CAMERAS = (1 << (np.arange(300) % 6)).astype(np.uint64)
NUM_CLASSES = len(NUSCENES.classes)


def noisy(rng, num_points):
    """60 objects, density 1/range^2, 10 % class flips, 15 % mask bleed."""
    return noisy_objects(rng, num_points, 60, NUM_CLASSES)


def swept(rng, beams, columns, num_objects=80):
    """Points of a spinning sensor with evenly spaced beams on boxes on the ground; masks bleed into a neighbour."""
    elevation = np.radians(np.linspace(-30, 10, beams))[:, None]
    azimuth = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    up = np.broadcast_to(np.sin(elevation), (beams, columns))
    ray = np.stack((np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), up), axis=-1)
    ray = ray.reshape(-1, 3)
    size = np.array([[4.5, 1.9, 1.6], [9.0, 2.6, 3.2], [0.7, 0.7, 1.75]])[rng.integers(0, 3, num_objects)]
    r, turn = rng.uniform(4, 70, num_objects), rng.uniform(-np.pi, np.pi, num_objects)
    centre = np.stack((r * np.cos(turn), r * np.sin(turn), size[:, 2] / 2 - 1.8), axis=1)
    nearest, owner = np.full(len(ray), np.inf), np.full(len(ray), -1)
    for k in range(num_objects):
        hit = np.stack(((centre[k] - size[k] / 2) / ray, (centre[k] + size[k] / 2) / ray))
        enter, leave = hit.min(axis=0).max(axis=1), hit.max(axis=0).min(axis=1)
        seen = (enter < leave) & (enter > 0) & (enter < nearest)
        nearest[seen], owner[seen] = enter[seen], k
    on = owner >= 0
    xyz, owner = ray[on] * nearest[on, None] + rng.normal(0, 0.02, (on.sum(), 3)), owner[on]
    class_id = rng.integers(0, NUM_CLASSES, num_objects)[owner]
    mask = np.where(rng.random(len(owner)) < 0.15, (owner + 1) % num_objects, owner)
    return xyz, mask, class_id


def clump(rng, num_points, num_masks, num_classes):
    """All points in the box of one car 6 m away."""
    xyz = np.array([6.0, 0.0, -1.0]) + rng.uniform(-0.5, 0.5, (num_points, 3)) * [4, 2, 1.5]
    return xyz, rng.integers(0, num_masks, num_points), rng.integers(0, num_classes, num_points)


def seconds(call, repeat):
    """Best time of several calls, and the result."""
    best = np.inf
    for _ in range(repeat):
        start = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - start)
    return best, result


def peak_mb(call):
    """Peak memory of one call, as numpy reports it to tracemalloc."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


def alone(name, scene, config=PAPER):
    """One line of the first table."""
    xyz, mask, class_id = scene
    given = labels_of(mask, class_id)

    def call():
        return refine(xyz, given, NUSCENES, config, CAMERAS)

    best, result = seconds(call, 3)
    print(f"{name:44} {len(xyz):7,} {result.instance_id.max() + 1:8} {best * 1e3:8.0f} ms {peak_mb(call):7.0f} MB")


def against_the_plain_rule(name, scene):
    """One line of the second table."""
    xyz, mask, class_id = scene
    given = labels_of(mask, class_id)
    fast, got = seconds(lambda: refine(xyz, given, NUSCENES, PAPER), 3)
    plain, (instance_id, slow_class) = seconds(lambda: refine_slowly(xyz, mask, class_id, NUSCENES, PAPER), 1)
    equal = np.array_equal(got.instance_id, instance_id) and np.array_equal(got.class_id, slow_class)
    print(f"{name:44} {len(xyz):7,} {plain * 1e3:8.0f} ms {fast * 1e3:7.1f} ms {plain / fast:6.0f}x  equal: {equal}")


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="skip the direct implementation at 10,000 points")
    quick = parser.parse_args().quick
    rng = np.random.default_rng(0)

    print(f"{'scene':44} {'points':>7} {'objects':>8} {'best of 3':>11} {'peak':>10}")
    for num_points in (2_500, 10_000, 20_000, 50_000):
        alone("60 noisy objects", noisy(rng, num_points))
    alone("60 noisy objects, same-image veto", noisy(rng, 50_000), VETO)
    alone("sweep, 32 beams x 1,085", swept(rng, 32, 1_085))
    dense = swept(rng, 128, 3_000)
    some = np.sort(rng.permutation(len(dense[0]))[:50_000])
    alone("sweep, 128 beams x 3,000, thinned", [values[some] for values in dense])
    alone("one near clump, one mask", clump(rng, 50_000, 1, 1))
    alone("one near clump, 10 classes, 60 masks mixed", clump(rng, 50_000, 60, NUM_CLASSES))
    # the worst case: neighbours are in different voxels, so that little can be contracted
    alone("the same, classes may link (not a default)", clump(rng, 50_000, 60, NUM_CLASSES), EVERY_CLASS_LINKS)
    alone("the same at 10,000, same-image veto", clump(rng, 10_000, 60, NUM_CLASSES), VETO)
    print(f"peak of the process so far: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")

    print(f"\n{'against the direct rule':44} {'points':>7} {'plain':>11} {'refine':>10} {'ratio':>7}")
    for num_points in (2_500, 5_000) if quick else (2_500, 5_000, 10_000):
        against_the_plain_rule("60 noisy objects", noisy(rng, num_points))
        against_the_plain_rule("one near clump, 10 classes, 60 masks mixed", clump(rng, num_points, 60, NUM_CLASSES))


if __name__ == "__main__":
    main()
