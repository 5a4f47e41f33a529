"""Connected components of a distance graph without listing its edges.

Points that certainly link share a voxel. Two voxels are joined, or kept separate, or, if neither is certain, halved
until single points decide. All bounds use the same float operations as the test of two points, and rounding is
monotone, so a bound never contradicts the test: the components are exactly those of the full graph.

The cost is proportional to the number of pairs of voxels within reach of each other; a voxel holds one group. The worst
case is a place where points of hundreds of groups that may link to each other are mixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]

_MAX_CANDIDATES = 1_000_000
"""Voxel pairs in memory at once (24 MB)."""
_MAX_UNDECIDED = 50_000
"""Voxel pairs halved at once."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Rules for links besides distance; every point belongs to one group.

    Args:
        floor_m: (G,) smallest link distance of the group's points in metres, >= 0.
        space: (G,) groups of different spaces never link, so no pairs between spaces are searched.
        may_link: two (P,) arrays of groups -> (P,) bool. Symmetric, and true for a group with itself.
    """

    floor_m: _Floats
    space: _Ints
    may_link: Callable[[_Ints, _Ints], NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class _Boxes:
    """(D,K) extents of runs of points, and the (K,) squares of the largest `range_link_m` in each run."""

    lo: _Floats
    hi: _Floats
    reach2: _Floats

    @staticmethod
    def of(xyz: _Floats, reach2: _Floats, start: _Ints, stop: _Ints) -> _Boxes:
        """Boxes of the non-empty runs start:stop of points in (D,N+1) arrays, whose last column is padding."""
        runs = np.stack((start, stop), axis=1).ravel()
        return _Boxes(
            np.minimum.reduceat(xyz, runs, axis=1)[:, ::2],
            np.maximum.reduceat(xyz, runs, axis=1)[:, ::2],
            np.maximum.reduceat(reach2, runs)[::2],
        )


def _compare(box: _Boxes, i: _Ints, j: _Ints, floor2: _Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_], _Floats]:
    """Pairs of boxes that certainly link, pairs that may link, and the squared gaps between them.

    The point with the longest reach links to every point within that reach. So a link is certain if the common extent
    of both boxes is within reach, and a voxel is connected if its own extent is.
    """
    gap2 = np.zeros(len(i))
    span2 = np.zeros(len(i))
    for lo, hi in zip(box.lo, box.hi, strict=True):
        up, down = hi[j] - lo[i], hi[i] - lo[j]
        gap = np.maximum(np.maximum(-up, -down), 0.0)
        gap2 += gap * gap
        span = np.maximum(up, down)
        span2 += span * span
    link2 = np.maximum(np.maximum(box.reach2[i], box.reach2[j]), floor2)
    linked = span2 < link2
    return linked, (gap2 < link2) & ~linked, gap2


class _Union:
    """Disjoint sets of connected voxels."""

    def __init__(self, num_voxels: int) -> None:
        self.label: _Ints = np.arange(num_voxels)

    def join(self, i: _Ints, j: _Ints) -> None:
        if len(i):
            n = len(self.label)
            graph = coo_matrix((np.ones(len(i), dtype=np.int8), (self.label[i], self.label[j])), shape=(n, n))
            self.label = connected_components(graph, directed=False)[1][self.label]

    def apart(self, i: _Ints, j: _Ints) -> NDArray[np.bool_]:
        return np.not_equal(self.label[i], self.label[j])


@dataclass(frozen=True, eq=False)
class _Voxels:
    """Points sorted by voxel.

    Args:
        order: (N,) index of each sorted point in the input.
        xyz: (D,N+1) sorted positions; the last column is padding.
        reach2: (N+1,) squares of `range_link_m`, sorted likewise.
        start: (K+1,) index of the first point of each voxel.
        box: (K,) extents of the voxels.
        group: (K,) group of each voxel.
    """

    order: _Ints
    xyz: _Floats
    reach2: _Floats
    start: _Ints
    box: _Boxes
    group: _Ints


def _interleave(fraction: _Floats) -> _Ints:
    """(D,N) positions in [0,1) to Morton codes, so that halves of a sorted voxel are compact."""
    bits = np.clip(fraction * 1024, 0, 1023).astype(np.int64)
    code = np.zeros(bits.shape[1], dtype=np.int64)
    for level in range(9, -1, -1):
        for axis in bits:
            code = (code << 1) | ((axis >> level) & 1)
    return code


def _contract(xyz: _Floats, range_link_m: _Floats, group: _Ints, floor_m: _Floats) -> _Voxels:
    """Sort the points of each group into voxels so small that all points of a voxel are connected."""
    floor = np.maximum(floor_m[group], 1e-6)  # a floor of 0 has no voxel size; the check below makes it exact
    level = np.floor(2 * np.log2(np.maximum(range_link_m / floor, 1.0)))
    # voxels grow with range in steps of sqrt(2); their diagonal stays just below the smallest link distance
    side = floor * np.exp2(level / 2) * (0.999 / np.sqrt(len(xyz)))
    voxel = np.floor(xyz / side)
    order = np.lexsort((_interleave(xyz / side - voxel), *voxel, level, group))
    keys = np.vstack((group, level, voxel))[:, order]
    fresh = np.ones(len(group), dtype=bool)
    fresh[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    group = group[order]
    padded = np.append(order, order[-1])
    xyz, reach2 = xyz[:, padded], (range_link_m * range_link_m)[padded]

    start = np.append(np.flatnonzero(fresh), len(fresh))
    box = _Boxes.of(xyz, reach2, start[:-1], start[1:])
    itself = np.arange(len(start) - 1)
    connected, _, _ = _compare(box, itself, itself, np.square(floor_m[group[start[:-1]]]))
    if not connected.all():
        # far from the origin, a coordinate's last bit can exceed a voxel: such points get voxels of their own
        fresh |= ~connected[np.cumsum(fresh) - 1]
        start = np.append(np.flatnonzero(fresh), len(fresh))
        box = _Boxes.of(xyz, reach2, start[:-1], start[1:])
    return _Voxels(order, xyz, reach2, start, box, group[start[:-1]])


def _candidates(voxels: _Voxels, groups: Groups) -> Iterator[tuple[_Ints, _Ints]]:
    """Every pair of voxels that may be within reach of each other, once, in parts that fit in memory."""
    box = voxels.box
    centre = (box.lo + box.hi) / 2
    extent = box.hi - box.lo
    half = np.sqrt((extent * extent).sum(axis=0)) / 2
    reach = np.maximum(np.sqrt(box.reach2), groups.floor_m[voxels.group])
    rank = np.argsort(reach, kind="stable")
    slack = 8 * np.spacing(np.abs(centre).max() + reach.max())
    # search from the voxel with the longer reach; neither half diagonal exceeds the largest so far
    radius = (reach[rank] + 2 * np.maximum.accumulate(half[rank])) * (1 + 1e-9) + slack
    separation = groups.space[voxels.group] * (2.0 * radius.max() + 1.0)  # one more axis keeps spaces out of reach
    place = np.vstack((centre, separation)).T[rank]
    step = np.diff(np.floor(4 * np.log2(radius)))
    parts = np.split(np.arange(len(rank)), np.flatnonzero(step) + 1)
    while parts:
        part = parts.pop()
        tree, nearer, limit = cKDTree(place[part]), cKDTree(place[: part[0]]), radius[part[-1]]
        listed = tree.count_neighbors(nearer, limit) + tree.count_neighbors(tree, limit) // 2
        if len(part) > 1 and listed > _MAX_CANDIDATES:
            parts.extend(np.array_split(part, 2))
            continue
        across = tree.sparse_distance_matrix(nearer, limit, output_type="ndarray")
        within = part[tree.query_pairs(limit, output_type="ndarray")]
        yield rank[np.append(part[across["i"]], within[:, 0])], rank[np.append(across["j"], within[:, 1])]


class _Halves:
    """Binary trees over the points of some voxels, built level by level.

    Args:
        voxels: all voxels.
        wanted: (W,) indices of the voxels to halve; node r is the root of wanted[r].
    """

    def __init__(self, voxels: _Voxels, wanted: _Ints) -> None:
        start, stop = voxels.start[wanted], voxels.start[wanted + 1]
        starts, stops, children = [start], [stop], []
        total = len(start)
        while True:
            more = stop - start > 1
            child = np.full(len(start), -1, dtype=np.int64)
            child[more] = total + 2 * np.arange(np.count_nonzero(more))
            children.append(child)
            if not more.any():
                break
            mid = (start[more] + stop[more]) // 2
            start = np.stack((start[more], mid), axis=1).ravel()
            stop = np.stack((mid, stop[more]), axis=1).ravel()
            starts.append(start)
            stops.append(stop)
            total += len(start)
        self.child: _Ints = np.concatenate(children)
        boxes = [_Boxes.of(voxels.xyz, voxels.reach2, a, b) for a, b in zip(starts, stops, strict=True)]
        self.box = _Boxes(*(np.concatenate(x, axis=-1) for x in zip(*(vars(b).values() for b in boxes), strict=True)))
        extent = self.box.hi - self.box.lo
        self.size: _Floats = np.where(self.child < 0, -1.0, (extent * extent).sum(axis=0))


def _decide(halves: _Halves, i: _Ints, j: _Ints, root_i: _Ints, root_j: _Ints, floor2: _Floats, union: _Union) -> None:
    """Join roots with linked points: halve the larger run of each pair until each pair is certain."""
    while len(i):
        linked, open_, _ = _compare(halves.box, i, j, floor2)
        union.join(root_i[linked], root_j[linked])
        open_ &= union.apart(root_i, root_j)
        i, j, floor2 = i[open_], j[open_], np.tile(floor2[open_], 2)
        root_i, root_j = np.tile(root_i[open_], 2), np.tile(root_j[open_], 2)
        swap = halves.size[j] > halves.size[i]
        i, j = halves.child[np.where(swap, j, i)], np.where(swap, i, j)
        i, j = np.concatenate((i, i + 1)), np.tile(j, 2)


def linked_components(xyz_m: _Floats, range_link_m: _Floats, group: _Ints, groups: Groups) -> _Ints:
    """Connected components of the graph that links i and j iff d2 < t * t and their groups may link.

    d2 is the sum over the axes, in order, of the squared differences; t = max(range_link_m[i], range_link_m[j],
    min(floor_m[group[i]], floor_m[group[j]])). All in float64.

    Args:
        xyz_m: (N,D) finite positions in metres.
        range_link_m: (N,) >= 0, link distance in metres from the point's range alone.
        group: (N,) index into `groups`.
        groups: smallest link distances and exclusions.

    Returns:
        (N,) component of each point; the numbers have no particular order.

    Source: the link rule of PointSAM (arXiv 2401.16305); the voxel contraction is ours.
    """
    if len(xyz_m) == 0:
        return np.zeros(0, dtype=np.int64)
    voxels = _contract(np.ascontiguousarray(xyz_m.T), range_link_m, group, groups.floor_m)
    union = _Union(len(voxels.group))
    left: list[tuple[NDArray[np.int32], NDArray[np.int32], _Floats]] = []
    for i, j in _candidates(voxels, groups):
        allowed = groups.may_link(voxels.group[i], voxels.group[j])
        i, j = i[allowed], j[allowed]
        linked, undecided, gap2 = _compare(voxels.box, i, j, _floor2(voxels, groups, i, j))
        union.join(i[linked], j[linked])
        undecided &= union.apart(i, j)
        left.append((i[undecided].astype(np.int32), j[undecided].astype(np.int32), gap2[undecided]))
    first, second, gap2 = (np.concatenate(x) for x in zip(*left, strict=True))
    # near pairs first: they probably link, and joining them decides many later pairs
    queue = np.argsort(gap2, kind="stable")
    queue = queue[union.apart(first[queue], second[queue])]
    if len(queue):
        wanted, root = np.unique(np.concatenate((first[queue], second[queue])), return_inverse=True)
        halves = _Halves(voxels, wanted)
        for part in np.array_split(np.arange(len(queue)), -(-len(queue) // _MAX_UNDECIDED)):
            i, j = first[queue[part]], second[queue[part]]
            floor2 = _floor2(voxels, groups, i, j)
            _decide(halves, root[part], root[part + len(queue)], i, j, floor2, union)
    out = np.empty(len(group), dtype=np.int64)
    out[voxels.order] = np.repeat(union.label, np.diff(voxels.start))
    return out


def components(xyz_m: _Floats, link_m: _Floats) -> _Ints:
    """Connected components of the graph that links two points closer than the larger of their link distances.

    Args:
        xyz_m: (N,D) finite positions in metres.
        link_m: (N,) >= 0, link distance of each point in metres.

    Returns:
        (N,) component of each point, numbered from 0 in no particular order.
    """
    one = Groups(np.zeros(1), np.zeros(1, dtype=np.int64), lambda g, _: np.ones(len(g), dtype=np.bool_))
    component = linked_components(xyz_m, link_m, np.zeros(len(xyz_m), dtype=np.int64), one)
    return np.asarray(np.unique(component, return_inverse=True)[1])


def _floor2(voxels: _Voxels, groups: Groups, i: _Ints, j: _Ints) -> _Floats:
    floor = np.minimum(groups.floor_m[voxels.group[i]], groups.floor_m[voxels.group[j]])
    return np.asarray(floor * floor)
