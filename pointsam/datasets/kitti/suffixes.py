"""Suffixes of KITTI's files, in small letters."""

from __future__ import annotations

from pointsam.datasets.clouds import SUFFIXES

SWEEPS = SUFFIXES
IMAGES = (".png", ".jpg", ".jpeg")
TEXTS = (".txt",)
POINT_LABELS = (".label",)
OF_FRAMES = (*SWEEPS, *IMAGES, *TEXTS, *POINT_LABELS)
"""Suffixes of all files that belong to a frame."""
