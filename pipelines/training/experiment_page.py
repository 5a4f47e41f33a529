"""The page of an experiment: average precision of its runs, the gain if errors were fixed, and a figure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipelines.training.scores import ClassScore, FailureScore, ScoreDocument, ValidationDocument
from pipelines.training.settings import ALL, Experiment, Setting
from pointsam.base.files import page_bytes, write_together
from pointsam.base.locks import claimed
from pointsam.base.tables import Table
from pointsam.detect.data.budget import CLUSTER_COST
from pointsam.evaluate.bootstrap import interval
from pointsam.evaluate.failures import KINDS
from pointsam.report.curves import Bar, Line, Panel, interval_chart, line_charts

HOME, OTHER = "home", "other"
"""The world that the experiment is about, and the other one, in which detectors are evaluated too."""
OTHER_WORLD = "other world"
_OF_NUSCENES = {"NDS": "", "mATE": " (m)", "mASE": "", "mAOE": " (rad)", "mAVE": " (m/s)", "mAAE": ""}
"""Figures of the nuScenes devkit that a page shows, and their units."""
_OF_WAYMO = ("mAP/L2", "mAPH/L2")
_NAN = float("nan")
_Named = TypeVar("_Named", ClassScore, FailureScore)


@dataclass(frozen=True)
class SettingScores:
    """A setting and the scores of its runs.

    Args:
        setting: what was trained.
        cost: cost of its labels, relative to boxes for all objects.
        by_seed: the scores of each seed: HOME in the experiment's world, OTHER in the other world if there is one.
    """

    setting: Setting
    cost: float
    by_seed: Mapping[int, Mapping[str, ScoreDocument]]

    def scores(self, where: str = HOME) -> list[ScoreDocument]:
        """The scores in one world, by seed; none where nothing was evaluated."""
        return [worlds[where] for worlds in self.by_seed.values() if where in worlds]

    def of(self, seeds: Collection[int]) -> SettingScores:
        """The same row with some of its seeds."""
        return replace(self, by_seed={seed: score for seed, score in self.by_seed.items() if seed in seeds})

    def values(self, where: str = HOME) -> list[float]:
        """Mean average precision of each seed; none where nothing was evaluated."""
        return [_number(score.quality.mean_ap) for score in self.scores(where)]

    def draws(self, where: str = HOME) -> NDArray[np.float64]:
        """(D,) mAP of each bootstrap draw, mean over seeds."""
        drawn = [[_number(value) for value in score.quality.draws] for score in self.scores(where)]
        mean: NDArray[np.float64] = np.mean(drawn, axis=0)
        return mean

    def band(self, where: str = HOME) -> tuple[float, float]:
        """Lowest and highest mAP of the seeds and of 95 % of the bootstrap draws; NaN if there are none."""
        values, (low, high) = self.values(where), interval(self.draws(where))
        return float(np.fmin.reduce([low, *values])), float(np.fmax.reduce([high, *values]))


@dataclass(frozen=True)
class Page:
    """The result of an experiment.

    Args:
        text: the tables.
        path: the page.
        left_out: runs that could not be trained and frames that were not used -> why.
        notes: classes that were not trained, and ground truth that is void.
    """

    text: str
    path: Path
    left_out: Mapping[str, str]
    notes: Sequence[str] = ()


def write_page(
    name: str,
    experiment: Experiment,
    rows: Sequence[SettingScores],
    out: Path,
    about: Sequence[str],
    left_out: Mapping[str, str],
    notes: Sequence[str] = (),
) -> Page:
    """Write NAME.md, NAME.png and NAME.svg.

    Args:
        name: name of the experiment.
        experiment: the experiment; the page states its question.
        rows: the settings of the experiment and their scores.
        out: folder of the page.
        about: paragraphs on how the page was made.
        left_out: as in `Page`.
        notes: as in `Page`.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be written.
    """
    made = tables(rows)
    parts = [f"# {name}\n\n{experiment.question}", *(table.markdown() for table in made)]
    parts += [f"Left out: {what}: {why}" for what, why in left_out.items()]
    parts += notes
    machines = _machines(rows)
    parts += [*about, *([f"Trained on {'; '.join(machines)}."] if machines else [])]
    files = [(out / f"{name}{suffix}", content) for suffix, content in _figure(name, experiment, rows).items()]
    parts.append(f"![{experiment.question}]({name}.png)")
    page = "\n\n".join(parts) + "\n"
    with claimed(out):  # another call may finish at the same time
        write_together([*files, (out / f"{name}.md", page_bytes(page))])
    return Page("\n\n".join(table.text() for table in made), out / f"{name}.md", left_out, notes)


def tables(rows: Sequence[SettingScores]) -> list[Table]:
    """Average precision of each setting, also relative to all boxes; by class; and the gain if errors were fixed."""
    all_boxes = next((row for row in rows if row.setting.name == ALL), None)
    places = _places(rows)
    figures = ("mAP", "range of seeds", "ratio to all boxes", "95 % CI")
    header = ["supervision", "cost", "seeds", *figures]
    header += [f"{OTHER_WORLD}: {figure}" for figure in figures] * (len(places) - 1)
    quality = []
    for row in rows:
        values = [(_mean(row.values(at)), _range(row, at), *_ratio(row, all_boxes, at)) for at in places]
        quality.append((row.setting.name, row.cost, len(row.values()), *(value for some in values for value in some)))
    note = (
        f"Cost: annotating all boxes costs 1, a coarse label drawn by a human {CLUSTER_COST:g} of a box, a PointSAM "
        "label 0. mAP: mean over seeds. Range of seeds: worst to best. Ratio to all boxes: with the same seeds. "
        "95 % CI: confidence interval of the ratio, bootstrapped over scenes of the validation split (over frames if "
        "scenes are few). Lines and bands of the figure span the mAP of every seed and 95 % of the bootstrap draws; "
        "dots are seeds."
    )
    deviations = [_deviation(rows, at) for at in places]
    if not np.isnan(deviations).all():
        named = zip(deviations, ("here", f"in the {OTHER_WORLD}"), strict=False)
        each = [f"{value:.3f}{f' {where}' * (len(places) - 1)}" for value, where in named if not np.isnan(value)]
        note += f" Standard deviation between seeds, pooled over all rows: {', '.join(each)}."
    return [Table("Average precision", header, quality, note), *(_by_class(rows, at) for at in places), _failures(rows)]


def _by_class(rows: Sequence[SettingScores], where: str) -> Table:
    """The figures of the official evaluation, if it was run, and the average precision of classes with objects."""
    objects = _objects(rows, where)
    scores = [row.scores(where) for row in rows]
    by_row = [[_official(score) for score in of_row] for of_row in scores]
    names = list(dict.fromkeys(name for of_row in by_row for figures in of_row for name in figures))
    lines = []
    for row, of_row, figures in zip(rows, scores, by_row, strict=True):
        official = [_mean([one.get(name) for one in figures]) for name in names]
        by_class = [_mean([_of(one.quality.classes, name).ap for one in of_row]) for name in objects]
        lines.append((row.setting.name, *official, *by_class))
    note = "The number of objects follows each class. "
    if "NDS" in names:
        *most, last = (f"{name}{unit}" for name, unit in _OF_NUSCENES.items() if name in names)
        note += (
            f"{', '.join(most)} and {last} are those of the nuScenes devkit, which sets the errors of a class to 1 if "
            "it is hardly found. "
        )
    elif "mAPH/L2" in names:
        note += "mAP/L2 and mAPH/L2 are Waymo's average precision at level 2, plain and weighted by heading. "
    elif names:
        note += "3d: KITTI's average precision at 40 recalls. "
    header = ("supervision", *names, *(f"{name} ({count})" for name, count in objects.items()))
    title = "By class" if where == HOME else f"By class, {OTHER_WORLD}"
    return Table(title, header, lines, note + "Means over seeds.")


def _official(score: ScoreDocument) -> dict[str, float | None]:
    """Figures of the nuScenes devkit, or the figures by which KITTI or Waymo rank detectors."""
    official = score.official or {}
    figures = {name: value for name in (*_OF_NUSCENES, *_OF_WAYMO) if isinstance(value := official.get(name), float)}
    ranking = {
        f"{name}, moderate": by_level["moderate"]
        for name, by_level in official.items()
        if name.endswith(" 3d") and isinstance(by_level, Mapping)
    }
    return figures | ranking


def _failures(rows: Sequence[SettingScores]) -> Table:
    lines = []
    for row in rows:
        gains = [_of(one.failures, name).gains for one in row.scores() for name in _objects(rows, HOME)]
        lines.append((row.setting.name, *(_mean(kind) for kind in zip(*gains, strict=True))))
    return Table("Gain in mAP if one type of error were fixed", ("supervision", *KINDS), lines)


def _objects(rows: Sequence[SettingScores], where: str) -> dict[str, int]:
    """Number of objects by class, of classes that have any."""
    classes = [one for row in rows for score in row.scores(where) for one in score.quality.classes]
    return {one.name: one.num_objects for one in classes if one.num_objects}


def _places(rows: Sequence[SettingScores]) -> list[str]:
    """The worlds that detectors were evaluated in."""
    return [HOME, OTHER] if any(row.scores(OTHER) for row in rows) else [HOME]


def _range(row: SettingScores, where: str) -> float:
    """Difference between the best and the worst seed; NaN of a single seed."""
    values = row.values(where)
    return max(values) - min(values) if len(values) > 1 else _NAN


def _deviation(rows: Sequence[SettingScores], where: str) -> float:
    """Standard deviation of the seeds about the mean of their row, pooled over all rows; NaN if no row has two."""
    seeds = [values for row in rows if len(values := row.values(where)) > 1]
    freedom = sum(len(values) - 1 for values in seeds)
    return float(np.sqrt(sum(np.var(values) * len(values) for values in seeds) / freedom)) if freedom else _NAN


def _ratio(row: SettingScores, all_boxes: SettingScores | None, where: str) -> tuple[float, str]:
    """Ratio of mAP to that of all boxes, with the same seeds, and its 95 % confidence interval by the same draws."""
    if all_boxes is None:
        return _NAN, "-"
    common = row.by_seed.keys() & all_boxes.by_seed.keys()
    some, whole = row.of(common), all_boxes.of(common)
    of_whole = _mean(whole.values(where))
    ratio = _mean(some.values(where)) / of_whole if of_whole else _NAN
    frames = {score.quality.num_frames for one in (some, whole) for score in one.scores(where)}
    if row is all_boxes or len(frames) != 1:  # frames could not be read: the draws differ
        return ratio, "-"
    mine, theirs = some.draws(where), whole.draws(where)
    if not (theirs > 0).any():
        return ratio, "-"
    low, high = interval(mine[theirs > 0] / theirs[theirs > 0])
    return ratio, f"{low:.2f} to {high:.2f}"


def _machines(rows: Sequence[SettingScores]) -> list[str]:
    """The machines on which runs were finished."""
    scores = [score for row in rows for where in (HOME, OTHER) for score in row.scores(where)]
    return sorted({score.machine for score in scores if isinstance(score, ValidationDocument)})


def _of(values: Sequence[_Named], name: str) -> _Named:
    return next(value for value in values if value.name == name)


def _number(value: float | None) -> float:
    return _NAN if value is None else float(value)


def _mean(values: Sequence[float | None]) -> float:
    return float(np.mean([_number(value) for value in values])) if values else _NAN


def _figure(name: str, experiment: Experiment, rows: Sequence[SettingScores]) -> dict[str, bytes]:
    places = _places(rows)
    if not experiment.axis:
        shown = [Bar(row.setting.name, *((row.values(where), row.band(where)) for where in places)) for row in rows]
        return interval_chart(name, "mAP", shown)
    panels = []
    for where, title in zip(places, (name, f"{name}, {OTHER_WORLD}"), strict=False):
        lines = []
        for curve in dict.fromkeys(row.setting.curve for row in rows if row.setting.curve):
            mine = sorted((row for row in rows if row.setting.curve == curve), key=lambda row: row.setting.x)
            band = np.array([row.band(where) for row in mine])
            x, y = np.array([row.setting.x for row in mine]), np.array([_mean(row.values(where)) for row in mine])
            lines.append(Line(curve, x, y, band))
        panels.append(Panel(title, experiment.axis, "mAP", lines, log_x=True))
    return line_charts(panels, same_y=True)
