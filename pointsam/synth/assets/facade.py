"""Walls with openings as geometry; a facade is in the plane y = 0 and faces -y, its panes are set back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from pointsam.synth.assets.parts import Floats, boxes, panels
from pointsam.synth.material import Material
from pointsam.synth.mesh import Mesh, join

PANE_DARK = Material((0.035, 0.045, 0.055), gloss=0.6, reflectance=0.08)
PANE_SKY = Material((0.09, 0.12, 0.15), gloss=0.6, reflectance=0.08)
PANE_CURTAIN = Material((0.32, 0.31, 0.28), gloss=0.4, reflectance=0.2)
PANE_LIT = Material((0.11, 0.1, 0.075), gloss=0.5, emit=(1.5, 1.1, 0.6), reflectance=0.1)
PANES = (PANE_DARK, PANE_SKY, PANE_CURTAIN, PANE_LIT)
PANE_WEIGHTS = (0.4, 0.25, 0.15, 0.2)


@dataclass
class Facade:
    """Collects quadrilaterals and boxes by material.

    Args:
        quads: material -> list of (N,4,3).
        blocks: material -> list of (centres (N,3), sizes (N,3)).
    """

    quads: dict[Material, list[Floats]] = field(default_factory=dict)
    blocks: dict[Material, list[tuple[Floats, Floats]]] = field(default_factory=dict)

    def rects(self, x0: ArrayLike, x1: ArrayLike, z0: ArrayLike, z1: ArrayLike, y: float, material: Material) -> None:
        """Add upright rectangles that face -y."""
        a, b, c, d = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64).reshape(-1) for v in (x0, x1, z0, z1)))
        keep = (b - a > 1e-3) & (d - c > 1e-3)
        a, b, c, d = a[keep], b[keep], c[keep], d[keep]
        depth = np.full_like(a, y)
        corners = [np.stack(p, axis=1) for p in ((a, depth, c), (b, depth, c), (b, depth, d), (a, depth, d))]
        if len(a):
            self.quads.setdefault(material, []).append(np.stack(corners, axis=1))

    def block(self, centers_m: ArrayLike, sizes_lwh_m: ArrayLike, material: Material) -> None:
        """Add boxes: centres (N,3), sizes (N,3) or one for all."""
        centers = np.asarray(centers_m, dtype=np.float64).reshape(-1, 3)
        sizes = np.broadcast_to(np.asarray(sizes_lwh_m, dtype=np.float64).reshape(-1, 3), centers.shape)
        if len(centers):
            self.blocks.setdefault(material, []).append((centers, sizes))

    def row(self, span: tuple[float, float, float, float], holes: Floats, wall: Material) -> None:
        """Add a wall (x0, x1, z0, z1) around adjacent holes (N,4) of the same layout."""
        x0, x1, z0, z1 = span
        edges = np.concatenate([[x0], holes[:, :2].ravel(), [x1]]).reshape(-1, 2)
        self.rects(edges[:, 0], edges[:, 1], z0, z1, 0.0, wall)
        self.rects(holes[:, 0], holes[:, 1], z0, holes[:, 2], 0.0, wall)
        self.rects(holes[:, 0], holes[:, 1], holes[:, 3], z1, 0.0, wall)

    def reveals(self, holes: Floats, depth_m: float, material: Material) -> None:
        """Add the four inner sides of holes."""
        a, b, c, d = holes.T
        out, back = np.zeros_like(a), np.full_like(a, depth_m)
        near = {"ac": (a, out, c), "bc": (b, out, c), "bd": (b, out, d), "ad": (a, out, d)}
        far = {"ac": (a, back, c), "bc": (b, back, c), "bd": (b, back, d), "ad": (a, back, d)}
        around = ["ac", "bc", "bd", "ad"]
        for here, there in zip(around, [*around[1:], "ac"], strict=True):
            corners = (near[there], near[here], far[here], far[there])
            self.quads.setdefault(material, []).append(np.stack([np.stack(p, axis=1) for p in corners], axis=1))

    def panes(self, rng: np.random.Generator, holes: Floats, y: float, dark: bool = False) -> None:
        """Add glass; some panes have curtains or are lit."""
        kind = rng.choice(len(PANES), len(holes), p=(0.6, 0.2, 0.0, 0.2) if dark else PANE_WEIGHTS)
        for i, pane in enumerate(PANES):
            a, b, c, d = holes[kind == i].T
            self.rects(a, b, c, d, y, pane)

    def windows(self, rng: np.random.Generator, holes: Floats, depth_m: float, frame: Material, style: str) -> None:
        """Add panes with reveals and bars: "cross", "post", "transom" or "plain"."""
        self.reveals(holes, depth_m, frame)
        self.panes(rng, holes, depth_m)
        a, b, c, d = holes.T
        y, half = depth_m - 0.03, 0.035
        if style in ("cross", "post"):
            self.rects((a + b) / 2 - half, (a + b) / 2 + half, c, d, y, frame)
        if style in ("cross", "transom"):
            z = c + (d - c) * (0.68 if style == "cross" else 0.3)
            self.rects(a, b, z - half, z + half, y - 0.006, frame)
        self.rects(a, b, d - 0.07, d, y - 0.012, frame)
        self.rects(a, b, c, c + 0.06, y - 0.012, frame)

    def sills(self, holes: Floats, material: Material) -> None:
        """Add ledges below windows."""
        a, b, c, _ = holes.T
        centers = np.stack([(a + b) / 2, np.full_like(a, -0.03), c - 0.04], axis=1)
        self.block(centers, np.stack([b - a + 0.16, np.full_like(a, 0.1), np.full_like(a, 0.08)], axis=1), material)

    def mesh(self) -> Mesh:
        """The mesh of all parts."""
        flat = [panels(np.concatenate(parts), material) for material, parts in self.quads.items()]
        solid = [
            boxes(np.concatenate([c for c, _ in parts]), np.concatenate([s for _, s in parts]), material)
            for material, parts in self.blocks.items()
        ]
        return join(*flat, *solid)
