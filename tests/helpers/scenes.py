"""Random and adversarial scenes for refinement, small enough for thousands of comparisons with the slow reference."""

from dataclasses import dataclass

import numpy as np

from pointsam.stages.refine import RefineConfig
from pointsam.taxonomy import KITTI, NUSCENES, ClassSpec, Taxonomy
from pointsam.types import PointLabels

ODD = Taxonomy(
    "odd",
    (
        ClassSpec("plain", link_floor_m=0.5),
        ClassSpec("crowd", link_floor_m=0.25, crowd=True),
        ClassSpec("vehicle", link_floor_m=1.5, vehicle=True),
        ClassSpec("small vehicle", link_floor_m=0.75, vehicle=True),
        ClassSpec("vehicle crowd", vehicle=True, crowd=True),
        ClassSpec("never", link_floor_m=0.0),
    ),
)
"""Traits that no built-in taxonomy combines."""


@dataclass(frozen=True)
class Scene:
    name: str
    xyz: np.ndarray
    labels: PointLabels
    taxonomy: Taxonomy
    config: RefineConfig
    cameras: np.ndarray
    ring_gap_rad: float

    @property
    def arguments(self):
        return self.xyz, self.labels, self.taxonomy, self.config, self.cameras, self.ring_gap_rad


def labels_of(instance_id, class_id):
    class_id = np.where(instance_id < 0, 255, class_id)
    return PointLabels(np.asarray(instance_id, dtype=np.int32), class_id.astype(np.uint8))


def noisy_objects(rng, num_points, num_objects, num_classes, size=(4.0, 2.0, 1.5), near=3.0, far=70.0):
    """Boxes filled evenly, points by 1/range^2; 10 % of the classes flipped, 15 % of the points in another's mask."""
    r = rng.uniform(near, far, num_objects)
    angle = rng.uniform(0, 2 * np.pi, num_objects)
    centre = np.stack((r * np.cos(angle), r * np.sin(angle), rng.uniform(-1.5, 0.5, num_objects)), axis=1)
    owner = rng.choice(num_objects, num_points, p=r**-2 / np.sum(r**-2.0))
    xyz = centre[owner] + rng.uniform(-0.5, 0.5, (num_points, 3)) * size
    class_id = rng.integers(0, num_classes, num_objects)[owner]
    flip, bleed = rng.random(num_points) < 0.10, rng.random(num_points) < 0.15
    class_id[flip] = rng.integers(0, num_classes, flip.sum())
    mask = owner.copy()
    mask[bleed] = rng.integers(0, num_objects, bleed.sum())
    return xyz, mask, class_id


