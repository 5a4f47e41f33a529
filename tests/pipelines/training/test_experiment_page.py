"""The page of an experiment: its tables, and that the pages of docs/results have its wording."""

import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pipelines.training.experiment_page import SettingScores, tables  # noqa: E402
from pipelines.training.scores import ClassScore, FailureScore, QualityScore, ScoreDocument  # noqa: E402
from pipelines.training.settings import EXPERIMENTS, Setting  # noqa: E402
from pointsam.detect.data.budget import BudgetConfig  # noqa: E402
from pointsam.evaluate.failures import KINDS  # noqa: E402

RESULTS = Path(__file__).parents[3] / "docs" / "results"
DEVIATION = "Standard deviation between seeds, pooled over all rows: "


def document(value, official=None, draws=(), frames=9, classes=("car",)):
    """Scores of a detector: three objects of each class, and a class without objects."""
    counts = dict.fromkeys(classes, 3) | {"bus without objects": 0}
    by_class = tuple(
        ClassScore(name, count, value if count else None, (), (), None, None, None) for name, count in counts.items()
    )
    quality = QualityScore(by_class, value, frames, draws, "scenes")
    failures = tuple(
        FailureScore(name, (0.1 if count else None,) * len(KINDS), (0,) * len(KINDS)) for name, count in counts.items()
    )
    return ScoreDocument(quality, failures, official, {})


def score(value, nds=None, other=None, **more):
    """Scores in the experiment's world, and in the other world if they are given."""
    official = nds and {"split": "val", "NDS": nds, "mATE": 0.4, "mASE": 0.2}
    return {"home": document(value, official, **more)} | ({} if other is None else {"other": other})


def test_the_table_has_means_spreads_and_shares():
    rows = [
        SettingScores(Setting("all boxes", BudgetConfig(1.0)), 1.0, {0: score(0.8, 0.7)}),
        SettingScores(Setting("some", BudgetConfig(0.5)), 0.5, {0: score(0.4), 1: score(0.6)}),
    ]
    quality, classes, failures = (table.text() for table in tables(rows))
    whole, some = (line.split() for line in quality.splitlines()[3:5])
    assert whole == ["all", "boxes", "1.000", "1", "0.800", "-", "1.000", "-"]
    assert some == ["some", "0.500", "2", "0.500", "0.200", "0.500", "-"]  # of the seed that both have
    assert classes.splitlines()[1].split() == ["supervision", "NDS", "mATE", "mASE", "car", "(3)"]
    whole, some = (line.split() for line in classes.splitlines()[3:5])
    assert whole == ["all", "boxes", "0.700", "0.400", "0.200", "0.800"]
    assert some == ["some", "-", "-", "-", "0.500"]
    assert failures.splitlines()[-1].split() == ["some", *["0.100"] * len(KINDS)]


@pytest.mark.parametrize(
    ("figures", "names", "values"),
    [
        (None, [], []),
        (
            {"Car 3d": {"easy": 0.9, "moderate": 0.7}, "Car bev": {"easy": 1.0, "moderate": 0.8}},
            ["Car 3d, moderate"],
            [0.7],
        ),
        ({"Cyclist 3d": {"moderate": None}}, ["Cyclist 3d, moderate"], [None]),
        (
            {"mAP/L1": 0.8, "mAP/L2": 0.7, "mAPH/L2": 0.6, "vehicle": {"AP/L2": 0.7}},
            ["mAP/L2", "mAPH/L2"],
            [0.7, 0.6],
        ),
    ],
)
def test_a_table_has_the_figures_that_a_data_set_has_of_its_own(figures, names, values):
    by_seed = {0: {"home": document(0.8, figures)}}
    classes = tables([SettingScores(Setting("all boxes", BudgetConfig(1.0)), 1.0, by_seed)])[1]
    assert list(classes.header) == ["supervision", *names, "car (3)"]
    found = [None if value != value else value for value in classes.rows[0][1:]]
    assert found == pytest.approx([*values, 0.8])
    publisher = next((one for one in ("KITTI", "Waymo") if one in classes.text()), None)
    assert publisher == (None if figures is None else "Waymo" if "mAPH/L2" in figures else "KITTI")


def test_the_fraction_is_printed_as_far_as_the_scenes_allow():
    """The ratio is taken within each draw, so that the difficulty of a draw does not widen the interval."""
    whole = SettingScores(
        Setting("all boxes", BudgetConfig(1.0)), 1.0, dict.fromkeys((0, 1), score(0.8, draws=(0.8, 0.4, 0.0, None)))
    )
    some = SettingScores(
        Setting("some", BudgetConfig(0.5)), 0.5, dict.fromkeys((0, 1), score(0.4, draws=(0.4, 0.2, 0.1, None)))
    )
    table = tables([whole, some])[0]
    at = list(table.header).index("95 % CI")
    assert [row[at] for row in table.rows] == ["-", "0.50 to 0.50"]
    fewer = SettingScores(some.setting, 1.0, {0: score(0.4, draws=(0.4, 0.2, 0.1, None), frames=8)})
    assert tables([whole, fewer])[0].rows[1][at] == "-"  # not the same draws


