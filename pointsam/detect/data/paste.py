"""Copy-paste: objects of the budget's boxes, pasted into other samples where they overlap no box and no cluster.

Source: docs/method.md B.4.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pointsam.base.document import OPTIONAL
from pointsam.base.files import require_file, write_together
from pointsam.base.ranges import require
from pointsam.detect.boxes import intersection_bev, overlapping_pairs
from pointsam.detect.data.placing import Road, RoadKind
from pointsam.detect.data.sample import TrainingSample, oriented
from pointsam.geometry.boxes import box_members
from pointsam.types import NO_INSTANCE


@dataclass(frozen=True)
class PasteConfig:
    """The configuration of copy-paste.

    Args:
        counts: number of objects per sample, by class name.
        whole_scene: whether the sample's own boxes (not its clusters, as published) count towards this number.
        min_points: an object must have this many points of the key sweep to be pasted.
        margin_m: free space around clusters, added to their radius (docs/method.md B.1).
        off_last_epochs: number of epochs at the end without pasting.
        of_two: of two drawn objects that overlap, "first" keeps the first. "neither" is the published rule: of one
            class both are dropped; of two classes the first stays.
        road: where an object is put vertically: "none", at the height that it had in its own frame; "planes", on the
            plane of the road that the data set has, as published for KITTI; "points", on the ground below the nearest
            points of the key sweep.
        rated_only: whether objects are pasted only if they belong to a level of difficulty of the data set's benchmark,
            as published for KITTI; data sets without levels paste all.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    whole_scene: bool = True
    min_points: int = 5
    margin_m: float = 0.25
    off_last_epochs: int = 5
    of_two: Literal["first", "neither"] = field(default="first", metadata=OPTIONAL)
    road: RoadKind = field(default="none", metadata=OPTIONAL)
    rated_only: bool = field(default=False, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        require(all(count >= 0 for count in self.counts.values()), "data.paste.counts", self.counts, "numbers from 0")
        require(self.min_points >= 1, "data.paste.min_points", self.min_points, "1 or more")
        require(self.off_last_epochs >= 0, "data.paste.off_last_epochs", self.off_last_epochs, "0 or more")


@dataclass(frozen=True, eq=False)
class PasteBank:
    """N objects collected from samples, with Q points in total.

    Args:
        boxes: (N,7).
        box_class: (N,) int64.
        velocity: (N,2).
        points: (Q,5) as in `TrainingSample`, object by object; the points of the key sweep come first.
        start: (N+1,) index of the first point of each object; the last entry is Q.
        num_key: (N,) number of points of the key sweep of each object.
    """

    boxes: NDArray[np.float64]
    box_class: NDArray[np.int64]
    velocity: NDArray[np.float64]
    points: NDArray[np.float32]
    start: NDArray[np.int64]
    num_key: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.box_class)

    @staticmethod
    def cut(sample: TrainingSample, min_points: int) -> PasteBank:
        """The objects in the boxes of a sample, with the points of all sweeps inside."""
        point, box = box_members(sample.points[:, :3], oriented(sample.boxes))
        members = [point[box == k] for k in range(len(sample.boxes))]
        keys = np.array([(own < sample.num_key).sum() for own in members], dtype=np.int64)
        kept = np.flatnonzero(keys >= min_points)
        some = [members[k] for k in kept]
        start = np.cumsum([0, *(len(own) for own in some)]).astype(np.int64)
        points = sample.points[np.concatenate([np.zeros(0, dtype=np.int64), *some])]
        return PasteBank(sample.boxes[kept], sample.box_class[kept], sample.velocity[kept], points, start, keys[kept])

    @staticmethod
    def join(banks: Iterable[PasteBank]) -> PasteBank:
        """The objects of several banks in one, in their order."""
        every = [_EMPTY, *banks]
        ends = np.cumsum([bank.start[-1] for bank in every])
        start = np.concatenate([bank.start[:-1] + end - bank.start[-1] for bank, end in zip(every, ends, strict=True)])
        fields = {name: np.concatenate([getattr(bank, name) for bank in every]) for name in _PLAIN}
        return PasteBank(**fields, start=np.append(start, ends[-1]))

    def save(self, path: Path) -> None:
        """Write the bank atomically.

        Raises:
            StoreError: OUT002 or OUT003 if it cannot be written.
        """
        sink = io.BytesIO()
        np.savez(sink, **{name: getattr(self, name) for name in (*_PLAIN, "start")})
        write_together([(path, sink.getvalue())])

    @staticmethod
    def load(path: Path) -> PasteBank | None:
        """Read a bank that `save` wrote; None if the file is missing or damaged, so that it is collected again."""
        try:
            require_file(path)
            with np.load(path, allow_pickle=False) as arrays:
                return PasteBank(**{name: arrays[name] for name in (*_PLAIN, "start")})
        except (OSError, EOFError, LookupError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error):
            return None


_PLAIN = ("boxes", "box_class", "velocity", "points", "num_key")
_EMPTY = PasteBank(
    np.zeros((0, 7)),
    np.zeros(0, dtype=np.int64),
    np.zeros((0, 2)),
    np.zeros((0, 5), dtype=np.float32),
    np.zeros(1, dtype=np.int64),
    np.zeros(0, dtype=np.int64),
)


