"""The page of an experiment: what was trained, how good it is, what costs it, and a figure."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.experiments import ALL, Experiment, Setting
from pipelines.tables import Table
from pointsam.evaluate.failures import KINDS
from pointsam.report.curves import Bar, Line, bars, draw
from pointsam.store.files import write_together

_NAN = float("nan")


@dataclass(frozen=True)
class Row:
    """A setting and what its runs came to.

    Args:
        setting: what was trained.
        cost: of its labels, in parts of boxing everything.
        scores: of each seed, as scores.json has them; "other" is that of another root, or None.
    """

    setting: Setting
    cost: float
    scores: Sequence[dict[str, Any]]

    @property
    def values(self) -> list[float]:
        """Mean average precision of each seed."""
        return [float(score["quality"]["mean_ap"]) for score in self.scores]


def write_page(name: str, experiment: Experiment, rows: Sequence[Row], out: Path, command: str) -> tuple[str, Path]:
    """Write NAME.md, NAME.png and NAME.svg.

    Returns:
        The tables for the terminal, and the page's path.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be written.
        BackendError: BCK005 without matplotlib.
    """
    if not rows:
        return "nothing was trained", out / f"{name}.md"
    found = tables(rows)
    about = [f"`{command}`" if command else "", f"On {_hardware()}."]
    parts = [f"# {name}\n\n{experiment.question}", *(table.markdown() for table in found), *about]
    files = [(out / f"{name}{suffix}", content) for suffix, content in _figure(name, experiment, rows).items()]
    parts.append(f"![{experiment.question}]({name}.png)")
    page = "\n\n".join(part for part in parts if part) + "\n"
    write_together([*files, (out / f"{name}.md", page.encode())])
    return "\n\n".join(table.text() for table in found), out / f"{name}.md"


def tables(rows: Sequence[Row]) -> list[Table]:
    """Average precision of each setting, its share of that of all boxes, and by class; and what kind of errors cost."""
    whole = next((float(np.mean(row.values)) for row in rows if row.setting.name == ALL), _NAN)
    classes = [c["name"] for c in rows[0].scores[0]["quality"]["classes"] if c["num_objects"]]
    elsewhere = any(score["other"] for row in rows for score in row.scores)
    header = ["supervision", "cost", "seeds", "mAP", "spread", "of all", "NDS", *(["elsewhere"] * elsewhere), *classes]
    quality, costs = [], []
    for row in rows:
        values = np.array(row.values)
        spread = float(values.max() - values.min()) if len(values) > 1 else _NAN
        nds = [score["official"]["NDS"] for score in row.scores if score["official"]]
        other = [score["other"]["quality"]["mean_ap"] for score in row.scores if score["other"]]
        mean = float(values.mean())
        shares = (mean / whole if whole else _NAN, _mean(nds), *([_mean(other)] * elsewhere))
        by_class = [_mean_of(row, lambda s, c=c: _by_class(s["quality"]["classes"], c)["ap"]) for c in classes]
        quality.append((row.setting.name, row.cost, len(values), mean, spread, *shares, *by_class))
        gains = [[_by_class(s["failures"], c)["gains"] for c in classes] for s in row.scores]
        costs.append((row.setting.name, *np.mean(np.array(gains, dtype=float), axis=(0, 1)).tolist()))
    note = "cost of labels: boxes everywhere are 1, a cluster is 0.14; mAP: mean of seeds; spread: worst to best"
    failures = Table("mAP gained if one kind of error were mended", ("supervision", *KINDS), costs)
    return [Table("average precision", header, quality, note), failures]


def _by_class(values: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(value for value in values if value["name"] == name)


def _mean_of(row: Row, of: Any) -> float:
    return _mean([of(score) for score in row.scores])


def _mean(values: Sequence[float | None]) -> float:
    known = [_NAN if value is None else value for value in values]
    return float(np.mean(known)) if known else _NAN


def _figure(name: str, experiment: Experiment, rows: Sequence[Row]) -> dict[str, bytes]:
    if not experiment.axis:
        return bars(name, "mAP", [Bar(row.setting.name, row.values) for row in rows])
    lines = []
    for curve in dict.fromkeys(row.setting.curve for row in rows if row.setting.curve):
        mine = sorted((row for row in rows if row.setting.curve == curve), key=lambda row: row.setting.x)
        band = np.array([(min(row.values), max(row.values)) for row in mine])
        x, y = (np.array(v, dtype=float) for v in zip(*((r.setting.x, np.mean(r.values)) for r in mine), strict=True))
        lines.append(Line(curve, x, y, band))
    return draw(name, (experiment.axis, "mAP"), lines, log_x=True)


def _hardware() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
