"""Connected components of a distance graph without listing its edges.

Points whose links are certain share a cell; two cells are joined, told apart or, where neither is certain, halved
until the points themselves decide. Every bound is built from the very float operations of the pair test and rounding
is monotone, so a bound never contradicts the test: the partition is that of the full graph, bit for bit.

Cost follows the pairs of cells within reach of each other, and a cell holds one group. The worst input is one place
where hundreds of groups that may link across are shuffled point by point.
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
"""Cell pairs listed at once (24 MB)."""
_MAX_UNDECIDED = 50_000
"""Cell pairs halved at once."""


@dataclass(frozen=True, eq=False)
class Groups:
    """What decides a link apart from distance; every point belongs to one group.

    Args:
        floor_m: (G,) smallest link distance of the group's points, >= 0.
        space: (G,) groups of different spaces never link; spares the search.
        may_link: two (P,) arrays of groups -> (P,) bool. Symmetric, and true for a group with itself.
    """

    floor_m: _Floats
    space: _Ints
    may_link: Callable[[_Ints, _Ints], NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class _Boxes:
    """Extents (D,K) of runs of points, and the square of the largest `range_link_m` in each (K,)."""

    lo: _Floats
    hi: _Floats
    reach2: _Floats

    @staticmethod
    def of(xyz: _Floats, reach2: _Floats, start: _Ints, stop: _Ints) -> _Boxes:
        """Boxes of the non-empty runs start:stop of (D,N) points that have one more column behind them."""
        runs = np.stack((start, stop), axis=1).ravel()
        return _Boxes(
            np.minimum.reduceat(xyz, runs, axis=1)[:, ::2],
            np.maximum.reduceat(xyz, runs, axis=1)[:, ::2],
            np.maximum.reduceat(reach2, runs)[::2],
        )


def _compare(box: _Boxes, i: _Ints, j: _Ints, floor2: _Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_], _Floats]:
    """Which pairs of boxes certainly link, which may, and the squared gap between them.

    The point with the longest reach links to all that lies within it, so one edge is certain once the boxes' whole
    span does; and a cell whose own span does is connected.
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
    """Cells known to be connected."""

    def __init__(self, num_cells: int) -> None:
        self.label: _Ints = np.arange(num_cells)

    def join(self, i: _Ints, j: _Ints) -> None:
        if len(i):
            n = len(self.label)
            graph = coo_matrix((np.ones(len(i), dtype=np.int8), (self.label[i], self.label[j])), shape=(n, n))
            self.label = connected_components(graph, directed=False)[1][self.label]

    def apart(self, i: _Ints, j: _Ints) -> NDArray[np.bool_]:
        return np.not_equal(self.label[i], self.label[j])


@dataclass(frozen=True, eq=False)
class _Cells:
    """Points sorted by cell.

    Args:
        order: (N,) index of each sorted point in the input.
        xyz: (D,N+1) sorted; the last column only ends the last cell.
        reach2: (N+1,) squared range term, sorted.
        start: (K+1,) where each cell begins.
        box: (K,) extents.
        group: (K,) of each cell.
    """

    order: _Ints
    xyz: _Floats
    reach2: _Floats
    start: _Ints
    box: _Boxes
    group: _Ints


def _interleave(fraction: _Floats) -> _Ints:
    """(D,N) positions in [0,1) to Morton codes, so that halves of a sorted cell are compact."""
    bits = np.clip(fraction * 1024, 0, 1023).astype(np.int64)
    code = np.zeros(bits.shape[1], dtype=np.int64)
    for level in range(9, -1, -1):
        for axis in bits:
            code = (code << 1) | ((axis >> level) & 1)
    return code