def pasted(
    sample: TrainingSample,
    bank: PasteBank,
    counts: Mapping[int, int],
    config: PasteConfig,
    rng: np.random.Generator,
    road: Road | None = None,
) -> TrainingSample:
    """A copy of a sample with pasted objects where they fit.

    Points of the sample inside a pasted box are removed; pasted points belong to no cluster.

    Args:
        sample: the sample.
        bank: objects to draw from.
        counts: number of objects by class_id, as in the configuration.
        config: configuration.
        rng: random generator.
        road: the road that pasted objects are put on; None = they keep their height.
    """
    drawn = []
    for class_id in sorted(counts):
        own = np.flatnonzero(bank.box_class == class_id)
        there = int((sample.box_class == class_id).sum()) if config.whole_scene else 0
        drawn.append(rng.permutation(own)[: max(counts[class_id] - there, 0)])
    chosen = _fitting(sample, bank, np.concatenate([np.zeros(0, dtype=np.int64), *drawn]), config)
    if len(chosen) == 0:
        return sample
    boxes = bank.boxes[chosen]
    lift = np.zeros(len(boxes)) if road is None else road(boxes[:, :3]) - (boxes[:, 2] - boxes[:, 5] / 2)
    boxes[:, 2] += lift
    near = _near(sample.points, boxes)
    free = np.ones(len(sample.points), dtype=bool)
    free[near[box_members(sample.points[near, :3], oriented(boxes))[0]]] = False
    out = sample.keep_points(free)
    start, end = bank.start[chosen], bank.start[chosen + 1]
    key = _raised(bank, start, start + bank.num_key[chosen], lift)
    past = _raised(bank, start + bank.num_key[chosen], end, lift)
    clusters = replace(
        out.clusters,
        cluster_id=np.append(out.clusters.cluster_id, np.full(len(key), NO_INSTANCE, dtype=np.int32)),
        unknown=np.append(out.clusters.unknown, np.zeros(len(key), dtype=bool)),
    )
    return replace(
        out,
        points=np.concatenate([out.points[: out.num_key], key, out.points[out.num_key :], past]),
        boxes=np.concatenate([out.boxes, boxes]),
        box_class=np.concatenate([out.box_class, bank.box_class[chosen]]),
        velocity=np.concatenate([out.velocity, bank.velocity[chosen]]),
        clusters=clusters,
    )


def _near(points: NDArray[np.float32], boxes: NDArray[np.float64]) -> NDArray[np.int64]:
    """(K,) indices of the points around some boxes, by a map of cells of 1 m: few points of ten sweeps are in a box."""
    reach = np.linalg.norm(boxes[:, 3:6], axis=1) / 2
    low, high = (np.floor(boxes[:, :2] + sign * reach[:, None]).astype(np.int64) for sign in (-1, 1))
    origin = low.min(axis=0) - 1
    wanted = np.zeros(high.max(axis=0) - origin + 2, dtype=bool)  # points beyond go to its edge, where none is wanted
    for (x0, y0), (x1, y1) in zip(low - origin, high - origin + 1, strict=True):
        wanted[x0:x1, y0:y1] = True
    cells = []
    for k, size in enumerate(wanted.shape):
        at = points[:, k] - np.float32(origin[k])
        cells.append(np.clip(at, 0, size - 1, out=at).astype(np.int32))
    return np.flatnonzero(wanted.ravel().take(cells[0] * np.int32(wanted.shape[1]) + cells[1]))


def _raised(
    bank: PasteBank, start: NDArray[np.int64], end: NDArray[np.int64], lift: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The points of a bank between N pairs of indices, each span raised by its own height."""
    points: NDArray[np.float32] = np.concatenate([bank.points[a:b] for a, b in zip(start, end, strict=True)])
    points[:, 2] += np.repeat(lift, end - start)
    return points


def _fitting(
    sample: TrainingSample, bank: PasteBank, drawn: NDArray[np.int64], config: PasteConfig
) -> NDArray[np.int64]:
    """The drawn objects that overlap neither the sample nor each other, by the rule `of_two`."""
    boxes, classes = bank.boxes[drawn], bank.box_class[drawn]
    everything = np.concatenate([sample.boxes, boxes])
    a, b = torch.from_numpy(boxes), torch.from_numpy(everything)
    i, j = overlapping_pairs(a, b)
    meets = np.zeros((len(boxes), len(everything)), dtype=bool)
    meets[i, j] = (intersection_bev(a[i], b[j]) > 0).numpy()
    own, between = np.split(meets, [len(sample.boxes)], axis=1)
    clusters = sample.clusters
    fits = ~own.any(axis=1) & ~_hits_discs(boxes, clusters.center_m[:, :2], clusters.radius_m + config.margin_m)
    kept = np.zeros(len(boxes), dtype=bool)
    if config.of_two == "first":
        for k in np.flatnonzero(fits):
            kept[k] = not (between[k] & kept).any()
    else:
        np.fill_diagonal(between, False)
        for class_id in np.unique(classes):
            same = classes == class_id
            kept |= same & fits & ~(between & (same | kept)).any(axis=1)
    fitting: NDArray[np.int64] = drawn[kept]
    return fitting


def _hits_discs(
    boxes: NDArray[np.float64], center: NDArray[np.float64], radius: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(N,) whether a box touches any disc in the ground plane."""
    offset = center[None] - boxes[:, None, :2]
    c, s = np.cos(boxes[:, 6, None]), np.sin(boxes[:, 6, None])
    local = np.stack([c * offset[..., 0] + s * offset[..., 1], c * offset[..., 1] - s * offset[..., 0]], axis=2)
    beyond = np.maximum(np.abs(local) - boxes[:, None, 3:5] / 2, 0)
    hit: NDArray[np.bool_] = (np.linalg.norm(beyond, axis=2) <= radius).any(axis=1)
    return hit
