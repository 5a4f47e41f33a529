"""Motion of the ego vehicle and of the traffic: flowing, stopping at a junction, or standing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointsam.synth.motion import STILL, Speed, Track
from pointsam.synth.street import Junction, Street


@dataclass(frozen=True)
class Drive:
    """Motion of the traffic in one scene.

    Args:
        speed: speed of the ego vehicle and of the traffic in both directions.
        lane: lane of the ego vehicle, counted from the centre line.
        junction: the junction where all traffic stops, None if it does not stop.
        stop_s: times at which all traffic has stopped and starts again.
        still: whether nothing moves.
    """

    speed: Speed
    lane: int
    junction: Junction | None = None
    stop_s: tuple[float, float] = (0.0, 0.0)
    still: bool = False

    def ego(self, street: Street) -> Track:
        """Track of the ego vehicle, in a lane that runs towards +s."""
        return Track(street.road, 0.0, street.lane_d(self.lane, -1), 0.0, self.speed)


def cruise_mps(rng: np.random.Generator) -> float:
    """Speed of free traffic in a scene, m/s; 0 in some scenes."""
    return float(rng.choice((0.0, 1.0), p=(0.12, 0.88)) * rng.uniform(4.0, 12.0))


def draw_drive(rng: np.random.Generator, street: Street, cruise: float, duration_s: float, still: bool) -> Drive:
    """Draw the motion of the traffic on a street.

    Args:
        rng: random generator.
        street: the street.
        cruise: speed of free traffic, m/s.
        duration_s: duration of the scene.
        still: whether nothing moves.
    """
    lane = int(rng.integers(street.lanes))
    if still or cruise == 0.0:
        return Drive(STILL, lane, still=still)
    ahead = [j for j in street.junctions if 22 < j.s_m - j.half_width_m < cruise * duration_s * 0.7 + 20]
    if ahead and rng.random() < 0.4:
        return _stop(rng, ahead[0], cruise, lane, duration_s)
    t = np.linspace(0, duration_s, 5)
    v = cruise * np.clip(1 + np.cumsum(rng.normal(0, 0.08, len(t))), 0.6, 1.3)
    return Drive(Speed(tuple(t.tolist()), tuple(v.tolist())), lane)


def _stop(rng: np.random.Generator, junction: Junction, cruise: float, lane: int, duration_s: float) -> Drive:
    """Speed of a vehicle that brakes to stop 2 m before the stop line, waits, and drives on."""
    line = junction.s_m - junction.half_width_m - 6.0 - 2.0 - 3.4  # the vehicle's front is 3.4 m ahead of its origin
    brake_s = min(2 * line / cruise, cruise / 1.6)
    begin_s = (line - cruise * brake_s / 2) / cruise
    halt_s = begin_s + brake_s
    go_s = max(halt_s + 2.0, min(halt_s + rng.uniform(4, 12), duration_s - 2))
    nodes = ((begin_s, cruise), (halt_s, 0.0), (go_s, 0.0), (go_s + cruise / 1.8, cruise))
    t, v = zip(*nodes, strict=True)
    return Drive(Speed(t, v), lane, junction, (halt_s, go_s))
