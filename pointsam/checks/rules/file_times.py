"""Names of files, and stamps of poses, are times that rise without gaps."""

from __future__ import annotations

from pointsam.checks.base import Rule, in_tables

_ID = "file-times"

RULE = Rule(
    id=_ID,
    severity="warning",
    title="Every file of a sensor has a time of its own, and none is missing.",
    remedy="Nothing, if the recorder dropped files: frames without an image or a pose are quarantined. Otherwise name "
    "files by their time, remove copies, and restore what is missing.",
    of_dataset=in_tables(_ID),
)
