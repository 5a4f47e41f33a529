"""What stands where: things with their tracks, and which places are taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.motion import STILL, Track
from pointsam.synth.street import Street


@dataclass(frozen=True, eq=False)
class Placed:
    """An asset with its track; None for a mesh that is in world coordinates already.

    Args:
        asset: the thing.
        track: where it is.
        labelled: whether annotators would box it.
    """

    asset: Asset
    track: Track | None
    labelled: bool


@dataclass(eq=False)
class WorldPlan:
    """A street being furnished.

    Args:
        street: its measures.
        rng: of all that is placed.
        placed: so far, in order.
    """

    street: Street
    rng: np.random.Generator
    placed: list[Placed] = field(default_factory=list)
    _taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def free(self, s_m: float, d_m: float, half_s_m: float, half_d_m: float) -> bool:
        """Whether a rectangle of the (s, d) plane is on the map and touches nothing that stands."""
        if not self.street.start_m < s_m < self.street.end_m:
            return False
        return all(abs(s_m - s) >= half_s_m + hs or abs(d_m - d) >= half_d_m + hd for s, d, hs, hd in self._taken)

    def way_m(self, s_m: float, d_m: float, way: int, half_m: float) -> float:
        """How far one may go along the road, +1 towards +s, before something stands in the way; 0 if it does here."""
        return min(
            (max(0.0, way * (s - s_m) - hs - half_m))
            for s, d, hs, hd in [*self._taken, (s_m + way * 1e6, d_m, 0.0, 1.0)]
            if abs(d - d_m) < hd + half_m and way * (s - s_m) > -hs - half_m
        )

    def take(self, s_m: float, d_m: float, half_s_m: float, half_d_m: float) -> None:
        """Keep a rectangle free of all that comes later."""
        self._taken.append((s_m, d_m, half_s_m, half_d_m))

    def stand(
        self, asset: Asset, s_m: float, d_m: float, facing: float = 0.0, *, labelled: bool = True, gap_m: float = 0.15
    ) -> bool:
        """Put a thing down where it finds room.

        Args:
            asset: the thing.
            s_m: the place of its middle along the road.
            d_m: and to its left.
            facing: where its front looks, radians from +s.
            labelled: whether annotators would box it.
            gap_m: how much room it wants around itself.

        Returns:
            Whether there was room.
        """
        length, width, _ = asset.size_lwh_m
        cos, sin = abs(np.cos(facing)), abs(np.sin(facing))
        half_s, half_d = (length * cos + width * sin) / 2 + gap_m, (length * sin + width * cos) / 2 + gap_m
        if not self.free(s_m, d_m, half_s, half_d):
            return False
        self.take(s_m, d_m, half_s, half_d)
        height = self.street.height_m(s_m, d_m)
        self.placed.append(Placed(asset, Track(self.street.road, s_m, d_m, 0.0, STILL, height, facing), labelled))
        return True

    def move(self, asset: Asset, track: Track) -> None:
        """Let a thing go its way; nothing is checked."""
        self.placed.append(Placed(asset, track, True))

    def along(self, start_m: float, end_m: float, spacing_m: float) -> Iterator[float]:
        """Stations some distance apart, give or take a fifth."""
        at = start_m + self.rng.uniform(0, spacing_m)
        while at < end_m:
            yield at
            at += spacing_m * self.rng.uniform(0.8, 1.2)