def _contract(xyz: _Floats, range_link_m: _Floats, group: _Ints, floor_m: _Floats) -> _Cells:
    """Put points of a group into cells so small that all of a cell's points link to each other."""
    floor = np.maximum(floor_m[group], 1e-6)  # where there is none; the check below mends the rest
    level = np.floor(2 * np.log2(np.maximum(range_link_m / floor, 1.0)))
    # cells grow with range in steps of sqrt(2); their diagonal stays just below the smallest link distance
    side = floor * np.exp2(level / 2) * (0.999 / np.sqrt(len(xyz)))
    cell = np.floor(xyz / side)
    order = np.lexsort((_interleave(xyz / side - cell), *cell, level, group))
    keys = np.vstack((group, level, cell))[:, order]
    fresh = np.ones(len(group), dtype=bool)
    fresh[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    group = group[order]
    padded = np.append(order, order[-1])
    xyz, reach2 = xyz[:, padded], (range_link_m * range_link_m)[padded]

    start = np.append(np.flatnonzero(fresh), len(fresh))
    box = _Boxes.of(xyz, reach2, start[:-1], start[1:])
    itself = np.arange(len(start) - 1)
    whole, _, _ = _compare(box, itself, itself, np.square(floor_m[group[start[:-1]]]))
    if not whole.all():
        # far from the origin a coordinate's last bit can exceed a cell: such points stand alone
        fresh |= ~whole[np.cumsum(fresh) - 1]
        start = np.append(np.flatnonzero(fresh), len(fresh))
        box = _Boxes.of(xyz, reach2, start[:-1], start[1:])
    return _Cells(order, xyz, reach2, start, box, group[start[:-1]])


def _candidates(cells: _Cells, groups: Groups) -> Iterator[tuple[_Ints, _Ints]]:
    """Every pair of cells that could be within reach of each other, once, in parts that fit in memory."""
    box = cells.box
    centre = (box.lo + box.hi) / 2
    extent = box.hi - box.lo
    half = np.sqrt((extent * extent).sum(axis=0)) / 2
    reach = np.maximum(np.sqrt(box.reach2), groups.floor_m[cells.group])
    rank = np.argsort(reach, kind="stable")
    slack = 8 * np.spacing(np.abs(centre).max() + reach.max())
    # the cell with the longer reach finds the other; neither's half diagonal exceeds the largest so far
    radius = (reach[rank] + 2 * np.maximum.accumulate(half[rank])) * (1 + 1e-9) + slack
    aside = groups.space[cells.group] * (2.0 * radius.max() + 1.0)
    place = np.vstack((centre, aside)).T[rank]
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
    """Binary trees over the points of some cells, built level by level.

    Args:
        cells: the cells.
        wanted: (W,) cells to halve; root r stands for wanted[r].
    """

    def __init__(self, cells: _Cells, wanted: _Ints) -> None:
        start, stop = cells.start[wanted], cells.start[wanted + 1]
        starts, stops, children = [start], [stop], []
        total = len(start)
        while True:
            more = stop - start > 1
            child = np.full(len(start), -1, dtype=np.int64)
            child[more] = total + 2 * np.arange(np.count_nonzero(more))
            children.append(child)
            if not more.any():
                break
            middle = (start[more] + stop[more]) // 2
            start = np.stack((start[more], middle), axis=1).ravel()
            stop = np.stack((middle, stop[more]), axis=1).ravel()
            starts.append(start)
            stops.append(stop)
            total += len(start)
        self.child: _Ints = np.concatenate(children)
        boxes = [_Boxes.of(cells.xyz, cells.reach2, a, b) for a, b in zip(starts, stops, strict=True)]
        self.box = _Boxes(*(np.concatenate(x, axis=-1) for x in zip(*(vars(b).values() for b in boxes), strict=True)))
        extent = self.box.hi - self.box.lo
        self.size: _Floats = np.where(self.child < 0, -1.0, (extent * extent).sum(axis=0))


def _decide(halves: _Halves, i: _Ints, j: _Ints, root_i: _Ints, root_j: _Ints, floor2: _Floats, union: _Union) -> None:
    """Halve the larger of the two until each pair of runs is certainly linked or certainly not."""
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
    """Components of the graph that links i and j iff d2 < t * t and their groups may link.

    d2 is the sum over the axes, in order, of the squared differences; t = max(range_link_m[i], range_link_m[j],
    min(floor_m[group[i]], floor_m[group[j]])). All in float64.

    Args:
        xyz_m: (N,D) finite positions, metres.
        range_link_m: (N,) >= 0, link distance that the point's range alone gives it.
        group: (N,) index into `groups`.
        groups: floors and exclusions.

    Returns:
        (N,) component of each point, in no particular order.

    Source: method.md A.6 step 1; anchors.md 3.4 (voxel contraction).
    """
    if len(xyz_m) == 0:
        return np.zeros(0, dtype=np.int64)
    cells = _contract(np.ascontiguousarray(xyz_m.T), range_link_m, group, groups.floor_m)
    union = _Union(len(cells.group))
    left: list[tuple[NDArray[np.int32], NDArray[np.int32], _Floats]] = []
    for i, j in _candidates(cells, groups):
        allowed = groups.may_link(cells.group[i], cells.group[j])
        i, j = i[allowed], j[allowed]
        linked, undecided, gap2 = _compare(cells.box, i, j, _floor2(cells, groups, i, j))
        union.join(i[linked], j[linked])
        undecided &= union.apart(i, j)
        left.append((i[undecided].astype(np.int32), j[undecided].astype(np.int32), gap2[undecided]))
    first, second, gap2 = (np.concatenate(x) for x in zip(*left, strict=True))
    # likely links first: they settle many of the later pairs
    queue = np.argsort(gap2, kind="stable")
    queue = queue[union.apart(first[queue], second[queue])]
    if len(queue):
        wanted, root = np.unique(np.concatenate((first[queue], second[queue])), return_inverse=True)
        halves = _Halves(cells, wanted)
        for part in np.array_split(np.arange(len(queue)), -(-len(queue) // _MAX_UNDECIDED)):
            i, j = first[queue[part]], second[queue[part]]
            floor2 = _floor2(cells, groups, i, j)
            _decide(halves, root[part], root[part + len(queue)], i, j, floor2, union)
    out = np.empty(len(group), dtype=np.int64)
    out[cells.order] = np.repeat(union.label, np.diff(cells.start))
    return out


def _floor2(cells: _Cells, groups: Groups, i: _Ints, j: _Ints) -> _Floats:
    floor = np.minimum(groups.floor_m[cells.group[i]], groups.floor_m[cells.group[j]])
    return np.asarray(floor * floor)
