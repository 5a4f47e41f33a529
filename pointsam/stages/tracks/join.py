"""Joins chains over longer gaps, from both sides: past and future are known.

Chains that end and start with one class are joined: a static object over any gap if its extents agree in the world, a
moving one over a short gap if its velocity before leads to where it appears, and its velocity after leads back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pointsam.stages.tracks.config import LinkConfig
from pointsam.stages.tracks.gates import Gates
from pointsam.stages.tracks.link import Chain
from pointsam.stages.tracks.motion import is_static
from pointsam.stages.tracks.scene import Observations
from pointsam.stages.tracks.shift import nearest_shift_m, residual_m, shift_bounds_m

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_ROUNDS = 3


def join(
    seen: Observations, chains: list[Chain], segment: _Ints, gates: Gates, config: LinkConfig, quantile: float
) -> list[list[int]]:
    """Members of each track, in order of time.

    Each round joins every chain with at most one before and one after it. A joined chain may have a velocity that its
    parts lacked, so that there are further rounds.

    Args:
        seen: the observations.
        chains: chains of all observations.
        segment: (F,) uncut part of the scene that each frame belongs to.
        gates: traits of the classes.
        config: the gates.
        quantile: fraction of pairs of frames that must agree in static chains.
    """
    for _ in range(_ROUNDS if chains else 0):
        following = _following(seen, chains, segment, gates, config, quantile)
        if (following < 0).all():
            break
        chains = _followed(seen, chains, following)
    return [chain.members for chain in chains]


def _following(
    seen: Observations, chains: list[Chain], segment: _Ints, gates: Gates, config: LinkConfig, quantile: float
) -> _Ints:
    """(C,) chain that follows each chain, -1 without one. Arguments as of `join`."""
    members = [chain.members for chain in chains]
    first, last = (np.array([one[k] for one in members]) for k in (0, -1))
    a, b = _candidates(seen, last, first, gates, config)
    class_a, class_b = seen.class_id[last[a]], seen.class_id[first[b]]
    moved = _moving_cost(seen, chains, a, b, last, first, gates, config)
    cost = np.minimum(_static_cost(seen, members, a, b, gates, quantile), moved)
    possible = np.isfinite(cost) & (class_a == class_b)
    possible &= segment[seen.frame[last[a]]] == segment[seen.frame[first[b]]]
    gap_s = seen.t_s[first[b]] - seen.t_s[last[a]]
    cost = cost + np.minimum(gap_s / config.longest_gap_s, 1.0)
    return _matched(a[possible], b[possible], cost[possible], len(chains))


def _static_cost(
    seen: Observations, members: list[list[int]], a: _Ints, b: _Ints, gates: Gates, quantile: float
) -> _Floats:
    """(P,) shift between the extents of static chains relative to the gate, infinity if they are not one object."""
    static = np.array([is_static(seen, np.array(one), gates, quantile) for one in members])
    low = np.array([np.median(seen.low_m[one], axis=0) for one in members])
    high = np.array([np.median(seen.high_m[one], axis=0) for one in members])
    near = np.array([gates.near_m[seen.class_id[one]].min() for one in members])
    shift = residual_m(np.zeros((len(a), 3)), shift_bounds_m(low[a], high[a], low[b], high[b]))
    cost = shift / np.minimum(near[a], near[b])
    return np.where(static[a] & static[b] & (cost <= 1) & _overlap(low, high, a, b), cost, np.inf)


def _moving_cost(
    seen: Observations,
    chains: list[Chain],
    a: _Ints,
    b: _Ints,
    last: _Ints,
    first: _Ints,
    gates: Gates,
    config: LinkConfig,
) -> _Floats:
    """(P,) mean distance from where the velocities before and after lead, relative to the gate; infinity beyond it."""
    forwards = np.array([chain.velocity_mps for chain in chains])
    backwards = np.array([_start_velocity(seen, chain.members) for chain in chains])
    gap_s = seen.t_s[first[b]] - seen.t_s[last[a]]
    bounds = shift_bounds_m(seen.low_m[last[a]], seen.high_m[last[a]], seen.low_m[first[b]], seen.high_m[first[b]])
    gate = gates.gate_m(seen.class_id[last[a]], gap_s, config)
    miss = np.stack([residual_m(v * gap_s[:, None], bounds) / gate for v in (forwards[a], backwards[b])])
    known = np.isfinite(miss)
    miss = np.where(known, miss, 0.0)
    fits = (miss <= 1).all(axis=0) & known.any(axis=0) & (gap_s <= config.longest_gap_s)
    out: _Floats = np.where(fits, miss.sum(axis=0) / np.maximum(known.sum(axis=0), 1), np.inf)
    return out


def _start_velocity(seen: Observations, members: list[int]) -> _Floats:
    """(3,) velocity of a chain at its start, NaN if unknown."""
    if len(members) == 1:
        alone: _Floats = seen.velocity_mps[members[0]]
        return alone
    return _velocity(seen, *members[:2])


def _velocity(seen: Observations, a: int, b: int) -> _Floats:
    """(3,) velocity between two observations; zero along axes in which one extent contains the other."""
    bounds = shift_bounds_m(seen.low_m[a], seen.high_m[a], seen.low_m[b], seen.high_m[b])
    shift = nearest_shift_m(seen.center_m[b] - seen.center_m[a], bounds)
    still = nearest_shift_m(np.zeros(3), bounds)
    out: _Floats = np.where(still == 0.0, 0.0, shift) / (seen.t_s[b] - seen.t_s[a])
    return out


def _candidates(seen: Observations, last: _Ints, first: _Ints, gates: Gates, config: LinkConfig) -> tuple[_Ints, _Ints]:
    """Pairs of chains of which the second starts after the first ends, near enough for a motion, or to overlap."""
    length = float(gates.length_m.max())
    reach = float(gates.fastest_mps.max()) * config.longest_gap_s + 2 * length
    ends, starts = (np.column_stack([seen.center_m[one][:, :2], seen.t_s[one]]) for one in (last, first))
    in_time = np.array([1.0, 1.0, reach / max(config.longest_gap_s, 1e-6)])
    pairs = [_near(ends * in_time, starts * in_time, reach), _near(ends[:, :2], starts[:, :2], 2 * length)]
    pair = np.unique(np.concatenate(pairs), axis=0)
    a, b = pair[seen.frame[first[pair[:, 1]]] > seen.frame[last[pair[:, 0]]]].T
    return a, b


def _near(ends: _Floats, starts: _Floats, reach: float) -> _Ints:
    """(P,2) pairs of which no coordinate differs by more than some reach."""
    tree, others = cKDTree(ends), cKDTree(starts)
    found = tree.sparse_distance_matrix(others, reach * (1 + 1e-9), p=np.inf, output_type="ndarray")
    return np.column_stack([found["i"], found["j"]]).astype(np.int64)


def _overlap(low: _Floats, high: _Floats, a: _Ints, b: _Ints) -> NDArray[np.bool_]:
    """(P,) whether extents overlap in the ground plane and in height."""
    apart = np.maximum(low[a], low[b]) - np.minimum(high[a], high[b])
    return np.asarray((apart <= 0.1).all(axis=1))


def _matched(a: _Ints, b: _Ints, cost: _Floats, count: int) -> _Ints:
    """(C,) chain that follows each chain, -1 without one: the assignment of least cost, as many as possible."""
    out = np.full(count, -1, dtype=np.int64)
    graph = coo_matrix((np.ones(len(a), dtype=np.int8), (a, count + b)), shape=(2 * count, 2 * count))
    part = connected_components(graph, directed=False)[1][a]
    order = np.argsort(part, kind="stable")
    for pairs in np.split(order, np.flatnonzero(np.diff(part[order])) + 1):
        rows, row = np.unique(a[pairs], return_inverse=True)
        columns, column = np.unique(b[pairs], return_inverse=True)
        dense = np.full((len(rows), len(columns)), 1e9)
        dense[row, column] = cost[pairs]
        for i, j in zip(*linear_sum_assignment(dense), strict=True):
            if dense[i, j] < 1e9:
                out[rows[i]] = columns[j]
    return out


def _followed(seen: Observations, chains: list[Chain], following: _Ints) -> list[Chain]:
    """Joined chains; one that starts alone has the velocity that its end shows."""
    out = []
    for head in np.setdiff1d(np.arange(len(chains)), following):
        members: list[int] = []
        at = end = int(head)
        while at >= 0:
            members += chains[at].members
            end, at = at, int(following[at])
        velocity = chains[end].velocity_mps
        if not np.isfinite(velocity).all():
            velocity = _velocity(seen, *members[-2:]) if len(members) > 1 else velocity
        out.append(Chain(members, velocity))
    return out
