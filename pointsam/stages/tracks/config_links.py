"""Options of association: cuts, links, motion, and sweeps between key frames."""

from __future__ import annotations

from dataclasses import dataclass

from pointsam.base.ranges import require, require_between


@dataclass(frozen=True)
class CutConfig:
    """When poses jump, so that no track crosses.

    Args:
        fastest_mps: larger speeds of the vehicle are not possible.
        fastest_turn_dps: larger rates of turn are not possible, degrees per second.
        jump_m: largest distance from where its speed before or after would have led the vehicle.
        jump_deg: likewise the largest turn.
        acceleration_mps2: largest acceleration, which adds to `jump_m` where frames are far apart.
    """

    fastest_mps: float = 70.0
    fastest_turn_dps: float = 120.0
    jump_m: float = 1.0
    jump_deg: float = 8.0
    acceleration_mps2: float = 12.0

    def __post_init__(self) -> None:
        names = ("fastest_mps", "fastest_turn_dps", "jump_m", "jump_deg", "acceleration_mps2")
        require_between(self, "tracks.cut", 0, 1e6, names)


@dataclass(frozen=True)
class LinkConfig:
    """Which clusters of different frames are one object.

    Args:
        near: gate in widths of the class. A shift below it needs no known velocity.
        near_m: smallest gate, metres; also the size in place of the width for classes without a typical size.
        acceleration_mps2: largest acceleration of an object; widens the gate with time, up to `widest`.
        widest: largest distance by which the gate is widened, in typical lengths of the class.
        fastest_lengths_per_s: largest speed in typical lengths of the class per second.
        fastest_mps: largest speed of any class.
        longest_gap_s: longest time without a cluster that is bridged by the motion of an object.
        alike: clusters of two classes may be one object if the ratio of their typical lengths is at most this.
        class_center: largest distance between expected and found centre where the class changes, relative to the
            smaller gate of both.
        class_cost: cost of a change of class, relative to a shift as long as the gate.
        center_cost: cost of a shift of the centre by a typical length, likewise.
        triplet_cost: cost of a jump that only a third frame supports, likewise.
    """

    near: float = 0.5
    near_m: float = 0.4
    acceleration_mps2: float = 4.0
    widest: float = 0.75
    fastest_lengths_per_s: float = 8.0
    fastest_mps: float = 40.0
    longest_gap_s: float = 3.1
    alike: float = 2.5
    class_center: float = 1.0
    class_cost: float = 1.0
    center_cost: float = 0.5
    triplet_cost: float = 1.0

    def __post_init__(self) -> None:
        names = ("near", "near_m", "acceleration_mps2", "fastest_lengths_per_s", "fastest_mps", "longest_gap_s")
        require_between(self, "tracks.link", 0, 1e4, names)
        require_between(
            self, "tracks.link", 0, 1e4, ("widest", "class_center", "class_cost", "center_cost", "triplet_cost")
        )
        require(1 <= self.alike <= 1e4, "tracks.link.alike", self.alike, "a ratio of at least 1")


@dataclass(frozen=True)
class MotionConfig:
    """Which tracks move.

    Args:
        still: extents of a static object shift by at most so many widths of its class between two frames.
        still_m: smallest such shift, metres.
        quantile: fraction of all pairs of frames that must agree.
        window_s: time around a frame from which its velocity is taken.
        standing_s: time around a cluster in which frames with one at the same place are counted.
        standing_share: fraction of these frames that must have one, so that it is no step of a motion.
        voxel_m: side of the voxels to which points of tracks are thinned.
    """

    still: float = 0.25
    still_m: float = 0.3
    quantile: float = 0.9
    window_s: float = 0.5
    standing_s: float = 1.6
    standing_share: float = 0.4
    voxel_m: float = 0.15

    def __post_init__(self) -> None:
        require_between(self, "tracks.motion", 0, 1e3, ("still", "still_m", "window_s", "standing_s"))
        for name in ("quantile", "standing_share"):
            require(0 <= getattr(self, name) <= 1, f"tracks.motion.{name}", getattr(self, name), "a fraction, 0 to 1")
        require(1e-3 <= self.voxel_m <= 1e3, "tracks.motion.voxel_m", self.voxel_m, "metres from 0.001 to 1000")


@dataclass(frozen=True)
class StonesConfig:
    """Sweeps between key frames as stepping stones: velocities of clusters from where their points go in them.

    Args:
        enabled: measure velocities.
        sweeps: number of sweeps before a frame that are followed; the one after it always is.
        least_held: a sweep counts if it has this fraction of the cluster's points at the place to which it moved.
        least_sweeps: smallest number of sweeps that count.
        spread_m: largest distance of these places from a constant velocity, root of the mean square.
    """

    enabled: bool = False
    sweeps: int = 4
    least_held: float = 0.4
    least_sweeps: int = 2
    spread_m: float = 0.3

    def __post_init__(self) -> None:
        require(1 <= self.sweeps <= 100, "tracks.stones.sweeps", self.sweeps, "a number from 1 to 100")
        require(0 <= self.least_held <= 1, "tracks.stones.least_held", self.least_held, "a fraction from 0 to 1")
        require(1 <= self.least_sweeps <= 1e6, "tracks.stones.least_sweeps", self.least_sweeps, "a number from 1")
        require_between(self, "tracks.stones", 0, 1e3, ("spread_m",))
