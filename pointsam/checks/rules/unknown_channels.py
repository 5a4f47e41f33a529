"""Sensors have a known modality, and cameras have images."""

from __future__ import annotations

from pointsam.checks.base import Rule, in_tables

_ID = "unknown-channels"

RULE = Rule(
    id=_ID,
    severity="warning",
    title="Every sensor of the tables is a camera, a LiDAR or a radar, and every camera has key frames.",
    remedy="Correct the modality of the sensor, or is_key_frame of its images. A sensor that is not used does no harm.",
    of_dataset=in_tables(_ID),
)
