"""Tables for the terminal and for Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from tabulate import DataRow, TableFormat, tabulate

_ROW = DataRow("| ", " | ", " |")
_MARKDOWN = TableFormat(
    lineabove=None,
    linebelowheader=lambda widths, _: "|---|" + "---:|" * (len(widths) - 1),
    linebetweenrows=None,
    linebelow=None,
    headerrow=_ROW,
    datarow=_ROW,
    padding=0,
    with_header_hide=[],
)
"""As "pipe", without padding: a longer name changes one line of a page, not all."""


@dataclass(frozen=True)
class Table:
    """A titled table; columns but the first are numbers.

    Args:
        title: what it shows, "" for none.
        header: names of the columns.
        rows: their values; NaN is shown as a dash.
        note: below it.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""

    def text(self) -> str:
        """For the terminal."""
        parts = [self.title, text_table(self.header, self.rows), self.note]
        return "\n".join(part for part in parts if part)

    def markdown(self) -> str:
        """For a Markdown page."""
        rows = [[cell(value).replace("|", "\\|") for value in row] for row in self.rows]
        title = f"## {self.title}\n" if self.title else ""
        note = f"\n{self.note}" if self.note else ""
        return "\n".join(part for part in (title, _formatted(self.header, rows, _MARKDOWN), note) if part)

    def html(self) -> Markup:
        """For a page: without title and note."""
        return Markup(_formatted(self.header, self.rows, "html"))


def text_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns aligned: the first to the left, the others to the right; NaN is shown as a dash."""
    return _formatted(header, rows, "simple")


def _formatted(header: Sequence[str], rows: Sequence[Sequence[object]], form: str | TableFormat) -> str:
    cells = [[cell(value) for value in row] for row in rows]
    sides = ("left", *["right"] * (len(header) - 1)) if rows and form == "simple" else None
    return tabulate(cells, header, form, colalign=sides, stralign=None, disable_numparse=True)


def cell(value: object) -> str:
    """A value as tables show it: three digits, a dash for NaN."""
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{round(value, 3) + 0.0:.3f}"  # no -0.000
    return str(value)


def without_nan(values: Mapping[str, object]) -> dict[str, object]:
    """A JSON object with null for NaN, at any depth."""
    return {name: _without_nan(value) for name, value in values.items()}


def _without_nan(value: object) -> object:
    if isinstance(value, Mapping):
        return without_nan(value)
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
