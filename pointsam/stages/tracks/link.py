"""Association from frame to frame: predictions at constant velocity, assigned to clusters by the Hungarian method.

The velocity of an object that was seen once is unknown. Its next cluster is near it, or the shift between both leads on
to a third cluster one frame later. A known velocity (from sweeps in between) replaces this.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pointsam.stages.tracks.config import LinkConfig
from pointsam.stages.tracks.gates import Gates
from pointsam.stages.tracks.scene import Observations
from pointsam.stages.tracks.shift import nearest_shift_m, residual_m, shift_bounds_m

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_BLEND = 0.5
"""Share of the latest step in the velocity of a track."""
_AHEAD = 3
"""Frames in which a third cluster is looked for."""
_STEADY = 3
"""Clusters of a track whose velocity is believed."""
_NEVER = 1e9
"""Cost of a pair that cannot be one object."""


@dataclass
class Chain:
    """Observations of one object that follow each other.

    Args:
        members: indices of the observations.
        velocity_mps: (3,) velocity at the last one, NaN where unknown.
    """

    members: list[int]
    velocity_mps: _Floats = field(default_factory=lambda: np.full(3, np.nan))


def link(
    seen: Observations, segment: _Ints, stands: NDArray[np.bool_], gates: Gates, config: LinkConfig
) -> list[Chain]:
    """Chains of all observations; each observation is in one.

    Args:
        seen: the observations.
        segment: (F,) uncut part of the scene that each frame belongs to.
        stands: (O,) observations that are no step of a motion.
        gates: traits of the classes.
        config: the gates.
    """
    chains: list[Chain] = []
    active: list[Chain] = []
    by_frame = [np.flatnonzero(seen.frame == k) for k in range(len(segment))]
    for k, here in enumerate(by_frame):
        if len(here) == 0:
            continue
        cut = [c for c in active if segment[seen.frame[c.members[-1]]] != segment[k]]
        old = [c for c in active if seen.t_s[here[0]] - seen.t_s[c.members[-1]] > config.longest_gap_s]
        gone = {id(c) for c in (*cut, *old)}
        active = [c for c in active if id(c) not in gone]
        coming = [by_frame[n] for n in range(k + 1, min(k + 1 + _AHEAD, len(segment))) if segment[n] == segment[k]]
        after = np.concatenate([here[:0], *coming])
        pairs = _assign(seen, stands, active, here, after, gates, config)
        for row, column in pairs:
            _append(active[row], int(here[column]), seen)
        taken = {column for _, column in pairs}
        for column, one in enumerate(here):
            if column not in taken:
                fresh = Chain([int(one)], seen.velocity_mps[one].copy())
                chains.append(fresh)
                active.append(fresh)
    return chains


def _assign(
    seen: Observations,
    stands: NDArray[np.bool_],
    active: list[Chain],
    here: _Ints,
    after: _Ints,
    gates: Gates,
    config: LinkConfig,
) -> list[tuple[int, int]]:
    if not active:
        return []
    last = np.array([c.members[-1] for c in active])
    velocity = np.array([c.velocity_mps for c in active])
    steady = np.array([len(c.members) >= _STEADY for c in active])
    cost = link_cost(seen, stands, last, velocity, steady, here, after, gates, config)
    rows, columns = linear_sum_assignment(cost)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if cost[r, c] < _NEVER]


def link_cost(
    seen: Observations,
    stands: NDArray[np.bool_],
    last: _Ints,
    velocity_mps: _Floats,
    steady: NDArray[np.bool_],
    here: _Ints,
    after: _Ints,
    gates: Gates,
    config: LinkConfig,
) -> _Floats:
    """(T,K) cost of giving each of K clusters of a frame to each of T tracks, 1e9 where it is not possible.

    Args:
        seen: the observations.
        stands: (O,) observations that are no step of a motion.
        last: (T,) latest observation of each track.
        velocity_mps: (T,3) velocity of each track, NaN where unknown.
        steady: (T,) tracks that are long enough to move to a place where others were before.
        here: (K,) observations of the frame.
        after: (L,) observations of the next frames.
        gates: traits of the classes.
        config: the gates.
    """
    step_s = seen.t_s[here[0]] - seen.t_s[last]
    bounds = _bounds(seen, last, here)
    halts = stands[last]
    known = np.isfinite(velocity_mps).all(axis=1) & ~halts
    expected = np.where(known[:, None], velocity_mps, 0.0) * step_s[:, None]
    gate = np.where(known, gates.gate_m(seen.class_id[last], step_s, config), gates.near_m[seen.class_id[last]])
    miss = residual_m(expected[:, None], bounds)
    center = seen.center_m[here][None] - seen.center_m[last][:, None]
    off = np.linalg.norm((center - expected[:, None])[..., :2], axis=2) / gates.length_m[seen.class_id[last]][:, None]
    cost = miss / gate[:, None] + config.center_cost * off
    possible = miss <= gate[:, None]
    moves = np.linalg.norm(nearest_shift_m(expected[:, None], bounds)[..., :2], axis=2)
    onto = stands[here] & (moves > gates.near_m[seen.class_id[here]])
    possible &= ~onto | (steady[:, None] & (miss <= gates.near_m[seen.class_id[last]][:, None]))
    cost = cost + onto
    after = after[~stands[after]]
    far = np.flatnonzero(~known & ~halts)
    if len(after) and len(far):
        support = _supported(seen, last[far], center[far], here, after, gates, config)
        jump = ~possible[far] & np.isfinite(support) & ~stands[here]
        rows, columns = far[np.nonzero(jump)[0]], np.nonzero(jump)[1]
        cost[rows, columns] = config.triplet_cost + support[jump]
        possible[rows, columns] = True
    speed = np.linalg.norm(nearest_shift_m(expected[:, None], bounds)[..., :2], axis=2) / step_s[:, None]
    fastest = gates.fastest_mps[seen.class_id[last]]
    possible &= speed <= np.maximum(fastest[:, None], gates.fastest_mps[seen.class_id[here]])
    possible &= gates.alike[seen.class_id[last][:, None], seen.class_id[here]]
    other = seen.class_id[last][:, None] != seen.class_id[here]
    alike_m = config.class_center * np.minimum.outer(
        gates.near_m[seen.class_id[last]], gates.near_m[seen.class_id[here]]
    )
    possible &= ~other | (off * gates.length_m[seen.class_id[last]][:, None] <= alike_m)
    cost = cost + config.class_cost * other
    return np.where(possible, cost, _NEVER)


def _bounds(seen: Observations, a: _Ints, b: _Ints) -> tuple[_Floats, _Floats]:
    """(A,B,3) bounds of the shifts between all pairs."""
    return shift_bounds_m(seen.low_m[a][:, None], seen.high_m[a][:, None], seen.low_m[b], seen.high_m[b])


def _supported(
    seen: Observations, last: _Ints, jump_m: _Floats, here: _Ints, after: _Ints, gates: Gates, config: LinkConfig
) -> _Floats:
    """(T,K) cost of jumps of (T,K,3) by the best third cluster that they lead on to, infinity without any."""
    first_s, second_s = seen.t_s[here[0]] - seen.t_s[last], seen.t_s[after] - seen.t_s[here[0]]
    bounds = _bounds(seen, here, after)
    gate = gates.gate_m(seen.class_id[here][:, None], second_s, config)
    alike = gates.alike[seen.class_id[here][:, None], seen.class_id[after]]
    cost = np.empty(jump_m.shape[:2])
    for row, jump in enumerate(jump_m):  # all tracks at once would take much memory in a crowd
        miss = residual_m(jump[:, None] * (second_s / first_s[row])[:, None], bounds)
        cost[row] = np.where((miss <= gate) & alike, miss / gate, np.inf).min(axis=1)
    speed = np.linalg.norm(jump_m[..., :2], axis=2) / first_s[:, None]
    out: _Floats = cost + speed / gates.fastest_mps[seen.class_id[last]][:, None]
    return out


def _append(chain: Chain, one: int, seen: Observations) -> None:
    """Add an observation to a chain, and renew its velocity."""
    last = chain.members[-1]
    step_s = seen.t_s[one] - seen.t_s[last]
    bounds = shift_bounds_m(seen.low_m[last], seen.high_m[last], seen.low_m[one], seen.high_m[one])
    known = bool(np.isfinite(chain.velocity_mps).all())
    center = seen.center_m[one] - seen.center_m[last]
    still = nearest_shift_m(np.zeros(3), bounds)
    expected = chain.velocity_mps * step_s if known else np.where(still == 0.0, 0.0, center)
    measured = nearest_shift_m(expected, bounds) / step_s
    chain.velocity_mps = measured if not known else chain.velocity_mps + _BLEND * (measured - chain.velocity_mps)
    chain.members.append(one)
