"""Placement of objects: their tracks, and the occupied areas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pointsam.synth.asset import Asset
from pointsam.synth.motion import STILL, Track
from pointsam.synth.street import Street


@dataclass(frozen=True, eq=False)
class Placed:
    """An asset with its track.

    Args:
        asset: the asset.
        track: its track, None for a mesh in world coordinates.
        labelled: whether it is annotated with a box.
    """

    asset: Asset
    track: Track | None
    labelled: bool


@dataclass(eq=False)
class WorldPlan:
    """Places objects on a street.

    Args:
        street: the street.
        rng: random generator of all placements.
        placed: objects placed so far, in order.
    """

    street: Street
    rng: np.random.Generator
    placed: list[Placed] = field(default_factory=list)
    _taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def free(self, s_m: float, d_m: float, half_s_m: float, half_d_m: float) -> bool:
        """Whether a rectangle of the (s, d) plane is on the map and overlaps no occupied area."""
        if not self.street.start_m < s_m < self.street.end_m:
            return False
        return all(abs(s_m - s) >= half_s_m + hs or abs(d_m - d) >= half_d_m + hd for s, d, hs, hd in self._taken)

    def way_m(self, s_m: float, d_m: float, way: int, half_m: float) -> float:
        """Free distance along the road (+1 towards +s), metres; 0 if the position itself is occupied."""
        return min(
            (max(0.0, way * (s - s_m) - hs - half_m))
            for s, d, hs, hd in [*self._taken, (s_m + way * 1e6, d_m, 0.0, 1.0)]
            if abs(d - d_m) < hd + half_m and way * (s - s_m) > -hs - half_m
        )

    def take(self, s_m: float, d_m: float, half_s_m: float, half_d_m: float) -> None:
        """Mark a rectangle as occupied."""
        self._taken.append((s_m, d_m, half_s_m, half_d_m))

    def stand(
        self, asset: Asset, s_m: float, d_m: float, facing: float = 0.0, *, labelled: bool = True, gap_m: float = 0.15
    ) -> bool:
        """Place a standing object if there is room.

        Args:
            asset: the asset.
            s_m: position of its centre along the road.
            d_m: position of its centre to the left of the centre line.
            facing: its heading, radians from +s.
            labelled: whether it is annotated with a box.
            gap_m: free distance around it.

        Returns:
            Whether it was placed.
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
        """Add a moving object; occupied areas are not checked."""
        self.placed.append(Placed(asset, track, True))

    def along(self, start_m: float, end_m: float, spacing_m: float) -> Iterator[float]:
        """Positions with a mean distance of `spacing_m`, varied by a fifth."""
        at = start_m + self.rng.uniform(0, spacing_m)
        while at < end_m:
            yield at
            at += spacing_m * self.rng.uniform(0.8, 1.2)
