"""Tables for the terminal and for Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from tabulate import DataRow, TableFormat, tabulate

from pointsam.base.terminal import visible_line

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
"""As "pipe", without padding, so that a longer name changes one line of a page and not all."""


@dataclass(frozen=True)
class Table:
    """A table with a title. All columns but the first hold numbers.

    Args:
        title: title, "" for none.
        header: names of the columns.
        rows: values of each row; NaN is printed as a dash.
        note: text below the table.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""

    def text(self) -> str:
        """The table for the terminal."""
        parts = [self.title, text_table(self.header, self.rows), self.note]
        return "\n".join(part for part in parts if part)

    def markdown(self) -> str:
        """The table for a Markdown page."""
        rows = [[format_value(value).replace("|", "\\|") for value in row] for row in self.rows]
        title = f"## {self.title}\n" if self.title else ""
        note = f"\n{self.note}" if self.note else ""
        return "\n".join(part for part in (title, _formatted(self.header, rows, _MARKDOWN), note) if part)

    def html(self) -> Markup:
        """The table for an HTML page, without title and note."""
        return Markup(_formatted(self.header, self.rows, "html"))


def text_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table for the terminal: the first column is left-aligned, the others right-aligned; NaN is a dash."""
    return _formatted(header, rows, "simple")


def _formatted(header: Sequence[str], rows: Sequence[Sequence[object]], form: str | TableFormat) -> str:
    entries = [[format_value(value) for value in row] for row in rows]
    sides = ("left", *["right"] * (len(header) - 1)) if rows and form == "simple" else None
    return tabulate(entries, header, form, colalign=sides, stralign=None, disable_numparse=True)


def format_value(value: object) -> str:
    """A value as tables print it: floats with three decimals, NaN as a dash."""
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{round(value, 3) + 0.0:.3f}"  # no -0.000
    return visible_line(str(value))


def without_nan(values: Mapping[str, object]) -> dict[str, object]:
    """A JSON object with null for NaN, at any depth."""
    return {name: _without_nan(value) for name, value in values.items()}


def _without_nan(value: object) -> object:
    if isinstance(value, Mapping):
        return without_nan(value)
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
