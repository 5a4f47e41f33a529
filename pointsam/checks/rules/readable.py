"""Frames can be opened: their files are there and whole."""

from __future__ import annotations

from pointsam.checks.base import Rule

RULE = Rule(
    id="readable",
    severity="warning",
    title="Every frame can be opened, and its files can be read.",
    remedy="Complete the download or correct the file; `run` quarantines such frames and labels the others.",
)
