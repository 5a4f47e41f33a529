"""Poses, rotations, camera matrices and lenses are possible; what breaks the rule has a code (CAL001 to CAL003)."""

from __future__ import annotations

from pointsam.checks.base import Rule

RULE = Rule(
    id="calibration-values",
    severity="error",
    title="Quaternions have length 1, rotations are rotations, and cameras are possible.",
    remedy="Correct the row or line that is named. Rotations in tables are unit quaternions in the order w, x, y, z. "
    "`run` quarantines the frames of such values and labels the others.",
    quarantined=True,
)