def test_a_share_is_of_the_seeds_that_all_boxes_have_too():
    def row(name, **values):
        by_seed = {int(seed[1:]): score(value, draws=(value, value / 2)) for seed, value in values.items()}
        return SettingScores(Setting(name, BudgetConfig(1.0)), 1.0, by_seed)

    whole = row("all boxes", s0=0.8, s1=0.4)
    table = tables([whole, row("first", s0=0.4), row("second", s1=0.4), row("both", s0=0.2, s1=0.4), row("no", s2=0.4)])
    of_all = list(table[0].header).index("ratio to all boxes")
    found = {row[0]: row[of_all : of_all + 2] for row in table[0].rows}
    assert found["first"] == (0.5, "0.50 to 0.50")
    assert found["second"] == (1.0, "1.00 to 1.00")
    assert found["both"] == (pytest.approx(0.5), "0.50 to 0.50")
    assert np.isnan(found["no"][0])
    assert found["no"][1] == "-"


def test_ratios_in_the_other_world_are_to_all_boxes_there():
    def row(name, *values):
        other = [document(value, draws=(value / 2, 2 * value)) for value in values]
        return SettingScores(
            Setting(name, BudgetConfig(1.0)), 1.0, {k: score(0.8, other=one) for k, one in enumerate(other)}
        )

    rows = [row("all boxes", 0.4, 0.4), row("some", 0.1, 0.1)]
    table = tables(rows)[0]
    at = list(table.header).index("other world: mAP")
    figures = ("mAP", "range of seeds", "ratio to all boxes", "95 % CI")
    assert table.header[at : at + 4] == [f"other world: {figure}" for figure in figures]
    assert table.rows[0][at + 2 : at + 4] == (1.0, "-")
    assert table.rows[1][at : at + 4] == (0.1, 0.0, 0.25, "0.25 to 0.25")
    assert rows[1].band("other") == pytest.approx((0.05375, 0.19625))
    here, there = tables(rows)[1:3]
    assert (here.title, there.title) == ("By class", "By class, other world")
    assert [[row[-1] for row in one.rows] for one in (here, there)] == [[0.8, 0.8], [0.4, 0.1]]


def test_the_deviation_of_seeds_is_that_of_all_rows_with_two():
    """Two rows have two seeds that differ by 0.2 and 0.3: their deviations are 0.2 / sqrt(2) and 0.3 / sqrt(2)."""
    some = {0: score(0.4, other=document(0.1)), 1: score(0.6, other=document(0.4))}
    two = [SettingScores(Setting(name, BudgetConfig(1.0)), 1.0, some) for name in "ab"]
    rows = [*two, SettingScores(Setting("c", BudgetConfig(1.0)), 1.0, {0: some[0]})]
    note = tables(rows)[0].note
    assert note.endswith("dots are seeds. " + DEVIATION + "0.141 here, 0.212 in the other world.")
    assert DEVIATION not in tables(rows[2:])[0].note
    alone = {0: score(0.4), 1: score(0.6)}
    note = tables([SettingScores(rows[2].setting, 1.0, alone)])[0].note
    assert note.endswith(DEVIATION + "0.141.")


def test_a_figure_shows_how_far_scenes_and_seeds_are_apart():
    draws = tuple(np.linspace(0.3, 0.5, 201))
    row = SettingScores(
        Setting("some", BudgetConfig(0.5)), 0.5, {0: score(0.4, draws=draws), 1: score(0.9, draws=draws)}
    )
    assert row.band() == pytest.approx((0.305, 0.9))
    assert np.isnan(SettingScores(row.setting, 0.5, {0: score(None)}).band()).all()


def test_a_split_without_an_object_has_no_figures():
    (row,) = tables([SettingScores(Setting("all boxes", BudgetConfig(1.0)), 1.0, {0: score(None)})])[0].rows
    assert np.isnan(row[3])


def headings_and_notes(page):
    """The tables that the command wrote on a page: titles, headers, and the note below each."""
    for part in page.split("\n## ")[1:]:
        title, header = part.splitlines()[0], next(line for line in part.splitlines() if line.startswith("|"))
        below = part.rsplit("|\n", 1)[1].strip().split("\n\n")[0]
        yield title, header, below


def masked(text):
    return re.sub(r"\d+(\.\d+)?", "#", text)


PAGES = ("assignment", "assignment_second", "boxes", "coarse", "cost", "noise_map", "second", "transfer")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_results_has_the_wording_of_the_code(name):
    page = (RESULTS / f"{name}.md").read_text()
    written = list(headings_and_notes(page))
    names = re.findall(r"\w+(?= \(#\))", masked(written[1][1]))
    one = score(0.4, nds=0.3, classes=names)["home"]
    seeds = (0, 1) if DEVIATION in written[0][2] else (0,)
    by_seed = {seed: {"home": one, "other": one} for seed in seeds}
    made = tables([SettingScores(Setting("all boxes", BudgetConfig(1.0)), 1.0, by_seed)])
    assert len(written) == len(made)
    for (title, header, note), table in zip(written, made, strict=True):
        assert title == table.title
        assert masked(header) == masked(f"| {' | '.join(table.header)} |")
        if table.note:
            assert masked(note) == masked(table.note)
    (question,) = re.findall(r"!\[(.*)\]", page)
    assert question in {one.question for one in EXPERIMENTS.values()}
