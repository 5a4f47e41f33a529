"""PointSAM: offline auto-labelling of LiDAR from cameras."""

from __future__ import annotations

__version__ = "0.1.0"
