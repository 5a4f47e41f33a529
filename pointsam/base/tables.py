"""Tables for the terminal and for Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any


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
        head = ["| " + " | ".join(self.header) + " |", "|---|" + "---:|" * (len(self.header) - 1)]
        body = ["| " + " | ".join(cell(value).replace("|", "\\|") for value in row) + " |" for row in self.rows]
        title = f"## {self.title}\n" if self.title else ""
        return "\n".join(part for part in (title, *head, *body, f"\n{self.note}" if self.note else "") if part)

    def html(self) -> str:
        """For a page."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.header)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell(value))}</td>" for value in row) + "</tr>" for row in self.rows
        )
        title = f"<h2>{escape(self.title)}</h2>" if self.title else ""
        note = f'<p class="note">{escape(self.note)}</p>' if self.note else ""
        return f'{title}<div class="wide"><table><tr>{head}</tr>{body}</table></div>{note}'


def text_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns aligned: the first to the left, the others to the right; NaN is shown as a dash."""
    cells = [list(header), *([cell(value) for value in row] for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    lines = []
    for row in cells:
        others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *others]).rstrip())
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def cell(value: object) -> str:
    """A value as tables show it: three digits, a dash for NaN."""
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{round(value, 3) + 0.0:.3f}"  # no -0.000
    return str(value)


def without_nan(value: Any) -> Any:
    """JSON values with null for NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
