"""Objects beside the street: buildings, vegetation, street furniture.

The street is on their -y side and runs along x; the nearest traffic comes from +x.
"""

from __future__ import annotations

from pointsam.synth.assets.building import building
from pointsam.synth.assets.enclosures import bus_shelter, fence, hedge, wall
from pointsam.synth.assets.street_furniture import bollard, furniture, sign, street_lamp, traffic_light
from pointsam.synth.assets.vegetation import bush, tree

__all__ = [
    "bollard",
    "building",
    "bus_shelter",
    "bush",
    "fence",
    "furniture",
    "hedge",
    "sign",
    "street_lamp",
    "traffic_light",
    "tree",
    "wall",
]
