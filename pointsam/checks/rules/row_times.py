"""The row times of rolling shutters are seconds, of a sensor that exists."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.checks.base import Probe, Problem, Rule

_READOUT_S, _OFFSET_S = 0.2, 0.5


def _check(probe: Probe) -> Iterator[Problem]:
    for view in probe.frame.cameras:
        shutter = view.shutter
        if shutter is None:
            continue
        readout_s = abs(shutter.last_s - shutter.first_s)
        if readout_s > _READOUT_S or max(abs(shutter.first_s), abs(shutter.last_s)) > _OFFSET_S:
            yield Problem(
                view.name,
                f"its rows are exposed from {shutter.first_s:.6g} to {shutter.last_s:.6g} s from the time stamp: "
                f"{readout_s:.6g} s for an image",
            )


RULE = Rule(
    id="row-times",
    severity="error",
    title="An image is read within 0.2 s, and within 0.5 s of its time stamp.",
    remedy="State the times of the first and the last row in seconds from the time stamp of the image "
    "(docs/cameras.md); readouts take 5 to 50 ms.",
    of_frame=_check,
)
