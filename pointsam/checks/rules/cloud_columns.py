"""Raw clouds have no header: type and number of the values of a point are inferred from the values."""

from __future__ import annotations

from collections.abc import Iterator

from pointsam.base.remote import READ_ERRORS, unreadable
from pointsam.checks.base import Probe, Problem, Rule
from pointsam.checks.raw_rows import guess
from pointsam.datasets.columns import row_layout
from pointsam.datasets.io import RawPoints


def _check(probe: Probe) -> Iterator[Problem]:
    for sweep in probe.frame.sweeps:
        source = sweep.source
        if not isinstance(source, RawPoints) or not row_layout(source.layout).is_plain:
            continue
        try:
            raw = source.content()
        except READ_ERRORS as error:
            raise unreadable("LiDAR file", source.name, error) from error
        found = guess(raw, source.columns)
        if found is not None:
            way = f": state them with --columns {found.columns}" if found.columns else ""
            yield Problem(source.name, f"{found.what}; it is read as {', '.join(source.columns)} of 32 bits{way}")


RULE = Rule(
    id="cloud-columns",
    severity="error",
    title="Raw clouds hold the values per point that the layout states.",
    remedy="State the values of a point in their order (--columns x,y,z,intensity,ring; _ for a value that nothing "
    "reads; docs/own_data.md), or convert the clouds.",
    of_frame=_check,
)