def _objects(rng, n, c):
    return noisy_objects(rng, n, 1 + n // 12, c)


def _touching(rng, n, c):
    """A row of objects with gaps around the link distance, each a mask."""
    owner = rng.integers(0, 6, n)
    centre = np.array([rng.uniform(2, 60), 0, 0]) + np.arange(6)[:, None] * [0, rng.uniform(0.5, 3.0), 0]
    return centre[owner] + rng.uniform(-0.5, 0.5, (n, 3)), owner, np.full(n, rng.integers(c))


def _mixed(rng, n, c):
    """Everything at one place: classes and masks at random."""
    xyz = np.array([10.0, 5.0, 0.0]) + rng.normal(0, rng.uniform(0.2, 2.0), (n, 3))
    return xyz, rng.integers(0, 9, n), rng.integers(0, c, n)


def _grid(rng, n, c):
    """A lattice whose spacings are the link distance to the last bit, or one bit off."""
    step = rng.choice([0.25, 0.5, 0.65, 0.75, 1.0, 1.5]) * rng.choice([1.0, 1 - 2**-52, 1 + 2**-52, 1 / np.sqrt(2)])
    lattice = rng.integers(-3, 4, (n, 3)) * [1, 1, rng.integers(0, 2)]
    return lattice * step, rng.integers(0, 5, n), rng.integers(0, c, n) if rng.random() < 0.5 else np.full(n, 1)


def _rays(rng, n, c):
    """Points on rays, each exactly one link distance behind the last by the range rule."""
    turn = rng.integers(0, 3, n)
    r = 30.0 * (1 / (1 - 0.04)) ** rng.integers(0, 12, n)
    return np.stack((r * np.cos(turn), r * np.sin(turn), 0 * r), axis=1), turn, np.full(n, rng.integers(c))


def _clumps(rng, n, c):
    """Two or three dense clumps whose gap is about the link distance."""
    owner = rng.integers(0, 3, n)
    spread = rng.uniform(0.01, 0.4)
    xyz = np.array([8.0, 0, 0]) + owner[:, None] * [0, rng.uniform(0.6, 1.6), 0]
    return xyz + rng.uniform(-spread, spread, (n, 3)), owner + 3 * rng.integers(0, 2, n), np.full(n, rng.integers(c))


def _duplicates(rng, n, c):
    """A few places, many points on each."""
    return rng.normal(0, 2, (5, 3))[rng.integers(0, 5, n)], rng.integers(0, 4, n), rng.integers(0, c, n)


def _far(rng, n, c):
    """200 m away, where the link distance is 8 m."""
    return rng.normal(0, 12, (n, 3)) * [1, 1, 0.1] + [140, -142, 0], rng.integers(0, 8, n), rng.integers(0, c, n)


def _origin(rng, n, c):
    """On and around the sensor."""
    return rng.normal(0, 0.7, (n, 3)) * (rng.random((n, 1)) < 0.8), rng.integers(0, 4, n), rng.integers(0, c, n)


def _beyond(rng, n, c):
    """So far away that the last bit of a coordinate is longer than a voxel."""
    return rng.integers(-4, 5, (n, 3)) * 0.5 + 2.0 ** rng.integers(20, 54), rng.integers(0, 4, n), rng.integers(0, c, n)


def _walls(rng, n, c):
    """Two dense parallel walls, one link distance apart or a little less or more."""
    side = rng.integers(0, 2, n)
    gap = rng.choice([0.65, 1.0]) * (1 + rng.choice([0.0, 1e-9, -1e-9, 1e-3, -1e-3]))
    xyz = np.stack((5 + gap * side, rng.uniform(-2, 2, n), rng.uniform(-1, 1, n)), axis=1)
    return xyz, side, np.full(n, rng.integers(c))


BUILDERS = (_objects, _touching, _mixed, _grid, _rays, _clumps, _duplicates, _far, _origin, _beyond, _walls)


def scene(seed, num_points=None):
    """A scene that depends only on its seed."""
    rng = np.random.default_rng(seed)
    build = BUILDERS[seed % len(BUILDERS)]
    taxonomy = (NUSCENES, KITTI, ODD)[rng.integers(3)]
    n = int(rng.choice([0, 1, 2, 3, 20, 60, 120], p=[0.02, 0.04, 0.04, 0.1, 0.2, 0.3, 0.3]))
    xyz, mask, class_id = build(rng, n if num_points is None else num_points, len(taxonomy.classes))
    if rng.random() < 0.5:
        class_id = rng.permutation(len(taxonomy.classes))[mask % len(taxonomy.classes)]  # one class a mask
    if rng.random() < 0.3:
        mask = rng.permutation(1000)[mask]
    mask = np.where(rng.random(len(mask)) < rng.choice([0.0, 0.2]), -1, mask)
    if rng.random() < 0.3:
        xyz = xyz.astype(np.float32)
    config = RefineConfig(
        range_coef=float(rng.choice([0.04, 0.04, 0.04, 0.0, 0.5])),
        dims=int(rng.choice([3, 3, 2])),
        min_points=int(rng.choice([0, 0, 4])),
        split_classes=bool(rng.random() < 0.75),
        same_image_veto=bool(rng.random() < 0.4),
        rings=float(rng.choice([0.0, 3.5, 9.0])),
    )
    cameras = (rng.integers(0, 8, 1000) | rng.choice([0, 0, 8])).astype(np.uint64)
    gap = float(rng.choice([0.0, 0.0074, 0.0233]))
    return Scene(f"{build.__name__[1:]}-{seed}", xyz, labels_of(mask, class_id), taxonomy, config, cameras, gap)
