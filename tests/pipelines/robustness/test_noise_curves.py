"""The curves of a sweep: of two scenes and two seeds, whose combinations are all known."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.robustness.cells import KINDS, cells_of
from pipelines.robustness.counts import Counts
from pipelines.robustness.curves import LOSSES, Curve, _crossing, bounds, curves, shift
from pipelines.robustness.page import _about, _panel, tables
from pipelines.robustness.sweep_document import sweep_document

SCENES = (0.9, 0.5)
"""Clean quality of an easy and a hard scene, with refinement and without."""
BREAKS = "Size of the error at a loss of 5 % and 20 %"
LEFT = {False: (0.5, 0.7), True: (0.75, 0.76)}
"""Fraction of the clean quality that is left at 1 degree, by refinement and seed."""


def counts_of(left, cells=None, objects=10):
    """Ten true positives of one class in each scene: their mean IoU is the quality of the scene."""
    cells = cells_of(["rotation"], {"rotation": [1]}, 2) if cells is None else cells
    panoptic = np.zeros((len(SCENES), len(cells), 2, 4, 1))
    panoptic[:, :, :, 0] = objects
    for sar in (False, True):
        for u, clean in enumerate(SCENES):
            panoptic[u, :, int(sar), 3, 0] = objects * clean * np.array([1.0, *left[sar]])
    return Counts(cells, ("easy", "hard"), panoptic, np.zeros((2, len(cells), 2, 3)), 0, 2)


def test_a_band_holds_what_scenes_and_seeds_can_be():
    without, refined = curves(counts_of(LEFT))
    assert (without.sar, refined.sar) == (False, True)
    # both scenes easy, or both hard, comes in a quarter of the draws each; with either seed in an eighth each
    assert without.pq == pytest.approx(np.array([(0.7, 0.5, 0.9), (0.42, 0.5 * 0.5, 0.9 * 0.7)]))
    assert refined.pq[1] == pytest.approx([0.7 * 0.755, 0.5 * 0.75, 0.9 * 0.76])
    assert without.seeds == pytest.approx(np.array([(0.7, 0.7), (0.35, 0.49)]))


def test_what_is_lost_is_a_share_of_the_same_scenes_whose_spread_cancels():
    without, refined = curves(counts_of(LEFT))
    assert without.lost == pytest.approx(np.array([(0, 0, 0), (0.4, 0.3, 0.5)]))
    assert refined.lost == pytest.approx(np.array([(0, 0, 0), (0.245, 0.24, 0.25)]))


def test_scenes_that_lose_differently_widen_the_band_of_what_is_lost():
    counts = counts_of(dict.fromkeys(LEFT, (0.5, 0.5)))
    counts.panoptic[0, 1:, :, 3] = 10 * 0.9 * 0.8  # the easy scene loses less
    for curve in curves(counts):
        assert curve.lost[1] == pytest.approx([1 - (0.72 + 0.25) / 1.4, 0.2, 0.5])


def test_the_mean_of_few_seeds_is_as_doubtful_as_their_deviation_says():
    """Losses of 0.5, 0.4 and 0.3 deviate by 0.1, and their mean by 0.1 / sqrt(3)."""
    cells = cells_of(["rotation"], {"rotation": [1]}, 3)
    for curve in curves(counts_of(dict.fromkeys(LEFT, (0.5, 0.6, 0.7)), cells)):
        lost = LOSSES[0] / curve.crossings[:, 0]
        assert lost.std() == pytest.approx(0.1 / math.sqrt(3), rel=0.03)


def test_labels_break_between_the_levels_of_every_draw():
    without, refined = curves(counts_of(LEFT))
    assert np.array(without.breaks) == pytest.approx(np.array([(s / 0.4, s / 0.5, s / 0.3) for s in LOSSES]))
    assert np.array(refined.breaks) == pytest.approx(np.array([(s / 0.245, s / 0.25, s / 0.24) for s in LOSSES]))


def test_what_refinement_moves_is_a_difference_of_the_same_draws():
    pair = curves(counts_of(LEFT))
    for k, share in enumerate(LOSSES):
        assert shift(*pair, k) == pytest.approx(
            (share / 0.245 - share / 0.4, share / 0.24 - share / 0.3, share / 0.25 - share / 0.5)
        )  # bounds of each alone would be wider apart: s / 0.25 - s / 0.3 to s / 0.24 - s / 0.5


def curve_of(sar, *crossings):
    """A curve of three draws, the first of which is the figure itself."""
    at = np.array(crossings, dtype=float)[:, None]
    none = np.zeros((2, 3))
    return Curve("rotation", sar, np.arange(2.0), none, none, none[:, :2], ((at[0, 0], 0.0, 0.0),), at)


@pytest.mark.parametrize(
    ("without", "refined", "moved"),
    [
        ((1, 1, 1), (2, 2, math.inf), (1, 1, math.inf)),
        (
            (math.inf, 1, 1),
            (math.inf, 2, 2),
            (math.nan, -math.inf, math.inf),
        ),  # a draw that says nothing bounds nothing
        ((1, 1, 1), (math.inf, 2, 3), (math.inf, 1, math.inf)),
        ((math.inf, 2, 2), (1, 1, 1), (-math.inf, -math.inf, -1)),
        ((1, math.nan, 1), (2, math.nan, 2), (1, 1, 1)),
    ],
)
def test_a_level_beyond_the_last_is_no_number(without, refined, moved):
    found = shift(curve_of(False, *without), curve_of(True, *refined), 0)
    assert found == pytest.approx(moved, nan_ok=True)


def test_bounds_are_values_that_occur():
    draws = np.column_stack([np.arange(1001.0), np.full(1001, np.nan), np.where(np.arange(1001) < 500, 1.0, np.inf)])
    assert bounds(draws) == pytest.approx(np.array([(25, np.nan, 1), (975, np.nan, np.inf)]), nan_ok=True)


def test_a_kind_that_is_drawn_once_has_the_band_of_its_scenes():
    cells = cells_of(["time"], {"time": [20, 40]}, 3)
    for curve in curves(counts_of(LEFT, cells)):
        left = np.array([1.0, *LEFT[curve.sar]])
        assert curve.pq == pytest.approx(np.outer(left, (0.7, 0.5, 0.9)))
        assert curve.lost == pytest.approx(np.tile(1 - left[:, None], 3))
        assert curve.seeds == pytest.approx(np.outer(left, (0.7, 0.7)))


def test_nothing_to_lose_is_no_loss():
    pair = curves(counts_of(LEFT, objects=0))
    for curve in pair:
        assert np.isnan(curve.lost).all()
        assert np.isnan(curve.breaks).all()
    assert np.isnan(shift(*pair, 0)).all()
    assert [row[2:] for row in tables(pair)[-1].rows] == [("-", "-")] * 3


def test_a_single_scene_or_frame_tells_of_no_spread():
    two = counts_of(LEFT)
    one = Counts(two.cells, ("easy",), two.panoptic[:1], two.objects[:1], 0, 1)
    pair = curves(one)
    for curve in pair:
        assert np.isnan(curve.pq[:, 1:]).all()
        assert np.isnan(curve.lost[:, 1:]).all()
    quality, breaks = tables(pair)
    assert quality.rows[1][1:5] == (pytest.approx(0.54), "-", pytest.approx(0.6795), "-")
    assert [row[3] for row in breaks.rows] == ["0.5", "0.816", "+0.316"]
    assert "No confidence bands" in _about(one)


def test_sizes_that_are_not_reached_are_beyond_and_differences_open():
    mild = curves(counts_of({False: (0.9, 0.9), True: (0.97, 0.99)}))
    none = curves(counts_of(dict.fromkeys(LEFT, (0.99, 0.99))))
    assert [row[2:] for row in tables(mild)[-1].rows] == [
        ("0.5 (0.5 to 0.5)", "beyond (beyond to beyond)"),
        ("beyond (beyond to beyond)", "beyond (beyond to beyond)"),
        ("open (open to open)", "open (open to open)"),
    ]
    assert {cell for row in tables(none)[-1].rows[:2] for cell in row[2:]} == {"beyond (beyond to beyond)"}


def test_a_size_that_is_not_reached_is_none_in_the_document():
    counts = counts_of({False: (0.9, 0.9), True: (0.97, 0.99)})
    document = sweep_document(counts, curves(counts))
    (five, _), (none, _) = (curve.breaks for curve in document.curves)
    assert (five.lost, five.level, five.high) == (0.05, pytest.approx(0.5), pytest.approx(0.5))
    assert (none.level, none.low, none.high) == (None, None, None)
    assert (document.moved_by_sar[0].breaks[0].by, document.curves[0].lost[1]) == (None, pytest.approx(0.1))
    counts = counts_of(LEFT, objects=0)
    assert sweep_document(counts, curves(counts)).curves[0].lost == (None, None)


def test_tables_tell_quality_loss_breaks_and_what_refinement_moves():
    quality, breaks = tables(curves(counts_of(LEFT)))
    assert quality.title == "rotation"
    assert quality.rows[1][:5] == ("1", pytest.approx(0.42), "0.250 to 0.630", pytest.approx(0.5285), "0.375 to 0.684")
    assert quality.rows[1][5:] == (
        *(pytest.approx(0.4), "0.300 to 0.500", pytest.approx(0.245), "0.240 to 0.250"),
        pytest.approx(0.1085),
    )
    assert [row[0] for row in breaks.rows] == [
        "rotation, without SAR",
        "rotation, with SAR",
        "rotation, shift by SAR",
    ]
    assert [row[3] for row in breaks.rows] == ["0.5 (0.4 to 0.667)", "0.816 (0.8 to 0.833)", "+0.316 (+0.167 to +0.4)"]


def test_published_figures_stand_beside_the_published_noise():
    of = {kind: curves(counts_of(LEFT, cells_of([kind], {kind: [0.1]}, 2))) for kind in ("published", "pose")}
    assert [table.title for table in tables(of["pose"])] == ["pose", BREAKS]
    (reported,) = (table for table in tables(of["published"]) if table.title.startswith("published ("))
    for row, (level, without, refined) in zip(
        reported.rows, [("0", 0.449, 0.637), ("0.05", 0.438, 0.628), ("0.1", 0.414, 0.606)], strict=True
    ):
        lost = (1 - without / 0.449, 1 - refined / 0.637)
        assert row == (level, without, refined, *(pytest.approx(share) for share in lost))
    for figure, column in (("pq", 1), ("lost", 3)):
        drawn = {kind: _panel(kind, pair, figure, "").lines for kind, pair in of.items()}
        assert [line.name for line in drawn["pose"]] == ["without SAR", "with SAR"]
        for line, at in zip(drawn["published"][2:], (column, column + 1), strict=True):
            assert line.marks
            assert line.x.tolist() == [0.0, 0.05, 0.1]
            assert line.y.tolist() == [row[at] for row in reported.rows]


@pytest.mark.parametrize(
    ("lost", "share", "level"),
    [([0, 0.1, 0.5], 0.05, 0.5), ([0, 0.1, 0.5], 0.2, 1.25), ([0, 0.1, 0.5], 0.6, math.inf), ([0, 0.1], 0.1, 1.0)],
)
def test_labels_break_where_the_line_between_two_levels_does(lost, share, level):
    levels = np.arange(len(lost), dtype=float)
    assert _crossing(levels, np.array(lost, float), share) == pytest.approx(level)


def test_bands_narrow_with_the_number_of_scenes():
    one = counts_of(LEFT)
    many = Counts(one.cells, tuple(map(str, range(100))), np.tile(one.panoptic, (50, 1, 1, 1, 1)), one.objects, 0, 100)
    for few, more in zip(curves(one), curves(many), strict=True):
        assert np.diff(more.pq[:, 1:]).max() < np.diff(few.pq[:, 1:]).max() / 1.5
        assert more.lost == pytest.approx(few.lost)  # seeds are as few as before


@pytest.mark.parametrize(("name", "units"), [("noise", "frames"), ("noise_paper", "frames"), ("noise_published", "")])
def test_a_page_of_results_has_the_wording_of_the_code(name, units):
    page = (Path(__file__).parents[3] / "docs" / "results" / f"{name}.md").read_text()
    kinds = [kind for kind in KINDS if f"\n## {kind}\n" in page]
    cells = cells_of(kinds, {kind: KINDS[kind].levels[-1:] for kind in kinds}, 1)
    left = {sar: (0.5,) * (len(cells) - 1) for sar in (False, True)}
    counts = counts_of(left, cells)
    made = tables(curves(counts))
    assert re.findall("^## (.*)$", page, re.MULTILINE) == [table.title for table in made]
    for table in made:
        text = table.markdown().splitlines()
        assert f"## {table.title}\n\n{text[2]}\n{text[3]}\n" in page  # the header and its rule
        assert f"\n{table.note}\n" in page
    masked = re.sub(r"\d+", "#", _about(counts if units else replace(counts, num_frames=3)))
    assert f"\n{masked}\n" in re.sub(r"\d+", "#", page)
    assert "![fraction of the clean PQ that is lost]" in page
